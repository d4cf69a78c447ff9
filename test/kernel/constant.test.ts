import { describe, expect, it } from "vitest";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import { Constants, constant } from "../../kernel/json/constant.ts";
import { integer, object, readShape, string } from "../../kernel/shape.ts";
import { codeOf } from "../support/code-of.ts";

type Pair = { readonly b: number; readonly a: { readonly c: string } };
const shape = object<Pair>({ b: integer(), a: object<Pair["a"]>({ c: string({ maxLength: 3 }) }) });

describe("a constant", () => {
  it("cannot be changed, nor can what it holds", () => {
    const value = constant({ b: 1, a: { c: "x" }, list: [1] });
    expect(() => Object.assign(value, { b: 2 })).toThrow(TypeError);
    expect(() => Object.assign(value.a, { c: "y" })).toThrow(TypeError);
    expect(() => value.list.push(2)).toThrow(TypeError);
  });

  it("has the canonical text that an equal value has, the first time and again, alone and inside others", () => {
    const plain = { b: 1, a: { c: 'x"', none: undefined } };
    const value = constant({ b: 1, a: { c: 'x"', none: undefined } });
    for (let i = 0; i < 2; i += 1) {
      expect(formatCanonical(value)).toBe(formatCanonical(plain));
      expect(canonicalBytes({ z: [value], y: value })).toEqual(canonicalBytes({ z: [plain], y: plain }));
    }
  });

  it("is read by each shape by its own rules, however often another has read it", () => {
    const value = constant({ b: 1, a: { c: "wxyz" } });
    const loose = object<Pair>({ b: integer(), a: object<Pair["a"]>({ c: string() }) });
    for (let i = 0; i < 2; i += 1) {
      expect(readShape(loose, value, "v")).toEqual(value);
      expect(codeOf(() => readShape(shape, value, "v"))).toBe("ERR_SHAPE");
    }
    const fit = constant({ b: 1, a: { c: "abc" } });
    expect(readShape(shape, fit, "v")).toEqual(readShape(shape, fit, "v"));
    expect(codeOf(() => readShape(shape, { ...fit, d: 1 }, "v"))).toBe("ERR_SHAPE");
  });

  it("is made once for a text, and again when there are too many", () => {
    const constants = new Constants<{ readonly n: string }>();
    const of = (n: string): object => constants.of(n, () => ({ n }));
    expect(of("a")).toBe(of("a"));
    const first = of("a");
    for (let i = 0; i < 2000; i += 1) expect(of(`n${i}`)).toEqual({ n: `n${i}` });
    expect(of("a")).toEqual(first);
    expect(of("a")).not.toBe(first);
  });
});
