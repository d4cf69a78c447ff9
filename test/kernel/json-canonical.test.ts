import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { canonicalBytes, formatCanonical, parseCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { canonicalizeByPeer } from "../support/canonicalize.ts";
import { codeOf } from "../support/code-of.ts";
import { fixturePath } from "../support/fixtures.ts";

/** RFC 8785 appendix B: IEEE 754 bits and their form; the last three rows are errors. */
const APPENDIX_B: readonly (readonly [string, string])[] = [
  ["0000000000000000", "0"],
  ["8000000000000000", "0"],
  ["0000000000000001", "5e-324"],
  ["8000000000000001", "-5e-324"],
  ["7fefffffffffffff", "1.7976931348623157e+308"],
  ["ffefffffffffffff", "-1.7976931348623157e+308"],
  ["4340000000000000", "9007199254740992"],
  ["c340000000000000", "-9007199254740992"],
  ["4430000000000000", "295147905179352830000"],
  ["44b52d02c7e14af5", "9.999999999999997e+22"],
  ["44b52d02c7e14af6", "1e+23"],
  ["44b52d02c7e14af7", "1.0000000000000001e+23"],
  ["444b1ae4d6e2ef4e", "999999999999999700000"],
  ["444b1ae4d6e2ef4f", "999999999999999900000"],
  ["444b1ae4d6e2ef50", "1e+21"],
  ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
  ["3eb0c6f7a0b5ed8d", "0.000001"],
  ["41b3de4355555553", "333333333.3333332"],
  ["41b3de4355555554", "333333333.33333325"],
  ["41b3de4355555555", "333333333.3333333"],
  ["41b3de4355555556", "333333333.3333334"],
  ["41b3de4355555557", "333333333.33333343"],
  ["becbf647612f3696", "-0.0000033333333333333333"],
  ["43143ff3c1cb0959", "1424953923781206.2"],
];

const doubleOf = (bits: string): number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
};

describe("canonical JSON", () => {
  it("writes the numbers of RFC 8785 appendix B", () => {
    expect(APPENDIX_B.map(([bits]) => [bits, formatCanonical(doubleOf(bits))])).toEqual(APPENDIX_B);
    for (const bits of ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"]) {
      expect(codeOf(() => formatCanonical(doubleOf(bits)))).toBe("ERR_JSON_NUMBER");
    }
  });

  it("writes the example of RFC 8785 §3.2.2 and sorts the one of §3.2.3 by UTF-16 code units", () => {
    const example = {
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
      literals: [null, true, false],
    };
    expect(formatCanonical(example)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const keys = ["\u20ac", "\r", "\ufb33", "1", "\ud83d\ude00", "\u0080", "\u00f6"];
    const sorted = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"];
    const text = formatCanonical(Object.fromEntries(keys.map((key) => [key, 0])));
    expect(text).toBe(`{${sorted.map((key) => `${JSON.stringify(key)}:0`).join(",")}}`);
  });

  it("writes the vectors of the fixtures", () => {
    const file = JSON.parse(readFileSync(fixturePath("aga", "jcs-rfc8785-vectors.json"), "utf8"));
    expect(file.vectors.length).toBeGreaterThan(5);
    for (const { name, input, expected_rfc8785 } of file.vectors) {
      expect([name, formatCanonical(input)]).toEqual([name, expected_rfc8785]);
    }
  });

  it("keeps __proto__ and orders keys that look like integers as text", () => {
    expect(formatCanonical(parseJson('{"b":1,"__proto__":2,"10":3,"9":4,"":5}'))).toBe(
      '{"":5,"10":3,"9":4,"__proto__":2,"b":1}',
    );
  });

  it("treats undefined members as absent and refuses holes in arrays", () => {
    expect(formatCanonical({ a: undefined, b: 1 })).toBe('{"b":1}');
    expect(formatCanonical({ a: undefined })).toBe("{}");
    const hole: JsonValue[] = [];
    hole.length = 1;
    expect(codeOf(() => formatCanonical(hole))).toBe("ERR_BUG");
  });

  it("refuses lone surrogates in strings and keys", () => {
    for (const value of ["\ud800", "a\udc00é", { "\udfff": 1 }, [["\ud83d\n"]]]) {
      expect(codeOf(() => formatCanonical(value))).toBe("ERR_JSON_SURROGATE");
    }
  });

  it("is what the independent canonicalize package writes, and is a fixed point", () => {
    const values = fc.jsonValue({ maxDepth: 5, stringUnit: "binary" });
    fc.assert(
      fc.property(values, (value) => {
        const text = formatCanonical(value as JsonValue);
        expect(text).toBe(canonicalizeByPeer(value));
        expect(new TextDecoder().decode(canonicalBytes(value as JsonValue))).toBe(text);
        if (codeOf(() => parseJson(text)) !== "accepted") return;
        expect(formatCanonical(parseCanonical(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("parseCanonical", () => {
  it("reads the canonical form and refuses every other spelling of the same value", () => {
    expect(parseCanonical(formatUtf8('{"a":[1,"é"],"b":{}}'))).toEqual({ a: [1, "é"], b: {} });
    const others = [
      '{"b":1,"a":2}',
      '{"a": 1}',
      " 1",
      "1\n",
      "1.0",
      "1e0",
      '"\\u0041"',
      '"\\/"',
      '"\\u00E9"',
      '"\\u000A"',
    ];
    for (const text of others) expect([text, codeOf(() => parseCanonical(text))]).toEqual([text, "ERR_JSON_CANONICAL"]);
  });

  it("refuses as parseJson does", () => {
    const bad = { '{"a":1,"a":1}': "ERR_JSON_DUPLICATE_KEY", "-0": "ERR_JSON_NUMBER", "": "ERR_JSON_SYNTAX" };
    for (const [text, code] of Object.entries(bad)) expect(codeOf(() => parseCanonical(text))).toBe(code);
    expect(codeOf(() => parseCanonical("[[]]", { maxDepth: 1 }))).toBe("ERR_JSON_DEPTH");
    expect(codeOf(() => parseCanonical("[[]]", { maxBytes: 3 }))).toBe("ERR_JSON_SIZE");
  });

  it("refuses every change of one byte that keeps the value, and never gives one value for two documents", () => {
    const bytes = canonicalBytes({ a: [1, 2.5, "xé"], b: { c: null, d: true } });
    const values = new Map<string, string>();
    for (let at = 0; at < bytes.length; at += 1) {
      for (let byte = 0; byte < 256; byte += 1) {
        const changed = bytes.slice();
        changed[at] = byte;
        if (codeOf(() => parseCanonical(changed)) !== "accepted") continue;
        const text = new TextDecoder().decode(changed);
        const known = values.get(JSON.stringify(parseCanonical(changed))) ?? text;
        expect(known).toBe(text);
        values.set(JSON.stringify(parseCanonical(changed)), text);
      }
    }
  });
});

describe("reading canonical JSON", () => {
  /** What `parseCanonical` says without looking at the value again. */
  const isAccepted = (text: string): boolean => codeOf(() => parseCanonical(text)) === "accepted";
  /** The same by definition: parse it, write it, compare. */
  const isOwnForm = (text: string): boolean =>
    codeOf(() => {
      if (formatCanonical(parseJson(text)) !== text) throw new FormatError("ERR_JSON_CANONICAL", "");
    }) === "accepted";

  it("accepts exactly the texts that are the canonical form of their value", () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    const spelled = fc.oneof(
      value.map((json) => JSON.stringify(json)),
      value.map((json) => JSON.stringify(json, null, 1)),
      value.map((json) => formatCanonical(json as JsonValue)),
      value.map((json) => formatCanonical(json as JsonValue).replaceAll("e+", "E+")),
      value.map((json) => formatCanonical(json as JsonValue).replaceAll("a", "\\u0061")),
      value.map((json) => formatCanonical(json as JsonValue).replaceAll("\\n", "\\u000a")),
    );
    fc.assert(
      fc.property(spelled, (text) => isAccepted(text) === isOwnForm(text)),
      { numRuns: 1000 },
    );
  });

  it("does so for every short text over the characters of JSON", () => {
    const characters = [...'{}[]:,"ab0123.-+eE \n\\u/'];
    const text = fc.array(fc.constantFrom(...characters, '"a":', '"b":', "null", "1e21", "\\u0001", "é"), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(text, (parts) => isAccepted(parts.join("")) === isOwnForm(parts.join(""))),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['{"":1,"a":2}', true],
    ['{"a":2,"":1}', false],
    ['{"\u{10000}":1,"\uffff":2}', true],
    ['{"\uffff":2,"\u{10000}":1}', false],
    ["0", true],
    ["0.0", false],
    ["1e21", false],
    ["1e+21", false],
    ["9007199254740991", true],
    ["100000000000000000000", false],
    ["0.000001", true],
    ["1e-6", false],
    ["1e-7", true],
    ["-1", true],
    ["1.50", false],
    ['"\u007f\u2028"', true],
    ['"\\u007f"', false],
    ['"\\b\\f\\n\\r\\t\\u0000\\u001f\\"\\\\"', true],
    ['"\\u001F"', false],
    ['"\\/"', false],
    ['"\\u0008"', false],
    [" 1", false],
    ["1\n", false],
    ["[1, 2]", false],
    ['{"a" :1}', false],
  ])("%j: %s", (text, isCanonical) => {
    expect([isAccepted(text), isOwnForm(text)]).toEqual([isCanonical, isCanonical]);
  });
});
