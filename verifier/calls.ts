/** Obligation `call.outcome`: every dispatched call of a window has an outcome that says what became of it. */

import { equalBytes } from "../kernel/bytes.ts";
import { parseHex } from "../kernel/hex.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import { type ReceiptOf, receiptHash } from "../kernel/receipt/receipt.ts";
import type { Status } from "../kernel/receipt/vocabulary.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import type { Stream } from "./streams.ts";
import { doubt, type Finding, fault, type Judgement, judge } from "./verdict.ts";
import { unwindowed, type WindowReceipts, windowsOf } from "./windows.ts";

/** A decision after which a call went out, or was answered as a phantom. */
interface DispatchedCall {
  readonly decision: ReceiptOf<"decision">;
  readonly bytes: Uint8Array;
  /** The last outcome so far. */
  outcome: ReceiptOf<"outcome"> | undefined;
}

/** Judges every declared window. */
export function judgeCalls(streams: readonly Stream[]): Judgement {
  const walks = windowsOf(streams).map((window) => new CallWalk(window));
  const findings = [...unwindowed(streams), ...walks.flatMap((walk) => walk.judge())];
  const decisions = walks.reduce((sum, walk) => sum + walk.decisions, 0);
  if (decisions === 0 && findings.length === 0) {
    return doubt("decisions.none", "bundle", "the declared windows hold no decision");
  }
  const dispatched = walks.reduce((sum, walk) => sum + walk.dispatched, 0);
  return judge(findings, `${dispatched} calls dispatched, ${decisions - dispatched} not`);
}

/** Goes once through a window in order. */
class CallWalk {
  decisions = 0;
  readonly #window: WindowReceipts;
  readonly #calls = new Map<number, DispatchedCall>();
  readonly #findings: Finding[] = [];
  #isClosed = false;

  constructor(window: WindowReceipts) {
    this.#window = window;
    for (const placed of window.receipts) this.#take(placed);
  }

  get dispatched(): number {
    return this.#calls.size;
  }

  judge(): readonly Finding[] {
    return [...this.#findings, ...[...this.#calls.values()].flatMap((call) => this.#judgeCall(call))];
  }

  #take({ receipt, at }: PlacedReceipt): void {
    if (receipt.kind === "stream-close") this.#isClosed = true;
    else if (receipt.kind === "outcome") this.#finish(receipt);
    else if (receipt.kind === "decision") {
      this.decisions += 1;
      if (receipt.outcome.state === "pending") {
        this.#calls.set(receipt.seq, { decision: receipt, bytes: at.bytes, outcome: undefined });
      }
    }
  }

  #finish(outcome: ReceiptOf<"outcome">): void {
    // The outcome of a call in front of the window says nothing about the window.
    if (outcome.call.decision_seq < this.#window.window.first_seq) return;
    const call = this.#calls.get(outcome.call.decision_seq);
    const wrong = call === undefined ? "the outcome of no dispatched call" : findMismatch(call, outcome);
    if (call !== undefined && wrong === undefined) call.outcome = outcome;
    else this.#findings.push(fault("ERR_CALL_OUTCOME", receiptSubject(outcome), wrong ?? ""));
  }

  #judgeCall({ decision, outcome }: DispatchedCall): readonly Finding[] {
    const subject = receiptSubject(decision);
    if (outcome === undefined) {
      if (this.#isClosed) return [fault("ERR_CALL_OPEN", subject, "the stream was closed without an outcome")];
      return [doubt("call.no-outcome", subject, "no outcome in the window")];
    }
    if (outcome.outcome.effect !== "unknown") return [];
    return [doubt("call.effect-unknown", receiptSubject(outcome), `status ${outcome.outcome.status}`)];
  }
}

/** What ties an outcome to its decision: id, round, hash, kind of answer, and that it is the first or settles the last. */
function findMismatch(
  { decision, bytes, outcome: last }: DispatchedCall,
  outcome: ReceiptOf<"outcome">,
): string | undefined {
  const { call } = outcome;
  if (call.id !== decision.call.id || call.round !== decision.call.round) return "the outcome of another call";
  if (!equalBytes(parseHex(call.decision_hash, 32), receiptHash(bytes))) return "the outcome of another decision";
  if ((decision.ruling.action === "phantom") !== (outcome.outcome.status === "phantom")) {
    return "a phantom's outcome for a call that was sent, or the other way round";
  }
  const resolves = observedValue(call.resolves);
  const settles = last === undefined ? undefined : last.seq;
  if (resolves !== settles) return "a second outcome that does not name the first, or a first one that names another";
  if (last !== undefined && last.outcome.effect !== "unknown")
    return "a second outcome of a call whose effect is known";
  return findTaskFault(last?.outcome.status, outcome.outcome.status);
}

/** A call makes one task, and what ends a task was one. */
function findTaskFault(before: Status | undefined, now: Status): string | undefined {
  if (now === "task_created" && before !== undefined) return "a task that is made behind the call's outcome";
  const isEnd = now === "task_completed" || now === "task_failed";
  return isEnd && before !== "task_created" ? "the end of a task that the call did not make" : undefined;
}
