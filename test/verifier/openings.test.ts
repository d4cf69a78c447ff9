/** Disclosures: what they open is judged against the receipts of a bundle, item by item. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { type DisclosedItem, formatDisclosure, parseDisclosure } from "../../kernel/disclosure.ts";
import { openField } from "../../kernel/opening.ts";
import { judgeOpenings } from "../../verifier/openings.ts";
import { readEntries } from "../../verifier/read-entries.ts";
import { renderVerdicts } from "../../verifier/render.ts";
import { type VerificationResult, verifyBundle } from "../../verifier/verify-bundle.ts";
import { codeOf } from "../support/code-of.ts";
import { disclosureOf, evidenceOfRequest, opened, PAYLOAD, placeOf, SECRET } from "../support/disclosures.ts";
import { bytePrefixes } from "../support/each-byte.ts";
import { oneCharacterChanges } from "../support/each-damage.ts";
import { makeEvidence } from "../support/evidence.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { ROOT } from "../support/source-files.ts";

const evidence = await evidenceOfRequest();
const { receipts, stream, bytes: bundle, trust } = evidence;
const placed = readEntries(parseBundle(bundle)).receipts;
const place = placeOf(receipts, stream);
const judge = (...items: readonly DisclosedItem[]): VerificationResult =>
  verifyBundle({ bundle, trust, disclosure: disclosureOf(...items) });
const wordsOf = ({ openings = [] }: VerificationResult): readonly string[] =>
  openings.map((row) => {
    if (row.verdict === "pass") return "pass";
    return row.verdict === "fail" ? row.code : row.reason;
  });
const to = opened(evidence, "/to");

describe("a disclosure", () => {
  it("passes item by item where the commitments hold what it reveals, and shows just that", () => {
    const result = judge(to, opened(evidence, "/tags"), opened(evidence, undefined));
    expect(result).toMatchObject({ exit: 0, verified: true });
    expect(result.openings).toMatchObject([
      { verdict: "pass", receipt: `${stream}/4`, member: "request_sent", part: "/tags", value: "[]" },
      { verdict: "pass", part: "/to", value: '"ops@example.com"' },
      { verdict: "pass", part: "bytes", value: Buffer.from(PAYLOAD).toString("base64") },
    ]);
    const text = renderVerdicts(result);
    expect(text).toContain('request_sent /to: pass, "ops@example.com"');
    expect(text).toContain("required obligations and openings pass");
    const alone = new TextDecoder().decode(disclosureOf(to));
    expect(alone).not.toContain("copies");
  });

  it("fails with its own code for another value, another receipt, another member", () => {
    if (to.state !== "opened" || to.opening.part !== "field") throw new Error("not a field");
    const lie: DisclosedItem = { ...to, opening: { ...to.opening, value: "eve@example.com" } };
    const foreign = openField(
      SECRET.map((byte) => byte ^ 1),
      "request_sent",
      { to: "ops@example.com" },
      PAYLOAD,
      "/to",
    );
    const seal = receipts.at(-1);
    if (seal === undefined) throw new Error("no seal");
    const cases: readonly (readonly [DisclosedItem, string])[] = [
      [lie, "ERR_OPENING_MISMATCH"],
      [{ ...to, opening: foreign }, "ERR_OPENING_MISMATCH"],
      [{ ...to, receipt: "0".repeat(64) }, "ERR_OPENING_RECEIPT"],
      [{ ...to, seq: 5 }, "ERR_OPENING_RECEIPT"],
      [{ ...to, member: "request_received" }, "ERR_OPENING_MISMATCH"],
      [{ ...to, member: "response_received" }, "ERR_OPENING_RECEIPT"],
    ];
    for (const [item, code] of cases) {
      const result = judge(item);
      expect([wordsOf(result), result.exit, result.verified]).toEqual([[code], 1, false]);
      expect(result.openings?.[0]).not.toHaveProperty("value");
    }
    expect(renderVerdicts(judge(lie))).toContain("FAILED: 1 of");
  });

  it("is not established where the secret is gone, the message was not kept, or the receipt is not there", () => {
    expect(wordsOf(judge({ ...place, state: "erased" }))).toEqual(["opening.erased"]);
    expect(wordsOf(judge({ ...place, state: "not-kept" }))).toEqual(["opening.not-kept"]);
    expect(wordsOf(judge({ ...to, seq: 99, receipt: "1".repeat(64) }))).toEqual(["opening.receipt-absent"]);
    expect(judge({ ...place, state: "erased" })).toMatchObject({ exit: 2, verified: false });
  });

  it("counts only with receipts that are signed, logged and of a pinned gateway", async () => {
    const { trust: other } = await makeEvidence({ trust: { gateways: [] } });
    const result = verifyBundle({ bundle, trust: other, disclosure: disclosureOf(to) });
    expect(wordsOf(result)).toEqual(["receipts.unauthenticated"]);
    expect(result.openings?.[0]).not.toHaveProperty("value");
  });
});

describe("docs/formats/disclosure.md", () => {
  const file = disclosureOf(to);
  it("shows a disclosure to the byte", () => {
    expect(`${fencedBlocks("docs/formats/disclosure.md")("disclosure")}\n`).toBe(new TextDecoder().decode(file));
    expect(formatDisclosure(parseDisclosure(file))).toEqual(file);
  });

  it("is the document of every word of the verdicts", () => {
    const document = readFileSync(join(ROOT, "docs/formats/disclosure.md"), "utf8");
    for (const word of ["opening.erased", "opening.not-kept", "opening.receipt-absent", "ERR_OPENING_RECEIPT"]) {
      expect(document).toContain(`\`${word}\``);
    }
  });

  it("refuses every truncation, and no change of a character passes", () => {
    for (const prefix of bytePrefixes(file))
      expect(codeOf(() => parseDisclosure(prefix))).toMatch(/^ERR_(JSON|UTF8|SHAPE)/u);
    const text = new TextDecoder().decode(file);
    const [start] = [text.indexOf('"items"')];
    for (const changed of oneCharacterChanges(text.slice(start), "0a")) {
      const damaged = formatUtf8(text.slice(0, start) + changed);
      let words: readonly string[];
      try {
        const { items } = parseDisclosure(damaged);
        words = items.length === 0 ? [] : ["parsed"];
      } catch {
        continue;
      }
      if (words.length > 0) {
        words = judgeOpenings(parseDisclosure(damaged), placed, []).map(({ verdict }) => verdict);
      }
      expect(words).not.toContain("pass");
    }
  });

  it("refuses items out of order, twice, or of an unknown form", () => {
    const text = new TextDecoder().decode(disclosureOf(to, opened(evidence, "/tags")));
    const { items, ...rest } = JSON.parse(text) as { readonly items: readonly unknown[] };
    const of = (list: readonly unknown[]): Uint8Array => formatUtf8(`${JSON.stringify({ ...rest, items: list })}\n`);
    expect(codeOf(() => parseDisclosure(of([...items].toReversed())))).toMatch(/ERR_SHAPE|ERR_JSON_CANONICAL/u);
    expect(codeOf(() => disclosureOf(to, to) && parseDisclosure(disclosureOf(to, to)))).toBe("ERR_SHAPE");
    const erased = disclosureOf({ ...place, state: "erased" });
    const odd = new TextDecoder().decode(erased).replace('"erased"', '"gone"');
    expect(codeOf(() => parseDisclosure(formatUtf8(odd)))).toBe("ERR_SHAPE");
  });
});
