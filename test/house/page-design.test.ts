/** The page of approvals looks like the console: neither can import the other's style, so the copy is compared. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

/** The custom properties of each `:root` block of a style sheet: those of light first, then those of dark. */
function designOf(text: string): readonly ReadonlyMap<string, string>[] {
  return [...text.matchAll(/:root \{([^}]*)\}/gu)].map(
    ([, block = ""]) =>
      new Map([...block.matchAll(/(--[a-z-]+):\s*([^;]+);/gu)].map(([, name = "", value = ""]) => [name, value])),
  );
}

const read = (...path: readonly string[]): readonly ReadonlyMap<string, string>[] =>
  designOf(readFileSync(join(ROOT, ...path), "utf8"));

/** What one has and the other has not, or has otherwise. */
const differences = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): readonly string[] =>
  [...one].filter(([name, value]) => other.get(name) !== value).map(([name]) => name);

describe("the page of approvals", () => {
  it("has the colours and letters of the console, by light and by dark", () => {
    const [page, api] = [read("gateway", "operator", "page", "approvals.css"), read("api", "console", "console.css")];
    expect([page.length, api.length]).toEqual([2, 2]);
    page.forEach((block, i) => {
      expect(block.size).toBeGreaterThan(10);
      expect(differences(block, api[i] ?? new Map())).toEqual([]);
    });
  });

  it("would be found with another colour", () => {
    const [other = new Map<string, string>()] = designOf(":root { --ink: #000; }");
    expect(differences(other, read("api", "console", "console.css")[0] ?? new Map())).toEqual(["--ink"]);
  });
});
