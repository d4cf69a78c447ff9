import { describe, expect, it } from "vitest";
import { declaredPointer } from "../../gateway/catalog/declared-pointer.ts";

const SCHEMA = {
  type: "object",
  properties: {
    to: { type: "string" },
    rows: { type: "array", items: { $ref: "#/$defs/row" } },
    "odd name": { type: "object", properties: { inner: { type: "string" } } },
  },
  allOf: [{ properties: { more: { type: "string" } } }],
  $defs: { row: { type: "object", properties: { ssn: { type: "string" } } } },
} as const;

const at = (...path: readonly string[]): string => declaredPointer(["params", "arguments"], SCHEMA, path);

describe("a declared pointer", () => {
  it("names what the schema declares, through references and combinations", () => {
    expect(at("to")).toBe("/params/arguments/to");
    expect(at("rows", "3", "ssn")).toBe("/params/arguments/rows/*/ssn");
    expect(at("more")).toBe("/params/arguments/more");
  });

  it("stars what is not declared, what is below it, and names that a receipt cannot hold", () => {
    expect(at("secret-name", "to")).toBe("/params/arguments/*/*");
    expect(at("odd name", "inner")).toBe("/params/arguments/*/inner");
    expect(at("__proto__")).toBe("/params/arguments/*");
    expect(declaredPointer([], undefined, ["a"])).toBe("/*");
  });

  it("has at most sixteen steps, and ends at a reference that goes round", () => {
    const loop = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a", properties: { x: { $ref: "#" } } } } };
    expect(
      declaredPointer(
        [],
        loop,
        Array.from({ length: 40 }, () => "x"),
      ),
    ).toBe("/x".repeat(16));
  });
});
