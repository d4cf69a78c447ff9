import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { GROWTH_FLAG } from "../../gateway/heap-growth.ts";

describe("the growth of the gateway's heaps", () => {
  it("is a setting of this engine: to one that does not know it says so on standard error, and goes on", () => {
    const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
    expect(known).toContain(` ${GROWTH_FLAG} `);
  });
});
