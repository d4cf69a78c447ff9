/** The error classes: one code each, a name that survives bundling, and causes. */

import { describe, expect, it } from "vitest";
import { BugError, CheckError, FormatError, invariant, isCodedError, StoreError } from "../../kernel/errors.ts";

describe("errors", () => {
  it("carry their code, their class's name and their cause", () => {
    const cause = new Error("disk");
    const store = new StoreError("ERR_STORE_WRITE", "no", { cause, fatal: true });
    expect(store).toMatchObject({ name: "StoreError", code: "ERR_STORE_WRITE", message: "no", cause, fatal: true });
    expect(new StoreError("ERR_STORE_WRITE", "no").fatal).toBe(false);
    expect(new FormatError("ERR_HEX", "no")).toMatchObject({ name: "FormatError", code: "ERR_HEX" });
    expect(new CheckError("ERR_QUORUM", "no")).toMatchObject({ name: "CheckError", code: "ERR_QUORUM" });
    expect(new BugError("no")).toMatchObject({ name: "BugError", code: "ERR_BUG" });
  });

  it("are told from all others", () => {
    for (const error of [new FormatError("ERR_HEX", "x"), new CheckError("ERR_QUORUM", "x"), new BugError("x")]) {
      expect(isCodedError(error)).toBe(true);
      expect(error).toBeInstanceOf(Error);
    }
    const stranger = Object.assign(new Error("x"), { code: "ERR_HEX", name: "FormatError" });
    for (const other of [stranger, { code: "ERR_HEX" }, undefined, null, "ERR_HEX"])
      expect(isCodedError(other)).toBe(false);
  });

  it("of our own are thrown by a broken invariant only", () => {
    expect(() => invariant(true, "fine")).not.toThrow();
    expect(() => invariant(false, "broken")).toThrow(BugError);
  });
});
