/** `mcp/flows`: sequences of calls in one session, and which values of earlier results each call's arguments hold. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type FlowMatch, type FlowStep, findFlows } from "../../../gateway/flow/flow-port.ts";
import { type CaseFile, type CaseResult, eachCase, type KindHandler, type VectorObject } from "../case-file.ts";

const sequences: KindHandler = eachCase(
  (one) => sorted(findFlows(one["steps"] as readonly FlowStep[])),
  (one: VectorObject) => sorted(one["expect"] as readonly FlowMatch[]),
);

function sorted(found: readonly FlowMatch[]): readonly FlowMatch[] {
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
