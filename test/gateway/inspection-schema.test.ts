/** Values against schemas that somebody else wrote. */

import { describe, expect, it } from "vitest";
import { compileSchema } from "../../gateway/inspection/json-schema.ts";

const TWO = { properties: { path: { pattern: "^docs/" }, url: { pattern: "^https:" } } };

describe("a schema with several patterns", () => {
  it("holds each member to its own", () => {
    const check = compileSchema(TWO);
    expect(check({ path: "docs/a", url: "https://docs.example/" })).toBe("valid");
    expect(check({ path: "docs/a", url: "docs/a" })).toBe("invalid");
    expect(check({ path: "https:", url: "https:" })).toBe("invalid");
  });

  it("keeps apart patterns that RE2 does not take from those that it does", () => {
    const check = compileSchema({ properties: { a: { pattern: "(?=x)" }, b: { pattern: "^b$" } } });
    expect(check({ a: "y", b: "b" })).toBe("valid");
    expect(check({ a: "y", b: "c" })).toBe("invalid");
  });
});
