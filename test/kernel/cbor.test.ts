import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import { type CborLimits, parseCbor } from "../../kernel/cbor/parse.ts";
import type { CborKey, CborValue } from "../../kernel/cbor/value.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { codeOf } from "../support/code-of.ts";

const codeOfHex = (hex: string, limits: CborLimits = {}): string => codeOf(() => parseCbor(parseHex(hex), limits));

/** RFC 8949 appendix A, the items that the profile has. */
const EXAMPLES: readonly (readonly [string, CborValue])[] = [
  ["00", 0n],
  ["01", 1n],
  ["0a", 10n],
  ["17", 23n],
  ["1818", 24n],
  ["1819", 25n],
  ["1864", 100n],
  ["1903e8", 1000n],
  ["1a000f4240", 1_000_000n],
  ["1b000000e8d4a51000", 1_000_000_000_000n],
  ["1bffffffffffffffff", 18_446_744_073_709_551_615n],
  ["3bffffffffffffffff", -18_446_744_073_709_551_616n],
  ["20", -1n],
  ["29", -10n],
  ["3863", -100n],
  ["3903e7", -1000n],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["c11a514b67b0", { tag: 1n, value: 1_363_896_240n }],
  ["d818456449455446", { tag: 24n, value: parseHex("6449455446") }],
  ["40", new Uint8Array(0)],
  ["4401020304", parseHex("01020304")],
  ["60", ""],
  ["6161", "a"],
  ["62225c", '"\\'],
  ["62c3bc", "ü"],
  ["64f0908591", "𐅑"],
  ["80", []],
  ["8301820203820405", [1n, [2n, 3n], [4n, 5n]]],
  ["a0", new Map<CborKey, CborValue>()],
  ["a26161016162820203", new Map<CborKey, CborValue>([["a", 1n], ["b", [2n, 3n]]])],
]; // biome-ignore format: a table

const scalar: fc.Arbitrary<CborValue> = fc.oneof(
  fc.bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n }),
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
);
const value: fc.Arbitrary<CborValue> = fc.letrec<{ node: CborValue }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", maxDepth: 5 },
    scalar,
    fc.array(tie("node"), { maxLength: 6 }),
    fc
      .array(fc.tuple(fc.oneof(fc.bigInt({ min: -1000n, max: 1000n }), fc.string({ maxLength: 5 })), tie("node")), {
        maxLength: 6,
      })
      .map((members) => new Map<CborKey, CborValue>(members)),
    fc.record({ tag: fc.bigInt({ min: 0n, max: 70_000n }), value: tie("node") }),
  ),
})).node;

describe("deterministic CBOR", () => {
  it.each(EXAMPLES)("writes and reads %s as RFC 8949 appendix A does", (hex, item) => {
    expect(formatHex(formatCbor(item))).toBe(hex);
    expect(parseCbor(parseHex(hex))).toEqual(item);
  });

  it("reads what it writes, and writes it the same way again", () => {
    fc.assert(
      fc.property(value, (item) => {
        const bytes = formatCbor(item);
        expect(equalBytes(formatCbor(parseCbor(bytes)), bytes)).toBe(true);
      }),
    );
  });

  it("gives every byte string at most one reading: no other bytes decode to the same value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        if (codeOf(() => parseCbor(bytes)) === "accepted") {
          expect(equalBytes(formatCbor(parseCbor(bytes)), bytes)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("sorts map keys by their bytes, whatever order they came in", () => {
    const keys: readonly CborKey[] = ["aa", 10n, -1n, "z", 100n, "", 395n, 1n];
    const map = new Map<CborKey, CborValue>(keys.map((key) => [key, null]));
    const parsed = parseCbor(formatCbor(map));
    expect(parsed instanceof Map ? [...parsed.keys()] : []).toEqual([1n, 10n, 100n, 395n, -1n, "", "z", "aa"]);
  });

  it.each([
    ["an array without a definite length", "9f01ff", "ERR_CBOR_DETERMINISTIC"],
    ["a map without a definite length", "bf0102ff", "ERR_CBOR_DETERMINISTIC"],
    ["bytes in chunks", "5f42010243030405ff", "ERR_CBOR_DETERMINISTIC"],
    ["text in chunks", "7f657374726561646d696e67ff", "ERR_CBOR_DETERMINISTIC"],
    ["a break alone", "ff", "ERR_CBOR_DETERMINISTIC"],
    ["an integer in two bytes that fits one", "1817", "ERR_CBOR_DETERMINISTIC"],
    ["an integer in three bytes that fits two", "1900ff", "ERR_CBOR_DETERMINISTIC"],
    ["an integer in five bytes that fits three", "1a0000ffff", "ERR_CBOR_DETERMINISTIC"],
    ["an integer in nine bytes that fits five", "1b00000000ffffffff", "ERR_CBOR_DETERMINISTIC"],
    ["a negative integer that is too long", "3800", "ERR_CBOR_DETERMINISTIC"],
    ["a length that is too long", "5800", "ERR_CBOR_DETERMINISTIC"],
    ["a tag that is too long", "d80101", "ERR_CBOR_DETERMINISTIC"],
    ["keys out of order", "a202000100", "ERR_CBOR_DETERMINISTIC"],
    ["keys in length-first order", "a22000186400", "ERR_CBOR_DETERMINISTIC"],
    ["equal integer keys", "a201000101", "ERR_CBOR_DUPLICATE_KEY"],
    ["equal keys of two lengths", "a20100180101", "ERR_CBOR_DUPLICATE_KEY"],
    ["equal text keys", "a2616100616101", "ERR_CBOR_DUPLICATE_KEY"],
    ["a key that is bytes", "a1410100", "ERR_CBOR_TYPE"],
    ["a key that is an array", "a18000", "ERR_CBOR_TYPE"],
    ["undefined", "f7", "ERR_CBOR_TYPE"],
    ["another simple value", "f0", "ERR_CBOR_TYPE"],
    ["a simple value of two bytes", "f8ff", "ERR_CBOR_TYPE"],
    ["false in two bytes", "f814", "ERR_CBOR_TYPE"],
    ["a half float", "f93c00", "ERR_CBOR_TYPE"],
    ["a float", "fa47c35000", "ERR_CBOR_TYPE"],
    ["a double", "fb3ff199999999999a", "ERR_CBOR_TYPE"],
    ["no bytes", "", "ERR_CBOR_SYNTAX"],
    ["bytes after the item", "0000", "ERR_CBOR_SYNTAX"],
    ["a reserved head", "1c", "ERR_CBOR_SYNTAX"],
    ["a truncated argument", "1903", "ERR_CBOR_SYNTAX"],
    ["a truncated string", "4401", "ERR_CBOR_SYNTAX"],
    ["an array of 2^64 − 1 items", "9bffffffffffffffff", "ERR_CBOR_SYNTAX"],
    ["a map of 2^63 members", "bb8000000000000000", "ERR_CBOR_SYNTAX"],
    ["bytes of length 2^64 − 1", "5bffffffffffffffff00", "ERR_CBOR_SYNTAX"],
    ["text that is not UTF-8", "61ff", "ERR_UTF8"],
    ["text with a surrogate", "63eda080", "ERR_UTF8"],
  ])("refuses %s", (_, hex, code) => {
    expect(codeOfHex(hex)).toBe(code);
  });

  it("takes keys in the order that others signed, if asked to, and nothing else", () => {
    expect(codeOfHex("a202000100", { order: "kept" })).toBe("accepted");
    expect(codeOfHex("a2020018010000", { order: "kept" })).toBe("ERR_CBOR_SYNTAX");
    expect(codeOfHex("a20200180100", { order: "kept" })).toBe("ERR_CBOR_DETERMINISTIC");
  });

  it("bounds depth and size", () => {
    const nested = (depth: number): string => `${"81".repeat(depth)}00`;
    expect(codeOfHex(nested(16))).toBe("accepted");
    expect(codeOfHex(nested(17))).toBe("ERR_CBOR_DEPTH");
    expect(codeOfHex(`${"c1".repeat(100_000)}00`)).toBe("ERR_CBOR_DEPTH");
    expect(codeOfHex("4401020304", { maxBytes: 5 })).toBe("accepted");
    expect(codeOfHex("4401020304", { maxBytes: 4 })).toBe("ERR_CBOR_SIZE");
  });

  it("writes long arrays without exhausting the stack", () => {
    const long = Array.from({ length: 200_000 }, () => 0n);
    expect(formatCbor(long).length).toBe(200_005);
  });

  it("refuses every truncation, and reads no changed byte as the same value", () => {
    const bytes = formatCbor(
      new Map<CborKey, CborValue>([
        [1n, [formatUtf8("abc"), "def", -65_537n, 1n << 40n]],
        ["x", { tag: 18n, value: [true, null] }],
      ]),
    );
    for (let length = 0; length < bytes.length; length += 1) {
      expect(codeOf(() => parseCbor(bytes.subarray(0, length)))).toBe("ERR_CBOR_SYNTAX");
    }
    const whole = parseCbor(bytes);
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = concat(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        if (codeOf(() => parseCbor(changed)) === "accepted") expect(parseCbor(changed)).not.toEqual(whole);
      }
    }
  });
});
