/** Declared needs of results: lists and bytes above them are found, taken out or withheld, and the JSON stays valid. */

import { describe, expect, it } from "vitest";
import { dataClassOf, type ResultNeeds, serverDataClassShape } from "../../gateway/catalog/data-class.ts";
import { findInMessage } from "../../gateway/inspection/message-findings.ts";
import { partsOfAnswer, toolSides } from "../../gateway/inspection/message-parts.ts";
import { redactMessage } from "../../gateway/inspection/redact.ts";
import { mostItems } from "../../gateway/inspection/result-needs.ts";
import { ValueCopies } from "../../gateway/inspection/value-copies.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";

const NO_SCHEMAS = toolSides(undefined, undefined);
const ORDER = { redact: ["surplus.items", "pii.*"], neutralise: false };

/** What is left of a result under an order, and what was found in it. */
function cut(result: JsonObject, needs: ResultNeeds, order = ORDER) {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
  const answer = parseJson(text);
  if (!isJsonObject(answer)) throw new Error("want an object");
  const parts = partsOfAnswer(answer, NO_SCHEMAS, needs);
  const found = findInMessage(parts, { surface: "result", ownRules: () => [] }, 0);
  const done = redactMessage(formatUtf8(text), parts, found.places, order, () => true);
  if (done.kind === "failed") throw new Error("want it done");
  const left: { readonly result: JsonObject } = JSON.parse(parseUtf8(done.bytes));
  return { left: left.result, found, removals: done.removals };
}

const rows = (count: number): JsonObject[] => Array.from({ length: count }, (_, id) => ({ id, tags: ["a", "b", "c"] }));

describe("declared needs", () => {
  it("leave the first items of a list and of its text copy, and count the others exactly", () => {
    const content = { rows: rows(200) };
    const { left, found, removals } = cut(
      { structuredContent: content, content: [{ type: "text", text: JSON.stringify(content) }] },
      { items: { "/rows": 2 } },
    );
    expect(left["structuredContent"]).toEqual({ rows: rows(2) });
    expect(left["content"]).toEqual([{ type: "text", text: JSON.stringify({ rows: rows(2) }) }]);
    expect(found.blocking).toEqual(["surplus.items"]);
    expect(found.inspection.findings).toEqual([
      { rule: "surplus.items", severity: "block", pointer: "/result/content/*/text", count: 198 },
      { rule: "surplus.items", severity: "block", pointer: "/result/structuredContent/*", count: 198 },
    ]);
    expect(removals.map(({ count, values }) => [count, values.length])).toEqual([
      [198, 198],
      [198, 198],
    ]);
  });

  it("hold in texts alone, in resources, in lists of lists, and in a text whose other values are taken out too", () => {
    const needs = { items: { "": 1, "/*/tags": 2, "/rows/*/tags": 1 } };
    const text = JSON.stringify(rows(3));
    expect(cut({ content: [{ type: "text", text }] }, needs).left["content"]).toEqual([
      { type: "text", text: JSON.stringify([{ id: 0, tags: ["a", "b"] }]) },
    ]);
    expect(cut({ contents: [{ uri: "a:b", text }] }, needs).left["contents"]).toMatchObject([
      { text: JSON.stringify([{ id: 0, tags: ["a", "b"] }]) },
    ]);
    expect(cut({ structuredContent: { rows: rows(2) } }, needs).left["structuredContent"]).toEqual({
      rows: [
        { id: 0, tags: ["a"] },
        { id: 1, tags: ["a"] },
      ],
    });
    const mails = JSON.stringify(["ann@example.org", "bob@example.org"]);
    expect(cut({ content: [{ type: "text", text: mails }] }, needs).left["content"]).toEqual([
      { type: "text", text: '["[redacted:pii.email]"]' },
    ]);
  });

  it("say nothing of what is within them, of texts that are no JSON, or of members that are not there", () => {
    const needs = { items: { "/rows": 2, "/length": 0, "/constructor/x": 0 } };
    for (const result of [
      { structuredContent: { rows: rows(2) } },
      { content: [{ type: "text", text: "[1, 2, 3" }] },
    ]) {
      const { left, found } = cut(result, needs);
      expect(left).toEqual(result);
      expect(found.blocking).toEqual([]);
    }
  });

  it("are a server's, and a tool's over them; what is no JSON Pointer is refused", () => {
    const server = serverDataClassShape.read(
      { results: { bytes: 10, items: { "/a": 1 } }, tools: { t: { results: { items: { "/b": 2 } } } } },
      "data",
    );
    expect(dataClassOf(server, "t").results).toEqual({ bytes: 10, items: { "/b": 2 } });
    expect(dataClassOf(server, "other").results).toEqual({ bytes: 10, items: { "/a": 1 } });
    for (const items of [{ rows: 1 }, { "/a~2": 1 }, { "/a": -1 }, { "/a": 0.5 }]) {
      expect(codeOf(() => serverDataClassShape.read({ results: { items } }, "data"))).toBe("ERR_SHAPE");
    }
  });

  it("have the longest list of structured content and of texts as their measure for policies", () => {
    expect(mostItems({ structuredContent: { a: [1, [1, 2, 3]] } })).toBe(3);
    expect(mostItems({ content: [{ type: "text", text: "[1,2,3,4]" }], structuredContent: { a: [] } })).toBe(4);
    expect(mostItems({ content: [{ type: "text", text: "none" }] })).toBe(0);
  });
});

describe("a redaction", () => {
  it("takes a member out whose name is the value", () => {
    const { left } = cut({ structuredContent: { "ann.of.the.office@example.org": "x", b: "y" } }, {});
    expect(left["structuredContent"]).toEqual({ b: "y" });
  });

  it("takes very many values out of very many texts in one walk over each", () => {
    const mails = Array.from({ length: 3_000 }, (_, i) => `person-${i}@example.org`);
    const { left } = cut({ structuredContent: { mails } }, {});
    expect(JSON.stringify(left)).not.toContain("person-");
  });

  it("replaces the longest of values that begin alike", () => {
    const copies = new ValueCopies();
    copies.add("abcdefgh", "<long>");
    copies.add("abcdef", "<short>");
    copies.add("abc", "<never>");
    expect(copies.replaceIn("abc abcdef abcdefgh abcdefg")).toBe("abc <short> <long> <short>g");
  });

  it("replaces a text as a whole where values of very many lengths begin as all of it does", () => {
    const copies = new ValueCopies();
    for (let length = 6; length < 1400; length += 1) copies.add(`${"a".repeat(length)}c`, "<gone>");
    expect(copies.replaceIn(`${"a".repeat(1405)}b`.repeat(100))).toBe("<gone>");
    expect(copies.replaceIn(`b ${"a".repeat(9)}c b`)).toBe("b <gone> b");
  });
});
