/** OCSF events of receipts about requests: API Activity (6003), with the fields that CoSAI asks for in `unmapped`. */

import type { JsonObject } from "../kernel/json/value.ts";
import type { DecisionBody } from "../kernel/receipt/decision.ts";
import type { AttestationField } from "../kernel/receipt/fields.ts";
import type { Delegation, Principal } from "../kernel/receipt/identity.ts";
import type { Finding } from "../kernel/receipt/inspection.ts";
import { type Observed, observedValue } from "../kernel/receipt/observed.ts";
import { REASON_CODES, type ReasonCode } from "../kernel/receipt/reasons.ts";
import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import type { Ruling } from "../kernel/receipt/ruling.ts";
import type { CalledName, Server, Wire } from "../kernel/receipt/target.ts";
import type { Status } from "../kernel/receipt/vocabulary.ts";
import { timestampMs } from "../kernel/time.ts";
import type { EventFacts } from "./ocsf-event.ts";

/** Who asked, as a decision says it: outcomes are told by it. */
export type Asker = Pick<DecisionBody, "principal" | "actor" | "session" | "delegation" | "policy">;

/** Ids of `action_id` and `disposition_id`, with their captions. */
const ACTIONS = { 1: "Allowed", 2: "Denied", 4: "Modified" } as const;
const DISPOSITIONS = {
  1: "Allowed",
  2: "Blocked",
  3: "Quarantined",
  11: "Corrected",
  14: "Delayed",
  15: "Detected",
} as const;

/** What a security control did. */
function control(action: keyof typeof ACTIONS | string, disposition: keyof typeof DISPOSITIONS): JsonObject {
  const done = typeof action === "string" ? { action_id: 99, action } : { action_id: action, action: ACTIONS[action] };
  return { ...done, disposition_id: disposition, disposition: DISPOSITIONS[disposition] };
}

/** The event of a decision. */
export function decisionFacts(receipt: ReceiptOf<"decision">): EventFacts {
  const { ruling, wire, server, call } = receipt;
  const [reason] = ruling.reasons;
  const isRefused = ruling.action === "refuse";
  return {
    class: "api",
    activity: activityOf(wire),
    severity: severityOf(ruling, receipt.inspection),
    status: isRefused ? 2 : ruling.action === "hold" ? "held" : "pending",
    ...reasonFacts(reason),
    message: `${operationOf(wire)}${onServer(server)}: ${ruling.action}${ruling.would_deny ? ", would be denied" : ""}`,
    correlation: call.id,
    attributes: {
      ...callAttributes(receipt, receipt, call.id),
      ...rulingControl(ruling),
      ...policyAttributes(receipt, ruling),
    },
    unmapped: { ...agentic(receipt, receipt.delegation), ...rulingFacts(ruling), ...findingFacts(receipt.inspection) },
  };
}

/** The event of an outcome. @param asker  by its decision, if that one was seen */
export function outcomeFacts(receipt: ReceiptOf<"outcome">, asker: Asker | undefined): EventFacts {
  const { outcome, wire, server, call, respond } = receipt;
  const ruling = observedValue(respond);
  const code = observedValue(outcome.rpc_code);
  const response = {
    ...(code === undefined ? {} : { code }),
    ...(isOk(outcome.status) ? {} : { error: outcome.status }),
  };
  const attributes = callAttributes(receipt, asker, call.id);
  return {
    class: "api",
    activity: activityOf(wire),
    severity: outcome.status === "blocked" ? 3 : isOk(outcome.status) ? 1 : 2,
    status: outcome.status === "unknown" ? 0 : isOk(outcome.status) ? 1 : 2,
    statusCode: outcome.status,
    message: `${operationOf(wire)}${onServer(server)}: ${outcome.status}, effect ${outcome.effect}`,
    correlation: call.id,
    attributes: { ...attributes, api: { ...attributes.api, response }, ...outcomeControl(outcome.status) },
    unmapped: {
      ...agentic(receipt, asker?.delegation),
      effect: outcome.effect,
      decision_seq: call.decision_seq,
      ...(ruling === undefined ? {} : { respond: rulingFacts(ruling) }),
      ...findingFacts(receipt.inspection),
    },
  };
}

/** The event of refusals that were counted together. */
export function refusalsFacts(receipt: ReceiptOf<"refusals">): EventFacts {
  const [start, end] = [timestampMs(receipt.from), timestampMs(receipt.to)];
  return {
    class: "api",
    activity: 0,
    severity: 3,
    status: 2,
    ...reasonFacts(receipt.reason),
    message: `${receipt.count} requests refused: ${receipt.reason}`,
    attributes: {
      count: Math.min(receipt.count, 2_147_483_647),
      start_time: start,
      end_time: end,
      duration: end - start,
      actor: actorOf(receipt.principal),
      api: { operation: "unknown" },
      src_endpoint: { name: "mcp client" },
      ...control(2, 2),
    },
    unmapped: { ...attestationOf(receipt.attestation), step: receipt.step, refusals: receipt.count },
  };
}

/** The event of a cluster's question. */
export function admissionFacts(receipt: ReceiptOf<"admission">): EventFacts {
  const activity = { create: 1, update: 3, delete: 4, connect: "Connect" }[receipt.operation];
  return {
    class: "api",
    activity,
    severity: receipt.allowed ? 1 : 3,
    status: receipt.allowed ? 1 : 2,
    ...reasonFacts(receipt.reason),
    message: `admission of ${receipt.resource}: ${receipt.allowed ? "allowed" : "denied"}`,
    attributes: {
      actor: actorOf(receipt.requester),
      api: { operation: receipt.operation, service: { name: "kubernetes" } },
      src_endpoint: { name: "kubernetes api server" },
      ...(receipt.allowed ? control(1, 1) : control(2, 2)),
    },
    unmapped: attestationOf(receipt.attestation),
  };
}

/** The event of what an operator did. */
export function operatorFacts(receipt: ReceiptOf<"operator-action">): EventFacts {
  return {
    class: "api",
    activity: receipt.action,
    severity: 2,
    status: 1,
    ...reasonFacts(receipt.reason),
    message: `operator: ${receipt.action} of ${receipt.target.type}`,
    attributes: {
      actor: actorOf(receipt.by),
      api: { operation: receipt.action, service: { name: "countersign gateway" } },
      src_endpoint: { name: "operator" },
    },
    unmapped: { ...attestationOf(receipt.attestation), target: receipt.target.type },
  };
}

type AboutCall = { readonly wire: Wire; readonly server: Observed<Server>; readonly attestation: AttestationField };

function callAttributes(
  { wire, server }: AboutCall,
  asker: Asker | undefined,
  callId: string,
): { readonly actor: JsonObject; readonly api: JsonObject; readonly src_endpoint: JsonObject } & JsonObject {
  const service = observedValue(server)?.id;
  const revision = observedValue(wire.revision);
  return {
    actor: actorOf(asker?.principal, asker),
    api: {
      operation: operationOf(wire),
      request: { uid: callId },
      ...(service === undefined ? {} : { service: { name: service } }),
      ...(revision === undefined ? {} : { version: revision }),
    },
    // Receipts hold no addresses.
    src_endpoint: { name: `mcp client over ${wire.transport}` },
    ...(service === undefined ? {} : { dst_endpoint: { svc_name: service } }),
  };
}

/** A principal by its keyed hash; who is not known is called by the state of what is known. */
function actorOf(principal: Observed<Principal> | undefined, asker?: Asker): JsonObject {
  const known = principal === undefined ? undefined : observedValue(principal);
  const session = asker === undefined ? undefined : observedValue(asker.session);
  const acting = asker === undefined ? undefined : observedValue(asker.actor);
  const state = principal?.state ?? "not_established";
  return {
    user: known === undefined ? { name: state, type_id: 0 } : { uid: known.id, domain: known.issuer, type_id: 0 },
    ...(session === undefined ? {} : { session: { uid: session.id } }),
    ...(acting === undefined ? {} : { app_uid: acting.id }),
  };
}

function rulingControl({ action, would_deny }: Ruling): JsonObject {
  switch (action) {
    case "forward":
      return would_deny ? control(1, 15) : control(1, 1);
    case "refuse":
      return control(2, 2);
    case "phantom":
      return control(2, 3);
    case "hold":
      return control("Held", 14);
  }
}

function outcomeControl(status: Status): JsonObject {
  if (status === "blocked") return control(2, 2);
  if (status === "redacted") return control(4, 11);
  return status === "phantom" ? control(2, 3) : control(1, 1);
}

function policyAttributes({ policy }: Asker, { policies, judgement, mode }: Ruling): JsonObject {
  const ref = observedValue(policy);
  const authorizations = policies.map((name) => ({ decision: judgement, policy: { name } }));
  return {
    ...(ref === undefined
      ? {}
      : { policy: { uid: ref.digest, version: ref.version, is_applied: mode === "enforcing" } }),
    ...(authorizations.length === 0 ? {} : { authorizations }),
  };
}

/** The fields that CoSAI asks for by these names. */
function agentic({ wire, attestation }: AboutCall, delegation: Observed<Delegation> | undefined): JsonObject {
  const hops = delegation === undefined ? undefined : observedValue(delegation)?.hops;
  const name = observedValue(wire.mcp_name);
  return {
    delegation_path: hops?.map(({ delegate }) => delegate) ?? [],
    delegation_state: delegation?.state ?? "not_established",
    ...attestationOf(attestation),
    correlation_id: observedValue(wire.correlation) ?? null,
    mcp_method: observedValue(wire.mcp_method) ?? null,
    mcp_name: name === undefined ? null : nameOf(name),
  };
}

function attestationOf(attestation: AttestationField): JsonObject {
  const reason = attestation.state === "present" ? {} : { attestation_reason: attestation.reason };
  return { attestation_state: attestation.state, ...reason };
}

/** A name that is no catalog's is a commitment. */
function nameOf(name: CalledName): string {
  return name.form === "name" ? name.name : name.commitment.root;
}

function rulingFacts({ mode, action, judgement, step, reasons, policies, advisory, controls }: Ruling): JsonObject {
  return {
    mode,
    action,
    judgement,
    step,
    reasons: [...reasons],
    policies: [...policies],
    advisory: [...advisory],
    controls: [...controls],
  };
}

function findingFacts(inspection: Observed<{ readonly findings: readonly Finding[] }>): JsonObject {
  const findings = observedValue(inspection)?.findings ?? [];
  return { findings: findings.map(({ rule, severity, count }) => ({ rule, severity, count })) };
}

function severityOf(ruling: Ruling, inspection: DecisionBody["inspection"]): EventFacts["severity"] {
  if (ruling.action === "phantom") return 4;
  const isBlocking = observedValue(inspection)?.findings.some(({ severity }) => severity === "block") === true;
  if (ruling.action === "refuse" || isBlocking) return 3;
  return ruling.would_deny || ruling.action === "hold" ? 2 : 1;
}

function isOk(status: Status): boolean {
  return ["ok", "redacted", "input_required", "task_created", "task_completed"].includes(status);
}

function reasonFacts(reason: ReasonCode | undefined): Pick<EventFacts, "statusCode" | "statusDetail"> {
  return reason === undefined ? {} : { statusCode: reason, statusDetail: REASON_CODES[reason] };
}

function operationOf({ mcp_method: method }: Wire): string {
  return observedValue(method) ?? "unknown";
}

/** Whether a tool reads or writes nobody here knows; what reads by its method does. */
function activityOf(wire: Wire): EventFacts["activity"] {
  const operation = operationOf(wire);
  if (operation === "unknown") return 0;
  return ["resources/read", "prompts/get"].includes(operation) ? 2 : operation;
}

function onServer(server: Observed<Server>): string {
  const id = observedValue(server)?.id;
  return id === undefined ? "" : ` on ${id}`;
}
