/** What a subcommand is, and how its arguments are read. */

import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Io } from "./io.ts";

/** Exit codes of every subcommand; `verify` gives 1 and 2 their meaning (docs/formats/trust-policy.md). */
export const EXIT = { ok: 0, failed: 1, notEstablished: 2, unusable: 3 } as const;

/** Exit codes of one verdict. */
export const VERDICT_EXITS: Readonly<Record<"pass" | "fail" | "not_established", number>> = {
  pass: EXIT.ok,
  fail: EXIT.failed,
  not_established: EXIT.notEstablished,
};

/** One subcommand. `run` resolves to the exit code; errors that carry a code are printed by the caller. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** The whole text of `countersign <name> --help`. */
  readonly help: string;
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}

/** The arguments are not what the subcommand takes; the message says what it does. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** Flags and positional arguments of one run. */
export interface Arguments {
  readonly positionals: readonly string[];
  /** The value of `--name`, or undefined. */
  readonly text: (name: string) => string | undefined;
  /** The value of `--name`. @throws {UsageError} if it is absent */
  readonly required: (name: string) => string;
  /** Every value of a `--name` that may be given more than once. */
  readonly texts: (name: string) => readonly string[];
  readonly flag: (name: string) => boolean;
}

/**
 * Reads `args` strictly: unknown flags and missing values are refused.
 *
 * @throws {UsageError}
 */
export function readArguments(args: readonly string[], options: Options, maxPositionals = 0): Arguments {
  const { values, positionals } = parseStrictly(args, options);
  if (positionals.length > maxPositionals) {
    throw new UsageError(`unexpected argument "${positionals[maxPositionals] ?? ""}"`);
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    positionals,
    text,
    required: (name) => {
      const value = text(name);
      if (value === undefined) throw new UsageError(`--${name} is required`);
      return value;
    },
    texts: (name) => {
      const value = values[name];
      return typeof value === "object" ? value.filter((each) => typeof each === "string") : [];
    },
    flag: (name) => values[name] === true,
  };
}

function parseStrictly(args: readonly string[], options: Options): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
