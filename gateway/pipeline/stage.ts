/**
 * What a decision and an outcome are made of beside catalog and policy: stages. Each control (identity of a chain, limits,
 * inspection, taint, approval, …) is one stage that looks at a call and contributes reasons to refuse it, facts for policy
 * and members of the receipt. Stages know nothing of each other; their order is the pipeline's (mcp-gateway §19.2).
 *
 * A stage has two moments. What takes long or waits happens before the turn, in `begin` or `end`; the function that it
 * returns runs in the turn in which the receipt gets its number, so what it says is true of exactly the receipts before.
 */

import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import type { Accounting, Label } from "../../kernel/receipt/fields.ts";
import type { DataFacts } from "../../kernel/receipt/inspection.ts";
import type { OutcomeBody } from "../../kernel/receipt/outcome.ts";
import type { Mode, ObligationKind } from "../../kernel/receipt/vocabulary.ts";
import type { CedarValueJson } from "../policy/cedar.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import type { CarriedOut } from "../policy/obligations.ts";
import type { OpenCall, OpenSession } from "../receipts/stream-book.ts";
import type { CallOutcome, InboundCall, PhantomAnswer } from "./call.ts";
import type { CatalogFinding } from "./catalog-check.ts";
import type { CallBasis } from "./decision-body.ts";
import type { Denial, Judged } from "./judge.ts";
import type { LiveSession } from "./session-desk.ts";
import type { StreamWatch } from "./stream-watch.ts";

/** A member that is undefined is one that nobody filled. */
type Fillable<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** Members of a decision receipt that stages fill; what nobody fills says that nobody looked. */
export type DecisionFields = Fillable<
  DataFacts &
    Pick<DecisionBody, "delegation" | "actor" | "subject" | "workflow" | "data_subjects" | "approval" | "accounting">
>;

/** Members of an outcome receipt that stages fill. */
export type OutcomeFields = Fillable<DataFacts & Pick<OutcomeBody, "respond" | "accounting">>;

/**
 * Stands before everything else: before a session is entered and a receipt gets a number, so that a flood of what it
 * refuses is counted in few receipts. What it refuses every mode refuses.
 */
export interface Gate {
  readonly name: string;
  readonly admit: (call: InboundCall) => Admission;
  /** Asked once more in the turn of the decision: what was stopped while the call waited is refused all the same, in every mode. */
  readonly again?: (call: InboundCall) => Denial | undefined;
}

/** What a gate says of a call. */
export type Admission =
  | {
      readonly type: "admitted";
      /** Told if the call ends without a decision, or without an answer that goes through the stages. @param wasSent  whether it may have been */
      readonly abandon?: (wasSent: boolean) => void;
    }
  | { readonly type: "refused"; readonly denial: Denial; readonly accounting?: Accounting };

/** The turn of a decision: all that is known when its receipt gets its number. */
export interface CallTurn {
  /** For commitments of this receipt. */
  readonly secret: Uint8Array;
  /** Number that the receipt will have. */
  readonly seq: number;
  readonly callId: string;
  readonly call: InboundCall;
  readonly mode: Mode;
  /** What it is decided on. */
  readonly basis: CallBasis;
  readonly nowMs: number;
  readonly session: LiveSession;
  /** The session as the receipts before this one leave it. */
  readonly open: OpenSession;
  readonly finding: CatalogFinding;
}

/** What a stage says about a call. */
export interface Contribution {
  /** Why enforcing mode refuses it; with `isFinal`, why every mode does. */
  readonly denials?: readonly Denial[];
  /** More members of `context.session` and `context.system`. */
  readonly session?: Readonly<Record<string, CedarValueJson>>;
  readonly system?: Readonly<Record<string, CedarValueJson>>;
  /** The workflow that the principal is in, by a token beside its credential. */
  readonly workflow?: string;
  readonly fields?: DecisionFields;
}

const NOTHING: Contribution = {};

/** What a stage that has nothing to say about a call returns for its turn. */
export function sayNothing(): Contribution {
  return NOTHING;
}

/** Looks at a call before policy does. */
export interface RequestStage {
  readonly name: string;
  /**
   * Prepares; nothing is decided yet, and the session may be sealed meanwhile.
   * @throws nothing that is meant: an error ends the call without a receipt of its own
   */
  readonly begin: (call: InboundCall, session: LiveSession) => Promise<TurnLook> | TurnLook;
}

export type TurnLook = (turn: CallTurn) => Contribution;

/** What is done with a call after all. */
export interface Settlement {
  readonly judged: Judged;
  /** What goes to the server; the call's `toSend` if nothing changed it. */
  readonly toSend: Uint8Array;
  readonly fields: DecisionFields;
  /** Labels that the call's answer will bring into its session. */
  readonly labels: readonly Label[];
  /** Set exactly if the ruling's action is `phantom`. */
  readonly phantom?: PhantomAnswer;
  /** What has to be durable beside the receipt before the call goes on. */
  readonly durable?: Promise<void>;
}

/**
 * Carries out what policy asks for beside allow or deny: a redaction, an approval that lifts a denial, a label. Runs in
 * the turn, after policy, in order; each gets what the one before left.
 */
export interface ObligationStage {
  readonly name: string;
  /** A bundle that asks calls for what no stage carries out is refused. The stage marks it by `carriedOut` (judge.ts). */
  readonly carriesOut?: readonly ObligationKind[];
  readonly settle: (turn: CallTurn, answer: PolicyAnswer, settlement: Settlement) => Settlement;
}

/** A dispatched call whose answer is here and not yet given back. */
export interface EndedCall {
  readonly call: InboundCall;
  readonly open: OpenCall;
  /** As the stages before left it; `returned` is what the agent would get, if it gets anything of the answer. */
  readonly outcome: CallOutcome;
  /** Labels that the answer brings, by the decision and the stages before. */
  readonly labels: readonly Label[];
}

/** What a stage makes of an answer. */
export interface EndedStep {
  /** With another status and other `returned` bytes if the stage changes the answer, with `refusal` and none if it blocks. */
  readonly outcome: CallOutcome;
  /** More labels that the answer brings into the session, for example for what was found in it. */
  readonly labels?: readonly Label[];
  /** Runs in the turn of the outcome receipt. */
  readonly look?: (turn: OutcomeTurn) => OutcomeFields;
  /** More members of `context.session` and `context.system` for the `respond` decision. */
  readonly session?: Readonly<Record<string, CedarValueJson>>;
  readonly system?: Readonly<Record<string, CedarValueJson>>;
  /** Obligations of the `respond` decision that this step carried out. */
  readonly carriedOut?: readonly ObligationKind[];
}

/** The turn of an outcome. */
export interface OutcomeTurn {
  readonly secret: Uint8Array;
  readonly seq: number;
  readonly nowMs: number;
}

/** Looks at an answer before the agent gets it. */
export interface ResponseStage {
  readonly name: string;
  readonly end: (ended: EndedCall) => Promise<EndedStep> | EndedStep;
}

/**
 * Looks at an answer after the `respond` decision, and carries out what that asks for beside allow or deny. What is denied
 * has no `returned` bytes any more; in modes that only record it still has them.
 */
export interface RespondStage {
  readonly name: string;
  /** A bundle that asks results for what no stage carries out is refused. */
  readonly carriesOut?: readonly ObligationKind[];
  /** @param answer  undefined if no policy speaks of results of this call */
  readonly settle: (ended: EndedCall, answer: PolicyAnswer | undefined) => Promise<EndedStep> | EndedStep;
}

/** Looks at what a server says while a call is under way, and outside of calls. */
export interface StreamStage {
  readonly name: string;
  readonly watch: (call: InboundCall) => StreamWatch;
  readonly mayTell: (notification: Uint8Array) => boolean;
}

/** Told when the agent is about to be given something of a server's before the answer is there. */
export interface EarlyStage {
  readonly name: string;
  /** @returns undefined if it may be given at once; durable when the promise resolves, and withheld if it fails */
  readonly bring: (call: Omit<EndedCall, "outcome">) => Promise<void> | undefined;
}

/** All stages of a run, in order. */
export interface Stages {
  readonly stream?: StreamStage;
  readonly early?: EarlyStage;
  readonly gates: readonly Gate[];
  readonly request: readonly RequestStage[];
  readonly obligations: readonly ObligationStage[];
  readonly response: readonly ResponseStage[];
  readonly respond: readonly RespondStage[];
}

/** What the stages carry out. */
export function carriedOutBy({ obligations, respond }: Stages): readonly CarriedOut[] {
  return [
    ...obligations.flatMap(({ carriesOut = [] }) => carriesOut.map((kind) => ({ kind, at: "request" as const }))),
    ...respond.flatMap(({ carriesOut = [] }) => carriesOut.map((kind) => ({ kind, at: "respond" as const }))),
  ];
}

/** Filled by nobody yet. */
const UNFILLED_DECISION: { readonly [K in keyof Required<DecisionFields>]: undefined } = {
  inspection: undefined,
  redactions: undefined,
  matches: undefined,
  taint: undefined,
  edges: undefined,
  delegation: undefined,
  actor: undefined,
  subject: undefined,
  workflow: undefined,
  data_subjects: undefined,
  approval: undefined,
  accounting: undefined,
};

const UNFILLED_OUTCOME: { readonly [K in keyof Required<OutcomeFields>]: undefined } = {
  inspection: undefined,
  redactions: undefined,
  matches: undefined,
  taint: undefined,
  edges: undefined,
  respond: undefined,
  accounting: undefined,
};

/** What stages fill of a decision; where two fill one member the later one's holds. */
export function decisionFields(parts: readonly Pick<Contribution, "fields">[]): DecisionFields {
  const all: DecisionFields = { ...UNFILLED_DECISION };
  for (const { fields } of parts) if (fields !== undefined) Object.assign(all, fields);
  return all;
}

/** Why the gates deny a call that they have admitted, then the stages, in their order, and then the catalog. */
export function denialsOf(
  call: InboundCall,
  gates: readonly Gate[],
  parts: readonly Pick<Contribution, "denials">[],
  ofCatalog: readonly Denial[],
): readonly Denial[] {
  const all: Denial[] = [];
  for (const { again } of gates) {
    const denial = again?.(call);
    if (denial !== undefined) all.push(denial);
  }
  for (const { denials } of parts) if (denials !== undefined) all.push(...denials);
  all.push(...ofCatalog);
  return all;
}

/** What stages fill of an outcome; where two fill one member the later one's holds. */
export function outcomeFields(parts: readonly (OutcomeFields | undefined)[]): OutcomeFields {
  return overlaid<OutcomeFields>({ ...UNFILLED_OUTCOME }, parts);
}

/**
 * `all` with the members of the parts, the later ones over the earlier.
 *
 * @param all  new, and with every member that a part may have: then no part changes its shape, which costs more than all else here
 */
export function overlaid<T extends object>(all: T, parts: readonly (T | undefined)[]): T {
  for (const part of parts) if (part !== undefined) Object.assign(all, part);
  return all;
}
