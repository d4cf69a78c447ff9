/** What `.ci/run` says at its end of parts that failed, so that it survives whatever keeps the end of a log alone. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

const GATE = readFileSync(join(ROOT, ".ci/run"), "utf8");
const FIRST_STEP = /^fixtures=/mu;
const BEHIND_STEPS = /^digests$/mu;

const folder = mkdtempSync(join(tmpdir(), "countersign-gate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** One part of a gate: what it prints, and its exit code. */
interface Part {
  readonly name: string;
  readonly prints: string;
  readonly code: number;
}

/** Runs the gate with these parts instead of its own. @returns its output and exit code */
function runGate(parts: readonly Part[]): { readonly out: string; readonly code: number | null } {
  const [from, to] = [GATE.search(FIRST_STEP), GATE.search(BEHIND_STEPS)];
  if (from < 0 || to < from) throw new Error("the gate has no steps");
  const steps = parts.map(({ name, prints, code }, i) => {
    const path = join(folder, `out-${i}`);
    writeFileSync(path, prints);
    return `step "${name}" 10 sh -c 'cat "${path}"; exit ${code}'\n`;
  });
  mkdirSync(join(folder, ".ci"), { recursive: true });
  const script = join(folder, ".ci", "run");
  writeFileSync(script, GATE.slice(0, from) + steps.join("") + GATE.slice(to));
  const { stdout, status } = spawnSync("bash", [script], { encoding: "utf8", env: { ...process.env, CI_TAIL: "3" } });
  return { out: stdout, code: status };
}

const lines = (count: number, text: string): string => `${text}\n`.repeat(count);
const PASSED: Part = { name: "good", prints: `${lines(50, "fine")}7 passed, 0 failed\n`, code: 0 };

describe("the end of the gate", () => {
  it("says what failed of a part whose telling lines are far above its end", () => {
    const crash: Part = {
      name: "crash suite",
      prints: `crash suite: 100 kills, seed 4711\nlog 1 (raw), kept in /somewhere: Error: published 3 of 4 entries\n${lines(
        60,
        "  tile.torn                  1",
      )}no process stood at archive.torn\nseed 4711, 200 s\n48 passed, 2 failed\n`,
      code: 1,
    };
    const { out, code } = runGate([crash, PASSED]);
    const end = out.slice(out.indexOf("== what failed in: crash suite"));
    expect(end).toContain("\nlog 1 (raw), kept in /somewhere: Error: published 3 of 4 entries\n");
    expect(end).toContain(
      "\nno process stood at archive.torn\nseed 4711, 200 s\n48 passed, 2 failed\n-- crash suite: exit 1 after ",
    );
    expect(end).toContain("\nfailed: crash suite\n");
    expect(end).not.toContain("fine");
    expect(out.endsWith("\n56 passed, 2 failed\n")).toBe(true);
    expect(code).toBe(1);
  });

  it("finds what vitest and TAP programs say, with and without colours", () => {
    const telling = [
      " FAIL  |shared| test/a.test.ts > it holds",
      "   × it holds 12ms",
      "     → expected 1 to be 2",
      "AssertionError: expected 1 to be 2",
      "TypeError: nothing to read",
      "not ok 3 - the third",
      "      Tests  1 failed | 30 passed (31)",
    ];
    const coloured = telling.map((line) => `\u001b[31m${line}\u001b[39m`).join("\n");
    const { out } = runGate([{ name: "slow suites", prints: `${coloured}\n${lines(45, "then")}`, code: 1 }]);
    const end = out.slice(out.indexOf("== what failed in: slow suites"));
    for (const line of telling) expect(end).toContain(`\n${line}\n`);
    expect(end.match(/^then$/gmu)).toHaveLength(39);
    expect(out.endsWith("\n30 passed, 1 failed\n")).toBe(true);
  });

  it("is bounded, for one part and for many, however long their lines are", () => {
    const fails = Array.from({ length: 90 }, (_, i) => ` FAIL  ${i} ${"ä".repeat(400)}\n`).join("");
    const loud = `${fails}${lines(90, "€".repeat(400))}the cause\n`;
    const part = (i: number): Part => ({ name: `part ${i}`, prints: `${i} ${loud}`, code: 1 });
    for (const count of [1, 2, 9]) {
      const { out } = runGate(Array.from({ length: count }, (_, i) => part(i)));
      const end = out.slice(out.indexOf("== what failed in: part 0"));
      expect(end.length).toBeLessThan(count === 1 ? 5200 : 10_000 + 200 * count);
      expect(end.match(/^the cause$/gmu)).toHaveLength(count);
      expect(end).not.toContain("\ufffd");
      expect(out.endsWith(`\n0 passed, ${count} failed\n`)).toBe(true);
    }
  });

  it("says nothing of the kind when all passed", () => {
    const { out, code } = runGate([PASSED]);
    expect(out).not.toContain("what failed");
    expect(out.endsWith("\n8 passed, 0 failed\n")).toBe(true);
    expect(code).toBe(0);
  });
});
