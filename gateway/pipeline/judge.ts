/**
 * From what catalog and policy say to what is done (mcp-gateway §19.1). Enforcing mode refuses what either denies; the
 * other modes forward it and say so in the receipt. What no mode forwards is refused before this point, or is `isFinal`.
 */

import { invariant } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { type Mode, type ObligationKind, STEPS, type Step } from "../../kernel/receipt/vocabulary.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import type { CallRefusal } from "./call.ts";
import type { RulingFacts } from "./decision-body.ts";

/** Why enforcing mode refuses a call, apart from policy. */
export interface Denial {
  readonly step: Step;
  readonly reason: ReasonCode;
  /** JSON-RPC code that the agent is answered with. */
  readonly rpcCode: number;
  /** One sentence of ours, without anything of the call. */
  readonly message: string;
  /** True if no mode forwards the call. */
  readonly isFinal?: true;
  /** More members of the error's `data`. */
  readonly data?: JsonObject;
}

/** What is done, and what the agent is told if it is refused. */
export interface Judged {
  readonly ruling: RulingFacts;
  readonly refusal: CallRefusal | undefined;
}

const RPC_POLICY_DENIED = -31_001;

/** Receipts hold at most 32 names of each kind (kernel/receipt/fields.ts, MAX_NAMES). */
const MAX_NAMES = 32;

/** Rules on a call: the denial of the earliest step is the one that the agent is told. */
export function judge(mode: Mode, denials: readonly Denial[], answer: PolicyAnswer): Judged {
  if (answer.allowed && denials.length === 0) return permitted("policy", answer);
  const found = answer.allowed ? denials : [...denials, policyDenial(answer)];
  const all = [...found].sort((a, b) => STEPS.indexOf(a.step) - STEPS.indexOf(b.step));
  const [first] = all;
  invariant(first !== undefined, "a call is denied without a denial");
  const names = namesOf(answer);
  const reasons = [...new Set(all.map(({ reason }) => reason))];
  const isRefused = mode === "enforcing" || all.some(({ isFinal }) => isFinal === true);
  const action = isRefused ? "refuse" : "forward";
  return {
    ruling: { action, judgement: "deny", step: first.step, reasons, ...names },
    refusal: isRefused ? refusalFor(first, names.policies) : undefined,
  };
}

/** Rules on the result of a call by what policy says of it. */
export function judgeResult(mode: Mode, answer: PolicyAnswer): Judged {
  if (answer.allowed) return permitted("respond", answer);
  const names = namesOf(answer);
  const reasons = [answer.reason];
  const { rpcCode, reason, message } = policyDenial(answer);
  const isRefused = mode === "enforcing";
  return {
    ruling: { action: isRefused ? "refuse" : "forward", judgement: "deny", step: "respond", reasons, ...names },
    refusal: isRefused ? { rpcCode, reason, policies: names.policies, message } : undefined,
  };
}

/** What policy allows and nothing else denies; the same for one answer, which evaluators remember. */
function permitted(step: Step, answer: PolicyAnswer): Judged {
  const known = permits.get(answer);
  if (known?.ruling.step === step) return known;
  const made = makePermitted(step, answer);
  permits.set(answer, made);
  return made;
}

const permits = new WeakMap<PolicyAnswer, Judged>();

function makePermitted(step: Step, answer: PolicyAnswer): Judged {
  const { policies, erring, advisory, controls, obligations } = namesOf(answer);
  const reasons = [answer.reason];
  return {
    ruling: {
      action: "forward",
      judgement: "allow",
      step,
      reasons,
      policies,
      erring,
      advisory,
      controls,
      obligations,
    },
    refusal: undefined,
  };
}

/** The same ruling, which now says that the obligations of this kind were carried out. */
export function carriedOut(judged: Judged, kind: ObligationKind): Judged {
  const obligations = (judged.ruling.obligations ?? []).map((one) =>
    one.kind === kind ? { ...one, applied: true } : one,
  );
  return { ...judged, ruling: { ...judged.ruling, obligations } };
}

/** What the agent is told about a denial. */
export function refusalFor({ rpcCode, reason, message, data }: Denial, policies: readonly string[]): CallRefusal {
  return { rpcCode, reason, policies, message, ...(data === undefined ? {} : { data }) };
}

function policyDenial({ reason, message }: PolicyAnswer): Denial {
  return { step: "policy", reason, rpcCode: RPC_POLICY_DENIED, message: message ?? SENTENCES[reason] ?? DENIED };
}

const DENIED = "The policy does not allow this call.";

const SENTENCES: Partial<Record<ReasonCode, string>> = {
  "policy.default-deny": "No policy allows this call.",
  "policy.engine-failed": "The policy could not be evaluated, so the call is denied.",
  "policy.error": "A policy failed while it was evaluated, so the call is denied.",
  "policy.request-unmappable": "The arguments are not of the types that the approved definition declares.",
};

type Names = Pick<Required<RulingFacts>, "policies" | "erring" | "advisory" | "controls" | "obligations">;

function namesOf(answer: PolicyAnswer): Names {
  return {
    policies: most(answer.policies),
    erring: most(answer.erring),
    advisory: most(answer.advisory),
    controls: most(answer.controls),
    obligations: most(answer.obligations).map(({ policy, kind }) => ({ policy, kind, applied: false })),
  };
}

function most<T>(items: readonly T[]): readonly T[] {
  return items.length <= MAX_NAMES ? items : items.slice(0, MAX_NAMES);
}
