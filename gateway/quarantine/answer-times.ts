/** How long real answers took, so that invented ones take as long: the last few of each target, and of all. */

import type { InboundCall } from "../pipeline/call.ts";
import type { ResponseStage } from "../pipeline/stage.ts";

const KEPT = 16;
const MAX_TARGETS = 1_024;
/** Before any real answer: what a server on the same machine takes. */
const USUAL_MS = [4, 7, 11, 18] as const;
const MAX_MS = 10_000;

/** Times of answers in milliseconds. */
export class AnswerTimes {
  readonly #times = new Map<string, number[]>();
  /** Sees every real answer. */
  readonly response: ResponseStage = {
    name: "answer-times",
    end: ({ call, outcome }) => {
      if (outcome.effect === "done") this.#keep(keyOf(call), outcome.upstreamUs / 1000);
      return { outcome };
    },
  };

  /** The time of one of the answers before, by chance. @param random  from 0 to 1 */
  like(call: InboundCall, random: number): number {
    const known = this.#times.get(keyOf(call)) ?? this.#times.get(ALL) ?? USUAL_MS;
    const index = Math.min(known.length - 1, Math.floor(random * known.length));
    return Math.min(MAX_MS, known[index] ?? 0);
  }

  #keep(key: string, ms: number): void {
    this.#add(key, ms);
    this.#add(ALL, ms);
  }

  #add(key: string, ms: number): void {
    const known = this.#times.get(key);
    if (known !== undefined) {
      known.push(ms);
      if (known.length > KEPT) known.shift();
    } else if (this.#times.size < MAX_TARGETS) {
      this.#times.set(key, [ms]);
    }
  }
}

const ALL = "";

function keyOf({ serverId, target }: InboundCall): string {
  return `${serverId}/${target.kind}/${target.name}`;
}
