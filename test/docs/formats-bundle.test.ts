/** The examples of bundles and trust policies are what the code makes, reads and accepts. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatBundle, parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { ERROR_CODES } from "../../kernel/error-codes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { OBLIGATIONS } from "../../kernel/obligation.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { VERDICT_REASONS } from "../../verifier/verdict-reasons.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { beat, makeEvidence } from "../support/evidence.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { ROOT } from "../support/source-files.ts";

const bundleText = `${fencedBlocks("docs/formats/evidence-bundle.md")("evidence-bundle")}\n`;
const trustText = fencedBlocks("docs/formats/trust-policy.md")("trust-policy");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

describe("docs/formats/evidence-bundle.md", () => {
  it("shows a bundle that is read, made again, and made from the tests' keys to the byte", async () => {
    const bundle = parseBundle(formatUtf8(bundleText));
    expect(new TextDecoder().decode(formatBundle(bundle))).toBe(bundleText);
    const made = await makeEvidence({ steps: [beat], policies: [], catalogs: [] });
    expect(new TextDecoder().decode(made.bytes)).toBe(bundleText);
  });
});

describe("docs/formats/trust-policy.md", () => {
  it("shows a policy under which that bundle passes", () => {
    const trust = parseTrustPolicy(parseJson(trustText));
    const result = verifyBundle({ bundle: formatUtf8(bundleText), trust });
    expect(result).toMatchObject({ exit: 0, verified: true });
  });

  it("lists every obligation with its sentence, in order", () => {
    const rows = [...read("docs/formats/trust-policy.md").matchAll(/^\| `([a-z]+\.[a-z]+)` \| (.+) \|$/gmu)];
    expect(rows.map((row) => [row[1], row[2]])).toEqual(Object.entries(OBLIGATIONS));
  });
});

describe("docs/verify.md", () => {
  const document = read("docs/verify.md");

  it("says of every obligation what it looks at, and gives every reason a place", () => {
    for (const id of Object.keys(OBLIGATIONS)) expect(document).toContain(`\`${id}\``);
    for (const reason of Object.keys(VERDICT_REASONS)) expect(document).toContain(`\`${reason}\``);
  });

  it("names no code that there is not", () => {
    const named = [...document.matchAll(/`(ERR_[A-Z_]+)`/gu)].map((match) => match[1] ?? "");
    expect(named.filter((code) => !Object.hasOwn(ERROR_CODES, code))).toEqual([]);
    expect(named.length).toBeGreaterThan(30);
  });
});
