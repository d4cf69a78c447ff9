/** A process as a value for tests of commands: what was written is kept. */

import type { Io } from "../../cli/io.ts";

/** An `Io` and what a command wrote to it. */
export interface RecordedIo {
  readonly io: Io;
  readonly out: () => string;
  readonly err: () => string;
}

/** Makes one; `isTerminal` draws progress bars. */
export function recordIo(options: { readonly isTerminal?: boolean; readonly cwd?: string } = {}): RecordedIo {
  const written = { out: "", err: "" };
  const io: Io = {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    env: {},
    cwd: options.cwd ?? "/",
    isTerminal: options.isTerminal ?? false,
  };
  return { io, out: () => written.out, err: () => written.err };
}
