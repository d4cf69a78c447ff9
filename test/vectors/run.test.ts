/** The command of the vector runner: lines, counts and exit code, as a process. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ROOT } from "../support/source-files.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with the given cases of tile paths. */
function folderOf(...cases: readonly object[]): string {
  const folder = mkdtempSync(join(tmpdir(), "vectors-run-"));
  folders.push(folder);
  mkdirSync(join(folder, "own"));
  writeFileSync(join(folder, "own", "tile-path.json"), JSON.stringify({ cases }));
  return folder;
}

/** Runs the built command on folders. */
function runOn(...paths: readonly string[]): { readonly status: number | null; readonly lines: readonly string[] } {
  const script = join(ROOT, "dist", "test", "vectors", "run.js");
  const { status, stdout } = spawnSync(process.execPath, [script, ...paths], { cwd: ROOT, encoding: "utf8" });
  return { status, lines: stdout.trimEnd().split("\n") };
}

const GOOD = { name: "good", path: "tile/0/000", expect: "accept", level: 0, index: 0, width: 256 };

describe("npm run vectors", () => {
  test("prints one JSON line a case and the counts last, and exits 0 if all pass", () => {
    const { status, lines } = runOn(folderOf(GOOD, { name: "bad", path: "tile/0/00", expect: "reject" }));
    expect(lines.slice(0, -1).map((line) => JSON.parse(line))).toMatchObject([
      { id: "own/tile-path/good", code: null },
      { id: "own/tile-path/bad", expected: "reject", got: "reject", code: "ERR_TILE_PATH" },
    ]);
    expect([status, lines.at(-1)]).toEqual([0, "2 passed, 0 failed, 0 skipped"]);
  });

  test("exits 1 on a difference, on no cases, and without a folder", () => {
    const different = runOn(folderOf(GOOD), folderOf({ ...GOOD, expect: "reject" }));
    expect([different.status, different.lines.at(-1)]).toEqual([1, "1 passed, 1 failed, 0 skipped"]);
    const empty = runOn(folderOf());
    expect([empty.status, empty.lines.at(-1)]).toEqual([1, "0 passed, 1 failed, 0 skipped"]);
    expect(runOn().status).toBe(1);
  });
});
