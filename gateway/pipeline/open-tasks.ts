/**
 * Calls whose servers made tasks of them. Such a call has a first outcome, which says that the task was taken and that
 * nobody knows its effect, and a second one that settles it: the result when the agent is given it, or `unknown`.
 */

import { formatBase64 } from "../../kernel/base64.ts";
import { invariant } from "../../kernel/errors.ts";
import type { CatalogSource } from "../catalog/catalog-keeper.ts";
import type { LeftEntry, LeftTasks } from "../receipts/left-tasks.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { OpenCall, StreamBook } from "../receipts/stream-book.ts";
import type { Flight } from "./ask-respond.ts";
import type { CallOutcome, WokenCall } from "./call.ts";
import { lostOutcomeOf } from "./decision-body.ts";
import type { QuestionFacts } from "./policy-question.ts";

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
  /** Set by the first end, what comes later is none: true if it is kept, false if it failed. */
  first: Promise<boolean> | undefined;
}

/** Nothing came, and nobody knows what the server did. */
const NEVER_ENDED: CallOutcome = { status: "unknown", effect: "unknown", upstreamUs: 0, uninspectedBytes: 0 };

/** The task was let go of while its server was asked: the agent gets nothing of the answer. */
function gone({ returned: _, ...outcome }: CallOutcome): CallOutcome {
  const message = "there is no such task";
  const refusal = { rpcCode: -32_602, reason: "task.unknown", policies: [], message } as const;
  return { ...outcome, status: "blocked", refusal };
}

/** What open tasks are kept with. */
export interface OpenTasksOptions {
  readonly book: Pick<StreamBook, "openTask">;
  readonly recorder: Pick<Recorder, "appendWhole">;
  /** Undefined: no task outlasts the run. */
  readonly left: LeftByRun | undefined;
}

/** Tasks of the run before, by the ids of their calls, and where those of this one are kept for the next. */
export interface LeftByRun {
  readonly calls: ReadonlySet<string>;
  readonly files: Pick<LeftTasks, "keep" | "remove">;
}

/** The open tasks. Whoever opens them bounds their number and their life. */
export class OpenTasks {
  readonly #options: OpenTasksOptions;
  readonly #end: EndFlight;
  readonly #held = new Map<string, HeldTask>();
  /** Of the run before, that nobody has asked about: their calls are on disk. */
  readonly #dormant: Set<string>;

  constructor(options: OpenTasksOptions, end: EndFlight) {
    this.#options = options;
    this.#end = end;
    this.#dormant = new Set(options.left?.calls);
  }

  /** Receipts that open tasks will still write. */
  get promised(): number {
    return this.#held.size + this.#dormant.size;
  }

  /** Keeps a held task for the next run, too. */
  keep(callId: string, entry: LeftEntry): boolean {
    const { left } = this.#options;
    const held = this.#held.get(callId);
    if (left === undefined || held === undefined || held.first !== undefined) return false;
    const { call, labels } = held.flight;
    const [received, sent] = [formatBase64(call.received), formatBase64(call.toSend)];
    left.files.keep({ v: 1, call: callId, entry, received, sent, labels });
    return true;
  }

  /** Holds the call of a task of the run before, now that somebody asks about it. */
  wake(callId: string, flight: Flight): void {
    if (this.#dormant.delete(callId)) this.hold(callId, flight);
  }

  /** Keeps a call until its task is dropped. */
  hold(callId: string, flight: Flight): void {
    this.#held.set(callId, { flight, open: this.#openOf(callId), first: undefined });
  }

  #openOf(callId: string): EndedDecision {
    const task = this.#options.book.openTask(callId);
    invariant(task !== undefined, "a call that made a task has no such outcome in the book");
    return { decision: task.decision, hash: task.hash, resolves: task.outcomeSeq };
  }

  async end(callId: string, outcome: CallOutcome): Promise<CallOutcome> {
    const held = this.#held.get(callId);
    if (held === undefined) return gone(outcome);
    if (held.first === undefined) {
      const ended = this.#endFirst(callId, held, outcome);
      // Before anything is waited for: of two ends at once one is recorded.
      held.first = ended.then(
        () => true,
        () => false,
      );
      return ended;
    }
    // What is fetched again has no receipt, so it is given under that of the first end.
    if (!(await held.first)) return gone(outcome);
    return this.#end(held.flight, { ...held.open, isSettled: true }, outcome);
  }

  async #endFirst(callId: string, held: HeldTask, outcome: CallOutcome): Promise<CallOutcome> {
    try {
      const ended = await this.#end(held.flight, held.open, outcome);
      this.#options.left?.files.remove(callId);
      return ended;
    } catch (error) {
      // Without its receipt nothing of the task is given any more, and nobody else ends its call.
      this.#held.delete(callId);
      await this.#lose(callId, held.open).catch(() => undefined);
      held.flight.release?.(true);
      throw error;
    }
  }

  /** The stream may be sound: then the call is still open in it. */
  async #lose(callId: string, open: EndedDecision): Promise<void> {
    const { book, recorder, left } = this.#options;
    if (book.openTask(callId) === undefined) return;
    await recorder.appendWhole((place) => lostOutcomeOf(place, open, "receipt.unavailable"));
    left?.files.remove(callId);
  }

  async drop(callId: string): Promise<void> {
    if (this.#dormant.delete(callId)) {
      const open = this.#openOf(callId);
      await this.#options.recorder.appendWhole((place) => lostOutcomeOf(place, open));
      this.#options.left?.files.remove(callId);
    }
    const held = this.#held.get(callId);
    if (held === undefined) return;
    if (held.first === undefined) await this.end(callId, NEVER_ENDED);
    this.#held.delete(callId);
  }
}

/** What the call of a task of the run before is ended with. */
export interface WakeOptions {
  readonly catalog: CatalogSource;
  readonly nowMs: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** @param known  what is known of the request that asks about it: what policy saw of the call itself went with its run */
export function wokenFlight(
  { catalog, nowMs, monotonicMs }: WakeOptions,
  { call, labels, createdMs }: WokenCall,
  known: QuestionFacts | undefined,
): Flight {
  invariant(known !== undefined, "a task is taken up by a request that is not in flight");
  const definition = catalog.current().find(call.serverId, "tools", call.target.name);
  const startedMs = monotonicMs() - Math.max(0, nowMs() - createdMs);
  return { call, labels, facts: { ...known, definition }, startedMs, policyUs: 0, release: undefined };
}
