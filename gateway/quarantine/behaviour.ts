/** What sessions do, in counts, and the bounds of a baseline that they may not leave. Nothing of a call's content is kept. */

import type { SealedBaseline } from "../../kernel/policy-artifact.ts";
import { array, integer, object, optional, type Shape, string } from "../../kernel/shape.ts";
import type { InboundCall } from "../pipeline/call.ts";

/** Bounds of a session; what is not there is not bounded. Tools are `<server>/<tool>`. */
export type Baseline = {
  readonly calls_per_tool?: number;
  /** Tools that a session may call at all. */
  readonly tools?: readonly string[];
  readonly servers?: readonly string[];
  readonly denials?: number;
  /** Of requests, as received. */
  readonly bytes?: number;
  /** Pairs of tools that follow each other in ordinary sessions. */
  readonly pairs?: readonly (readonly string[])[];
  /** How many other pairs a session may have. Default 0, where `pairs` is given. */
  readonly new_pairs?: number;
};

const name: Shape<string> = string({ pattern: /^[^\0]{1,160}$/u, maxLength: 160 });
const count: Shape<number> = integer({ max: 1_000_000_000_000 });

/** Shape of a baseline. */
export const baselineShape: Shape<Baseline> = object<Baseline>({
  calls_per_tool: optional(count),
  tools: optional(array(name, { max: 4_096 })),
  servers: optional(array(name, { max: 128 })),
  denials: optional(count),
  bytes: optional(count),
  pairs: optional(array(array(name, { min: 2, max: 2 }), { max: 16_384 })),
  new_pairs: optional(count),
});

/** What one session has done. */
interface Doings {
  readonly perTool: Map<string, number>;
  readonly newPairs: Set<string>;
  readonly servers: Set<string>;
  calls: number;
  denials: number;
  bytes: number;
  last: string | undefined;
}

/** Watches sessions against one baseline. */
export class Behaviour {
  readonly #baseline: Baseline;
  readonly #sealed: () => SealedBaseline | undefined;
  readonly #pairs: ReadonlySet<string>;
  readonly #sessions = new Map<string, Doings>();

  /** @param sealed  bounds of the artifact in force; a session has to keep both */
  constructor(baseline: Baseline, sealed: () => SealedBaseline | undefined) {
    this.#baseline = baseline;
    this.#sealed = sealed;
    this.#pairs = new Set((baseline.pairs ?? []).map((pair) => JSON.stringify(pair)));
  }

  /** Counts one decided call. @returns true if the session has left its bounds */
  count(sessionId: string, call: InboundCall, isDenied: boolean): boolean {
    const doings: Doings = this.#sessions.get(sessionId) ?? {
      perTool: new Map<string, number>(),
      servers: new Set<string>(),
      calls: 0,
      newPairs: new Set<string>(),
      denials: 0,
      bytes: 0,
      last: undefined,
    };
    this.#sessions.set(sessionId, doings);
    if (isDenied) doings.denials += 1;
    doings.bytes += call.received.length;
    doings.calls += 1;
    doings.servers.add(call.serverId);
    const isForeign = this.#countTool(doings, call);
    const { denials, bytes, calls_per_tool: perTool, new_pairs: newPairs = 0 } = this.#baseline;
    return (
      isForeign ||
      isOutside(doings, this.#sealed()) ||
      isAbove(doings.denials, denials) ||
      isAbove(doings.bytes, bytes) ||
      isAbove(doings.perTool.get(toolOf(call)) ?? 0, perTool) ||
      (this.#baseline.pairs !== undefined && doings.newPairs.size > newPairs)
    );
  }

  forget(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  /** @returns true if the baseline does not know the tool or server */
  #countTool(doings: Doings, call: InboundCall): boolean {
    const { tools, servers } = this.#baseline;
    const isForeignServer = servers !== undefined && !servers.includes(call.serverId);
    if (call.target.kind !== "tool") return isForeignServer;
    const tool = toolOf(call);
    doings.perTool.set(tool, (doings.perTool.get(tool) ?? 0) + 1);
    const pair = JSON.stringify([doings.last, tool]);
    if (doings.last !== undefined && !this.#pairs.has(pair)) doings.newPairs.add(pair);
    doings.last = tool;
    return isForeignServer || (tools !== undefined && !tools.includes(tool));
  }
}

function isOutside({ calls, servers, denials }: Doings, sealed: SealedBaseline | undefined): boolean {
  if (sealed === undefined) return false;
  return isAbove(calls, sealed.calls) || isAbove(servers.size, sealed.servers) || isAbove(denials, sealed.denials);
}

function toolOf({ serverId, target }: InboundCall): string {
  return `${serverId}/${target.name}`;
}

function isAbove(value: number, bound: number | undefined): boolean {
  return bound !== undefined && value > bound;
}
