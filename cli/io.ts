/** The process as a value: what a command may read and write. Only cli/ and `main.ts` files touch the real one. */

/** Streams, environment and working folder of one run of the command. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** True if `err` is a terminal: progress bars are drawn only then. */
  readonly isTerminal: boolean;
}

/** The real process. */
export function processIo(): Io {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    isTerminal: process.stderr.isTTY === true,
  };
}
