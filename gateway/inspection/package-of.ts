/** Which package a command runs, if its runner fetches packages by name. */

import type { ServerIdentity } from "../pipeline/call.ts";

/** A package and whether an exact version stands beside it. */
export interface UsedPackage {
  readonly name: string;
  readonly isPinned: boolean;
}

/** `npx-cli.js` is what the link `npx` leads to, and what a catalog therefore names. */
const RUNNERS = /^(?:npx|bunx|uvx|pipx|pnpx)(?:\.cmd|\.exe|-cli\.js)?$/u;
const VERSION = /^\d{1,6}(?:\.\d{1,6}){1,3}(?:[.+-][A-Za-z0-9.+-]{1,64})?$/u;

/** The package that a stdio server is run from; undefined for other commands and for HTTP. */
export function packageOf(identity: ServerIdentity): UsedPackage | undefined {
  if (identity.kind !== "stdio") return undefined;
  const runner = identity.command.split(/[/\\]/u).at(-1) ?? "";
  const given = identity.args.find((arg) => !arg.startsWith("-") && arg !== "run");
  if (!RUNNERS.test(runner) || given === undefined) return undefined;
  const match = /^(@?[^@=]{1,214})(?:@|==)?(.{0,128})$/u.exec(given);
  const [, name = given, version = ""] = match ?? [];
  return { name, isPinned: VERSION.test(version) };
}
