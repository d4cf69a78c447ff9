/** The end of a call: its answer goes through the stages, its outcome is recorded, and then the agent may have it. */

import type { Recorded, Recorder } from "../receipts/recorder.ts";
import type { KeepPayload } from "../vault/payload-store.ts";
import { askRespond, type Flight, type RespondOptions } from "./ask-respond.ts";
import type { CallOutcome } from "./call.ts";
import { outcomeOf } from "./decision-body.ts";
import { withoutPlaces } from "./fit-receipt.ts";
import { keepMessages } from "./keep-messages.ts";
import type { EndedDecision } from "./open-tasks.ts";
import { type AskRespond, type Ended, endCall, endPhantom } from "./response-stages.ts";
import type { Stages } from "./stage.ts";

/** What an end works with. */
export interface EndOptions extends RespondOptions {
  readonly recorder: Pick<Recorder, "appendWhole">;
  readonly stages: Stages;
  readonly keepPayload: KeepPayload | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** An answer that went through the stages, and how long that took. */
export interface PassedAnswer {
  readonly ended: Ended;
  readonly policyUs: number;
  readonly inspectionUs: number;
}

/** Runs the answer through the stages; a promise if one of them waits. */
export function passStages(
  options: EndOptions,
  flight: Flight,
  open: EndedDecision,
  outcome: CallOutcome,
): PassedAnswer | Promise<PassedAnswer> {
  const { monotonicMs, stages } = options;
  const startedMs = monotonicMs();
  const { labels: own } = outcome;
  const labels = own === undefined ? flight.labels : [...flight.labels, ...own];
  const given = { call: flight.call, open, labels, outcome };
  let { policyUs } = flight;
  const ask: AskRespond = (ended, steps) => {
    const before = monotonicMs();
    const decision = askRespond(options, flight, ended, steps);
    policyUs += microseconds(monotonicMs() - before);
    return decision;
  };
  const isLooked = stages.response.length + stages.respond.length > 0;
  const passed = (ended: Ended): PassedAnswer => {
    const inspectionUs = isLooked ? microseconds(monotonicMs() - startedMs) : 0;
    return { ended, policyUs, inspectionUs };
  };
  const isPhantom = open.decision.ruling.action === "phantom";
  const ended = isPhantom ? endPhantom(stages, given) : endCall(stages, given, ask);
  return ended instanceof Promise ? ended.then(passed) : passed(ended);
}

/** Writes the outcome receipt of an answer; durable when the promise resolves. @throws as `Recorder.appendWhole` */
export function recordEnd(
  { recorder, monotonicMs, keepPayload, nowMs }: EndOptions,
  { startedMs }: Flight,
  open: EndedDecision,
  { ended, policyUs, inspectionUs }: PassedAnswer,
): Promise<Recorded> {
  return recorder.appendWhole((place) => {
    const { secret, header } = place;
    const { received, returned } = ended.outcome;
    keepMessages(keepPayload, place, { response_received: received, response_returned: returned });
    const fields = ended.look({ secret, seq: header.seq, nowMs: nowMs() });
    const totalUs = microseconds(monotonicMs() - startedMs);
    return outcomeOf(place, open, ended.outcome, { policyUs, inspectionUs, totalUs }, fields);
  }, withoutPlaces);
}

/** What the agent may have of an answer whose outcome is recorded. @throws what a stage failed with */
export function givenOf({ ended: { outcome, labels, fault } }: PassedAnswer): CallOutcome {
  if (fault !== undefined) throw fault;
  return labels.length === 0 ? outcome : { ...outcome, labels };
}

/** Of a span of milliseconds, as receipts have it. */
export function microseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
