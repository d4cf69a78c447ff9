/** `mcp/flows`: sequences of calls in one session, and which values of earlier results each call's arguments hold. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { leavesOf, valuesGiven } from "../../../gateway/flow/leaves.ts";
import { ValueMemory } from "../../../gateway/flow/value-memory.ts";
import { formatPointer } from "../../../kernel/json/pointer.ts";
import type { JsonObject, JsonValue } from "../../../kernel/json/value.ts";
import { type CaseFile, type CaseResult, eachCase, type KindHandler, type VectorObject } from "../case-file.ts";

interface Step {
  readonly arguments: JsonObject;
  readonly result: JsonValue;
}

interface Found {
  readonly from: number;
  readonly to: number;
  readonly path: string;
  readonly kind: string;
}

const sequences: KindHandler = eachCase(
  (one) => sorted(matchesOf(one["steps"] as readonly Step[])),
  (one: VectorObject) => sorted(one["expect"] as readonly Found[]),
);

function matchesOf(steps: readonly Step[]): readonly Found[] {
  const memory = new ValueMemory(new Uint8Array(32).fill(7));
  return steps.flatMap((step, to) => {
    const found = memory.search(memory.prepare(leavesOf(step.arguments)));
    memory.keep(memory.hashValues(valuesGiven({ result: resultOf(step.result) })), to);
    return found.map(({ source, path, kind }) => ({ from: source, to, path: formatPointer(path), kind }));
  });
}

function resultOf(result: JsonValue): JsonObject {
  return typeof result === "string" ? { content: [{ type: "text", text: result }] } : { structuredContent: result };
}

function sorted(found: readonly Found[]): readonly Found[] {
  return found
    .map(({ from, to, path, kind }) => ({ from, to, path, kind }))
    .sort((a, b) => a.to - b.to || a.from - b.from || (a.path < b.path ? -1 : 1));
}

async function* flows(entry: CaseFile): AsyncGenerator<CaseResult> {
  const files = entry.document["files"];
  for (const { file } of Array.isArray(files) ? (files as readonly { readonly file: string }[]) : []) {
    const document = JSON.parse(readFileSync(join(entry.folder, file), "utf8")) as VectorObject;
    const cases = document["cases"] as readonly VectorObject[];
    yield* sequences({ ...entry, document, cases: cases.map((one) => ({ ...one, name: one["id"] })) });
  }
}

/** By the kind that the manifest names. */
export const mcpFlowKinds: Readonly<Record<string, KindHandler>> = { "mcp/flows": flows };
