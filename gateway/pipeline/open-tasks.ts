/**
 * Calls whose servers made tasks of them. Such a call has a first outcome, which says that the task was taken and that
 * nobody knows its effect, and a second one that settles it: the result when the agent is given it, or `unknown`.
 */

import { invariant } from "../../kernel/errors.ts";
import type { OpenCall, StreamBook } from "../receipts/stream-book.ts";
import type { Flight } from "./ask-respond.ts";
import type { CallOutcome } from "./call.ts";

/** What an end is recorded for. */
export interface EndedDecision extends OpenCall {
  /** The outcome that this one settles. */
  readonly resolves?: number;
  /** Set if the decision has its last outcome: then this end has no receipt. */
  readonly isSettled?: true;
}

/** Runs an answer through the stages of its call, and records it. */
export type EndFlight = (flight: Flight, open: EndedDecision, outcome: CallOutcome) => Promise<CallOutcome>;

interface HeldTask {
  readonly flight: Flight;
  readonly open: EndedDecision;
  /** Set by the first end: what comes later is no end. */
  isEnded: boolean;
}

/** Nothing came, and nobody knows what the server did. */
const NEVER_ENDED: CallOutcome = { status: "unknown", effect: "unknown", upstreamUs: 0, uninspectedBytes: 0 };

/** The task was let go of while its server was asked: the agent gets nothing of the answer. */
function gone({ returned: _, ...outcome }: CallOutcome): CallOutcome {
  const message = "there is no such task";
  const refusal = { rpcCode: -32_602, reason: "task.unknown", policies: [], message } as const;
  return { ...outcome, status: "blocked", refusal };
}

/** The tasks of this run. Whoever opens them bounds their number and their life. */
export class OpenTasks {
  readonly #book: Pick<StreamBook, "openTask">;
  readonly #end: EndFlight;
  readonly #held = new Map<string, HeldTask>();

  constructor(book: Pick<StreamBook, "openTask">, end: EndFlight) {
    this.#book = book;
    this.#end = end;
  }

  /** Receipts that open tasks will still write. */
  get promised(): number {
    return this.#held.size;
  }

  /** Keeps a call until its task is dropped. */
  hold(callId: string, flight: Flight): void {
    const task = this.#book.openTask(callId);
    invariant(task !== undefined, "a call that made a task has no such outcome in the book");
    const open = { decision: task.decision, hash: task.hash, resolves: task.outcomeSeq };
    this.#held.set(callId, { flight, open, isEnded: false });
  }

  async end(callId: string, outcome: CallOutcome): Promise<CallOutcome> {
    const held = this.#held.get(callId);
    if (held === undefined) return gone(outcome);
    // Before anything is waited for: of two ends at once one is recorded.
    const isFirst = !held.isEnded;
    held.isEnded = true;
    return this.#end(held.flight, isFirst ? held.open : { ...held.open, isSettled: true }, outcome);
  }

  async drop(callId: string): Promise<void> {
    const held = this.#held.get(callId);
    if (held === undefined) return;
    if (!held.isEnded) await this.end(callId, NEVER_ENDED);
    this.#held.delete(callId);
  }
}
