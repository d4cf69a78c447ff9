/** Runs a subcommand in the test's process, and keeps what it printed. */

import type { Command } from "../../cli/command.ts";
import { UsageError } from "../../cli/command.ts";
import { isCodedError } from "../../kernel/errors.ts";

/** What a run left: the exit code, or what it threw. */
export interface CommandRun {
  readonly exit: number | undefined;
  /** Code of the error, `usage` for wrong arguments. */
  readonly fault: string | undefined;
  readonly out: string;
  readonly err: string;
}

/** Runs to the end; errors without a code are thrown on. */
export async function runInProcess(
  command: Command,
  args: readonly string[],
  options: { readonly isTerminal?: boolean } = {},
): Promise<CommandRun> {
  let [out, err] = ["", ""];
  const io = {
    out: (text: string): void => {
      out += text;
    },
    err: (text: string): void => {
      err += text;
    },
    env: {},
    cwd: "/",
    isTerminal: options.isTerminal ?? false,
  };
  try {
    return { exit: await command.run(args, io), fault: undefined, out, err };
  } catch (error) {
    if (error instanceof UsageError) return { exit: undefined, fault: "usage", out, err };
    if (isCodedError(error)) return { exit: undefined, fault: error.code, out, err };
    throw error;
  }
}
