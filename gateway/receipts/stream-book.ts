/**
 * What is open in a stream: sessions with their counts, and dispatched calls without an outcome. The same reducer runs
 * over receipts as they are written and over the file at a restart, so a seal after a crash counts like any other.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { OutcomeBody } from "../../kernel/receipt/outcome.ts";
import { parseReceipt, type ReceiptBody } from "../../kernel/receipt/receipt.ts";
import type { SessionOpenBody } from "../../kernel/receipt/session-open.ts";
import type { SessionCalls } from "../../kernel/receipt/session-seal.ts";
import type { Status } from "../../kernel/receipt/vocabulary.ts";
import { array, integer, object, optional, type Shape, string } from "../../kernel/shape.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

/** A dispatched call whose outcome is not known yet; its decision is durable. */
export interface OpenCall {
  readonly decision: DecisionBody;
  /** Hash of the decision receipt. */
  readonly hash: string;
}

/** A call whose last outcome says that its server made a task of it. */
export interface OpenTask extends OpenCall {
  /** Number of that outcome. */
  readonly outcomeSeq: number;
}

/** A session that is not sealed, with the counts of its calls. */
export interface OpenSession {
  readonly open: SessionOpenBody;
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  /** Calls that ended in a fault; a call ends once. */
  readonly faulted: number;
  /** Servers that were called. */
  readonly servers: ReadonlySet<string>;
}

/** A session as a state keeps it: by the number of its session-open. */
type SessionState = {
  readonly seq: number;
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  readonly faulted: number;
  readonly servers: readonly string[];
};

/** A task as a state keeps it. */
type TaskState = { readonly decision: number; readonly outcome: number };

/** What is open in front of a receipt, by the numbers of the receipts that opened it. */
export type StreamState = {
  readonly next_seq: number;
  /** Hash of the receipt before. */
  readonly last_hash: string;
  readonly policy?: string;
  readonly catalog?: string;
  /** Decisions without an outcome. */
  readonly calls: readonly number[];
  /** Tasks that have not ended: the decision and the outcome of each. Absent if there are none. */
  readonly tasks?: readonly TaskState[];
  readonly sessions: readonly SessionState[];
};

/** A state whose receipt before is not sealed yet. */
export type FileState = Omit<StreamState, "last_hash">;

/** An open call in the book: its decision may not be sealed yet. */
interface BookedCall {
  readonly decision: DecisionBody;
  hash: string | undefined;
}

const MAX_OPEN = 10_000_000;

/** Shape of a state. */
export const streamStateShape: Shape<StreamState> = object<StreamState>({
  next_seq: integer({ min: 1 }),
  last_hash: hex64Shape,
  policy: optional(string()),
  catalog: optional(string()),
  calls: array(integer(), { max: MAX_OPEN }),
  tasks: optional(array(object<TaskState>({ decision: integer(), outcome: integer() }), { max: MAX_OPEN })),
  sessions: array(
    object<SessionState>({
      seq: integer(),
      total: integer(),
      allowed: integer(),
      denied: integer(),
      faulted: integer(),
      servers: array(string(), { max: MAX_OPEN }),
    }),
    { max: MAX_OPEN },
  ),
});

const FAULTS: ReadonlySet<Status> = new Set<Status>(["cancelled", "timeout", "upstream_error", "unknown"]);

/** The open things of one stream. */
export class StreamBook {
  readonly #calls = new Map<string, BookedCall>();
  /** Those of `#calls` whose decision is not sealed yet, by its number. */
  readonly #unsealed = new Map<number, BookedCall>();
  /** By the id of the call. */
  readonly #tasks = new Map<string, OpenTask>();
  /** Decisions of `#calls` by session, ascending: each decision names those of its session. */
  readonly #openSeqs = new Map<string, Set<number>>();
  readonly #sessions = new Map<string, OpenSession>();
  #policy: string | undefined;
  #catalog: string | undefined;
  #isClosed = false;

  /**
   * The book that a state describes.
   *
   * @param receiptAt  the receipts of the stream, by their numbers
   * @throws {StoreError} ERR_STREAM_FILE if the state names receipts that did not open anything
   */
  static async restore(
    state: StreamState,
    receiptAt: (seq: number) => Promise<WrittenReceipt | undefined>,
  ): Promise<StreamBook> {
    const book = new StreamBook();
    for (const seq of state.calls) {
      const { body, hash } = await opening(seq, receiptAt);
      if (body.kind !== "decision") throw notOpening(seq);
      book.#openCall({ decision: body, hash });
    }
    for (const { decision: seq, outcome: outcomeSeq } of state.tasks ?? []) {
      const { body, hash } = await opening(seq, receiptAt);
      if (body.kind !== "decision") throw notOpening(seq);
      book.#tasks.set(body.call.id, { decision: body, hash, outcomeSeq });
    }
    for (const { seq, servers, ...counts } of state.sessions) {
      const { body } = await opening(seq, receiptAt);
      if (body.kind !== "session-open") throw notOpening(seq);
      book.#sessions.set(body.session.id, { open: body, ...counts, servers: new Set(servers) });
    }
    [book.#policy, book.#catalog] = [state.policy, state.catalog];
    return book;
  }

  /** The state in front of receipt `nextSeq`, the next one; undefined before the first. */
  state(nextSeq: number): FileState | undefined {
    if (nextSeq === 0) return undefined;
    return {
      next_seq: nextSeq,
      ...(this.#policy === undefined ? {} : { policy: this.#policy }),
      ...(this.#catalog === undefined ? {} : { catalog: this.#catalog }),
      calls: [...this.#calls.values()].map(({ decision }) => decision.seq),
      ...(this.#tasks.size === 0 ? {} : { tasks: this.openTasks().map(taskState) }),
      sessions: this.openSessions().map(({ open, total, allowed, denied, faulted, servers }) => ({
        seq: open.seq,
        total,
        allowed,
        denied,
        faulted,
        servers: [...servers],
      })),
    };
  }

  /** Takes the next receipt of the stream. @param hash  undefined if it is not sealed yet: then `seal` says it */
  apply(body: ReceiptBody, hash?: string): void {
    switch (body.kind) {
      case "session-open":
        this.#sessions.set(body.session.id, {
          open: body,
          total: 0,
          allowed: 0,
          denied: 0,
          faulted: 0,
          servers: new Set(),
        });
        return;
      case "decision":
        this.#applyDecision(body, hash);
        return;
      case "outcome":
        this.#applyOutcome(body);
        return;
      case "session-seal":
        this.#sessions.delete(body.session.id);
        return;
      case "policy-load":
        if (body.result === "loaded") this.#policy = body.policy.digest;
        return;
      case "catalog-load":
        if (body.result === "loaded") this.#catalog = body.catalog.digest;
        return;
      case "stream-close":
        this.#isClosed = true;
        return;
      case "stream-open":
      case "heartbeat":
      case "refusals":
      case "drift":
      case "operator-action":
      case "admission":
        return;
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Digest of the policy that was loaded last. */
  get policy(): string | undefined {
    return this.#policy;
  }

  /** Digest of the catalog that was loaded last. */
  get catalog(): string | undefined {
    return this.#catalog;
  }

  /** Takes the hash of a receipt that is durable now. */
  seal(seq: number, hash: string): void {
    const call = this.#unsealed.get(seq);
    if (call === undefined) return;
    call.hash = hash;
    this.#unsealed.delete(seq);
  }

  /** A dispatched call without an outcome, by its id. */
  call(id: string): OpenCall | undefined {
    const call = this.#calls.get(id);
    return call === undefined ? undefined : sealedCall(call);
  }

  /** Dispatched calls of a session without an outcome: the seq of each decision, ascending. */
  openDecisions(sessionId: string): readonly number[] {
    return [...(this.#openSeqs.get(sessionId) ?? [])];
  }

  /** Dispatched calls without an outcome, oldest first. */
  openCalls(): readonly OpenCall[] {
    return [...this.#calls.values()].map(sealedCall);
  }

  /** How many dispatched calls have no outcome. */
  get callCount(): number {
    return this.#calls.size;
  }

  /** A task that has not ended, by the id of its call. */
  openTask(id: string): OpenTask | undefined {
    return this.#tasks.get(id);
  }

  /** Tasks that have not ended, oldest first. */
  openTasks(): readonly OpenTask[] {
    return [...this.#tasks.values()];
  }

  openSessions(): readonly OpenSession[] {
    return [...this.#sessions.values()];
  }

  session(id: string): OpenSession | undefined {
    return this.#sessions.get(id);
  }

  /** The counts that a seal of this session states now. */
  countCalls({ open, total, allowed, denied, faulted }: OpenSession): SessionCalls {
    const pending = [...this.#calls.values()].filter(({ decision }) => {
      return sessionOf(decision) === open.session.id && decision.ruling.action === "forward";
    });
    return { total, allowed, denied, faulted, open: pending.length };
  }

  #applyDecision(decision: DecisionBody, hash: string | undefined): void {
    const isForwarded = decision.ruling.action === "forward";
    // A phantom has an outcome too, and counts as denied.
    if (isForwarded || decision.ruling.action === "phantom") this.#openCall({ decision, hash });
    const id = sessionOf(decision);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (id === undefined || session === undefined) return;
    const server = observedValue(decision.server)?.id;
    this.#sessions.set(id, {
      open: session.open,
      total: session.total + 1,
      allowed: session.allowed + (isForwarded ? 1 : 0),
      denied: session.denied + (isForwarded ? 0 : 1),
      faulted: session.faulted,
      servers: isForwarded ? withServer(session.servers, server) : session.servers,
    });
  }

  #openCall(call: BookedCall): void {
    const { decision, hash } = call;
    this.#calls.set(decision.call.id, call);
    if (hash === undefined) this.#unsealed.set(decision.seq, call);
    const session = sessionOf(decision);
    if (session === undefined) return;
    const seqs = this.#openSeqs.get(session);
    if (seqs === undefined) this.#openSeqs.set(session, new Set([decision.seq]));
    else seqs.add(decision.seq);
  }

  #closeCall({ decision }: BookedCall): void {
    this.#calls.delete(decision.call.id);
    this.#unsealed.delete(decision.seq);
    const session = sessionOf(decision) ?? "";
    const seqs = this.#openSeqs.get(session);
    seqs?.delete(decision.seq);
    if (seqs?.size === 0) this.#openSeqs.delete(session);
  }

  #applyOutcome(outcome: OutcomeBody): void {
    const { id: callId } = outcome.call;
    const call = this.#calls.get(callId) ?? this.#tasks.get(callId);
    if (call === undefined) return;
    this.#closeCall(call);
    // A second outcome settles the first, which said that there is a task.
    this.#tasks.delete(callId);
    if (outcome.outcome.status === "task_created") {
      this.#tasks.set(callId, { ...sealedCall(call), outcomeSeq: outcome.seq });
    }
    const id = sessionOf(call.decision);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (id === undefined || session === undefined || !FAULTS.has(outcome.outcome.status)) return;
    this.#sessions.set(id, { ...session, faulted: session.faulted + 1 });
  }
}

function sealedCall({ decision, hash }: BookedCall): OpenCall {
  // An outcome names its decision by this hash, so nobody may ask before it is there.
  invariant(hash !== undefined, "a call was asked for whose decision is not sealed");
  return { decision, hash };
}

function taskState({ decision, outcomeSeq }: OpenTask): TaskState {
  return { decision: decision.seq, outcome: outcomeSeq };
}

function withServer(servers: ReadonlySet<string>, server: string | undefined): ReadonlySet<string> {
  return server === undefined || servers.has(server) ? servers : new Set([...servers, server]);
}

function sessionOf(decision: DecisionBody): string | undefined {
  return observedValue(decision.session)?.id;
}

async function opening(
  seq: number,
  receiptAt: (seq: number) => Promise<WrittenReceipt | undefined>,
): Promise<{ readonly body: ReceiptBody; readonly hash: string }> {
  const receipt = await receiptAt(seq);
  if (receipt === undefined) throw notOpening(seq);
  return { body: parseReceipt(receipt.bytes), hash: receipt.hash };
}

function notOpening(seq: number): StoreError {
  return new StoreError("ERR_STREAM_FILE", `the state of the stream names receipt ${seq}, which opened nothing`);
}
