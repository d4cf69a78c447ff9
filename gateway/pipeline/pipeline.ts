/**
 * The pipeline: one decision receipt before a call goes out, one outcome receipt before its answer goes back
 * (mcp-gateway §19.2). The decision is made in the turn in which its receipt gets its number, so what it was decided on is
 * exactly what the receipts before it say.
 */

import { invariant, StoreError } from "../../kernel/errors.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { Mode, SealReason } from "../../kernel/receipt/vocabulary.ts";
import type { Outbox } from "../receipts/outbox.ts";
import type { ReceiptPlace, Recorded, Recorder, Smaller } from "../receipts/recorder.ts";
import type { OpenCall, OpenSession, StreamBook } from "../receipts/stream-book.ts";
import type { KeepPayload } from "../vault/payload-store.ts";
import type { Flight } from "./ask-respond.ts";
import type {
  Caller,
  CallOutcome,
  CatalogReader,
  Decided,
  DecisionTicket,
  InboundCall,
  Pipeline,
  ReceiptRef,
  Refusal,
  SessionKey,
} from "./call.ts";
import { givenOf, passStages, recordEnd } from "./call-end.ts";
import { checkCatalog } from "./catalog-check.ts";
import {
  type CallBasis,
  decisionOf,
  latestOf,
  lostOutcomeOf,
  type RunFacts,
  refusalOf,
  unsentOutcomeOf,
} from "./decision-body.ts";
import { refusedAsTooLarge, withoutPlaces } from "./fit-receipt.ts";
import { Flights, RECEIPTS_OF_CALL } from "./flights.ts";
import { passGates } from "./gates.ts";
import { refusalFor } from "./judge.ts";
import { keepMessages } from "./keep-messages.ts";
import { type EndedDecision, OpenTasks, type OpenTasksOptions, type WakeOptions, wokenFlight } from "./open-tasks.ts";
import type { RefusalTally } from "./refusal-tally.ts";
import { beginCall } from "./request-stages.ts";
import { type LiveSession, NoRoomForSession, type SessionDesk } from "./session-desk.ts";
import { settleTurn, type Turn } from "./settle-turn.ts";
import type { Admission, CallTurn, Stages, TurnLook } from "./stage.ts";
import type { StreamWatch } from "./stream-watch.ts";

/** What the pipeline is made of. */
export interface PipelineOptions extends WakeOptions, Pick<OpenTasksOptions, "left"> {
  readonly recorder: Recorder;
  readonly book: StreamBook;
  readonly outbox: Pick<Outbox, "requireRoom">;
  readonly run: RunFacts;
  /** What a caller is offered; undefined: all of the catalog. */
  readonly offeredTo?: (call: InboundCall) => CatalogReader;
  /** What a call is decided on; receipts of no call have `run`. */
  readonly basisOf: (call: InboundCall) => CallBasis;
  readonly desk: SessionDesk;
  readonly tally: RefusalTally;
  readonly stages: Stages;
  /** Keeps messages for later disclosure; undefined: none are kept. */
  readonly keepPayload: KeepPayload | undefined;
  /** 32 lower-case hexadecimal digits, unique. */
  readonly newCallId: () => string;
}

/** How often a call looks for its session again when it was sealed meanwhile. */
const MAX_ENTRIES = 8;

/** A decision that was made, and where. */
interface Made {
  readonly place: ReceiptPlace;
  readonly facts: CallTurn;
  readonly turn: Turn;
}

/** A call that is being decided. */
interface Attempt {
  readonly call: InboundCall;
  readonly callId: string;
  /** Its decision, once it was made. */
  made: Made | undefined;
}

/** Thrown inside a turn: the session was sealed between entering it and deciding. No number was used. */
class SessionGone extends Error {}

/** Makes the pipeline of an opened stream. */
export function makePipeline(options: PipelineOptions): Pipeline {
  return new ReceiptPipeline(options);
}

function madeBy({ made }: Attempt): Made {
  invariant(made !== undefined, "a decision was recorded without having been made");
  return made;
}

class ReceiptPipeline implements Pipeline {
  readonly #options: PipelineOptions;
  readonly #flights = new Flights();
  readonly #tasks: OpenTasks;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#tasks = new OpenTasks(options, (flight, open, outcome) => this.#endTask(flight, open, outcome));
  }

  get mode(): Mode {
    return this.#options.run.mode;
  }

  async decide(call: InboundCall): Promise<Decided> {
    const startedMs = this.#options.monotonicMs();
    this.#requireRoom(call);
    const admission = passGates(this.#options.stages.gates, call);
    if (admission.type === "refused") return this.#refuseAtGate(call, admission);
    const attempt: Attempt = { call, callId: this.#options.newCallId(), made: undefined };
    this.#flights.begin();
    let owed = 0;
    try {
      let recorded: Recorded | undefined;
      for (let entry = 1; recorded === undefined; entry += 1) {
        try {
          recorded = await this.#record(attempt);
        } catch (error) {
          if (!(error instanceof SessionGone) || entry === MAX_ENTRIES) throw error;
        }
      }
      const made = madeBy(attempt);
      const { turn } = made;
      const receipt = { stream: this.#options.recorder.stream, seq: recorded.seq };
      // Before anything else can fail: what was let through in a receipt owes an outcome.
      const decided = this.#flights.decided({ ...attempt, ...turn, receipt, startedMs, release: admission.abandon });
      if (decided.action !== "refuse") owed = 1;
      if (turn.isTooLarge) admission.abandon?.(false);
      this.#keepCall(call, made);
      const { durable } = turn.settlement;
      if (durable !== undefined) await durable;
      return decided;
    } catch (error) {
      // Nobody will be told that it was let through, so nothing was sent.
      await this.#abandon(attempt.callId, false)?.catch(() => undefined);
      admission.abandon?.(false);
      if (error instanceof NoRoomForSession) return await this.#refuseAtGate(call, error.refused);
      throw error;
    } finally {
      this.#flights.settle(RECEIPTS_OF_CALL - owed);
    }
  }

  /** A receipt of its own, or under a flood a place in a count. */
  async #refuseAtGate(call: InboundCall, refused: Extract<Admission, { type: "refused" }>): Promise<Decided> {
    const { denial, accounting } = refused;
    const { wire, caller, serverId, received } = call;
    const facts = { step: denial.step, reason: denial.reason, wire, caller, serverId, received };
    const refusal = { ...facts, ...(accounting === undefined ? {} : { accounting }) };
    const receipt = await this.#keepRefusal(refusal, this.#options.basisOf(call).run);
    return { action: "refuse", receipt, refusal: refusalFor(denial, []) };
  }

  async finish({ callId }: DecisionTicket, outcome: CallOutcome): Promise<CallOutcome> {
    const flight = this.#flights.take(callId);
    invariant(flight !== undefined, "a call was finished that is not in flight");
    try {
      const open = this.#openCall(callId);
      const passing = passStages(this.#options, flight, open, outcome);
      const passed = passing instanceof Promise ? await passing : passing;
      await recordEnd(this.#options, flight, open, passed);
      const given = givenOf(passed);
      if (given.status === "task_created") this.#tasks.hold(callId, flight);
      // The agent is not given the task, so nobody will end it.
      else if (outcome.status === "task_created") flight.release?.(true);
      return given;
    } catch (error) {
      // The stream may be sound: then the call is still open in it, and nobody else will end it.
      await this.#recordLost(callId, true).catch(() => undefined);
      flight.release?.(true);
      throw error;
    } finally {
      this.#flights.settle(1);
    }
  }

  readonly abandon: Pipeline["abandon"] = ({ callId }) => this.#abandon(callId, true);

  #abandon(callId: string, wasSent: boolean): Promise<void> | undefined {
    const flight = this.#flights.take(callId);
    return flight === undefined ? undefined : this.#letGo(callId, flight, wasSent);
  }

  async #letGo(callId: string, { release }: Flight, wasSent: boolean): Promise<void> {
    try {
      await this.#recordLost(callId, wasSent);
    } finally {
      release?.(wasSent);
      this.#flights.settle(1);
    }
  }

  async #recordLost(callId: string, wasSent: boolean): Promise<void> {
    const open = this.#options.book.call(callId);
    if (open === undefined) return;
    const lost = wasSent ? lostOutcomeOf : unsentOutcomeOf;
    await this.#options.recorder.appendWhole((place) => lost(place, open, "receipt.unavailable"));
  }

  finishTask({ callId }: DecisionTicket, outcome: CallOutcome): Promise<CallOutcome> {
    return this.#tasks.end(callId, outcome);
  }

  dropTask({ callId }: DecisionTicket): Promise<void> {
    return this.#tasks.drop(callId);
  }

  readonly keepTask: Required<Pipeline>["keepTask"] = ({ callId }, entry) => this.#tasks.keep(callId, entry);

  readonly wakeTask: Required<Pipeline>["wakeTask"] = ({ callId }, woken, asking) =>
    this.#tasks.wake(callId, wokenFlight(this.#options, woken, this.#flights.find(asking.callId)?.facts));

  /** As `finish`, of a task. */
  async #endTask(flight: Flight, open: EndedDecision, outcome: CallOutcome): Promise<CallOutcome> {
    const passed = await passStages(this.#options, flight, open, outcome);
    if (open.isSettled !== true) await recordEnd(this.#options, flight, open, passed);
    return givenOf(passed);
  }

  bringLabels({ callId }: DecisionTicket): Promise<void> | undefined {
    const flight = this.#flights.find(callId);
    const open = this.#options.book.call(callId);
    if (flight === undefined || open === undefined) return undefined;
    return this.#options.stages.early?.bring({ call: flight.call, open, labels: flight.labels });
  }

  watchStream({ callId }: DecisionTicket): StreamWatch | undefined {
    const call = this.#flights.find(callId)?.call;
    return call === undefined ? undefined : this.#options.stages.stream?.watch(call);
  }

  readonly mayTell = (notification: Uint8Array): boolean => this.#options.stages.stream?.mayTell(notification) ?? true;

  #openCall(callId: string): OpenCall {
    const open = this.#options.book.call(callId);
    invariant(open !== undefined, "a call in flight has no decision in the book");
    return open;
  }

  refuse(refusal: Refusal): Promise<ReceiptRef | undefined> {
    return this.#keepRefusal(refusal, this.#options.run);
  }

  #keepRefusal(refusal: Refusal, run: RunFacts): Promise<ReceiptRef | undefined> {
    const { recorder, tally, newCallId } = this.#options;
    return tally.keep(refusal, async () => {
      const written = await recorder.appendWhole((place) => refusalOf(run, place, newCallId(), refusal));
      return { stream: recorder.stream, seq: written.seq };
    });
  }

  sealSession(caller: Caller, session: SessionKey, reason: SealReason): Promise<void> {
    return this.#options.desk.seal(caller, session, reason);
  }

  sealPrincipal(principal: string, reason: SealReason): Promise<number> {
    return this.#options.desk.sealPrincipal(principal, reason);
  }

  sealAll(reason: SealReason): Promise<number> {
    return this.#options.desk.sealAll(reason);
  }

  /** A call that could not be recorded to its end is not begun. */
  #requireRoom({ caller }: InboundCall): void {
    const { outbox, recorder, tally } = this.#options;
    if (recorder.isFailed()) {
      throw new StoreError("ERR_STREAM_FAILED", "the receipt stream has failed; nothing is dispatched", {
        fatal: true,
      });
    }
    try {
      outbox.requireRoom(this.#flights.promised + this.#tasks.promised + RECEIPTS_OF_CALL + 1);
    } catch (error) {
      tally.count({ step: "receipt", reason: "outbox.full", caller });
      throw error;
    }
  }

  /** Decides and records in one turn of the recorder, inside an open session. */
  #record(attempt: Attempt): Promise<Recorded> {
    const { caller, session } = attempt.call;
    const entered = this.#options.desk.enter(caller, session);
    // Most calls are in a session that is open, and wait for nobody in front of their turn.
    return entered instanceof Promise
      ? entered.then((late) => this.#recordIn(attempt, late))
      : this.#recordIn(attempt, entered);
  }

  #recordIn(attempt: Attempt, session: LiveSession): Promise<Recorded> {
    const looks = beginCall(this.#options.stages.request, attempt.call, session);
    return looks instanceof Promise
      ? looks.then((late) => this.#append(attempt, session, late))
      : this.#append(attempt, session, looks);
  }

  #append(attempt: Attempt, session: LiveSession, looks: readonly TurnLook[]): Promise<Recorded> {
    const smaller: Smaller = (body) => {
      const reduced = withoutPlaces(body);
      const { made } = attempt;
      if (reduced !== undefined || made === undefined || made.turn.isTooLarge) return reduced;
      const settlement = refusedAsTooLarge(made.turn.settlement);
      attempt.made = { ...made, turn: { ...made.turn, settlement, isTooLarge: true } };
      return this.#bodyOf(attempt.made);
    };
    return this.#options.recorder.appendWhole((place) => {
      const facts = this.#turnOf(place, attempt, session);
      attempt.made = { place, facts, turn: settleTurn(this.#options, facts, looks) };
      return this.#bodyOf(attempt.made);
    }, smaller);
  }

  #turnOf({ secret, header }: ReceiptPlace, { call, callId }: Attempt, session: LiveSession): CallTurn {
    const { catalog, offeredTo, basisOf } = this.#options;
    const nowMs = this.#options.nowMs();
    const open = this.#requireOpen(session);
    const finding = checkCatalog(catalog, call, nowMs, offeredTo?.(call));
    const basis = basisOf(call);
    return { secret, seq: header.seq, callId, call, mode: basis.run.mode, basis, nowMs, session, open, finding };
  }

  #requireOpen({ place }: LiveSession): OpenSession {
    const open = this.#options.book.session(place.id);
    if (open === undefined) throw new SessionGone();
    return open;
  }

  /** Keeps what the receipt commits to, once it is the receipt: a call that is refused after all sends nothing. */
  #keepCall(call: InboundCall, { place, turn: { settlement, detail } }: Made): void {
    const { judged, toSend } = settlement;
    const sent = judged.ruling.action === "forward" ? toSend : undefined;
    const messages = { request_received: call.received, request_sent: sent, detail };
    keepMessages(this.#options.keepPayload, place, messages);
  }

  #bodyOf({ place, facts, turn: { settlement, detail } }: Made): ReturnType<typeof decisionOf> {
    const { callId, call, session, open, finding, basis } = facts;
    const { id, key, source, trust } = session.place;
    const context = {
      callId,
      session: present({ id, key, source, trust, session_seq: open.total }),
      catalog: finding.view,
      definition: finding.observed,
      identityDigest: finding.identityDigest,
      provenance: finding.provenance,
      catalogName: finding.approvedName,
      concurrentWith: latestOf(this.#options.book.openDecisions(id)),
      detail,
    };
    return decisionOf(basis.run, place, call, context, settlement);
  }
}
