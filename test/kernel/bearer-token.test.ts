import { describe, expect, it } from "vitest";
import { makeTokenMatch } from "../../kernel/service/bearer-token.ts";
import { isLoopback } from "../../kernel/service/listen.ts";

describe("a bearer token", () => {
  const matches = makeTokenMatch(["first token", "second"]);

  it("matches if it is one of them, whole, behind its scheme", () => {
    for (const right of ["Bearer first token", "Bearer second"]) expect(matches(right)).toBe(true);
    for (const wrong of [
      undefined,
      "",
      "Bearer ",
      "second",
      "bearer second",
      "Bearer  second",
      "Bearer secon",
      "Bearer second ",
    ]) {
      expect(matches(wrong), String(wrong)).toBe(false);
    }
  });

  it("matches nothing where none is known", () => {
    expect(makeTokenMatch([])("Bearer ")).toBe(false);
    expect(makeTokenMatch([])(undefined)).toBe(false);
  });
});

describe("a loopback host", () => {
  it("is a name or address of this machine alone", () => {
    for (const host of ["localhost", "127.0.0.1", "127.9.8.7", "::1"]) expect(isLoopback(host), host).toBe(true);
    for (const host of ["0.0.0.0", "127.0.0.1.example", "localhost.example", "1.127.0.0.1", "::", ""]) {
      expect(isLoopback(host), host).toBe(false);
    }
  });
});
