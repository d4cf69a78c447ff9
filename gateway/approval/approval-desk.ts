/**
 * Approvals (mcp-gateway §17): a call whose every determining forbid asks for one is held; once somebody entitled has granted
 * it, the same call passes, once. What it is bound to is compared again when it is used.
 */

import { sha256 } from "#crypto";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { ActionBook, Operator } from "../controls/operator.ts";
import type { World } from "../options.ts";
import { carriedOut, type Judged } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { CallTurn, ObligationStage, Settlement } from "../pipeline/stage.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import { type ApprovalEvent, next } from "./approval-state.ts";
import type { Approval, ApprovalStore, Demand } from "./approval-store.ts";

/** What the desk works with. */
export interface ApprovalDeskOptions {
  readonly store: ApprovalStore;
  readonly actions: ActionBook;
  readonly names: KeyedNames;
  /** Digest of the policy bundle in force. */
  readonly policy: () => string;
  readonly world: Pick<World, "nowMs" | "randomBytes" | "schedule">;
  /** The page where an approval is decided; an id goes behind it. */
  readonly page: string;
  /** Told of each approval that waits, and of what became of it. */
  readonly onEvent: (approval: Approval) => void;
  readonly onFault: (error: unknown) => void;
}

/** What an operator may see of an approval. */
export type ShownApproval = JsonObject;

const RPC_APPROVAL = -31_002;
const RPC_DENIED = -31_001;
/** Longer arguments are not kept for the approver, who then decides without them. */
const MAX_SHOWN = 64 * 1024;
/** An approval has ended in its receipts so long after its time at most. */
const SWEEP_MS = 1_000;

/** Holds calls and lets them pass. */
export class ApprovalDesk {
  readonly #options: ApprovalDeskOptions;
  /** Arguments of open approvals, in memory alone. */
  readonly #arguments = new Map<string, JsonValue>();
  /** What the policies say why, in memory alone. */
  readonly #reasons = new Map<string, string>();
  readonly obligation: ObligationStage = {
    name: "approval",
    carriesOut: ["require-approval"],
    settle: (turn, answer, left) => this.#settle(turn, answer, left),
  };

  constructor(options: ApprovalDeskOptions) {
    this.#options = options;
  }

  /** Ends by the clock what runs out, looked at or not; tells again of what still waits. @returns the function that stops it */
  start(): () => void {
    const { store, world, onEvent } = this.#options;
    this.#sweep();
    for (const approval of store.all()) if (approval.state === "requested") onEvent(approval);
    return world.schedule(SWEEP_MS, () => this.#sweep());
  }

  /** All that are open or ended of late, newest last; arguments only for whoever may decide. */
  list(operator: Operator): readonly ShownApproval[] {
    this.#sweep();
    return this.#options.store.all().map((one) => this.#shown(one, operator));
  }

  /** @throws {CheckError} ERR_NOT_FOUND */
  show(id: string, operator: Operator): ShownApproval {
    this.#sweep();
    return this.#shown(this.#require(id), operator);
  }

  /**
   * Decides an approval: receipt first, then the store.
   *
   * @throws {CheckError} ERR_NOT_FOUND; ERR_APPROVAL_STATE: it is not waiting; ERR_APPROVER: not this operator
   * @throws {StoreError} ERR_STREAM_FAILED, ERR_CONTROL_FILE
   */
  async decide(id: string, event: "grant" | "refuse", operator: Operator): Promise<ShownApproval> {
    this.#sweep();
    const { actions, names, store } = this.#options;
    const before = this.#require(id);
    if (next(before.state, event) === undefined) {
      throw new CheckError("ERR_APPROVAL_STATE", `the approval is ${before.state}`);
    }
    this.#requireEntitled(before, operator);
    await actions.write({
      action: event === "grant" ? "approval-granted" : "approval-refused",
      operator,
      target: () => ({ type: "approval", id, binding: before.binding }),
      reason: "operator.request",
      cause: before.seq,
    });
    // Somebody else may have decided, or its time may have run out, while the receipt was written.
    const state = next(this.#require(id).state, event);
    if (state === undefined) throw new CheckError("ERR_APPROVAL_STATE", "the approval was decided meanwhile");
    const { issuer, id: by } = names.operator(operator);
    const grant = { issuer, id: by, evidence: operator.evidence };
    const after = { ...before, state, ...(event === "grant" ? { grant } : {}) };
    await store.put(after);
    this.#options.onEvent(after);
    if (event === "refuse") this.#forget(id);
    return this.#shown(this.#require(id), operator);
  }

  #settle(turn: CallTurn, answer: PolicyAnswer, settlement: Settlement): Settlement {
    const { ruling } = settlement.judged;
    // Other modes ask nobody; what is denied for another reason too no approval lifts.
    const isOnlyPolicy = ruling.reasons.every((reason) => reason === answer.reason) && ruling.step === "policy";
    if (turn.mode !== "enforcing" || answer.allowed || !answer.approvable || !isOnlyPolicy) return settlement;
    this.#sweep();
    const bound = this.#bound(turn);
    const known = this.#options.store.find(bound.match);
    if (known === undefined) return this.#request(turn, answer, settlement, bound);
    if (known.state === "requested") return this.#held(settlement, known);
    if (known.binding !== bound.binding) return this.#spend(settlement, known);
    return this.#consume(settlement, known);
  }

  #request(turn: CallTurn, answer: PolicyAnswer, settlement: Settlement, bound: Bound): Settlement {
    const { store, world, onFault } = this.#options;
    if (store.isFull) return refused(settlement, "approval.not-requested", "As many approvals wait as may.");
    const { nowMs } = turn;
    const ttlMs = Math.min(...answer.approvals.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
    const approval: Approval = {
      id: formatHex(world.randomBytes(16)),
      ...bound,
      server: turn.call.serverId,
      tool: turn.call.target.name,
      demands: answer.approvals.map(({ policy, approvers, ttlSeconds }) => ({ policy, approvers, ttlSeconds })),
      state: "requested",
      requestedMs: nowMs,
      expiresMs: nowMs + ttlMs,
      seq: turn.seq,
    };
    if (answer.message !== undefined) this.#reasons.set(approval.id, answer.message);
    const given = turn.call.params["arguments"] ?? {};
    if (formatCanonical(given).length <= MAX_SHOWN) this.#arguments.set(approval.id, given);
    // A request that is lost in a crash is asked for again: nothing was let through by it.
    store.put(approval).catch(onFault);
    this.#options.onEvent(approval);
    return this.#held(settlement, approval);
  }

  #held(settlement: Settlement, approval: Approval): Settlement {
    return held(settlement, approval, `${this.#options.page}${approval.id}`);
  }

  /** Used once: the file says so before the call goes out. */
  #consume(settlement: Settlement, approval: Approval): Settlement {
    const lifted = carriedOut(settlement.judged, "require-approval");
    const ruling = { ...lifted.ruling, action: "forward", judgement: "allow", step: "approval" } as const;
    return {
      ...settlement,
      judged: { ruling: { ...ruling, reasons: ["approval.granted"] }, refusal: undefined },
      fields: { ...settlement.fields, approval: present(fieldOf(approval)) },
      durable: this.#move(approval, "consume"),
    };
  }

  #spend(settlement: Settlement, approval: Approval): Settlement {
    const left = refused(settlement, "approval.mismatch", "What was approved is not what this call is now.");
    const durable = this.#move(approval, "mismatch");
    return { ...left, durable, fields: { ...left.fields, approval: present(fieldOf(approval)) } };
  }

  #move(approval: Approval, event: ApprovalEvent): Promise<void> {
    const state = next(approval.state, event);
    if (state === undefined) throw new StoreError("ERR_BUG", "an approval moved where it cannot");
    this.#forget(approval.id);
    const after = { ...approval, state };
    const written = this.#options.store.put(after);
    this.#options.onEvent(after);
    // Whoever waits for it is told; a decision that failed before waits for nothing.
    written.catch(() => undefined);
    return written;
  }

  #forget(id: string): void {
    this.#arguments.delete(id);
    this.#reasons.delete(id);
  }

  /** Ends what ran out; each end has a receipt. */
  #sweep(): void {
    const { store, actions, world, onFault } = this.#options;
    const nowMs = world.nowMs();
    for (const approval of store.all()) {
      if (approval.expiresMs > nowMs || next(approval.state, "expire") === undefined) continue;
      this.#move(approval, "expire").catch(onFault);
      const { id, binding, seq } = approval;
      const target = (): { type: "approval"; id: string; binding: string } => ({ type: "approval", id, binding });
      actions
        .write({ action: "approval-expired", operator: undefined, target, reason: "approval.expired", cause: seq })
        .catch(onFault);
    }
  }

  #bound({ call, finding, session }: CallTurn): Bound {
    const { names, policy } = this.#options;
    const principal = names.principal(call.caller).id;
    const { trust } = session.place;
    const isTrusted = trust === "gateway-minted" || trust === "authenticated";
    const given = names.correlation(formatCanonical(["approval", call.params["arguments"] ?? null]));
    const match = {
      principal,
      server: call.serverId,
      kind: call.target.kind,
      name: call.target.name,
      arguments: given,
    };
    const all = {
      ...match,
      session: isTrusted ? session.place.key : null,
      model: finding.definition?.model ?? null,
      policy: policy(),
    };
    return { principal, match: digest(match), binding: digest(all) };
  }

  #require(id: string): Approval {
    const approval = this.#options.store.get(id);
    if (approval === undefined) throw new CheckError("ERR_NOT_FOUND", "there is no such approval");
    return approval;
  }

  #requireEntitled(approval: Approval, operator: Operator): void {
    const { names } = this.#options;
    // Four eyes: whoever asks does not decide.
    const self = names.principal({ issuer: "local", name: operator.name }).id;
    if (self === approval.principal)
      throw new CheckError("ERR_APPROVER", "whoever asks for an approval cannot decide it");
    if (!isEntitled(approval.demands, operator)) {
      throw new CheckError("ERR_APPROVER", "the policies name other approvers, or another kind of evidence");
    }
  }

  #shown(approval: Approval, operator: Operator): ShownApproval {
    const { id, server, tool, state, demands, requestedMs, expiresMs, grant, binding } = approval;
    const reason = this.#reasons.get(id);
    const given = isEntitled(demands, operator) ? this.#arguments.get(id) : undefined;
    return {
      id,
      state,
      server,
      tool,
      policies: demands.map(({ policy }) => policy),
      binding,
      ...(reason === undefined ? {} : { reason }),
      requested: formatTimestamp(requestedMs),
      expires: formatTimestamp(expiresMs),
      ...(grant === undefined ? {} : { by: grant.id, evidence: grant.evidence }),
      may_decide: isEntitled(demands, operator),
      ...(given === undefined ? {} : { arguments: given, arguments_sha256: digest(given) }),
    };
  }
}

interface Bound {
  readonly principal: string;
  readonly match: string;
  readonly binding: string;
}

/** True if the operator satisfies every demand. Without named approvers whoever is authenticated as a person does. */
export function isEntitled(demands: readonly Demand[], { name, roles, evidence }: Operator): boolean {
  return demands.every(({ approvers }) => {
    if (evidence === "local-user") return approvers.includes("local-user");
    if (evidence !== "authenticated") return false;
    return approvers.length === 0 || approvers.some((one) => one === `user:${name}` || isRole(one, roles));
  });
}

function isRole(approver: string, roles: readonly string[]): boolean {
  return roles.some((role) => approver === `role:${role}` || approver === `group:${role}`);
}

function digest(value: JsonValue): string {
  return formatHex(sha256(canonicalBytes(value)));
}

function held(settlement: Settlement, approval: Approval, url: string): Settlement {
  const { id, expiresMs } = approval;
  const { ruling } = settlement.judged;
  const judged: Judged = {
    ruling: { ...ruling, action: "hold", judgement: "hold", step: "approval", reasons: ["approval.required"] },
    refusal: {
      rpcCode: RPC_APPROVAL,
      reason: "approval.required",
      policies: ruling.policies ?? [],
      message: "An approval is needed. Make the same call again when it was given.",
      data: { approvalId: id, url, expiresAt: formatTimestamp(expiresMs) },
    },
  };
  return { ...settlement, judged, fields: { ...settlement.fields, approval: present(fieldOf(approval)) } };
}

function refused(settlement: Settlement, reason: ReasonCode, message: string): Settlement {
  const { ruling } = settlement.judged;
  const refusal = { rpcCode: RPC_DENIED, reason, policies: ruling.policies ?? [], message };
  const judged: Judged = {
    ruling: { ...ruling, action: "refuse", judgement: "deny", step: "approval", reasons: [reason] },
    refusal,
  };
  return { ...settlement, judged };
}

/** Before a grant `evidence` says what is asked for. */
function fieldOf({ id, binding, grant }: Approval): NonNullable<CallApproval> {
  const approver = grant === undefined ? ABSENT : present({ issuer: grant.issuer, id: grant.id });
  return { id, binding, approver, evidence: grant?.evidence ?? "authenticated" };
}

type CallApproval = Extract<NonNullable<Settlement["fields"]["approval"]>, { state: "present" }>["value"];
