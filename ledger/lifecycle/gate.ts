/**
 * Whether a log takes new entries. It is asked in the sequencer's turn, so that nothing gets in behind a closing statement
 * that was decided in the same batch; a refusal is told after the sync, like every other. What is in the log already keeps
 * its answer: a client whose acknowledgement was lost learns its index from a log that has ended.
 */

import { CheckError } from "../../kernel/errors.ts";
import type { LogShard } from "../../kernel/genesis.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { LogState } from "../../kernel/lifecycle/log-state.ts";
import { closed } from "../../kernel/lifecycle/log-state.ts";
import type { Clock } from "../../kernel/service/service.ts";
import { timestampMs } from "../../kernel/time.ts";
import { Refusal } from "../admission/refusal.ts";
import { countOf, type Decision, listEntries, type Proposal, type Sequencer } from "../sequence/proposal.ts";

/** What the gate looks at. */
export interface GateParts {
  readonly state: () => LogState;
  /** The time that the log is open for, by the clock; undefined if it always is. */
  readonly shard: LogShard | undefined;
  readonly clock: Clock;
}

/** The refusal of a new entry now; undefined if the log takes it. */
export function refusalNow({ state, shard, clock }: GateParts): Refusal | undefined {
  const { closing } = state();
  if (closing !== undefined) return closedRefusal(closing);
  if (shard === undefined) return undefined;
  const now = clock.nowMs();
  const isBefore = now < timestampMs(shard.start);
  if (!isBefore && now < timestampMs(shard.end)) return undefined;
  const error = new CheckError("ERR_SHARD_TIME", `the log takes entries from ${shard.start} until ${shard.end}`);
  return new Refusal(error, { shard: { ...shard } });
}

/** Names the log that goes on, if the closing statement does. */
function closedRefusal({ finalSize, end, successor }: NonNullable<LogState["closing"]>): Refusal {
  const details: JsonObject = { end, final_size: Number(finalSize) };
  return new Refusal(
    closed(finalSize),
    successor === undefined ? details : { ...details, successor: { ...successor } },
  );
}

/** A sequencer that asks the gate about every proposal which brings something new. */
export class GatedSequencer implements Sequencer {
  readonly #inner: Sequencer;
  readonly #parts: GateParts;

  constructor(inner: Sequencer, parts: GateParts) {
    this.#inner = inner;
    this.#parts = parts;
  }

  get queuedEntries(): number {
    return this.#inner.queuedEntries;
  }

  readonly submit = <A>(proposal: Proposal<A>): Promise<A> => {
    const { entries } = proposal;
    if (countOf(entries) === 0) return this.#inner.submit(proposal);
    const decide: Proposal<A>["decide"] = (known, next): Decision<A> => {
      const refusal = refusalNow(this.#parts);
      const isTaken = refusal === undefined || listEntries(entries).every(({ leaf }) => known(leaf) !== undefined);
      if (isTaken) return proposal.decide(known, next);
      return {
        entries: [],
        settle: () => {
          throw refusal;
        },
      };
    };
    return this.#inner.submit({ entries, decide });
  };
}
