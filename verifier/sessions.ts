/**
 * Obligation `session.sealed`: every session of a window has its seal, and the seal's counts are counted again from the
 * receipts between open and seal (docs/formats/call-receipt.md).
 */

import { observedValue } from "../kernel/receipt/observed.ts";
import type { ReceiptOf, StreamReceipt } from "../kernel/receipt/receipt.ts";
import type { SessionCalls } from "../kernel/receipt/session-seal.ts";
import type { Status } from "../kernel/receipt/vocabulary.ts";
import { timestampMs } from "../kernel/time.ts";
import { receiptSubject } from "./read-entries.ts";
import type { Stream } from "./streams.ts";
import { doubt, type Finding, fault, type Judgement, judge } from "./verdict.ts";
import { unwindowed, type WindowReceipts, windowsOf } from "./windows.ts";

/** Last statuses of a call that count as faulted. */
const FAULTS: ReadonlySet<Status> = new Set<Status>(["cancelled", "timeout", "upstream_error", "unknown"]);

/** A session between its open receipt and its seal. */
interface LiveSession {
  readonly open: ReceiptOf<"session-open">;
  total: number;
  allowed: number;
  /** Last status of each forwarded call by the seq of its decision; undefined while there is none. */
  readonly calls: Map<number, Status | undefined>;
  isSealed: boolean;
}

/**
 * @param atMs  the judged time: a session without a seal that is older than its stream allows then is a fault
 */
export function judgeSessions(streams: readonly Stream[], atMs: number | undefined): Judgement {
  const walks = windowsOf(streams).map((window) => new SessionWalk(window));
  const findings = [...unwindowed(streams), ...walks.flatMap((walk) => walk.judge(atMs))];
  const sessions = walks.reduce((sum, walk) => sum + walk.sealed, 0);
  if (sessions === 0 && findings.length === 0) {
    return doubt("session.none", "bundle", "no session was opened or sealed in a declared window");
  }
  return judge(findings, `${sessions} sessions sealed, counts recomputed`);
}

/** How many sessions of the declared windows are sealed. */
export function countSealed(streams: readonly Stream[]): number {
  return windowsOf(streams).reduce(
    (sum, { receipts }) => sum + receipts.filter(({ receipt }) => receipt.kind === "session-seal").length,
    0,
  );
}

/** Goes once through a window in order. */
class SessionWalk {
  sealed = 0;
  readonly #window: WindowReceipts;
  readonly #sessions = new Map<string, LiveSession>();
  /** Session of each forwarded decision. */
  readonly #byDecision = new Map<number, LiveSession>();
  readonly #findings: Finding[] = [];

  constructor(window: WindowReceipts) {
    this.#window = window;
    for (const { receipt } of window.receipts) {
      const finding = this.#take(receipt);
      if (finding !== undefined) this.#findings.push(finding);
    }
  }

  judge(atMs: number | undefined): readonly Finding[] {
    const unsealed = [...this.#sessions.values()].filter(({ isSealed }) => !isSealed);
    return [...this.#findings, ...unsealed.map(({ open }) => this.#judgeUnsealed(open, atMs))];
  }

  #take(receipt: StreamReceipt): Finding | undefined {
    if (receipt.kind === "session-open") return this.#open(receipt);
    if (receipt.kind === "decision") return this.#decide(receipt);
    if (receipt.kind === "session-seal") return this.#seal(receipt);
    if (receipt.kind === "outcome") this.#finish(receipt);
    return undefined;
  }

  #open(receipt: ReceiptOf<"session-open">): Finding | undefined {
    if (this.#sessions.has(receipt.session.id)) return misplaced(receipt, "the session was opened before");
    this.#sessions.set(receipt.session.id, { open: receipt, total: 0, allowed: 0, calls: new Map(), isSealed: false });
    return undefined;
  }

  #decide(receipt: ReceiptOf<"decision">): Finding | undefined {
    const id = observedValue(receipt.session)?.id;
    if (id === undefined) return undefined;
    const session = this.#sessions.get(id);
    // A window from seq 0 has seen every session open.
    if (session === undefined && this.#window.window.first_seq > 0) return cut(receipt);
    if (session === undefined) return misplaced(receipt, "a call in a session that was not opened");
    if (session.isSealed) return misplaced(receipt, "a call in a session that was sealed");
    session.total += 1;
    if (receipt.ruling.action !== "forward") return undefined;
    session.allowed += 1;
    session.calls.set(receipt.seq, undefined);
    this.#byDecision.set(receipt.seq, session);
    return undefined;
  }

  /** An outcome behind the seal changes nothing: the seal counted the call as open. */
  #finish(receipt: ReceiptOf<"outcome">): void {
    const session = this.#byDecision.get(receipt.call.decision_seq);
    if (session !== undefined && !session.isSealed) {
      session.calls.set(receipt.call.decision_seq, receipt.outcome.status);
    }
  }

  #seal(receipt: ReceiptOf<"session-seal">): Finding | undefined {
    const session = this.#sessions.get(receipt.session.id);
    if (session === undefined && receipt.first_seq < this.#window.window.first_seq) return cut(receipt);
    if (session === undefined) return misplaced(receipt, "a seal of a session that was not opened");
    if (session.isSealed || receipt.first_seq !== session.open.seq) {
      return misplaced(receipt, "a seal that is not the one of the open session");
    }
    session.isSealed = true;
    this.sealed += 1;
    const counted = countCalls(session);
    if (spell(counted) === spell(receipt.calls)) return undefined;
    const detail = `the receipts give ${spell(counted)}, the seal says ${spell(receipt.calls)}`;
    return fault("ERR_SESSION_COUNTS", receiptSubject(receipt), detail);
  }

  #judgeUnsealed(open: ReceiptOf<"session-open">, atMs: number | undefined): Finding {
    const subject = receiptSubject(open);
    const declared = this.#window.stream.open;
    if (declared === undefined) return doubt("session.ttl-unknown", subject, "no seal in the window");
    const endMs = timestampMs(open.time) + declared.session_ttl_seconds * 1000;
    if (atMs === undefined || atMs < endMs) return doubt("session.open", subject, "no seal in the window yet");
    const detail = `no seal in the window, ${declared.session_ttl_seconds} s after it was opened`;
    return fault("ERR_SESSION_UNSEALED", subject, detail);
  }
}

function cut(receipt: StreamReceipt): Finding {
  return doubt("window.cuts-session", receiptSubject(receipt), "the session was opened in front of the window");
}

function misplaced(receipt: StreamReceipt, detail: string): Finding {
  return fault("ERR_SESSION_PLACE", receiptSubject(receipt), detail);
}

function countCalls({ total, allowed, calls }: LiveSession): SessionCalls {
  const last = [...calls.values()];
  const faulted = last.filter((status) => status !== undefined && FAULTS.has(status)).length;
  const open = last.filter((status) => status === undefined).length;
  return { total, allowed, denied: total - allowed, faulted, open };
}

function spell({ total, allowed, denied, faulted, open }: SessionCalls): string {
  return `${total} calls (${allowed} allowed, ${denied} denied, ${faulted} faulted, ${open} open)`;
}
