/** Options that say whom a signed right is for and what it allows, as mandates and workflow tokens have them. */

import { type Arguments, UsageError } from "./command.ts";

/**
 * The party of `--<option> <issuer>|<name>`.
 *
 * @throws {UsageError} if it is absent or is no such pair
 */
export function partyOf(given: Arguments, option: string): { readonly issuer: string; readonly name: string } {
  const text = given.required(option);
  const at = text.indexOf("|");
  if (at <= 0 || at === text.length - 1) throw new UsageError(`--${option}: want <issuer>|<name>`);
  return { issuer: text.slice(0, at), name: text.slice(at + 1) };
}

/** The items of `--tools` or `--resources`, sorted and each once, as a signed scope wants them; none if it is absent. */
export function listOf(given: Arguments, option: "tools" | "resources"): readonly string[] {
  return [...new Set(given.text(option)?.split(",") ?? [])].sort();
}
