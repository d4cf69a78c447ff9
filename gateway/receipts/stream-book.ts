/**
 * What is open in a stream: sessions with their counts, and dispatched calls without an outcome. The same reducer runs
 * over receipts as they are written and over the file at a restart, so a seal after a crash counts like any other.
 */

import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { OutcomeBody } from "../../kernel/receipt/outcome.ts";
import type { ReceiptBody } from "../../kernel/receipt/receipt.ts";
import type { SessionOpenBody } from "../../kernel/receipt/session-open.ts";
import type { SessionCalls } from "../../kernel/receipt/session-seal.ts";
import type { Status } from "../../kernel/receipt/vocabulary.ts";

/** A dispatched call whose outcome is not known yet. */
export interface OpenCall {
  readonly decision: DecisionBody;
  /** Hash of the decision receipt. */
  readonly hash: string;
}

/** A session that is not sealed. */
export interface OpenSession {
  readonly open: SessionOpenBody;
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  /** Ids of the calls whose last outcome is a fault. */
  readonly faulted: ReadonlySet<string>;
  /** Servers that were called. */
  readonly servers: ReadonlySet<string>;
}

const FAULTS: ReadonlySet<Status> = new Set<Status>(["cancelled", "timeout", "upstream_error", "unknown"]);

/** The open things of one stream. */
export class StreamBook {
  readonly #calls = new Map<string, OpenCall>();
  readonly #sessions = new Map<string, OpenSession>();
  #policy: string | undefined;
  #catalog: string | undefined;
  #isClosed = false;

  /** Takes the next receipt of the stream. */
  apply(body: ReceiptBody, hash: string): void {
    switch (body.kind) {
      case "session-open":
        this.#sessions.set(body.session.id, {
          open: body,
          total: 0,
          allowed: 0,
          denied: 0,
          faulted: new Set(),
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

  /** A dispatched call without an outcome, by its id. */
  call(id: string): OpenCall | undefined {
    return this.#calls.get(id);
  }

  /** Dispatched calls of a session without an outcome: the seq of each decision, ascending. */
  openDecisions(sessionId: string): readonly number[] {
    return this.openCalls()
      .filter(({ decision }) => sessionOf(decision) === sessionId)
      .map(({ decision }) => decision.seq);
  }

  /** Dispatched calls without an outcome, oldest first. */
  openCalls(): readonly OpenCall[] {
    return [...this.#calls.values()];
  }

  openSessions(): readonly OpenSession[] {
    return [...this.#sessions.values()];
  }

  session(id: string): OpenSession | undefined {
    return this.#sessions.get(id);
  }

  /** The counts that a seal of this session states now. */
  countCalls({ open, total, allowed, denied, faulted }: OpenSession): SessionCalls {
    const pending = this.openDecisions(open.session.id).length;
    return { total, allowed, denied, faulted: faulted.size, open: pending };
  }

  #applyDecision(decision: DecisionBody, hash: string): void {
    const isForwarded = decision.ruling.action === "forward";
    if (isForwarded) this.#calls.set(decision.call.id, { decision, hash });
    const id = sessionOf(decision);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (id === undefined || session === undefined) return;
    const server = observedValue(decision.server)?.id;
    this.#sessions.set(id, {
      ...session,
      total: session.total + 1,
      allowed: session.allowed + (isForwarded ? 1 : 0),
      denied: session.denied + (isForwarded ? 0 : 1),
      servers: isForwarded && server !== undefined ? new Set([...session.servers, server]) : session.servers,
    });
  }

  #applyOutcome(outcome: OutcomeBody): void {
    const call = this.#calls.get(outcome.call.id);
    this.#calls.delete(outcome.call.id);
    const id = call === undefined ? undefined : sessionOf(call.decision);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (id === undefined || session === undefined || !FAULTS.has(outcome.outcome.status)) return;
    this.#sessions.set(id, { ...session, faulted: new Set([...session.faulted, outcome.call.id]) });
  }
}

function sessionOf(decision: DecisionBody): string | undefined {
  return observedValue(decision.session)?.id;
}
