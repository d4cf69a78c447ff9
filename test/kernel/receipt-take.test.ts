/**
 * Receipts are taken right from their text where that is possible, and read by way of a parsed value where it is not. The
 * two never differ: what is taken is what the long way reads, whatever was changed in the bytes. So with writing: what is
 * written is what the long way reads and writes.
 */

import { describe, expect, it } from "vitest";
import { concat, equalBytes, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatCanonical, parseCanonical } from "../../kernel/json/canonical.ts";
import { constant } from "../../kernel/json/constant.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { observed } from "../../kernel/receipt/observed.ts";
import {
  parseReceipt,
  type ReceiptBody,
  readReceipt,
  receiptBodyHash,
  receiptShape,
  type StreamReceipt,
  signReceipt,
} from "../../kernel/receipt/receipt.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import {
  array,
  boolean,
  formatWithSpans,
  hexBytes,
  integer,
  literal,
  mapped,
  nullable,
  object,
  optional,
  record,
  string,
  takeShape,
  timestamp,
} from "../../kernel/shape.ts";
import { spanned } from "../../kernel/shape-spans.ts";
import { signEnvelopeBytes } from "../../kernel/signature/envelope.ts";
import { codeOf } from "../support/code-of.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { gatewayKeys, receiptBodies } from "../support/receipts.ts";
import { sampled } from "../support/sweep.ts";

const keys = gatewayKeys();
const receipts = [...Object.values(receiptBodies()), ...fullReceiptBodies()].map((body) =>
  signReceipt(body, body.kind === "stream-open" ? [keys.instance, keys.receipt] : [keys.receipt]),
);

/** The long way. */
function readLong(bytes: Uint8Array): StreamReceipt | undefined {
  try {
    return readReceipt(parseCanonical(bytes));
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function take(bytes: Uint8Array): StreamReceipt | undefined {
  try {
    return takeShape(receiptShape, parseUtf8(bytes));
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** Canonical text, so that two receipts of one text are equal in every member. */
function textOf(receipt: StreamReceipt | undefined): string | undefined {
  return receipt === undefined ? undefined : formatCanonical(receipt);
}

/** Every value of a receipt, replaced by each of some others. */
function* replaced(value: JsonValue, others: readonly JsonValue[]): Generator<JsonValue> {
  yield* others;
  if (isJsonObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      yield Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
      for (const other of replaced(member, others)) yield { ...value, [key]: other };
    }
  } else if (Array.isArray(value)) {
    const items: readonly JsonValue[] = value;
    for (const [i, item] of items.entries()) for (const other of replaced(item, others)) yield items.with(i, other);
  }
}

/** Other values for any value of a receipt. */
const others: readonly JsonValue[] = [
  0,
  -1,
  1.5,
  1e21,
  "",
  "é",
  "a\n",
  "absent",
  true,
  null,
  [],
  {},
  { state: "pending" },
];

describe("a receipt that is written while it is checked", () => {
  it("is the one that the long way reads and writes, of every kind but the first, whose keys are read as keys", () => {
    for (const { receipt, bytes } of receipts) {
      const written = formatWithSpans(receiptShape, receipt);
      if (receipt.kind === "stream-open") expect(written).toBeUndefined();
      else expect(written?.text).toBe(parseUtf8(bytes));
      const [start = 0, end] = written?.spans.at(-1) ?? [];
      expect(written?.text.slice(start, end)).toBe(written && formatCanonical(receipt.signatures));
    }
  });

  it("is never one that the long way refuses, whatever is missing or another value", () => {
    let writtens = 0;
    for (const [i, { receipt }] of receipts.entries()) {
      for (const other of sampled(replaced(receipt, others), 71, i)) {
        const written = formatWithSpans(receiptShape, other)?.text;
        if (written === undefined) continue;
        writtens += 1;
        if (written !== textOf(readLong(formatUtf8(written)))) throw new Error("they differ");
        if (written !== formatCanonical(other)) throw new Error("another value was written");
      }
    }
    expect(writtens).toBeGreaterThan(0);
  });

  it("is refused with the code of the long way, and signed alike", () => {
    const { signatures: _, ...body } = receiptBodies().heartbeat as ReceiptBody & { signatures?: never };
    const { bytes } = signReceipt(body, [keys.receipt]);
    expect(bytes).toEqual(signEnvelopeBytes(body, [keys.receipt]).bytes);
    expect(codeOf(() => signReceipt({ ...body, seq: -1 }, [keys.receipt]))).toBe("ERR_SHAPE");
    expect(codeOf(() => signReceipt({ ...body, more: 1 } as ReceiptBody, [keys.receipt]))).toBe("ERR_SHAPE");
  });
});

describe("a receipt taken from its text", () => {
  it("is the one that the long way reads, of every kind", () => {
    for (const { bytes } of receipts) {
      expect(take(bytes)).toEqual(readLong(bytes));
      expect(take(bytes)).toBeDefined();
    }
  });

  it.each([
    ["cut", (bytes: Uint8Array, at: number) => bytes.subarray(0, at)],
    ["with a bit flipped", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))],
    ["with another bit flipped", (bytes: Uint8Array, at: number) => bytes.map((b, i) => (i === at ? b ^ 0x80 : b))],
    ["with a digit", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x30 : byte))],
    ["with a quote", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x22 : byte))],
    ["with a backslash", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x5c : byte))],
    ["with a brace", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x7d : byte))],
    ["without a byte", (bytes: Uint8Array, at: number) => bytes.filter((_, i) => i !== at)],
    ["with a byte twice", (bytes: Uint8Array, at: number) => concat(bytes.subarray(0, at + 1), bytes.subarray(at))],
  ])("is no other than the long way reads when it is %s anywhere", (_, change) => {
    for (const [i, { bytes }] of receipts.entries()) {
      for (const at of sampled(bytes.keys(), 127, 11 * i)) {
        const changed = change(bytes, at);
        if (textOf(take(changed)) !== textOf(readLong(changed))) throw new Error(`they differ at byte ${at}`);
      }
    }
  });

  it("is refused as a whole where any value of it is missing or another one", () => {
    for (const [i, { receipt }] of receipts.entries()) {
      for (const other of sampled(replaced(receipt, others), 71, i)) {
        const bytes = formatUtf8(formatCanonical(other));
        const taken = textOf(take(bytes));
        if (taken !== undefined && taken !== textOf(readLong(bytes))) throw new Error("they differ");
      }
    }
  });

  it("is refused in every other spelling, with the code of the long way", () => {
    const bytes = receipts.find(({ receipt }) => receipt.kind === "heartbeat")?.bytes ?? new Uint8Array(0);
    const text = parseUtf8(bytes);
    const spellings: readonly (readonly [string, string])[] = [
      [`${text} `, "ERR_JSON_CANONICAL"],
      [` ${text}`, "ERR_JSON_CANONICAL"],
      [`${text}${text}`, "ERR_JSON_SYNTAX"],
      [text.replace('"v":1', '"v":1.0'), "ERR_JSON_CANONICAL"],
      [text.replace('"v":1', '"v":01'), "ERR_JSON_SYNTAX"],
      [text.replace('"v":1', '"v":1,"v":1'), "ERR_JSON_DUPLICATE_KEY"],
      [text.replace('"kind":', '"a":0,"kind":'), "ERR_JSON_CANONICAL"],
      [text.replace('"v":1', '"v":1,"z":0'), "ERR_SHAPE"],
      [text.replace('"heartbeat"', '"heartb\\u0065at"'), "ERR_JSON_CANONICAL"],
      [`${"[".repeat(20_000)}`, "ERR_JSON_DEPTH"],
      [`${'{"a":'.repeat(10_000)}`, "ERR_JSON_DEPTH"],
      [`{"kind":${"[".repeat(20_000)}`, "ERR_JSON_DEPTH"],
    ];
    for (const [spelling, code] of spellings) {
      expect(takeShape(receiptShape, spelling)).toBeUndefined();
      expect(codeOf(() => parseReceipt(formatUtf8(spelling)))).toBe(code);
    }
  });

  it("has the hash of its body, wherever its signatures stand", () => {
    for (const { receipt, bytes } of receipts) {
      expect(equalBytes(readSignedReceipt(bytes).bodyHash, receiptBodyHash(receipt))).toBe(true);
    }
  });
});

describe("a value taken from canonical text", () => {
  interface Small {
    readonly a: number;
    readonly b?: string;
    readonly c: readonly (boolean | null)[];
    readonly d: "x" | 1 | null | false;
  }
  const shape = object<Small>({
    a: integer({ min: -9, max: 99 }),
    b: optional(string({ pattern: /^[a-z"é]*$/u })),
    c: array(nullable(boolean()), { max: 2 }),
    d: literal("x", 1, null, false),
  });

  it("is what the long way reads, and is written as it was", () => {
    const texts = [
      '{"a":0,"b":"","c":[],"d":"x"}',
      '{"a":99,"c":[true,null],"d":1}',
      '{"a":7,"b":"z","c":[false],"d":null}',
    ];
    for (const text of texts) {
      const value = shape.read(parseCanonical(text), "it");
      expect(takeShape(shape, text)).toEqual(value);
      expect(formatWithSpans(shape, parseCanonical(text))?.text).toBe(text);
    }
  });

  it("is not written where it is refused, or not kept as it is", () => {
    const good = { a: 1, b: 'z"é', c: [true], d: "x" };
    expect(formatWithSpans(shape, good)?.text).toBe('{"a":1,"b":"z\\"é","c":[true],"d":"x"}');
    const inherited: JsonObject = Object.assign(Object.create({ a: 1 }), { c: [], d: "x", e: 1 });
    const others: readonly JsonValue[] = [
      { ...good, a: 100 },
      { ...good, e: 1 },
      { ...good, b: undefined },
      { ...good, b: "A" },
      { ...good, c: [true, true, true] },
      { ...good, c: [1] },
      { ...good, d: "y" },
      { a: 1, d: "x" },
      inherited,
      [],
      "x",
      null,
    ];
    for (const other of others) expect(formatWithSpans(shape, other)).toBeUndefined();
    expect(
      formatWithSpans(
        mapped(string(), (text) => text.trim()),
        " a",
      ),
    ).toBeUndefined();
    expect(
      formatWithSpans(
        mapped(string(), (text) => text.trim()),
        "a",
      )?.text,
    ).toBe('"a"');
    expect(formatWithSpans(hexBytes(1), "00")).toBeUndefined();
    expect(formatWithSpans(record(string()), {})).toBeUndefined();
    expect(
      formatWithSpans(object<{ constructor: number }>({ constructor: integer() }), { constructor: 1 }),
    ).toBeUndefined();
    expect(formatWithSpans(timestamp(), "2026-01-02T03:04:05.678Z")?.text).toBe('"2026-01-02T03:04:05.678Z"');
  });

  it("is written from what is known of a constant only by the shape that knows it", () => {
    const one = constant({ a: 1, c: [], d: "x" });
    const narrower = object<{ readonly a: number }>({ a: integer() });
    for (let i = 0; i < 2; i += 1) {
      expect(formatWithSpans(shape, one)?.text).toBe('{"a":1,"c":[],"d":"x"}');
      expect(formatWithSpans(narrower, one)).toBeUndefined();
    }
  });

  it("is written as it is now, whatever the one before it was", () => {
    const [free, fixed] = [[true], constant([false])];
    const values: readonly JsonValue[] = [
      { a: 1, b: "x", c: free, d: "x" },
      { a: 1, b: "x", c: free, d: "x" },
      { a: 1, b: "x", c: fixed, d: "x" },
      { a: 1, b: "x", c: fixed, d: "x" },
      { a: 1, b: "x", c: constant([false, 1]), d: "x" },
      { a: 1, b: "x", c: fixed, d: "x" },
      { a: 0, b: "\ud800", c: fixed, d: 1 },
      { a: 0, b: "\ud800", c: fixed, d: 1 },
      { a: -0, c: fixed, d: 1 },
      { a: 0, c: fixed, d: 1 },
      { a: 0, b: 'é"', c: fixed, d: null },
      { a: 0, b: 'é"', c: fixed, d: false },
      { a: 0, b: 'é"', c: fixed, d: "1" },
      { a: 0, b: 'é"', c: fixed, d: 0 },
      { a: Number.NaN, b: 'é"', c: fixed, d: false },
      { a: "0", b: 'é"', c: fixed, d: false },
    ];
    for (let i = 0; i < 3; i += 1) {
      free[0] = i === 1;
      const written = values.map((value) => formatWithSpans(shape, value)?.text);
      const refused = [4, 6, 7, 12, 13, 14, 15];
      expect(written).toEqual(values.map((value, at) => (refused.includes(at) ? undefined : formatCanonical(value))));
    }
  });

  it("is written with its place, however often it was written before", () => {
    const placed = object<{ readonly a: number; readonly b: readonly number[] }>({
      a: integer(),
      b: spanned(array(integer())),
    });
    const value = constant({ b: [1] });
    for (let i = 0; i < 3; i += 1) {
      const written = formatWithSpans(placed, { a: i < 2 ? 1 : 100, ...value });
      expect(written?.spans.map(([start, end]) => written.text.slice(start, end))).toEqual(["[1]"]);
    }
    const whole = constant({ a: 1, b: [1] });
    for (let i = 0; i < 3; i += 1) expect(formatWithSpans(placed, whole)?.spans).toEqual([[11, 14]]);
  });

  it("is not written with what all objects inherit", () => {
    const good: JsonObject = { a: 1, c: [], d: "x" };
    const field = observed(integer());
    const lacking = [
      [shape, { c: [], d: "x" }],
      [shape, { ...good, e: undefined }],
      [field, { state: "present" }],
      [field, { value: 1 }],
      [field, {}],
    ] as const;
    for (const [name, value] of [
      ["a", 1],
      ["e", 1],
      ["value", 1],
      ["state", "present"],
    ] as const) {
      const written: (string | undefined)[] = [];
      Object.defineProperty(Object.prototype, name, { value, enumerable: true, configurable: true, writable: true });
      try {
        for (const [each, one] of lacking) written.push(formatWithSpans<unknown>(each, one)?.text);
        written.push(formatWithSpans(field, { state: "present", value: 1 })?.text, formatWithSpans(shape, good)?.text);
      } finally {
        Reflect.deleteProperty(Object.prototype, name);
      }
      expect(written).toEqual([
        ...lacking.map(() => undefined),
        '{"state":"present","value":1}',
        formatCanonical(good),
      ]);
    }
  });

  it("is left to the long way where it is refused, or spelled in an uncommon way", () => {
    const texts = [
      '{"a":100,"c":[],"d":"x"}',
      '{"a":-10,"c":[],"d":"x"}',
      '{"a":-0,"c":[],"d":"x"}',
      '{"a":-01,"c":[],"d":"x"}',
      '{"a":-,"c":[],"d":"x"}',
      '{"a":1e0,"c":[],"d":"x"}',
      '{"a":1,"b":"é","c":[],"d":"x"}',
      '{"a":1,"b":"\\"","c":[],"d":"x"}',
      '{"a":1,"b":"A","c":[],"d":"x"}',
      '{"a":1,"c":[true,true,true],"d":"x"}',
      '{"a":1,"c":[true,],"d":"x"}',
      '{"a":1,"c":[true"],"d":"x"}',
      '{"a":1,"c":[],"d":"y"}',
      '{"a":1,"c":[],"d":12}',
      '{"a":1,"c":[],"d":nul}',
      '{"c":[],"a":1,"d":"x"}',
      '{"a":1,"a":1,"c":[],"d":"x"}',
      '{"a":1,"c":[],"d":"x",}',
      '{,"a":1,"c":[],"d":"x"}',
      '{"a":1,"c":[],"d":"x"',
      "{}",
      "",
    ];
    for (const text of texts) expect(takeShape(shape, text)).toBeUndefined();
  });
});
