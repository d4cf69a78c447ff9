/** Calls that have a decision and no outcome, and how many receipts these and those that are being decided will still write. */

import type { Flight } from "./ask-respond.ts";
import type { Decided, InboundCall, ReceiptRef } from "./call.ts";
import type { QuestionFacts } from "./policy-question.ts";
import type { Settlement } from "./stage.ts";

/** Receipts of a forwarded call: decision and outcome. */
export const RECEIPTS_OF_CALL = 2;

/** A call that was decided, and on what. */
export interface DecidedCall extends Pick<Flight, "startedMs" | "policyUs" | "release"> {
  readonly call: InboundCall;
  readonly callId: string;
  readonly receipt: ReceiptRef;
  readonly settlement: Settlement;
  readonly facts: QuestionFacts;
}

/** The calls of one pipeline; mutable. */
export class Flights {
  readonly #open = new Map<string, Flight>();
  #promised = 0;

  /** Receipts that will still be written. */
  get promised(): number {
    return this.#promised;
  }

  /** A call is being decided: its decision, and perhaps an outcome. */
  begin(): void {
    this.#promised += RECEIPTS_OF_CALL;
  }

  /** Of those, so many are written or will not be. */
  settle(receipts: number): void {
    this.#promised -= receipts;
  }

  /** What the wire is told of a decision. A call that is not refused is open from now on, until it is taken. */
  decided({ call, callId, receipt, settlement, facts, startedMs, policyUs, release }: DecidedCall): Decided {
    const { judged, toSend, labels, phantom } = settlement;
    if (judged.refusal !== undefined) return { action: "refuse", receipt, refusal: judged.refusal };
    this.#open.set(callId, { call, labels, facts, startedMs, policyUs, release });
    const ticket = { callId, receipt };
    if (phantom !== undefined) return { action: "phantom", receipt, ticket, answer: phantom };
    const wouldDeny = judged.ruling.judgement !== "allow";
    return { action: "forward", receipt, ticket, wouldDeny, toSend };
  }

  /** An open call. */
  find(callId: string): Flight | undefined {
    return this.#open.get(callId);
  }

  /** An open call, which is not open any more: one that takes it ends it. */
  take(callId: string): Flight | undefined {
    const flight = this.#open.get(callId);
    this.#open.delete(callId);
    return flight;
  }
}
