/** Each case that peers get wrong is one that a test of ours would notice, or says why none of a gateway could. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LESSONS, type Lesson, type Shown } from "../scenarios/lessons.ts";
import { ROOT } from "../support/source-files.ts";

/** Cases of each section of the page that they were written down in. */
const COUNTS: readonly (readonly [string, number])[] = [
  ["Policy", 10],
  ["Receipts", 11],
  ["Credentials and network", 4],
  ["Catalog", 5],
  ["Log and proofs", 14],
  ["Canonical bytes", 8],
  ["Attestation", 6],
  ["Scale", 4],
  ["Words", 2],
];
const all = LESSONS.flatMap(([, cases]) => cases);

/** True if the file is there and has a test, or a group of tests, that is called so. */
function isThere({ file, name }: Shown): boolean {
  const path = join(ROOT, file);
  return existsSync(path) && namesIn(readFileSync(path, "utf8")).some((text) => text.includes(name));
}

/** The names of tests in a source: what `it`, `it.each` and `describe` are given. */
function namesIn(source: string): readonly string[] {
  const calls = source.matchAll(/(?:\bit\(|\bdescribe\(|\)\()\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/gu);
  return [...calls].map(([, double, single]) => double ?? single ?? "");
}

const faultsOf = (lesson: Lesson): readonly string[] =>
  "by" in lesson
    ? lesson.by.filter((shown) => !isThere(shown)).map(({ file, name }) => `${lesson.id}: ${file}: ${name}`)
    : lesson.files.filter((file) => !existsSync(join(ROOT, file))).map((file) => `${lesson.id}: ${file}`);

describe("the cases that peers get wrong", () => {
  it("are all there, each once", () => {
    expect(LESSONS.map(([section, cases]) => [section, cases.length])).toEqual(COUNTS);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });

  it("have a test that is there, or say why not", () => {
    expect(all.flatMap(faultsOf)).toEqual([]);
    expect(all.filter((lesson) => "by" in lesson && lesson.by.length === 0)).toEqual([]);
    expect(all.filter((lesson) => "why" in lesson && lesson.why === "")).toEqual([]);
  });

  it("are not satisfied by a name that no test has", () => {
    expect(isThere({ file: "test/house/lessons.test.ts", name: "are all there, each once" })).toBe(true);
    expect(isThere({ file: "test/house/lessons.test.ts", name: "are all there, each twice" })).toBe(false);
    expect(isThere({ file: "test/house/nowhere.test.ts", name: "are" })).toBe(false);
  });
});
