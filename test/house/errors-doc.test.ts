import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../kernel/error-codes.ts";
import { ROOT, sourceFiles } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "errors.md"), "utf8");
const documented = [...document.matchAll(/^\| `(ERR_[A-Z0-9_]+)` \| (.+) \|$/gmu)].map((row) => [row[1], row[2]]);

describe("docs/errors.md", () => {
  it("holds the closed list of codes, no more and no less, with the same sentences", () => {
    expect(Object.fromEntries(documented)).toEqual(ERROR_CODES);
    expect(documented.length).toBeGreaterThan(50);
  });

  it("lists no code that no source file raises", () => {
    const code = sourceFiles(["kernel", "verifier", "gateway", "ledger", "witness", "api", "cli"])
      .filter(({ path }) => path !== "kernel/error-codes.ts")
      .map(({ text }) => text)
      .join("\n");
    expect(Object.keys(ERROR_CODES).filter((name) => !new RegExp(`\\b${name}\\b`, "u").test(code))).toEqual([]);
  });
});
