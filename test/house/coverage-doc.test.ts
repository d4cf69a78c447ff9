/** docs/coverage.md is the table of the scenarios: every covered row has its file, every file its row. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fileOf, renderCoverage } from "../scenarios/render-coverage.ts";
import { CATEGORIES, NAMED, SHAPES, THREATS } from "../scenarios/rows.ts";
import { ROOT } from "../support/source-files.ts";

const files = readdirSync(join(ROOT, "test", "scenarios"));
const rows = [...SHAPES, ...THREATS, ...CATEGORIES, ...NAMED];

describe("docs/coverage.md", () => {
  it("is what the table says; `node scripts/coverage-doc.mjs` writes it", () => {
    expect(readFileSync(join(ROOT, "docs", "coverage.md"), "utf8")).toBe(renderCoverage(files));
  });

  it("has a scenario for every row that is not open, and a row for every scenario", () => {
    const named = rows.filter(({ coverage }) => coverage !== "open").map((row) => fileOf(row, files) ?? row.id);
    expect(named.toSorted()).toEqual(files.filter((name) => name.endsWith(".test.ts")).toSorted());
  });

  it("says of every row that is held in part which check is open, and what its verdict is today", () => {
    const partly = rows.filter(({ coverage }) => coverage === "partly");
    expect(rows.filter(({ open }) => open !== undefined)).toEqual(partly);
    for (const { open } of partly) expect(open).toContain("`not_established`");
  });

  it("has all 13 shapes, 4 threats and 12 categories, and the threats by name", () => {
    expect([SHAPES.length, THREATS.length, CATEGORIES.length]).toEqual([13, 4, 12]);
    expect(NAMED.map(({ title }) => title)).toEqual(["confused deputy"]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(30);
  });
});
