/** What becomes of a call that needs an approval: what its receipt says, and what its agent is told. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { MAX_CHAIN, parseMandate } from "../../kernel/mandate/mandate.ts";
import type { MandateLink } from "../../kernel/mandate/mandate-chain.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { Judged } from "../pipeline/judge.ts";
import type { CallTurn, Settlement } from "../pipeline/stage.ts";
import { metaOf } from "../wire/era.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import type { Approval } from "./approval-store.ts";

const RPC_APPROVAL = -31_002;
const RPC_DENIED = -31_001;

/**
 * The call waits.
 *
 * @param url  of the approval's page
 * @param isOffered  true if the agent's host is asked to open it
 */
export function held(settlement: Settlement, approval: Approval, url: string, isOffered: boolean): Settlement {
  const { id, expiresMs, server, tool } = approval;
  const { ruling } = settlement.judged;
  const message = `A call of ${server}/${tool} waits for an approval. Whoever may decide opens this page and signs in there.`;
  const judged: Judged = {
    ruling: { ...ruling, action: "hold", judgement: "hold", step: "approval", reasons: ["approval.required"] },
    refusal: {
      rpcCode: RPC_APPROVAL,
      reason: "approval.required",
      policies: ruling.policies ?? [],
      message: "An approval is needed. Make the same call again when it was given.",
      data: { approvalId: id, url, expiresAt: formatTimestamp(expiresMs) },
      ...(isOffered ? { offer: { id, url, expiresMs, message } } : {}),
    },
  };
  return withApproval({ ...settlement, judged }, approval);
}

/** The call is refused, whatever else speaks for it. */
export function refused(settlement: Settlement, reason: ReasonCode, message: string): Settlement {
  const { ruling } = settlement.judged;
  const refusal = { rpcCode: RPC_DENIED, reason, policies: ruling.policies ?? [], message };
  const judged: Judged = {
    ruling: { ...ruling, action: "refuse", judgement: "deny", step: "approval", reasons: [reason] },
    refusal,
  };
  return { ...settlement, judged };
}

/** The same, with the approval in the receipt. Before a grant `evidence` says what is asked for. */
export function withApproval(settlement: Settlement, { id, binding, grant, notified }: Approval): Settlement {
  const approver = grant === undefined ? ABSENT : present({ issuer: grant.issuer, id: grant.id });
  const evidence = grant?.evidence ?? "authenticated";
  const told = notified === undefined ? {} : { notified };
  const field = present({ id, binding, approver, evidence, ...told });
  return { ...settlement, fields: { ...settlement.fields, approval: field } };
}

/** Why a call does not go on whose approval has ended. */
const ENDED: Readonly<Record<Exclude<Approval["state"], "requested" | "granted">, readonly [ReasonCode, string]>> = {
  refused: ["approval.refused", "Whoever may decide has refused this call."],
  expired: ["approval.expired", "The time to approve this call, or to make it, has run out."],
  consumed: ["approval.spent", "The approval was used up by another call."],
  mismatched: ["approval.spent", "The approval was used up by a call that was another one."],
};

/** The call waited for an approval that has ended. */
export function refusedAs(settlement: Settlement, approval: Approval, state: keyof typeof ENDED): Settlement {
  const [reason, message] = ENDED[state];
  return withApproval(refused(settlement, reason, message), approval);
}

/** True if policy asks for nothing but an approval: what is denied for another reason too no approval lifts. */
export function isOnlyPolicy({ judged: { ruling } }: Settlement, reason: ReasonCode): boolean {
  return ruling.step === "policy" && ruling.reasons.every((one) => one === reason);
}

/** True for what a server asks of an agent. */
export function isQuestion({ call: { target } }: CallTurn): boolean {
  return target.kind === "elicit" || target.kind === "sample" || target.kind === "roots";
}

/** The mandates that a call carries; nothing is said of them if they cannot be read: then they lift and lend nothing. */
export function linksOf({ call: { params } }: CallTurn): { readonly links?: readonly MandateLink[] } {
  const carried = metaOf(params)[OUR_META.mandates];
  const texts: readonly unknown[] = Array.isArray(carried) && carried.length <= MAX_CHAIN ? carried : [];
  try {
    const links = texts
      .filter((text) => typeof text === "string")
      .map((text) => {
        const { hash, issuerKey } = parseMandate(formatUtf8(text));
        return { hash, issuer: issuerKey.kid };
      });
    return links.length === 0 ? {} : { links };
  } catch (error) {
    if (isCodedError(error)) return {};
    throw error;
  }
}
