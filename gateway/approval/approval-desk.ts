/**
 * Approvals (mcp-gateway §17): a call whose every determining forbid asks for one is held; once somebody entitled has granted
 * it, the same call passes, once. What it is bound to is compared again when it is used.
 */

import { sha256 } from "#crypto";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { MandateLink } from "../../kernel/mandate/mandate-chain.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { ApprovalNotice } from "../../kernel/receipt/vocabulary.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { ActionBook, Operator } from "../controls/operator.ts";
import type { World } from "../options.ts";
import { carriedOut } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { CallTurn, ObligationStage, Settlement } from "../pipeline/stage.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import { metaOf } from "../wire/era.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { isPage } from "./approval-event.ts";
import { held, isOnlyPolicy, isQuestion, linksOf, refused, refusedAs, withApproval } from "./approval-ruling.ts";
import { type ApprovalEvent, next } from "./approval-state.ts";
import type { Approval, ApprovalStore, Demand } from "./approval-store.ts";
import { ApprovalWaits } from "./approval-waits.ts";

/** What the desk works with. */
export interface ApprovalDeskOptions {
  readonly store: ApprovalStore;
  readonly actions: ActionBook;
  readonly names: KeyedNames;
  /** Digest of the policy bundle in force. */
  readonly policy: () => string;
  readonly world: Pick<World, "nowMs" | "randomBytes" | "schedule" | "sleep">;
  /** The page where an approval is decided; an id goes behind it. */
  readonly page: string;
  /** True if this process serves that page: no host is sent to another's. */
  readonly isServed: boolean;
  /** True if `onEvent` tells somebody outside. */
  readonly hasWebhook: boolean;
  /** Told of each approval that waits, and of what became of it. */
  readonly onEvent: (approval: Approval) => void;
  readonly onFault: (error: unknown) => void;
}

/** What an operator may see of an approval. */
export type ShownApproval = JsonObject;

/** Longer arguments are not kept for the approver, who then decides without them. */
const MAX_SHOWN = 64 * 1024;
/** Longest time from which on nobody is told any more; approvals end before. */
const MAX_TOLD_MS = 24 * 3_600_000;
/** An approval has ended in its receipts so long after its time at most. */
const SWEEP_MS = 1_000;

/** Holds calls and lets them pass. */
export class ApprovalDesk {
  readonly #options: ApprovalDeskOptions;
  /** Arguments of open approvals, in memory alone. */
  readonly #arguments = new Map<string, JsonValue>();
  /** What the policies say why, in memory alone. */
  readonly #reasons = new Map<string, string>();
  readonly #waits: ApprovalWaits;
  /** Apart from those of calls: who is told later takes no call's place. */
  readonly #notices: ApprovalWaits;
  readonly #isPage: boolean;
  readonly obligation: ObligationStage = {
    name: "approval",
    carriesOut: ["require-approval"],
    settle: (turn, answer, left) => this.#settle(turn, answer, left),
  };

  constructor(options: ApprovalDeskOptions) {
    this.#options = options;
    this.#waits = new ApprovalWaits(options.world);
    this.#notices = new ApprovalWaits(options.world);
    this.#isPage = options.isServed && isPage(options.page);
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
    const now = this.#require(id);
    const state = next(now.state, event);
    if (state === undefined) throw new CheckError("ERR_APPROVAL_STATE", "the approval was decided meanwhile");
    const { issuer, id: by } = names.operator(operator);
    const grant = { issuer, id: by, evidence: operator.evidence };
    const after = { ...now, state, ...(event === "grant" ? { grant } : {}) };
    await store.put(after);
    this.#options.onEvent(after);
    this.#tell(id);
    if (event === "refuse") this.#forget(id);
    return this.#shown(this.#require(id), operator);
  }

  /**
   * Resolves when the approval no longer waits to be decided, when `limitMs` is over, or when `signal` is aborted. True if it
   * no longer waits. Only so many waits are open at a time: above it the answer comes at once.
   */
  untilDecided(id: string, limitMs: number, signal: AbortSignal): Promise<boolean> {
    return this.#until(this.#waits, id, limitMs, signal);
  }

  /** As `untilDecided`, for whoever is told of it and holds no call meanwhile. */
  onceDecided(id: string, signal: AbortSignal): Promise<boolean> {
    return this.#until(this.#notices, id, MAX_TOLD_MS, signal);
  }

  async #until(waits: ApprovalWaits, id: string, limitMs: number, signal: AbortSignal): Promise<boolean> {
    this.#sweep();
    const approval = this.#options.store.get(id);
    if (approval?.state !== "requested") return true;
    await waits.until(approval, limitMs, signal);
    return this.#options.store.get(id)?.state !== "requested";
  }

  #tell(id: string): void {
    this.#waits.tell(id);
    this.#notices.tell(id);
  }

  #settle(turn: CallTurn, answer: PolicyAnswer, settlement: Settlement): Settlement {
    // Other modes ask nobody.
    if (turn.mode !== "enforcing" || answer.allowed || !answer.approvable) return settlement;
    if (!isOnlyPolicy(settlement, answer.reason)) return settlement;
    this.#sweep();
    const bound = this.#bound(turn);
    const { approval: awaited } = turn.call;
    const known = awaited === undefined ? this.#options.store.find(bound.match) : this.#options.store.get(awaited.id);
    if (known === undefined && awaited !== undefined) return this.#gone(settlement);
    if (known === undefined) return this.#request(turn, answer, settlement, bound);
    // The state that names it was sealed for the same call, so this is a fault of ours; nothing is spent by it.
    if (known.match !== bound.match) return refused(settlement, "approval.mismatch", MISMATCH);
    const { state } = known;
    if (state === "requested") return this.#held(turn, settlement, known);
    if (state !== "granted") return refusedAs(settlement, known, state);
    if (known.binding !== bound.binding) return this.#spend(settlement, known);
    return this.#consume(settlement, known);
  }

  /** The agent's state names an approval that nobody knows any more: it ended long ago. */
  #gone(settlement: Settlement): Settlement {
    return refused(settlement, "approval.expired", "The approval that this call waited for has ended.");
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
      ...linksOf(turn),
    };
    if (answer.message !== undefined) this.#reasons.set(approval.id, answer.message);
    const given = turn.call.params["arguments"] ?? {};
    if (formatCanonical(given).length <= MAX_SHOWN) this.#arguments.set(approval.id, given);
    const asked = { ...approval, notified: this.#notified(turn, approval) };
    // A request that is lost in a crash is asked for again: nothing was let through by it.
    store.put(asked).catch(onFault);
    this.#options.onEvent(asked);
    return this.#held(turn, settlement, asked);
  }

  #held(turn: CallTurn, settlement: Settlement, known: Approval): Settlement {
    const { store, page, onFault } = this.#options;
    const notified = this.#notified(turn, known);
    const approval = { ...known, notified };
    if (notified.length !== known.notified?.length) store.put(approval).catch(onFault);
    return held(settlement, approval, `${page}${approval.id}`, this.#isOffered(turn));
  }

  /** How people have been told of it by the end of this call. */
  #notified(turn: CallTurn, { notified = [] }: Approval): readonly ApprovalNotice[] {
    const now: ApprovalNotice = this.#isOffered(turn) ? "url-elicitation" : "error";
    const webhook: readonly ApprovalNotice[] = this.#options.hasWebhook ? ["webhook"] : [];
    return [...new Set([...notified, now, ...webhook])].toSorted();
  }

  #isOffered({ call }: CallTurn): boolean {
    return call.takesPage === true && this.#isPage;
  }

  /** Used once: the file says so before the call goes out. */
  #consume(settlement: Settlement, approval: Approval): Settlement {
    const lifted = carriedOut(settlement.judged, "require-approval");
    const ruling = { ...lifted.ruling, action: "forward", judgement: "allow", step: "approval" } as const;
    const judged = { ruling: { ...ruling, reasons: ["approval.granted"] as const }, refusal: undefined };
    return { ...withApproval({ ...settlement, judged }, approval), durable: this.#move(approval, "consume") };
  }

  #spend(settlement: Settlement, approval: Approval): Settlement {
    const left = withApproval(refused(settlement, "approval.mismatch", MISMATCH), approval);
    return { ...left, durable: this.#move(approval, "mismatch") };
  }

  #move(approval: Approval, event: ApprovalEvent): Promise<void> {
    const state = next(approval.state, event);
    if (state === undefined) throw new StoreError("ERR_BUG", "an approval moved where it cannot");
    this.#forget(approval.id);
    const after = { ...approval, state };
    const written = this.#options.store.put(after);
    this.#options.onEvent(after);
    this.#tell(approval.id);
    // Whoever waits for it is told; a decision that failed before waits for nothing.
    written.catch(() => undefined);
    return written;
  }

  #forget(id: string): void {
    this.#arguments.delete(id);
    this.#reasons.delete(id);
  }

  /** Ends what rests on mandates that were taken back, granted or not; each end has a receipt. */
  revoke(isRevoked: (links: readonly MandateLink[]) => boolean): void {
    for (const approval of this.#options.store.all()) {
      if (next(approval.state, "revoke") === undefined || !isRevoked(approval.links ?? [])) continue;
      this.#end(approval, "revoke", "approval-refused", "delegation.revoked");
    }
  }

  #end(
    approval: Approval,
    event: ApprovalEvent,
    action: "approval-expired" | "approval-refused",
    reason: ReasonCode,
  ): void {
    const { actions, onFault } = this.#options;
    this.#move(approval, event).catch(onFault);
    const { id, binding, seq } = approval;
    const target = (): { type: "approval"; id: string; binding: string } => ({ type: "approval", id, binding });
    actions.write({ action, operator: undefined, target, reason, cause: seq }).catch(onFault);
  }

  /** Ends what ran out; each end has a receipt. */
  #sweep(): void {
    const { store, world } = this.#options;
    const nowMs = world.nowMs();
    for (const approval of store.all()) {
      if (approval.expiresMs > nowMs || next(approval.state, "expire") === undefined) continue;
      this.#end(approval, "expire", "approval-expired", "approval.expired");
    }
  }

  #bound(turn: CallTurn): Bound {
    const { call, finding, session } = turn;
    const { names, policy } = this.#options;
    const principal = names.principal(call.caller).id;
    const { trust } = session.place;
    const isTrusted = trust === "gateway-minted" || trust === "authenticated";
    const given = names.correlation(formatCanonical(["approval", ...givenBy(turn)]));
    const match = {
      principal,
      server: call.serverId,
      kind: call.target.kind,
      name: call.target.name,
      arguments: given,
    };
    const mandates = metaOf(call.params)[OUR_META.mandates];
    const all = {
      ...match,
      session: isTrusted ? session.place.key : null,
      model: finding.definition?.model ?? null,
      policy: policy(),
      ...(mandates === undefined ? {} : { mandates }),
    };
    const { actors = [], subject } = call.caller.facts ?? {};
    const others = [...actors, ...(subject === undefined ? [] : [subject])];
    const parties = others.map((party) => names.principal(party).id);
    return { principal, parties, match: digest(match), binding: digest(all) };
  }

  #require(id: string): Approval {
    const approval = this.#options.store.get(id);
    if (approval === undefined) throw new CheckError("ERR_NOT_FOUND", "there is no such approval");
    return approval;
  }

  #requireEntitled(approval: Approval, operator: Operator): void {
    const { names } = this.#options;
    // Four eyes: whoever asks does not decide.
    const selves = [{ issuer: "local", name: operator.name }, ...(operator.principals ?? [])];
    const asked = [approval.principal, ...(approval.parties ?? [])];
    if (selves.some((self) => asked.includes(names.principal(self).id)))
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

/**
 * What the call gives to its server: the arguments, in later rounds the answers too. A question of a server is itself what is
 * given, byte for byte.
 */
function givenBy(turn: CallTurn): readonly JsonValue[] {
  const { params, received } = turn.call;
  if (isQuestion(turn)) return [formatHex(sha256(received))];
  const { arguments: given = null, inputResponses } = params;
  return inputResponses === undefined ? [given] : [given, inputResponses];
}

const MISMATCH = "What was approved is not what this call is now.";

interface Bound {
  readonly principal: string;
  readonly parties: readonly string[];
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
