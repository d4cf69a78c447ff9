/** docs/errors.md holds every closed list of codes, word for word, and no code stands there for nothing. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../kernel/error-codes.ts";
import { OBLIGATIONS } from "../../kernel/obligation.ts";
import { FINDING_CODES } from "../../kernel/receipt/findings.ts";
import { REASON_CODES } from "../../kernel/receipt/reasons.ts";
import { VERDICT_REASONS } from "../../verifier/verdict-reasons.ts";
import { ROOT, sourceFiles } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "errors.md"), "utf8");

/** The rows of the table between two markers. */
function rowsOf(marker: string): readonly (readonly [string, string])[] {
  const start = `<!-- ${marker} -->`;
  const section = document.slice(document.indexOf(start) + start.length, document.indexOf(`<!-- end ${marker} -->`));
  return [...section.matchAll(/^\| `([^`]+)` \| (.+) \|$/gmu)].map((row) => [row[1] ?? "", row[2] ?? ""]);
}

const LISTS = {
  codes: ERROR_CODES,
  reasons: REASON_CODES,
  findings: FINDING_CODES,
  obligations: OBLIGATIONS,
  verdicts: VERDICT_REASONS,
};

describe("docs/errors.md", () => {
  it.each(Object.entries(LISTS))(
    "holds the closed list of %s, no more and no less, with the same sentences",
    (marker, list) => {
      expect(rowsOf(marker)).toEqual(Object.entries(list).toSorted(([a], [b]) => (a < b ? -1 : 1)));
      expect(rowsOf(marker).length).toBeGreaterThan(10);
    },
  );

  it("spells codes as the house does: ERR_* for errors, dotted lower case for the others", () => {
    for (const code of Object.keys(ERROR_CODES)) expect(code).toMatch(/^ERR_[A-Z0-9]+(?:_[A-Z0-9]+)*$/u);
    for (const list of [REASON_CODES, FINDING_CODES, OBLIGATIONS, VERDICT_REASONS]) {
      for (const code of Object.keys(list)) expect(code).toMatch(/^[a-z][a-z-]*\.[a-z0-9][a-z0-9_-]*$/u);
    }
  });

  it("lists no code that no source file raises", () => {
    const code = sourceFiles(["kernel", "verifier", "gateway", "ledger", "witness", "api", "cli"])
      .filter(({ path }) => path !== "kernel/error-codes.ts")
      .map(({ text }) => text)
      .join("\n");
    // A name in a comment says that it may be thrown; a string in quotes throws it.
    expect(Object.keys(ERROR_CODES).filter((name) => !code.includes(`"${name}"`))).toEqual([]);
  });

  it("lists no reason of a verdict that the verifier does not give", () => {
    const code = sourceFiles(["verifier"])
      .filter(({ path }) => path !== "verifier/verdict-reasons.ts")
      .map(({ text }) => text)
      .join("\n");
    expect(Object.keys(VERDICT_REASONS).filter((reason) => !code.includes(`"${reason}"`))).toEqual([]);
  });
});
