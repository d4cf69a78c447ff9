/** The closed lists of words in receipts, other than reason codes and findings (docs/formats/call-receipt.md). */

/** Enforcement modes: only `enforcing` refuses what policy, findings or drift deny. */
export const MODES = ["enforcing", "advisory", "silent"] as const;
export type Mode = (typeof MODES)[number];

/** How the signing key of the stream is protected. */
export const KEY_PROTECTIONS = ["software", "tpm", "sev-snp", "tdx", "opaque"] as const;
export type KeyProtection = (typeof KEY_PROTECTIONS)[number];

/** When a receipt counts as written: `durable` survives the machine, `write` survives the process. */
export const DURABILITIES = ["durable", "write"] as const;
export type Durability = (typeof DURABILITIES)[number];

/** What the gateway did with a request: sent it, refused it, held it for approval, or answered it as a phantom. */
export const ACTIONS = ["forward", "refuse", "hold", "phantom"] as const;
export type Action = (typeof ACTIONS)[number];

/** What `enforcing` mode makes of the request. */
export const JUDGEMENTS = ["allow", "deny", "hold"] as const;
export type Judgement = (typeof JUDGEMENTS)[number];

/** The step of the pipeline that settled the request, in the pipeline's order. */
export const STEPS = [
  "transport",
  "authenticate",
  "scan",
  "classify",
  "session",
  "health",
  "route",
  "catalog",
  "identity",
  "quarantine",
  "limits",
  "inspect",
  "policy",
  "approval",
  "receipt",
  "dispatch",
  "respond",
] as const;
export type Step = (typeof STEPS)[number];

/** How a dispatched call ended. */
export const STATUSES = [
  "ok",
  "tool_error",
  "rpc_error",
  "input_required",
  "task_created",
  "task_completed",
  "task_failed",
  "blocked",
  "redacted",
  "cancelled",
  "timeout",
  "upstream_error",
  "phantom",
  "unknown",
] as const;
export type Status = (typeof STATUSES)[number];

/** Whether the upstream acted: `none` only if nothing was sent. */
export const EFFECTS = ["done", "none", "unknown"] as const;
export type Effect = (typeof EFFECTS)[number];

/** Protocol eras of a leg. */
export const ERAS = ["modern", "legacy"] as const;
export type Era = (typeof ERAS)[number];

/** Transports of a leg. */
export const TRANSPORTS = ["http", "stdio"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** MCP revisions of either leg. */
export const REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] as const;
export type Revision = (typeof REVISIONS)[number];

/** Methods that a receipt may name; any other method is the caller's text and appears as a commitment only. */
export const METHODS = [
  "initialize",
  "notifications/initialized",
  "server/discover",
  "ping",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "tools/call",
  "resources/read",
  "prompts/get",
  "completion/complete",
  "subscriptions/listen",
  "resources/subscribe",
  "resources/unsubscribe",
  "logging/setLevel",
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
  "tasks/result",
  "tasks/list",
  "notifications/cancelled",
  "notifications/progress",
  "notifications/roots/list_changed",
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
] as const;
export type Method = (typeof METHODS)[number];

/** Where a session id comes from. */
export const SESSION_SOURCES = [
  "launcher",
  "workflow-token",
  "mcp-session-id",
  "token-claim",
  "host-key",
  "traceparent",
  "idle-window",
] as const;
export type SessionSource = (typeof SESSION_SOURCES)[number];

/** How far a session id can be trusted, strongest first. */
export const SESSION_TRUSTS = ["gateway-minted", "authenticated", "host-asserted", "inferred"] as const;
export type SessionTrust = (typeof SESSION_TRUSTS)[number];

/** Why a session was sealed. */
export const SEAL_REASONS = ["ended", "exit", "idle", "max-age", "operator", "shutdown", "recovery"] as const;
export type SealReason = (typeof SEAL_REASONS)[number];

/** Why a stream was closed. */
export const CLOSE_REASONS = ["shutdown", "rotation", "decommission", "fault"] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** Why a stream follows another. */
export const SUCCESSION_REASONS = ["rollback", "restore", "rotation", "ledger-unreachable"] as const;
export type SuccessionReason = (typeof SUCCESSION_REASONS)[number];

/** Where an identity comes from; a field of state `absent` is provenance `absent`. */
export const PROVENANCES = ["connection-credential", "signed-request-claim", "unsigned-request-claim"] as const;
export type Provenance = (typeof PROVENANCES)[number];

/** What the check of an identity found. */
export const IDENTITY_OUTCOMES = [
  "verified",
  "unverified",
  "unknown-key",
  "bad-signature",
  "expired",
  "wrong-audience",
  "conflict",
] as const;
export type IdentityOutcome = (typeof IDENTITY_OUTCOMES)[number];

/** To what an identity is bound. */
export const BINDINGS = ["request", "session", "connection", "none"] as const;
export type Binding = (typeof BINDINGS)[number];

/** State of a tool's definition at the call. */
export const DEFINITION_STATES = ["approved", "first-use", "cosmetic", "changed", "quarantined", "unknown"] as const;
export type DefinitionState = (typeof DEFINITION_STATES)[number];

/** What is known of the origin of a server's software. */
export const SERVER_PROVENANCES = ["verified", "catalog-mismatch", "invalid", "unchecked", "absent"] as const;
export type ServerProvenance = (typeof SERVER_PROVENANCES)[number];

/** Whose credential the upstream leg used. */
export const UPSTREAM_AUTHS = ["user", "shared", "none"] as const;
export type UpstreamAuth = (typeof UPSTREAM_AUTHS)[number];

/** What a policy obliges the gateway to do. */
export const OBLIGATIONS = ["redact", "neutralise", "taint", "require-approval", "advisory"] as const;
export type ObligationKind = (typeof OBLIGATIONS)[number];

/** What an approval proves about the approver. */
export const APPROVAL_EVIDENCES = ["authenticated", "host-asserted", "local-user"] as const;
export type ApprovalEvidence = (typeof APPROVAL_EVIDENCES)[number];

/** How people are told of an approval: in the agent's error, by its host as a URL-mode elicitation, by the webhook. */
export const APPROVAL_NOTICES = ["error", "url-elicitation", "webhook"] as const;
export type ApprovalNotice = (typeof APPROVAL_NOTICES)[number];

/** How an argument equals an earlier result. */
export const MATCH_KINDS = ["exact", "token", "encoded", "fragment"] as const;
export type MatchKind = (typeof MATCH_KINDS)[number];

/** Weight of a finding. */
export const SEVERITIES = ["block", "warn", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Counters that limit calls. */
export const LIMITS = [
  "calls-in-flight-principal",
  "calls-in-flight-session",
  "calls-in-flight-tool",
  "calls-in-flight-total",
  "calls-per-minute-principal",
  "calls-per-minute-session",
  "calls-per-minute-tool",
  "listen-streams-principal",
  "open-task-bytes-principal",
  "open-task-bytes-total",
  "open-tasks-principal",
  "rounds-per-call",
] as const;
export type LimitId = (typeof LIMITS)[number];

/** What happened to the unit that a call takes from its budget. */
export const CHARGES = ["reserved", "charged", "released", "refused"] as const;
export type Charge = (typeof CHARGES)[number];

/** Whether a load took effect. */
export const LOAD_RESULTS = ["loaded", "refused"] as const;
export type LoadResult = (typeof LOAD_RESULTS)[number];

/** How a control was moved outside of a call. */
export const OPERATOR_ACTIONS = [
  "kill-switch-on",
  "kill-switch-off",
  "quarantine-on",
  "quarantine-off",
  "safe-state-on",
  "safe-state-off",
  "approval-granted",
  "approval-refused",
  "approval-expired",
  "disclosed",
  "erased",
  "mandates-revoked",
  "mandate-roots-loaded",
] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

/** By what receipts were picked whose secrets were destroyed. */
export const ERASURE_SCOPES = ["call", "session", "data-subject", "age"] as const;
export type ErasureScope = (typeof ERASURE_SCOPES)[number];

/** Members of receipts that hold commitments to whole messages, and to the question that policy was asked (`detail` of a ruling); they can be opened. */
export const OPENED_MEMBERS = [
  "request_received",
  "request_sent",
  "response_received",
  "response_returned",
  "detail",
] as const;
export type OpenedMember = (typeof OPENED_MEMBERS)[number];

/** What a cluster wants to do with an object. */
export const ADMISSION_OPERATIONS = ["create", "update", "delete", "connect"] as const;
export type AdmissionOperation = (typeof ADMISSION_OPERATIONS)[number];

/** What it wants to do it with: pods, what makes pods, and what leads into them. */
export const ADMISSION_RESOURCES = [
  "pods",
  "pods/ephemeralcontainers",
  "pods/exec",
  "pods/attach",
  "pods/portforward",
  "replicationcontrollers",
  "podtemplates",
  "deployments",
  "replicasets",
  "statefulsets",
  "daemonsets",
  "jobs",
  "cronjobs",
  "other",
] as const;
export type AdmissionResource = (typeof ADMISSION_RESOURCES)[number];

/** What a pod says to be. */
export const ADMISSION_ROLES = ["agent", "gateway"] as const;
export type AdmissionRole = (typeof ADMISSION_ROLES)[number];

/** What made the gateway list a surface again. */
export const DRIFT_TRIGGERS = [
  "start",
  "list-changed",
  "interval",
  "pin-age",
  "restart",
  "certificate",
  "params-refused",
  "catalog-load",
] as const;
export type DriftTrigger = (typeof DRIFT_TRIGGERS)[number];

/** How a definition differs from its pin. */
export const DRIFT_CHANGES = ["added", "changed", "cosmetic", "removed", "identity", "capability"] as const;
export type DriftChange = (typeof DRIFT_CHANGES)[number];

/** What drifted. */
export const DRIFT_SUBJECTS = [
  "tool",
  "prompt",
  "resource",
  "resource-template",
  "instructions",
  "capabilities",
  "server",
] as const;
export type DriftSubject = (typeof DRIFT_SUBJECTS)[number];

/** Top-level members of a definition that changed; a member unknown to MCP is `other`. */
export const DEFINITION_MEMBERS = [
  "name",
  "title",
  "description",
  "inputSchema",
  "outputSchema",
  "annotations",
  "execution",
  "arguments",
  "uri",
  "uriTemplate",
  "mimeType",
  "icons",
  "_meta",
  "other",
] as const;
export type DefinitionMember = (typeof DEFINITION_MEMBERS)[number];

/** What the gateway did about a drift. */
export const DRIFT_ACTIONS = ["recorded", "hidden", "quarantined"] as const;
export type DriftAction = (typeof DRIFT_ACTIONS)[number];
