/** The vector runner: it runs the fixtures, and it does not let a bad set pass. */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fixturePath } from "../support/fixtures.ts";
import { type CaseResult, isVectorObject, type VectorObject } from "./case-file.ts";
import { runVectors } from "./runner.ts";

const temporary: string[] = [];
afterAll(() => {
  for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
});

/** A new folder with the given files. */
function folderWith(files: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), "vectors-"));
  temporary.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

async function run(folder: string): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for await (const result of runVectors(folder)) results.push(result);
  return results;
}

const verdicts = (results: readonly CaseResult[]): readonly string[] => results.map(({ verdict }) => verdict);

const GOOD = { path: "tile/0/x001/000", expect: "accept", level: 0, index: 1000, width: 256 };
const BAD = { path: "tile/0/00", expect: "reject" };

describe("the fixtures of the log formats", () => {
  test("all pass, but for those whose code is not built yet, which say so", async () => {
    const results = await run(fixturePath("tlog"));
    expect(results.filter(({ verdict }) => verdict === "failed")).toEqual([]);
    expect(verdicts(results).filter((verdict) => verdict === "passed").length).toBeGreaterThan(800);
    for (const { verdict, reason, id } of results) {
      if (verdict !== "skipped") continue;
      if (id.startsWith("ed25519/cctv/") && !process.versions.openssl.startsWith("3.0.")) continue;
      expect(reason).toMatch(/is not built yet/u);
      expect(id).toMatch(/cose|mirror/u);
    }
  });

  test("are found as well from a folder further up, and in a set that was moved", async () => {
    const moved = folderWith({});
    cpSync(fixturePath("tlog", "own"), join(moved, "elsewhere", "own"), { recursive: true });
    const results = await run(moved);
    expect(results.filter(({ verdict }) => verdict === "failed")).toEqual([]);
    expect(results.length).toBeGreaterThan(100);
  });
});

/** Every file of cases below the fixtures of the log formats: its path there, and its content. */
const caseFiles = readdirSync(fixturePath("tlog"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json"))
  .map((name): readonly [string, unknown] => [name, JSON.parse(readFileSync(fixturePath("tlog", name), "utf8"))])
  .flatMap(([name, document]) =>
    isVectorObject(document) && Array.isArray(document["cases"]) ? [{ name, document }] : [],
  );

/** The set with every case of a file replaced, and the files beside it as they are. */
function setWith(
  name: string,
  document: VectorObject,
  change: (one: VectorObject) => VectorObject | undefined,
): string {
  const cases: readonly unknown[] = Array.isArray(document["cases"]) ? document["cases"] : [];
  const changed = cases.filter(isVectorObject).flatMap((one) => change(one) ?? []);
  const roots = readFileSync(fixturePath("tlog", "own", "merkle-roots.json"), "utf8");
  const reference = readFileSync(fixturePath("tlog", "merkle", "reference-tree.json"), "utf8");
  return folderWith({
    "own/merkle-roots.json": roots,
    "merkle/reference-tree.json": reference,
    [name]: { ...document, cases: changed },
  });
}

describe("every file of cases", () => {
  test.each(caseFiles)("$name fails when its expectations are turned round", async ({ name, document }) => {
    const kind = name.replace(/\.json$/u, "");
    let turned = 0;
    const folder = setWith(name, document, (one) => {
      const other = turnRound(one);
      if (other !== undefined) turned += 1;
      return other;
    });
    const results = (await run(folder)).filter(({ id }) => id.startsWith(`${kind}/`));
    if (results.every(({ verdict }) => verdict === "skipped")) return;
    expect(turned).toBeGreaterThan(0);
    expect(results.filter(({ verdict }) => verdict === "failed").length).toBeGreaterThan(0);
    // On points of small order, newer OpenSSLs give the turned verdicts.
    if (kind === "ed25519/cctv" && !process.versions.openssl.startsWith("3.0.")) return;
    expect(results.filter(({ verdict }) => verdict !== "passed").length).toBeGreaterThanOrEqual(turned);
  });

  const longer = caseFiles.filter(({ document }) => Array.isArray(document["cases"]) && document["cases"].length > 1);
  test.each(longer)("$name passes when its cases are fewer and called something else", async ({ name, document }) => {
    // The requests to a witness follow each other, so all of them stay.
    const keepsAll = name === "own/witness-add-checkpoint.json";
    let at = 0;
    const folder = setWith(name, document, (one) => {
      at += 1;
      return keepsAll || at % 3 === 1 ? { ...one, name: `case ${at}` } : undefined;
    });
    const results = await run(folder);
    expect(results.filter(({ verdict }) => verdict === "failed")).toEqual([]);
    expect(results.length).toBeGreaterThan(0);
  });
});

/** The case with the opposite of what it expects; undefined for a case that says it in no way known here. */
function turnRound(one: VectorObject): VectorObject | undefined {
  if (one["expect"] === "accept") return { ...one, expect: "reject" };
  if (one["expect"] === "reject") return { ...one, expect: "accept" };
  if (typeof one["wantErr"] === "boolean") return { ...one, wantErr: !one["wantErr"] };
  if (typeof one["response"] === "string") return { ...one, response: withOtherByte(one["response"]) };
  if (typeof one["status"] === "number") return { ...one, status: one["status"] + 1 };
  // Another count of iterations gives another value, and fewer are done sooner.
  if (typeof one["iterations"] === "number") return { ...one, iterations: 2 };
  for (const member of ["root", "sha256"]) {
    const value = one[member];
    if (typeof value === "string") return { ...one, [member]: withOtherByte(value) };
  }
  return undefined;
}

/** The text with another letter before its last twenty. */
function withOtherByte(text: string): string {
  const at = text.length - 20;
  return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
}

describe("the runner", () => {
  test("passes a file whose expectations hold, accepted and refused", async () => {
    const results = await run(folderWith({ "own/tile-path.json": { cases: [GOOD, BAD] } }));
    expect(verdicts(results)).toEqual(["passed", "passed"]);
    expect(results[1]).toMatchObject({ expected: "reject", got: "reject", code: "ERR_TILE_PATH" });
  });

  test("fails a case whose expectation was turned round, either way", async () => {
    const cases = [
      { ...GOOD, expect: "reject" },
      { ...BAD, expect: "accept", level: 0, index: 0, width: 256 },
    ];
    expect(verdicts(await run(folderWith({ "own/tile-path.json": { cases } })))).toEqual(["failed", "failed"]);
  });

  test("fails a case of which one detail differs", async () => {
    const cases = [{ ...GOOD, index: 1001 }];
    expect(verdicts(await run(folderWith({ "own/tile-path.json": { cases } })))).toEqual(["failed"]);
  });

  test("fails every accepted case of the log proofs when its expectation says reject, and the reverse", async () => {
    const source: unknown = JSON.parse(readFileSync(fixturePath("tlog", "own", "log-proof.json"), "utf8"));
    const cases =
      isVectorObject(source) && Array.isArray(source["cases"]) ? source["cases"].filter(isVectorObject) : [];
    const turned = cases.map((one) => ({ ...one, expect: one["expect"] === "accept" ? "reject" : "accept" }));
    const results = await run(folderWith({ "own/log-proof.json": { cases: turned } }));
    expect(new Set(verdicts(results))).toEqual(new Set(["failed"]));
    expect(results.length).toBe(cases.length);
    expect(results.length).toBeGreaterThan(10);
  });

  test("fails a case that does not say what it expects, or lacks an input", async () => {
    const cases = [{ path: "tile/0/000" }];
    expect(verdicts(await run(folderWith({ "own/tile-path.json": { cases } })))).toEqual(["failed"]);
    const missing = [{ expect: "reject" }];
    expect(verdicts(await run(folderWith({ "own/vkey.json": { cases: missing } })))).toEqual(["failed"]);
  });

  test("refuses an empty list of cases, and a file of a known kind without one", async () => {
    for (const document of [{ cases: [] }, {}, [], { cases: "none" }]) {
      const results = await run(folderWith({ "own/tile-path.json": document }));
      expect(verdicts(results)).toEqual(["failed"]);
    }
    expect(verdicts(await run(folderWith({ "own/tile-path.json": "not JSON" })))).toEqual(["failed"]);
  });

  test("refuses a kind that it does not know, in a file and in a manifest", async () => {
    const file = await run(folderWith({ "own/unheard-of.json": { cases: [GOOD] } }));
    expect(file).toMatchObject([{ verdict: "failed", reason: "unknown kind own/unheard-of" }]);
    const manifest = await run(folderWith({ "manifest.json": [{ id: "a", kind: "unheard/of" }] }));
    expect(manifest).toMatchObject([{ verdict: "failed", reason: "unknown kind unheard/of" }]);
  });

  test("refuses an empty folder, one that is not there, and one of support data alone", async () => {
    expect(verdicts(await run(folderWith({})))).toEqual(["failed"]);
    expect(verdicts(await run(join(folderWith({}), "missing")))).toEqual(["failed"]);
    expect(verdicts(await run(folderWith({ "notes.json": { about: "nothing" } })))).toEqual(["failed"]);
  });

  test("refuses a manifest that is empty or no array", async () => {
    for (const manifest of [[], {}, "no JSON"]) {
      expect(verdicts(await run(folderWith({ "manifest.json": manifest })))).toEqual(["failed"]);
    }
  });

  test("names each case of a kind that is not built yet, with its reason, and nothing else of that folder", async () => {
    const folder = folderWith({
      "manifest.json": [
        { id: "one", kind: "aga/bundle" },
        { id: "two", kind: "sev-snp/roots" },
      ],
      "bundle.json": { cases: [] },
    });
    const results = await run(folder);
    expect(verdicts(results)).toEqual(["skipped", "skipped"]);
    expect(results[0]?.reason).toMatch(/^kind aga\/bundle is not built yet/u);
  });
});
