/**
 * Workflow tokens that calls carry (docs/formats/workflow-token.md). A wrong token is refused in every mode, as every other
 * credential is; a call that lacks one, or that a good one does not cover, is denied, as what a policy forbids is.
 */

import { sha256 } from "#crypto";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { coversTool, type SealedWorkflow, workflowDigest } from "../../kernel/policy-artifact.ts";
import { notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { isInWorkflow } from "../artifact/artifact-stages.ts";
import { type InboundCall, NO_CALLS, toolBehind } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import { actorOf } from "../pipeline/parties.ts";
import { type CallTurn, type Contribution, type RequestStage, sayNothing } from "../pipeline/stage.ts";
import { metaOf } from "../wire/era.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { RPC } from "../wire/rpc-error.ts";
import type { WorkflowDemand } from "./workflow-config.ts";
import { checkWorkflowToken, isInTime, type WorkflowToken, type WorkflowTokenRules } from "./workflow-token.ts";
import { WorkflowUses } from "./workflow-uses.ts";

/** What the stage works with. */
export interface WorkflowRules extends WorkflowTokenRules {
  /** The widest scope of a workflow now; undefined if nobody has declared it. */
  readonly declared: (id: string) => SealedWorkflow | undefined;
  readonly required: WorkflowDemand;
  readonly acceptsCredentials: boolean;
  readonly leewayMs: number;
  readonly reuse: "session" | "once";
}

/** Makes the stage; undefined rules: nobody's tokens are taken, and one that is carried is the caller's word. */
export function makeWorkflowStage(rules: WorkflowRules | undefined): RequestStage {
  const uses = new WorkflowUses();
  return {
    name: "workflows",
    begin: (call) => {
      const carried = metaOf(call.params)[OUR_META.workflow];
      if (NO_CALLS.has(call.target.kind)) return sayNothing;
      if (rules === undefined) return carried === undefined ? sayNothing : () => ignored(call);
      if (carried === undefined) return isMissing(rules, call) ? () => ({ denials: [MISSING] }) : sayNothing;
      if (typeof carried !== "string") return () => refusedBy("workflow.invalid");
      // Signatures are checked here, so that nobody waits in the turn for somebody else's.
      return checkWorkflowToken(carried, rules).then((token) => (turn: CallTurn) => {
        return typeof token === "string" ? refusedBy(token) : look(rules, uses, token, turn);
      });
    },
  };
}

/** What the caller's own credential names stays. */
function ignored({ caller }: InboundCall): Contribution {
  if (caller.facts?.workflow !== undefined) return {};
  return { fields: { workflow: notEstablished("workflow.claim-ignored") } };
}

function isMissing({ required, acceptsCredentials }: WorkflowRules, call: InboundCall): boolean {
  if (acceptsCredentials && call.caller.facts?.workflow !== undefined) return false;
  const { all = false, mounts = [], tools = [] } = required;
  const isMount = call.mount !== undefined && mounts.includes(call.mount);
  return all || isMount || coversTool(tools, `${call.serverId}/${toolBehind(call) ?? "*"}`);
}

function look(rules: WorkflowRules, uses: WorkflowUses, token: WorkflowToken, turn: CallTurn): Contribution {
  const { scope } = token;
  const fault = faultOf(rules, token, turn) ?? useFault(rules, uses, token, turn);
  if (fault !== undefined) return refusedBy(fault);
  const field = present({ id: scope.id, provenance: "workflow-token", scope: workflowDigest(scope) } as const);
  const known = { fields: { workflow: field }, system: { workflow: scope.id }, workflow: scope.id };
  return isInWorkflow(scope, turn.call) ? known : { ...known, denials: [UNCOVERED] };
}

function faultOf(
  { declared, leewayMs }: WorkflowRules,
  token: WorkflowToken,
  { call: { caller }, nowMs }: CallTurn,
): ReasonCode | undefined {
  if (!isInTime(token, nowMs, leewayMs)) return "workflow.expired";
  const { holder, scope } = token;
  const isHolder = [caller, actorOf(caller)].some(
    ({ issuer, name }) => issuer === holder.issuer && name === holder.name,
  );
  if (!isHolder) return "workflow.holder";
  const named = caller.facts?.workflow?.id;
  if (named !== undefined && named !== scope.id) return "workflow.conflict";
  const widest = declared(scope.id);
  if (widest === undefined) return "workflow.unknown";
  return isWithin(scope, widest) ? undefined : "workflow.wider";
}

function isWithin(inner: SealedWorkflow, outer: SealedWorkflow): boolean {
  const isTool = (tool: string): boolean => coversTool(outer.tools, tool);
  const isResource = (uri: string): boolean => outer.resources.some((prefix) => uri.startsWith(prefix));
  return inner.tools.every(isTool) && inner.resources.every(isResource);
}

function useFault(
  { reuse, leewayMs }: WorkflowRules,
  uses: WorkflowUses,
  { key, untilMs }: WorkflowToken,
  turn: CallTurn,
): ReasonCode | undefined {
  const by = reuse === "once" ? callOf(turn) : sessionOf(turn);
  // One call over its rounds, and over an approval that it waits for, is one use.
  const isAgain = turn.call.round !== undefined || turn.call.approval !== undefined;
  const isUsed = reuse === "once" && uses.has(key) && !(isAgain && uses.serves(key, by));
  if (isUsed || !uses.use(key, by, turn.nowMs, untilMs + leewayMs)) return "workflow.replay";
  return undefined;
}

/** A session that nobody vouches for is none that a token could be bound to: there it is its holder's. */
function sessionOf({ session: { place } }: CallTurn): string {
  return place.trust === "inferred" ? "" : place.key;
}

function callOf({ call: { serverId, target, params } }: CallTurn): string {
  return formatHex(sha256(canonicalBytes([serverId, target.kind, target.name, params["arguments"] ?? null])));
}

function refusedBy(reason: ReasonCode): Contribution {
  const message = "The workflow token does not hold.";
  const denial: Denial = { step: "identity", reason, rpcCode: RPC.denied, message, isFinal: true };
  return { fields: { workflow: notEstablished(reason) }, denials: [denial] };
}

const MISSING: Denial = {
  step: "identity",
  reason: "workflow.missing",
  rpcCode: RPC.denied,
  message: "This gateway wants a workflow token with this call.",
};

const UNCOVERED: Denial = {
  step: "identity",
  reason: "workflow.scope",
  rpcCode: RPC.denied,
  message: "The workflow token does not cover this call.",
};
