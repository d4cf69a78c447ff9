/** The process as a value: what a command may read and write. Only cli/ and `main.ts` files touch the real one. */
import { createInterface } from "node:readline/promises";
import { EXIT } from "./command.ts";

/** Streams, environment and working folder of one run of the command. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** True if `err` is a terminal: progress bars are drawn only then. */
  readonly isTerminal: boolean;
  /** True if `out` is a terminal that shows colours. */
  readonly isColoured?: boolean;
  /** Asks whoever sits at the terminal; absent if nobody does. */
  readonly ask?: (question: string) => Promise<string>;
}

/**
 * The real process. A reader of its output that is gone (`| head -1`) ends nothing, so that the exit code stays the
 * command's; output that cannot be written for another reason, such as a full disk, is unusable: exit 1 is a verdict.
 */
export function processIo(): Io {
  process.stderr.on("error", () => undefined);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.stderr.write(`countersign: ERR_FILE_WRITE: cannot write to standard output: ${error.message}\n`);
    process.exit(EXIT.unusable);
  });
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    cwd: process.cwd(),
    isTerminal: process.stderr.isTTY === true,
    isColoured: process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined,
    ...(process.stdin.isTTY === true && process.stdout.isTTY === true ? { ask: askAtTerminal } : {}),
  };
}

async function askAtTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}
