/** The scan port's question about a sequence of calls (docs/inspection.md): what later arguments repeat of earlier results, as in one session. */

import { formatPointer } from "../../kernel/json/pointer.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { leavesOf, valuesGiven } from "./leaves.ts";
import { type Match, ValueMemory } from "./value-memory.ts";

/** One call of the sequence: what the agent sent, and what it was given, a text or structured content. */
export interface FlowStep {
  readonly arguments: JsonValue;
  readonly result: JsonValue;
}

/** A value of the result of step `from` in the arguments of step `to`, at the JSON Pointer `path`. */
export interface FlowMatch {
  readonly from: number;
  readonly to: number;
  readonly path: string;
  readonly kind: Match["kind"];
}

/** Hashes are compared in one question and leave it nowhere, so that no secret is wanted. */
const KEY: Uint8Array = new Uint8Array(32);

/** The strongest match of each argument with each earlier step; both 0-based. */
export function findFlows(steps: readonly FlowStep[]): readonly FlowMatch[] {
  const memory = new ValueMemory(KEY);
  return steps.flatMap((step, to) => {
    const found = memory.search(memory.prepare(leavesOf(step.arguments)));
    const { result } = step;
    const given =
      typeof result === "string" ? { content: [{ type: "text", text: result }] } : { structuredContent: result };
    memory.keep(memory.hashValues(valuesGiven({ result: given })), to);
    return found.map(({ source, path, kind }) => ({ from: source, to, path: formatPointer(path), kind }));
  });
}
