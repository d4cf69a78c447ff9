import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { knowKeys } from "../../kernel/json/known-keys.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";

const codes = (texts: readonly (string | Uint8Array)[]): readonly string[] =>
  texts.map((text) => codeOf(() => parseJson(text)));
const all = (texts: readonly (string | Uint8Array)[], code: string): void => {
  expect(texts.map((text, i) => [text, codes(texts)[i]])).toEqual(texts.map((text) => [text, code]));
};

/** The member `key` of what must be an object. */
function memberOf(value: JsonValue, key: string): JsonValue | undefined {
  if (!isJsonObject(value)) throw new Error("not an object");
  return value[key];
}

describe("parseJson", () => {
  it("reads every kind of value, with white space where RFC 8259 has it", () => {
    const text = ' {"a" : [ 1 , -2.5e-3 , "x\\n\\u00e9\\/" , true , false , null , { } , [ ] ] \t\r\n} ';
    const value = { a: [1, -0.0025, "x\né/", true, false, null, {}, []] };
    expect(parseJson(text)).toEqual(value);
    expect(parseJson(formatUtf8(text))).toEqual(value);
  });

  it("reads scalars as documents", () => {
    expect(["0", "-1", "1E2", '""', "true", "null"].map((text) => parseJson(text))).toEqual([
      0,
      -1,
      100,
      "",
      true,
      null,
    ]);
  });

  it("reads every escape, pairs of them and what needs none", () => {
    expect(parseJson('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\ud83d\\uDE00 \u007f\u2028 ~"')).toBe(
      '"\\/\b\f\n\r\t\0😀 \u007f\u2028 ~',
    );
  });

  it("keeps __proto__ and other names of Object.prototype as ordinary keys of objects without a prototype", () => {
    const value = parseJson('{"__proto__":{"polluted":1},"constructor":2,"toString":3,"hasOwnProperty":4}');
    if (!isJsonObject(value)) throw new Error("not an object");
    expect(Object.keys(value)).toEqual(["__proto__", "constructor", "toString", "hasOwnProperty"]);
    expect(Object.getPrototypeOf(value)).toBe(null);
    expect(Object.getPrototypeOf(memberOf(value, "__proto__"))).toBe(null);
    expect("polluted" in {}).toBe(false);
  });

  it("reads any number of objects alike", () => {
    const rows = Array.from({ length: 600 }, (_, i) => ({ [`k${i % 7}`]: i, ["__proto__"]: {}, x: { [`${i}`]: [] } }));
    const value = parseJson(JSON.stringify(rows));
    expect(JSON.stringify(value)).toBe(JSON.stringify(rows));
    const last = Array.isArray(value) ? value.at(-1) : undefined;
    expect([Object.getPrototypeOf(last), Object.getPrototypeOf(memberOf(last, "x"))]).toEqual([null, null]);
    all(
      [JSON.stringify(rows).replace('"k4":599', '"x":1'), `[${"{},".repeat(300)}{"b":1,"a":2,"b":3}]`],
      "ERR_JSON_DUPLICATE_KEY",
    );
  });

  it("tells keys from those that are known by their hash", () => {
    knowKeys(["Aa", "é", 'a"b']);
    const keys = ["Aa", "BB", "AaAa", "AaBB", "BBBB", "A", "", "é", 'a"b', "\u0000"];
    const object = Object.fromEntries(keys.map((key, index) => [key, index]));
    expect(parseJson(JSON.stringify(object))).toEqual(object);
    expect(parseJson('{"\\u0041a":1,"\\u00e9":2}')).toEqual({ Aa: 1, é: 2 });
    all(['{"Aa":1,"A\\u0061":2}', '{"Aa":1,"Aa":1}'], "ERR_JSON_DUPLICATE_KEY");
    all(['{"Aa', '{"Aa\\"', '{"Aa\n":1}'], "ERR_JSON_SYNTAX");
  });

  it("refuses equal keys, also when they are spelled in two ways or are called __proto__", () => {
    all(
      ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"__proto__":1,"__proto__":2}', '[{"b":{"x":null,"y":0,"x":null}}]'],
      "ERR_JSON_DUPLICATE_KEY",
    );
  });

  it("refuses lone surrogates, raw or escaped, in strings and in keys", () => {
    const raw = ['"\ud800"', '"\udc00\ud800"', '{"\ud800":1}', '"\\ud83d\ude00"', '"\ud83d\\ude00"'];
    const escaped = ['"\\ud800"', '"\\udc00\\ud800"', '{"\\uDBFF":1}', '"x\\ud83dx\\ude00"'];
    all([...raw, ...escaped], "ERR_JSON_SURROGATE");
    all(escaped.map(formatUtf8), "ERR_JSON_SURROGATE");
  });

  it("refuses invalid UTF-8: cut, overlong, surrogates, beyond U+10FFFF", () => {
    const bad = [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]];
    all(
      bad.map((bytes) => concat(formatUtf8('"'), Uint8Array.from(bytes), formatUtf8('"'))),
      "ERR_UTF8",
    );
  });

  it("takes the safe integers and refuses the next ones, in every spelling", () => {
    const safe = ["9007199254740991", "-9007199254740991", "9007199254740991.0", "9.007199254740991e15"];
    all(safe, "accepted");
    all(
      ["9007199254740992", "-9007199254740992", "9007199254740993", "9007199254740991.5", "1e16", "1e300", "1E+21"],
      "ERR_JSON_NUMBER",
    );
  });

  it("refuses overflow, underflow to zero and negative zero", () => {
    all(["1e400", "-1e400", "1e-400", "-1e-400", "0.00001e-330", "-0", "-0.0", "-0e5"], "ERR_JSON_NUMBER");
    all(["0", "0.0", "0e9", "0e-999", "5e-324", "-5e-324"], "accepted");
  });

  it("refuses what is not RFC 8259", () => {
    const values = [
      "",
      " ",
      "nul",
      "True",
      "NaN",
      "Infinity",
      "undefined",
      "+1",
      "01",
      "-",
      "-01",
      ".5",
      "1.",
      "1e",
      "1e+",
    ];
    const more = [
      "0x10",
      "1_000",
      "--1",
      "'a'",
      '"',
      '"a',
      '"\\"',
      '"\\x"',
      '"\\u12"',
      '"\\u12g4"',
      '"a\nb"',
      '"\\\n"',
    ];
    const nested = ["[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}'];
    const objects = [
      "{a:1}",
      "{1:1}",
      '{"a" 1}',
      '{"a":1 "b":2}',
      '{"a":}',
      "{,}",
      "]",
      "}",
      "[}",
      "{]",
      "//",
      "/**/1",
    ];
    all([...values, ...more, ...nested, ...objects, '"\u0000"', '"\\u0000\u001f"'], "ERR_JSON_SYNTAX");
  });

  it("refuses a byte order mark, other white space and anything after the value", () => {
    all(["\ufeff1", "\u00a01", "1\u2028", "\v1", "\f1", "1 2", "1,", "{}{}", "null\0", "[] x"], "ERR_JSON_SYNTAX");
    all([concat(Uint8Array.of(0xef, 0xbb, 0xbf), formatUtf8("1"))], "ERR_JSON_SYNTAX");
  });

  it("refuses every truncation of a document", () => {
    const text = '{"a":[1.5e3,"x\\u00e9",{"b":null}],"c":true}';
    for (let length = 0; length < text.length; length += 1) {
      expect(codeOf(() => parseJson(text.slice(0, length)))).toBe("ERR_JSON_SYNTAX");
    }
  });

  it("bounds the depth, 64 by default", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(codes([nested(64), nested(65), '{"a":'.repeat(65)])).toEqual([
      "accepted",
      "ERR_JSON_DEPTH",
      "ERR_JSON_DEPTH",
    ]);
    expect(codeOf(() => parseJson(nested(1_000_000)))).toBe("ERR_JSON_DEPTH");
    expect(codeOf(() => parseJson(nested(1000), { maxDepth: 1000 }))).toBe("accepted");
    expect(codeOf(() => parseJson("[]", { maxDepth: 0 }))).toBe("ERR_JSON_DEPTH");
    expect(codeOf(() => parseJson("[]", { maxDepth: 1001 }))).toBe("ERR_BUG");
    expect(codeOf(() => parseJson(`[${"[],".repeat(1000)}[]]`, { maxDepth: 2 }))).toBe("accepted");
  });

  it("refuses more values than it is told, the nested ones among them, before it reads on", () => {
    const codes = (text: string): readonly string[] =>
      [1, 2, 3, 4].map((maxTokens) => codeOf(() => parseJson(text, { maxTokens })));
    const [few, syntax] = ["ERR_JSON_TOKENS", "ERR_JSON_SYNTAX"];
    expect(codes("[0,[]]")).toEqual([few, few, "accepted", "accepted"]);
    expect(codes('{"a":{"b":"c"}}')).toEqual([few, few, "accepted", "accepted"]);
    expect(codes("[0,[],")).toEqual([few, few, few, syntax]);
    expect(codes("x")).toEqual([syntax, syntax, syntax, syntax]);
  });

  it("bounds the size in UTF-8 bytes, 4 MiB by default", () => {
    const text = '"ééé"';
    expect(codeOf(() => parseJson(text, { maxBytes: 8 }))).toBe("accepted");
    expect(codeOf(() => parseJson(text, { maxBytes: 7 }))).toBe("ERR_JSON_SIZE");
    expect(codeOf(() => parseJson(text, { maxBytes: 4 }))).toBe("ERR_JSON_SIZE");
    expect(codeOf(() => parseJson(formatUtf8(text), { maxBytes: 7 }))).toBe("ERR_JSON_SIZE");
    expect(codeOf(() => parseJson(new Uint8Array(4 * 1024 * 1024 + 1)))).toBe("ERR_JSON_SIZE");
  });

  it("names the place of a syntax error and never the text", () => {
    expect(() => parseJson('{"secret": hunter2}')).toThrow(/character 11 of 19/u);
    expect(() => parseJson('{"secret": hunter2}')).not.toThrow(/hunter2/u);
  });
});

describe("parseJson beside JSON.parse", () => {
  /** Documents of any value, in a spelling of any choice. */
  const documents = fc
    .tuple(fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }), fc.constantFrom("", " ", "\n", "\t"))
    .map(([value, space]) => JSON.stringify(value, undefined, space));

  it("gives the same value whenever it accepts, and refuses a valid document for its numbers or surrogates alone", () => {
    fc.assert(
      fc.property(documents, (text) => {
        const code = codeOf(() => parseJson(text));
        if (code === "accepted") expect(JSON.stringify(parseJson(text))).toBe(JSON.stringify(JSON.parse(text)));
        else expect(["ERR_JSON_NUMBER", "ERR_JSON_SURROGATE"]).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses as syntax exactly what JSON.parse refuses, over texts near to JSON", () => {
    const pieces = ["{", "}", "[", "]", ",", ":", '"', "\\", "a", "u0041", "-", "0", "1", ".", "e", "true", " ", "\n"];
    const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 9 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(texts, (text) => {
        const refused = ["ERR_JSON_NUMBER", "ERR_JSON_DUPLICATE_KEY"].includes(codeOf(() => parseJson(text)));
        if (!refused) expect(codeOf(() => parseJson(text)) === "accepted").toBe(isJson(text));
      }),
      { numRuns: 20_000 },
    );
  });

  it("reads numbers to the same double, over random spellings", () => {
    const digits = fc.stringMatching(/^(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?$/u);
    fc.assert(
      fc.property(digits, fc.boolean(), (spelling, isNegative) => {
        const text = isNegative ? `-${spelling}` : spelling;
        const want = Number(text);
        if (codeOf(() => parseJson(text)) === "accepted") expect(Object.is(parseJson(text), want)).toBe(true);
        else expect(want === 0 || Math.abs(want) > Number.MAX_SAFE_INTEGER).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it("finds a key that occurs twice wherever it stands", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ maxLength: 4 }), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        (keys, pick) => {
          const members = keys.map((key, i) => `${JSON.stringify(key)}:${i}`);
          const value = parseJson(`{${members.join(",")}}`);
          for (const [i, key] of keys.entries()) expect(memberOf(value, key)).toBe(i);
          const again = JSON.stringify(keys[pick % keys.length]);
          expect(codeOf(() => parseJson(`{${members.join(",")},${again}:0}`))).toBe("ERR_JSON_DUPLICATE_KEY");
        },
      ),
    );
  });
});

describe("rounded numbers", () => {
  it("are read as ECMAScript reads them, negative zero as zero", () => {
    const read = (text: string): unknown => parseJson(text, { numbers: "rounded" });
    expect(read("9007199254740993")).toBe(9007199254740992);
    expect(read("1e400")).toBe(Number.POSITIVE_INFINITY);
    expect(Object.is(read("-0"), 0)).toBe(true);
    expect(read("[1.5,1e-400]")).toEqual([1.5, 0]);
    expect(codeOf(() => read("01"))).toBe("ERR_JSON_SYNTAX");
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
