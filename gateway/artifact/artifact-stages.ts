/**
 * What a sealed artifact denies: in safe state everything, in every mode; else what it does not cover, by mode. And the
 * workflow of a call: the one that a token or a verified claim names, within the scope that the artifact seals for it.
 */

import type { JsonObject } from "../../kernel/json/value.ts";
import { mayLeadElsewhere } from "../../kernel/mandate/mandate-scope.ts";
import { coversTool, type PolicyArtifact, type SealedWorkflow, workflowDigest } from "../../kernel/policy-artifact.ts";
import type { Workflow } from "../../kernel/receipt/identity.ts";
import { ABSENT, notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { type Caller, type InboundCall, toolBehind } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import { principalOf } from "../pipeline/policy-question.ts";
import type { Gate, RequestStage } from "../pipeline/stage.ts";
import { metaOf } from "../wire/era.ts";
import type { ArtifactInForce } from "./artifact-in-force.ts";
import type { SessionArtifacts } from "./session-artifacts.ts";

const RPC_DENIED = -31_001;
const NOT_COVERED = "The sealed artifact of this agent does not cover this call.";

/** Members of `_meta` by which agents name a workflow of their own accord, whatever stands in front of the word. */
const CLAIM = /(?:^|[./])workflow(?:[-_]?id)?$/iu;

/** Refuses everything while the run is halted; a flood of it is counted in few receipts. */
export function safeStateGate(inForce: Pick<ArtifactInForce, "halted">): Gate {
  return {
    name: "safe-state",
    admit: () => {
      const denial = haltedBy(inForce);
      return denial === undefined ? { type: "admitted" } : { type: "refused", denial };
    },
    again: () => haltedBy(inForce),
  };
}

function haltedBy(inForce: Pick<ArtifactInForce, "halted">): Denial | undefined {
  const reason = inForce.halted();
  if (reason === undefined) return undefined;
  const message =
    reason === "policy.expired"
      ? "The gateway's policy is not valid any more; its operator has to renew it."
      : "The gateway is in safe state; its operator has to look.";
  return { step: "health", reason, rpcCode: RPC_DENIED, message, isFinal: true };
}

/**
 * Refuses everything of an agent or session whose own artifact serves nothing, or that has to have one and has none; of nobody
 * else anything.
 */
export function sessionGate(sessions: Pick<SessionArtifacts, "haltedFor">): Gate {
  return {
    name: "session-artifact",
    admit: (call) => {
      const denial = haltedOf(sessions, call);
      return denial === undefined ? { type: "admitted" } : { type: "refused", denial };
    },
  };
}

function haltedOf(
  sessions: Pick<SessionArtifacts, "haltedFor">,
  call: InboundCall,
): (Denial & { readonly isFinal: true }) | undefined {
  const reason = sessions.haltedFor(call);
  if (reason === undefined) return undefined;
  const message =
    reason === "artifact.missing"
      ? "The gateway wants a sealed artifact for this agent, and there is none."
      : "The sealed artifact of this agent is not valid any more; its operator has to renew it.";
  return { step: "health", reason, rpcCode: RPC_DENIED, message, isFinal: true };
}

/** Denies what the artifacts in force do not cover, and names the workflow. */
export function scopeStage(
  inForce: Pick<ArtifactInForce, "current">,
  sessions: Pick<SessionArtifacts, "haltedFor" | "covers">,
): RequestStage {
  return {
    name: "artifact",
    begin: (call) => () => {
      const artifact = inForce.current()?.artifact;
      const workflow = workflowOf(artifact, call.caller);
      // The gate asked before this turn: an artifact may have ended since, or be another one.
      const halted = haltedOf(sessions, call);
      if (halted !== undefined) return { denials: [halted] };
      const denials = artifact === undefined ? [] : denialsOf(artifact, call, workflow);
      if (!sessions.covers(call)) denials.push(denial("artifact.scope", NOT_COVERED));
      return { denials, system: { workflow: workflow?.id ?? "" }, fields: { workflow: fieldOf(workflow, call) } };
    },
  };
}

/** The workflow that the caller's credential names. */
interface NamedWorkflow {
  readonly id: string;
  /** What the artifact seals for it; undefined if it does not know the workflow, or there is no artifact. */
  readonly sealed: SealedWorkflow | undefined;
  readonly field: Workflow;
}

function workflowOf(artifact: PolicyArtifact | undefined, { issuer, facts }: Caller): NamedWorkflow | undefined {
  const claim = facts?.workflow;
  if (claim === undefined) return undefined;
  const sealed = artifact?.workflows.find(({ id }) => id === claim.id);
  const provenance = issuer === "local" ? "workflow-token" : "token-claim";
  const scope = sealed === undefined ? claim.scope : workflowDigest(sealed);
  return { id: claim.id, sealed, field: { id: claim.id, provenance, scope } };
}

/** A workflow of the agent's own word is no workflow: it widens nothing, and the receipt says that it was ignored. */
function fieldOf(workflow: NamedWorkflow | undefined, { params }: InboundCall): Observed<Workflow> {
  if (workflow !== undefined) return present(workflow.field);
  return claimsWorkflow(metaOf(params)) ? notEstablished("workflow.claim-ignored") : ABSENT;
}

function claimsWorkflow(meta: JsonObject): boolean {
  for (const key of Object.keys(meta)) if (CLAIM.test(key)) return true;
  return false;
}

function denialsOf(artifact: PolicyArtifact, call: InboundCall, workflow: NamedWorkflow | undefined): Denial[] {
  const denials: Denial[] = [];
  const { id } = principalOf(call.caller, call.wire.transport);
  if (!artifact.subjects.some(({ principal }) => principal === id)) {
    denials.push(denial("artifact.scope", "The gateway's sealed policy does not name this caller."));
  }
  if (!covers(artifact, call)) {
    denials.push(denial("artifact.scope", "The gateway's sealed policy does not cover this call."));
  }
  if (workflow !== undefined && !isInWorkflow(workflow.sealed, call)) {
    denials.push(denial("workflow.scope", "The workflow's scope does not cover this call."));
  }
  return denials;
}

function covers({ tools, upstreams }: PolicyArtifact, call: InboundCall): boolean {
  const { serverId } = call;
  const tool = toolBehind(call);
  if (tool !== undefined) return coversTool(tools, `${serverId}/${tool}`);
  return upstreams.some(({ server }) => server === serverId);
}

/** Tools as listed, resources by their prefixes; what a workflow does not list it has not. What may lead elsewhere is under no prefix. */
export function isInWorkflow(sealed: SealedWorkflow | undefined, call: InboundCall): boolean {
  if (sealed === undefined) return false;
  const { serverId, target } = call;
  const tool = toolBehind(call);
  if (tool !== undefined) return coversTool(sealed.tools, `${serverId}/${tool}`);
  if (target.kind !== "resource" || mayLeadElsewhere(target.name)) return false;
  return sealed.resources.some((prefix) => target.name.startsWith(prefix));
}

function denial(reason: ReasonCode, message: string): Denial {
  return { step: "policy", reason, rpcCode: RPC_DENIED, message };
}
