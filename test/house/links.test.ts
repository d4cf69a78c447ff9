/** README.md and docs/ lead where they say: every relative link and image is there, every command exists. */

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

/** Commands in the `sh` blocks of a page, one per line, without comments. */
function commandsOf(text: string): readonly string[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gmu)]
    .flatMap((block) => (block[1] ?? "").replaceAll("\\\n", " ").split("\n"))
    .map((line) => line.replace(/(?:^|\s)#.*$/u, "").trim())
    .filter((line) => line !== "");
}

const scripts = Object.keys(
  (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly scripts: object }).scripts,
);
const isCountersign = (name: string): boolean => existsSync(join(ROOT, "cli", "commands", `${name}.ts`));

/** npm scripts and countersign commands that a line of shell names and that are not there. */
function unknownIn(command: string): readonly string[] {
  const run = [...command.matchAll(/npm run ([\w:-]+)/gu)].map((match) => match[1] ?? "");
  const short = [...command.matchAll(/npm (start|test)\b/gu)].map((match) => match[1] ?? "");
  const own = [...command.matchAll(/(?:^|npx |[\s;&|])countersign ([a-z-]+)/gu)].map((match) => match[1] ?? "");
  const built = [...command.matchAll(/dist\/cli\/main\.js ([a-z-]+)/gu)].map((match) => match[1] ?? "");
  return [
    ...[...run, ...short].filter((name) => !scripts.includes(name)),
    ...[...own, ...built].filter((name) => !isCountersign(name)),
  ];
}

describe("the documents", () => {
  it("are many, with many links and commands", () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.flatMap(({ text }) => targetsOf(text)).length).toBeGreaterThan(60);
    expect(pages.flatMap(({ text }) => commandsOf(text)).length).toBeGreaterThan(5);
  });

  it("link to files and headings that are there", () => {
    expect(pages.flatMap((page) => targetsOf(page.text).flatMap((target) => faultOf(page, target) ?? []))).toEqual([]);
  });

  it("show commands that exist", () => {
    const unknown = pages.flatMap(({ path, text }) =>
      commandsOf(text)
        .flatMap(unknownIn)
        .map((name) => `${path}: ${name}`),
    );
    expect(unknown).toEqual([]);
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
    expect(unknownIn("npm ci && npm run nothing; npx countersign fly --now")).toEqual(["nothing", "fly"]);
    expect(unknownIn("npm start -- --once")).toEqual([]);
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
