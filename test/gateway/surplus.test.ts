/** Members of texts that a tool's output schema does not declare. */

import { describe, expect, it } from "vitest";
import { findInMessage } from "../../gateway/inspection/message-findings.ts";
import { partsOfAnswer, toolSides } from "../../gateway/inspection/message-parts.ts";
import { redactMessage } from "../../gateway/inspection/redact.ts";
import { surplusTexts } from "../../gateway/inspection/surplus.ts";
import { declaredNames } from "../../gateway/wire/declared-names.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import type { JsonValue } from "../../kernel/json/value.ts";

const ROWS: JsonValue = {
  type: "object",
  properties: {
    total: { type: "integer" },
    tags: { type: "array", items: { type: "string" } },
    rows: {
      type: "array",
      items: { type: "object", properties: { id: {}, owner: { type: "object", properties: { name: {} } } } },
    },
  },
};

/** Paths of undeclared members in a text. */
function surplus(value: JsonValue, schema: JsonValue = ROWS): readonly (readonly string[])[] {
  const result = { content: [{ type: "text", text: JSON.stringify(value) }] };
  return surplusTexts(result, declaredNames(schema)).flatMap(({ members }) => members);
}

describe("a text that is a JSON list", () => {
  it("has the members that no item of the declared list has", () => {
    const card = "4111 1111 1111 1111";
    expect(surplus([{ id: 1 }, { id: 2, card }])).toEqual([["1", "card"]]);
    expect(surplus([{ id: 1, owner: { name: "a", card } }])).toEqual([["0", "owner", "card"]]);
    expect(surplus([[{ id: 1, card }]])).toEqual([["0", "0", "card"]]);
  });

  it("loses them where a policy wants that, as an object does", () => {
    const text = JSON.stringify([{ id: 1 }, { id: 2, card: "4111", owner: { name: "a", note: "n" } }]);
    const answer = { jsonrpc: "2.0", id: 1, result: { content: [{ type: "text", text }] } };
    const parts = partsOfAnswer(answer, toolSides(undefined, ROWS));
    const found = findInMessage(parts, { surface: "result", ownRules: () => [] }, 0);
    expect(found.rules).toEqual(["surplus.undeclared"]);
    const order = { redact: ["surplus.undeclared"], neutralise: false };
    const done = redactMessage(formatUtf8(JSON.stringify(answer)), parts, found.places, order, () => true);
    if (done.kind === "failed") throw new Error("want it done");
    const [part] = JSON.parse(parseUtf8(done.bytes)).result.content;
    expect(JSON.parse(part.text)).toEqual([{ id: 1 }, { id: 2, owner: { name: "a" } }]);
    expect(done.removals).toMatchObject([{ count: 2, values: ["4111", "n"] }]);
  });

  it("may stand for the whole answer, more than once, or for any part of it", () => {
    expect(surplus([{ total: 1, rows: [{ id: 1 }] }])).toEqual([]);
    expect(surplus([{ total: 1, rows: [{ id: 1, card: 2 }] }])).toEqual([["0", "rows", "0", "card"]]);
    expect(surplus([{ name: "a" }, { name: "b" }])).toEqual([]);
    expect(surplus([{ name: "a", card: 1 }])).toEqual([["0", "card"]]);
  });

  it("has none where it holds no object, and where the schema declares nothing", () => {
    expect(surplus([1, "a", null, ["b"]])).toEqual([]);
    expect(surplus([{ card: 1 }], { type: "object" })).toEqual([]);
    expect(surplus([{ card: 1 }], { type: "object", properties: { tags: { type: "array" } } })).toEqual([
      ["0", "card"],
    ]);
  });

  it("is judged by a recursive schema, too", () => {
    const schema = { properties: { name: {}, below: { type: "array", items: { $ref: "#" } } } };
    expect(surplus([{ name: "a", below: [{ name: "b", card: 1 }] }], schema)).toEqual([["0", "below", "0", "card"]]);
  });

  it("is judged by as many parts of the schema as are looked at, however many it has", () => {
    const parts = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [`p${i}`, { properties: { [`m${i}`]: {} } }]),
    );
    const list = Array.from({ length: 2_000 }, () => ({ card: 1 }));
    expect(surplus(list, { properties: parts })).toHaveLength(2_000);
  });
});

describe("a text that is a JSON object", () => {
  it("stands for the whole answer alone", () => {
    expect(surplus({ total: 1, card: 2 })).toEqual([["card"]]);
    expect(surplus({ id: 1 })).toEqual([["id"]]);
  });
});
