/** Runs a command of the program as far as it reads its arguments: by its own definitions, and without doing anything. */

import { createRequire, syncBuiltinESMExports } from "node:module";
import type { parseArgs as ParseArgs } from "node:util";
import { runCommand } from "../../cli/run.ts";
import { ROOT } from "./source-files.ts";

type Util = { parseArgs: typeof ParseArgs };

/** What ends a command as soon as it asks for the value of an option. */
class ArgumentsRead extends Error {}

/** Values that nobody can have: to ask for one ends the command. */
const ENDING: Readonly<Record<string, undefined>> = new Proxy(
  {},
  {
    get: (): never => {
      throw new ArgumentsRead();
    },
  },
);

/** What is wrong with the words after `countersign`, in the program's own words; undefined if it takes them. */
export async function argumentFault(args: readonly string[]): Promise<string | undefined> {
  const { parseArgs } = util;
  util.parseArgs = ((config) => ({ ...parseArgs(config), values: ENDING })) as typeof ParseArgs;
  syncBuiltinESMExports();
  try {
    const { exit, said } = await run(args);
    // An error with a code is about a file that is not here: the command reads one before its options.
    return exit === 0 || /^countersign [a-z-]+: ERR_[A-Z_]+: /u.test(said) ? undefined : said;
  } catch (error) {
    if (error instanceof ArgumentsRead) return undefined;
    throw error;
  } finally {
    util.parseArgs = parseArgs;
    syncBuiltinESMExports();
  }
}

/** The help of a command, or undefined if there is no such command. */
export async function helpOf(name: string): Promise<string | undefined> {
  const { exit, said } = await run([name, "--help"]);
  return exit === 0 ? said : undefined;
}

const util = createRequire(import.meta.url)("node:util") as Util;

async function run(args: readonly string[]): Promise<{ readonly exit: number; readonly said: string }> {
  let said = "";
  const print = (text: string): void => {
    said += text;
  };
  const exit = await runCommand(args, { out: print, err: print, env: {}, cwd: ROOT, isTerminal: false });
  return { exit, said };
}
