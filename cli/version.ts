/** The version of this package, as its package.json says. */

import { readFileSync } from "node:fs";

/** `unknown` where the package file cannot be read. */
export function packageVersion(): string {
  try {
    const found: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    return typeof found === "object" && found !== null && "version" in found ? String(found.version) : "unknown";
  } catch {
    return "unknown";
  }
}
