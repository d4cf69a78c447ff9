/** No text makes the inspection slow: no pattern has an unbounded quantifier that is tried at more than one place. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findInText } from "../../gateway/inspection/text-findings.ts";
import { ROOT } from "../support/source-files.ts";

const folder = join(ROOT, "gateway", "inspection");
const LITERAL =
  /(?<=[=(,:?|&[]\s{0,8}|return |^\s{0,8})\/(?![/*])((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/([a-z]*)/gmu;

/** Patterns of the folder: literals, and the texts that `phrase` and `words` get. */
const patterns = readdirSync(folder).flatMap((name) => {
  const source = readFileSync(join(folder, name), "utf8").replace(/\/\*\*(?:[^*]|\*(?!\/))*\*\//gu, "");
  const literals = [...source.matchAll(LITERAL)].map(({ 1: body = "" }) => ({ name, body }));
  const strings = [...source.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/gu)]
    .map(({ 1: double, 2: back = "" }) => ({ name, body: (double ?? back).replaceAll("\\\\", "\\") }))
    .filter(({ body }) => body.includes("(?:"));
  return [...literals, ...strings];
});

/** Quantifiers without an upper bound, outside of classes. */
function unbounded(body: string): readonly string[] {
  return (
    body
      .replace(/\\./gu, "x")
      .replace(/\[[^\]]*\]/gu, "c")
      .replace(/\$\{\w+\}/gu, "v")
      .match(/[*+]|\{\d+,\}/gu) ?? []
  );
}

describe("patterns of the inspection", () => {
  it("are found by this test", () => {
    expect(patterns.length).toBeGreaterThan(150);
  });

  it("have bounded quantifiers, unless they are tried at one place only", () => {
    expect(unbounded("a+")).toEqual(["+"]);
    const open = patterns.filter(({ body }) => !body.startsWith("^") && unbounded(body).length > 0);
    expect(open).toEqual([]);
  });

  it("refer back to nothing", () => {
    expect(patterns.filter(({ body }) => /\\[1-9k]/u.test(body))).toEqual([]);
  });
});

/** Texts that make careless patterns take for ever: one beginning, over and over. */
const BEGINNINGS = [
  "a",
  " ",
  "\n",
  "1",
  "1 ",
  "4111 ",
  "a@",
  "<a ",
  "<!--",
  '"a" + ',
  "eyJ.",
  "https://a:",
  "%41",
  "\\u0041",
  "&#65;",
  "+1 ",
  "password=",
  "ignore all ",
  "do not ",
  "send the ",
  "DE80 ",
  "1.1.1.",
  "ab:",
  "-----BEGIN ",
  "\u200b",
  "a\u0301",
  "\u0661",
  "\uff11-",
  "MjE5LTA5LTk5OTk ",
  "MjE5LTA5LTk5OTk/",
  "32312d39",
  "\u{e0041}",
  "xn--a ",
  "[](",
];

describe("64 KiB of", () => {
  it.each(BEGINNINGS)("%j costs no more for each character than 8 KiB", (beginning) => {
    const text = (length: number): string => beginning.repeat(Math.ceil(length / beginning.length)).slice(0, length);
    const time = (length: number): number => {
      const from = performance.now();
      findInText(text(length), { surface: "result" });
      return performance.now() - from;
    };
    time(1024);
    const [small, large] = [time(8 * 1024), time(64 * 1024)];
    // Quadratic would be 64 times; a noisy machine has room.
    expect(large).toBeLessThan(Math.max(small, 25) * 40);
  });
});

describe("values by the ten thousand", () => {
  it("cost each as much as one of a thousand, where they stand openly and disguised", () => {
    const time = (values: number): number => {
      const text = "a@bc.com %61@bc.com ".repeat(values / 2);
      const from = performance.now();
      findInText(text, { surface: "result" });
      return performance.now() - from;
    };
    time(1000);
    const [few, many] = [time(4000), time(64_000)];
    // Quadratic would be 256 times.
    expect(many).toBeLessThan(Math.max(few, 25) * 60);
  });
});
