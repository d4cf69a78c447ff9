/** README.md and docs/ lead where they say: every relative link and image is there; README.md lists every command. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

interface Page {
  readonly path: string;
  readonly text: string;
}

const paths = [
  "README.md",
  "CHANGELOG.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];
const pages: readonly Page[] = paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

/** The text without fenced blocks and code spans, in which brackets are no links. */
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gmu, "").replace(/`[^`\n]*`/gu, "");

/** Targets of links and images, whatever they point to. */
const targetsOf = (text: string): readonly string[] =>
  [...prose(text).matchAll(/\]\(([^)\s]+)\)/gu)].map((match) => match[1] ?? "");

/** Anchors as GitHub makes them from headings. */
function anchorsOf(text: string): readonly string[] {
  return [...text.replace(/^```[\s\S]*?^```/gmu, "").matchAll(/^#{1,6} (.+)$/gmu)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** What is wrong with a link, or undefined. */
function faultOf(page: Page, target: string): string | undefined {
  if (/^[a-z]+:/u.test(target)) return undefined;
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? page.path : join(dirname(page.path), file);
  if (relative(ROOT, join(ROOT, path)).startsWith("..")) return `${page.path}: ${target} leaves the repository`;
  if (!existsSync(join(ROOT, path))) return `${page.path}: ${target} is not there`;
  if (anchor === undefined || statSync(join(ROOT, path)).isDirectory()) return undefined;
  const isKnown = anchorsOf(readFileSync(join(ROOT, path), "utf8")).includes(anchor);
  return isKnown ? undefined : `${page.path}: ${target} has no such heading`;
}

describe("the documents", () => {
  it("are many, with many links", () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.flatMap(({ text }) => targetsOf(text)).length).toBeGreaterThan(60);
  });

  it("link to files and headings that are there", () => {
    expect(pages.flatMap((page) => targetsOf(page.text).flatMap((target) => faultOf(page, target) ?? []))).toEqual([]);
  });

  it("list every command of the program in README.md, and no other", () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const listed = [...readme.matchAll(/^\| `countersign ([a-z-]+)` \|/gmu)].map((match) => match[1] ?? "");
    const built = readdirSync(join(ROOT, "cli", "commands")).map((name) => name.replace(/\.ts$/u, ""));
    expect(listed.toSorted()).toEqual(built.toSorted());
  });

  it("have links whose faults are found", () => {
    const page = { path: "docs/errors.md", text: "" };
    for (const bad of ["nowhere.md", "errors.md#nowhere", "#nowhere", "../../secret", "images/none.png"]) {
      expect(faultOf(page, bad)).toBeDefined();
    }
    for (const good of ["errors.md", "../README.md", "formats/", "#error-codes", "https://example.com/x"]) {
      expect(faultOf(page, good)).toBeUndefined();
    }
  });
});

describe("docs/threat-model.md", () => {
  it("names tests that are there, for every attack", () => {
    const text = readFileSync(join(ROOT, "docs", "threat-model.md"), "utf8");
    const attacks = text.slice(text.indexOf("## Attacks"), text.indexOf("## Assumptions"));
    const rows = [...attacks.matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gmu)].slice(1);
    expect(rows.length).toBeGreaterThan(12);
    for (const [row, , , shown = ""] of rows) {
      const named = [...shown.matchAll(/`([^`]+)`/gu)].map((match) => match[1] ?? "");
      expect(named.length, row).toBeGreaterThan(0);
      for (const name of named) expect(existsSync(join(ROOT, name)) && name.endsWith(".test.ts"), name).toBe(true);
    }
  });
});
