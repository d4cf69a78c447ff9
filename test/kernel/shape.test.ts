import { describe, expect, it } from "vitest";
import { CheckError } from "../../kernel/errors.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import {
  array,
  base64,
  base64Bytes,
  boolean,
  hex,
  hexBytes,
  integer,
  json,
  jsonObject,
  literal,
  mapped,
  nullable,
  object,
  optional,
  readShape,
  record,
  type Shape,
  string,
  tagged,
  takeShape,
  timestamp,
} from "../../kernel/shape.ts";
import { codeOf } from "../support/code-of.ts";

/** The message of what `read` throws. */
function messageOf(read: () => unknown): string {
  try {
    read();
    return "accepted";
  } catch (error) {
    return error instanceof Error ? error.message : "not an error";
  }
}

function expectShape<T>(shape: Shape<T>, good: readonly JsonValue[], bad: readonly JsonValue[]): void {
  for (const value of good) expect(readShape(shape, value, "it")).toEqual(value);
  for (const value of bad) expect([value, codeOf(() => readShape(shape, value, "it"))]).toEqual([value, "ERR_SHAPE"]);
  for (const value of good) expect([value, undefined]).toContainEqual(takeShape(shape, formatCanonical(value)));
  for (const value of bad) expect(takeShape(shape, JSON.stringify(value))).toBeUndefined();
}

/** A made-up format with every kind of member. */
interface Tool {
  readonly name: string;
  readonly count: number;
  readonly on: boolean;
  readonly mode: "a" | "b";
  readonly tags: readonly string[];
  readonly note?: string;
  readonly nothing: null | number;
}

const tool: Shape<Tool> = object<Tool>({
  name: string({ pattern: /^[a-z]+$/u, maxLength: 8, description: "a tool name" }),
  count: integer({ min: 1, max: 9 }),
  on: boolean(),
  mode: literal("a", "b"),
  tags: array(string(), { min: 1, max: 2 }),
  note: optional(string()),
  nothing: nullable(integer()),
});

const good = { name: "read", count: 1, on: true, mode: "a", tags: ["x"], nothing: null };

describe("an object shape", () => {
  it("reads exactly its members, optional ones when they are there", () => {
    expect(readShape(tool, good, "tool")).toEqual(good);
    expect("note" in readShape(tool, good, "tool")).toBe(false);
    expect(readShape(tool, { ...good, note: "n", nothing: 4 }, "tool")).toEqual({ ...good, note: "n", nothing: 4 });
    expect(readShape(tool, parseJson(JSON.stringify(good)), "tool")).toEqual(good);
  });

  it("refuses unknown members, __proto__ among them, and names them with a bound on their length", () => {
    const read = (value: JsonValue) => () => readShape(tool, value, "tool");
    expect(codeOf(read({ ...good, extra: 1 }))).toBe("ERR_SHAPE");
    expect(messageOf(read({ ...good, extra: 1 }))).toBe('tool."extra": want no such member, got 1');
    expect(codeOf(read(parseJson(`${JSON.stringify(good).slice(0, -1)},"__proto__":null}`)))).toBe("ERR_SHAPE");
    expect(messageOf(read({ ...good, ["\n".repeat(500)]: 1 })).length).toBeLessThan(220);
  });

  it("refuses an absent member, and one that only the prototype has", () => {
    const { name: _, ...shorter } = good;
    expect(messageOf(() => readShape(tool, shorter, "tool"))).toBe("tool.name: want a value, got nothing");
    const inherited: JsonObject = Object.create({ name: "read" });
    expect(codeOf(() => readShape(tool, { ...inherited, ...shorter }, "tool"))).toBe("ERR_SHAPE");
    const odd = object<{ readonly toString: string }>({ toString: string() });
    expect(codeOf(() => readShape(odd, {}, "odd"))).toBe("ERR_SHAPE");
  });

  it("refuses what is no object", () => {
    for (const value of [null, [], "x", 1, true])
      expect(codeOf(() => readShape(tool, value, "tool"))).toBe("ERR_SHAPE");
  });

  it("names path, want and got, and shows no string", () => {
    const message = (change: JsonObject): string => messageOf(() => readShape(tool, { ...good, ...change }, "tool"));
    expect(message({ name: "Secret" })).toBe("tool.name: want a tool name, got a string of 6 characters");
    expect(message({ count: 10 })).toBe("tool.count: want an integer from 1 to 9, got 10");
    expect(message({ mode: "c" })).toBe('tool.mode: want "a" or "b", got a string of 1 characters');
    expect(message({ tags: ["x", 1] })).toBe("tool.tags[1]: want a string, got 1");
    expect(message({ tags: {} })).toBe("tool.tags: want an array, got an object");
    expect(message({ on: null })).toBe("tool.on: want true or false, got null");
    expect(message({ on: [] })).toBe("tool.on: want true or false, got an array of 0 items");
  });
});

describe("the small shapes", () => {
  it("bound strings by length and by a pattern that must match all of them", () => {
    expectShape(string(), ["", "x".repeat(65_535)], ["x".repeat(65_536), 1, null]);
    expectShape(string({ pattern: /^a+$/ }), ["a", "aa"], ["", "b", "a\n", "aab"]);
    expectShape(string({ pattern: /a/ }), ["a"], ["ab"]);
  });

  it("bound integers, by default from 0 to 2^53 - 1", () => {
    expectShape(integer(), [0, Number.MAX_SAFE_INTEGER], [-1, 0.5, 2 ** 53, Number.NaN, "1"]);
    expectShape(integer({ min: -2, max: -1 }), [-2, -1], [-3, 0]);
  });

  it("take literals of any scalar type", () => {
    expectShape(literal(1, "x", null, true), [1, "x", null, true], ["1", false, 2]);
  });

  it("bound arrays and records", () => {
    expectShape(array(integer(), { min: 1, max: 2 }), [[1], [1, 2]], [[], [1, 2, 3], ["1"], {}]);
    const counts = record(integer(), { max: 2, key: /^[a-z]$/u });
    expectShape(counts, [{}, { a: 1, b: 2 }], [{ a: 1, b: 2, c: 3 }, { A: 1 }, { "a\n": 1 }, { a: "1" }, []]);
    expect(Object.getPrototypeOf(readShape(counts, { a: 1 }, "it"))).toBe(null);
    expect(Object.keys(readShape(record(json()), parseJson('{"__proto__":1}'), "it"))).toEqual(["__proto__"]);
    expect(readShape(counts, { a: undefined }, "it")).toEqual({});
  });

  it("tell a union apart by its tag", () => {
    interface Circle {
      readonly type: "circle";
      readonly radius: number;
    }
    interface Dot {
      readonly type: "dot";
    }
    const shape: Shape<Circle | Dot> = tagged("type", {
      circle: object<Circle>({ type: literal("circle"), radius: integer() }),
      dot: object<Dot>({ type: literal("dot") }),
    });
    const bad = [{ type: "square" }, { type: "toString" }, {}, { type: 1 }, { type: "dot", radius: 1 }, "dot"];
    expectShape(shape, [{ type: "circle", radius: 2 }, { type: "dot" }], bad);
  });

  it("read hexadecimal, base64 and times as text or as bytes", () => {
    expectShape(hex(2), ["00ff"], ["00FF", "00f", "00ff00", "00ff\n", 0]);
    expectShape(base64(), ["", "AAEC"], ["AAE", "AB==", "A-_/", 1]);
    expectShape(base64(2), ["AAE="], ["AAEC", "", "AB=="]);
    expectShape(timestamp(), ["2026-09-28T12:34:56.789Z"], ["2026-09-28T12:34:56Z", "2026-02-30T12:34:56.789Z", 0]);
    expect(readShape(hexBytes(2), "00ff", "it")).toEqual(Uint8Array.of(0, 255));
    expect(readShape(base64Bytes(), "AAEC", "it")).toEqual(Uint8Array.of(0, 1, 2));
  });

  it("pass any JSON and any object through", () => {
    expectShape(json(), [null, 1, [{}]], []);
    expectShape(jsonObject(), [{}, { a: [1] }], [null, [], "x"]);
  });
});

describe("a mapped shape", () => {
  it("reports what its parser refuses under the path, and lets checks and bugs pass", () => {
    expect(messageOf(() => readShape(object<{ t: string }>({ t: timestamp() }), { t: "x" }, "it"))).toMatch(
      /^it\.t: /u,
    );
    const checking = mapped(string(), () => {
      throw new CheckError("ERR_KEY_WEAK", "weak");
    });
    expect(codeOf(() => readShape(checking, "x", "it"))).toBe("ERR_KEY_WEAK");
    const broken = mapped(string(), () => {
      throw new TypeError("bug");
    });
    expect(() => readShape(broken, "x", "it")).toThrow(TypeError);
  });
});
