/**
 * Walks a folder of vectors and runs every case.
 *
 * A folder with `manifest.json` (an array of cases with `id` and `kind`) is run by its manifest, and nothing else in it is
 * looked at. Anywhere else a JSON file with `cases` is a file of cases, whose kind is its path; a few folders are cases
 * themselves. Every other file is support data. An unknown kind, a file without cases and an empty folder are faults.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { type CaseFile, type CaseResult, isVectorObject, type KindHandler, type VectorObject } from "./case-file.ts";
import { coseFolderKinds, coseKinds } from "./kinds/cose.ts";
import { laterKinds, laterManifestKind } from "./kinds/later.ts";
import { mcpKinds } from "./kinds/mcp.ts";
import { mcpFlowKinds } from "./kinds/mcp-flows.ts";
import { merkleKinds } from "./kinds/merkle.ts";
import { noteKinds } from "./kinds/notes.ts";
import { ownMerkleKinds } from "./kinds/own-merkle.ts";
import { primitiveKinds } from "./kinds/primitives.ts";
import { tesseraLog } from "./kinds/tessera-log.ts";
import { traceAnchorKinds } from "./kinds/trace-anchor.ts";
import { witnessKinds } from "./kinds/witness.ts";

const FILE_KINDS: Readonly<Record<string, KindHandler>> = {
  ...merkleKinds,
  ...ownMerkleKinds,
  ...noteKinds,
  ...primitiveKinds,
  ...witnessKinds,
  ...coseKinds,
  ...laterKinds,
};

/** Folders whose content is one or more cases, by the end of their path. */
const FOLDER_KINDS: Readonly<Record<string, KindHandler>> = { "tessera-log": tesseraLog };

/** Kinds of manifest entries that are built, by name. */
const MANIFEST_KINDS: Readonly<Record<string, KindHandler>> = { ...traceAnchorKinds, ...mcpKinds, ...mcpFlowKinds };

/** Runs everything below `folder`, in the order of names. Faults come as failed results, never as exceptions. */
export async function* runVectors(folder: string): AsyncGenerator<CaseResult> {
  const root = resolve(folder);
  let count = 0;
  for (const run of plan(root, root)) {
    for await (const result of guarded(run)) {
      count += 1;
      yield result;
    }
  }
  if (count === 0) yield fault(folder, "no cases in this folder");
}

/** A file or folder of cases with its handler, or why it cannot be run. */
type Run = { readonly id: string } & (
  | { readonly handler: KindHandler; readonly file: CaseFile }
  | { readonly why: string }
);

async function* guarded(run: Run): AsyncGenerator<CaseResult> {
  if ("why" in run) {
    yield fault(run.id, run.why);
    return;
  }
  try {
    let count = 0;
    for await (const result of run.handler(run.file)) {
      count += 1;
      yield result;
    }
    if (count < run.file.cases.length) yield fault(run.id, `${run.file.cases.length} cases, ${count} results`);
  } catch (error) {
    yield fault(run.id, String(error));
  }
}

function fault(id: string, reason: string): CaseResult {
  return { id, expected: null, got: "fault", code: null, reason, verdict: "failed" };
}

function* plan(root: string, folder: string): Generator<Run> {
  if (existsSync(join(folder, "manifest.json"))) {
    yield* planManifest(root, folder);
    return;
  }
  const whole = lookup(FOLDER_KINDS, folder);
  if (whole !== undefined) {
    const kind = nameOf(root, folder);
    yield { id: kind, handler: whole, file: { kind, folder, document: {}, cases: [] } };
    return;
  }
  yield* planFolderCases(root, folder);
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* plan(root, path);
    else if (entry.isFile() && entry.name.endsWith(".json")) yield* planFile(root, path);
  }
}

/** A JSON file with `cases`, or one whose path is a known kind. Others are support data. */
function* planFile(root: string, path: string): Generator<Run> {
  const kind = nameOf(root, path.replace(/\.json$/, ""));
  const document: unknown = parseOrNull(path);
  const handler = lookup(FILE_KINDS, path.replace(/\.json$/, ""));
  const cases = isVectorObject(document) ? document["cases"] : undefined;
  if (cases === undefined && handler === undefined) return;
  if (handler === undefined) yield { id: kind, why: `unknown kind ${kind}` };
  else if (!isVectorObject(document) || !isCaseList(cases))
    yield { id: kind, why: "a file of a known kind without cases" };
  else yield { id: kind, handler, file: { kind, folder: dirname(path), document, cases } };
}

/** Files that are not JSON, or one folder a case: known by the folder above them. */
function* planFolderCases(root: string, folder: string): Generator<Run> {
  const handler = lookup(coseFolderKinds, folder);
  if (handler === undefined) return;
  const cases = readdirSync(folder).map((name): VectorObject => ({ name }));
  yield { id: nameOf(root, folder), handler, file: { kind: nameOf(root, folder), folder, document: {}, cases } };
}

function* planManifest(root: string, folder: string): Generator<Run> {
  const id = nameOf(root, join(folder, "manifest.json"));
  const entries: unknown = parseOrNull(join(folder, "manifest.json"));
  if (!isCaseList(entries)) {
    yield { id, why: "want a manifest that is an array of cases, not empty" };
    return;
  }
  for (const entry of entries) {
    const [name, kind] = [entry["id"], entry["kind"]];
    if (typeof name !== "string" || typeof kind !== "string") yield { id, why: "want id and kind in each entry" };
    else {
      const handler = Object.hasOwn(MANIFEST_KINDS, kind) ? MANIFEST_KINDS[kind] : laterManifestKind(kind);
      if (handler === undefined) yield { id: `${kind}/${name}`, why: `unknown kind ${kind}` };
      else
        yield { id: `${kind}/${name}`, handler, file: { kind, folder, document: entry, cases: [{ ...entry, name }] } };
    }
  }
}

function isCaseList(value: unknown): value is readonly VectorObject[] {
  return Array.isArray(value) && value.length > 0 && value.every(isVectorObject);
}

/** The entry whose name is the end of `path`, by whole segments: a set may lie deeper than the folder given. */
function lookup<T>(table: Readonly<Record<string, T>>, path: string): T | undefined {
  const segments = path.split(sep);
  for (let from = 0; from < segments.length; from += 1) {
    const name = segments.slice(from).join("/");
    if (Object.hasOwn(table, name)) return table[name];
  }
  return undefined;
}

/** Path from the folder given, with forward slashes. */
function nameOf(root: string, path: string): string {
  return relative(root, path).split(sep).join("/") || ".";
}

/** The parsed file, or null: a file that is not JSON holds no cases. */
function parseOrNull(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}
