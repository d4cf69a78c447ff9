/** The fixtures of the gateway: every gate holds, and a set that is turned round fails its gates. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fixturePath } from "../support/fixtures.ts";
import type { CaseResult } from "./case-file.ts";
import { runVectors } from "./runner.ts";

const folder = mkdtempSync(join(tmpdir(), "vectors-mcp-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function failuresOf(path: string): Promise<readonly string[]> {
  const failed: CaseResult[] = [];
  for await (const result of runVectors(path)) if (result.verdict !== "passed") failed.push(result);
  return failed.map(({ id }) => id);
}

describe("the fixtures of the gateway", () => {
  test("pass whole, with nothing skipped", async () => {
    expect(await failuresOf(fixturePath("mcp"))).toEqual([]);
  });

  test("fail their gates when labels are turned round", async () => {
    cpSync(fixturePath("mcp"), folder, { recursive: true });
    const turn = (name: string, from: readonly [string, string][]): void => {
      const text = from.reduce(
        (all, [a, b]) => all.replaceAll(a, `\u0000${b}`),
        readFileSync(join(folder, name), "utf8"),
      );
      writeFileSync(join(folder, name), text.replaceAll("\u0000", ""));
    };
    const labels: readonly [string, string][] = [
      ['"label": "malicious"', '"label": "benign" '],
      ['"label": "benign",', '"label": "malicious",'],
    ];
    for (const name of ["tool-definitions.labelled.json", "results.labelled.json"]) turn(name, labels);
    turn("names.json", [
      ['"label": "squat"', '"label": "distinct" '],
      ['"label": "distinct",', '"label": "squat",'],
    ]);
    turn("secrets.json", [
      ['"detect": true', '"detect":  false'],
      ['"detect": false', '"detect":  true'],
    ]);
    turn("unicode.json", [['"verdict": "pass"', '"verdict": "block" ']]);
    const failed = await failuresOf(folder);
    for (const id of [
      "mcp/definitions-labelled/recall",
      "mcp/definitions-labelled/false_finding_rate",
      "mcp/results-labelled/recall",
      "mcp/names/recall",
      "mcp/secrets/recall",
      "mcp/unicode/u-plain",
    ]) {
      expect(failed).toContain(id);
    }
  });
});
