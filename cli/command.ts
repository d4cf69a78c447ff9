/** What a subcommand is, and how its arguments are read. */

import { type ParseArgsConfig, parseArgs } from "node:util";
import { parseDecimal } from "../kernel/decimal.ts";
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
  /** The value of `--name` as a number from 0 on, or undefined. @throws {UsageError} if it is none */
  readonly count: (name: string) => bigint | undefined;
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
    count: (name) => {
      const value = text(name);
      return value === undefined ? undefined : numberOf(name, value);
    },
    flag: (name) => values[name] === true,
  };
}

function numberOf(name: string, value: string): bigint {
  try {
    return parseDecimal(value);
  } catch {
    throw new UsageError(`--${name}: want a number from 0 on, in decimal digits, got "${value.slice(0, 40)}"`);
  }
}

function parseStrictly(args: readonly string[], options: Options): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(argumentFault(error, Object.keys(options)));
  }
}

/** What the reader of arguments says, in this program's words: an unknown option with the one that is most like it. */
function argumentFault(error: unknown, known: readonly string[]): string {
  const text = error instanceof Error ? error.message : String(error);
  const [, named = ""] = /'(-[^' ]*)/u.exec(text) ?? [];
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const like = nearest(named.replace(/^-+/u, ""), known);
    return `unknown option "${named}"${like === undefined ? "" : `; did you mean "--${like}"?`}`;
  }
  if (code !== "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") return text;
  if (text.includes("does not take")) return `${named} takes no value`;
  return `${named} wants a value; one that begins with "-" is written ${named}=<value>`;
}

/**
 * The word that somebody most probably meant by `word`: the one with the fewest changed letters, of at most two and less
 * than half of them.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map((each) => ({ each, changes: changesBetween(word, each) }))
    .filter(({ each, changes }) => changes <= 2 && changes * 2 < each.length)
    .sort((a, b) => a.changes - b.changes);
  return near[0]?.each;
}

/** Letters to put in, leave out or replace (Levenshtein); words here are short. */
function changesBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const [left = 0, above = 0, before = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(left + 1, above + 1, before + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
