/**
 * The closed lists of receipts, pinned: a word that changes or goes makes old receipts unreadable, and one that comes
 * must be meant. Change the literal here together with the list, and docs/formats/call-receipt.md.
 */

import { describe, expect, it } from "vitest";
import { FINDING_CODES, findingCodeShape, isFindingCode } from "../../kernel/receipt/findings.ts";
import { isReasonCode, REASON_CODES, reasonShape } from "../../kernel/receipt/reasons.ts";
import * as vocabulary from "../../kernel/receipt/vocabulary.ts";
import { codeOf } from "../support/code-of.ts";

const words = (text: string): readonly string[] => text.trim().split(/\s+/u);

describe("the closed lists", () => {
  it("of words in receipts are these", () => {
    const lists = Object.entries(vocabulary).map(([name, list]) => [name, list.join(" ")]);
    expect(Object.fromEntries(lists)).toEqual({
      ADMISSION_OPERATIONS: "create update delete connect",
      ADMISSION_RESOURCES:
        "pods pods/ephemeralcontainers pods/exec pods/attach pods/portforward replicationcontrollers podtemplates deployments replicasets statefulsets daemonsets jobs cronjobs other",
      ADMISSION_ROLES: "agent gateway",
      ACTIONS: "forward refuse hold phantom",
      APPROVAL_EVIDENCES: "authenticated host-asserted local-user",
      APPROVAL_NOTICES: "error url-elicitation webhook",
      BINDINGS: "request session connection none",
      CHARGES: "reserved charged released refused",
      CLOSE_REASONS: "shutdown rotation decommission fault",
      DEFINITION_MEMBERS:
        "name title description inputSchema outputSchema annotations execution arguments uri uriTemplate mimeType icons _meta other",
      DEFINITION_STATES: "approved first-use cosmetic changed quarantined unknown",
      DRIFT_ACTIONS: "recorded hidden quarantined",
      DRIFT_CHANGES: "added changed cosmetic removed identity capability",
      DRIFT_SUBJECTS: "tool prompt resource resource-template instructions capabilities server",
      DRIFT_TRIGGERS: "start list-changed interval pin-age restart certificate params-refused catalog-load",
      DURABILITIES: "durable write",
      EFFECTS: "done none unknown",
      ERAS: "modern legacy",
      IDENTITY_OUTCOMES: "verified unverified unknown-key bad-signature expired wrong-audience conflict",
      JUDGEMENTS: "allow deny hold",
      KEY_PROTECTIONS: "software tpm sev-snp tdx opaque",
      LIMITS:
        "calls-in-flight-principal calls-in-flight-session calls-in-flight-tool calls-in-flight-total calls-per-minute-principal calls-per-minute-session calls-per-minute-tool listen-streams-principal open-task-bytes-principal open-task-bytes-total open-tasks-principal rounds-per-call",
      LOAD_RESULTS: "loaded refused",
      MATCH_KINDS: "exact token encoded fragment",
      METHODS:
        "initialize notifications/initialized server/discover ping tools/list prompts/list resources/list resources/templates/list tools/call resources/read prompts/get completion/complete subscriptions/listen resources/subscribe resources/unsubscribe logging/setLevel tasks/get tasks/update tasks/cancel tasks/result tasks/list notifications/cancelled notifications/progress notifications/roots/list_changed sampling/createMessage elicitation/create roots/list",
      MODES: "enforcing advisory silent",
      OBLIGATIONS: "redact neutralise taint require-approval advisory",
      OPERATOR_ACTIONS:
        "kill-switch-on kill-switch-off quarantine-on quarantine-off safe-state-on safe-state-off approval-granted approval-refused approval-expired disclosed erased mandates-revoked mandate-roots-loaded",
      ERASURE_SCOPES: "call session data-subject age",
      OPENED_MEMBERS: "request_received request_sent response_received response_returned detail",
      PROVENANCES: "connection-credential signed-request-claim unsigned-request-claim",
      REVISIONS: "2024-11-05 2025-03-26 2025-06-18 2025-11-25 2026-07-28",
      SEAL_REASONS: "ended exit idle max-age operator shutdown recovery",
      SERVER_PROVENANCES: "verified catalog-mismatch invalid unchecked absent",
      SESSION_SOURCES: "launcher workflow-token mcp-session-id token-claim host-key traceparent idle-window",
      SESSION_TRUSTS: "gateway-minted authenticated host-asserted inferred",
      SEVERITIES: "block warn info",
      STATUSES:
        "ok tool_error rpc_error input_required task_created task_completed task_failed blocked redacted cancelled timeout upstream_error phantom unknown",
      STEPS:
        "transport authenticate scan classify session health route catalog identity quarantine limits inspect policy approval receipt dispatch respond",
      SUCCESSION_REASONS: "rollback restore rotation ledger-unreachable",
      TRANSPORTS: "http stdio",
      UPSTREAM_AUTHS: "user shared none",
    });
  });

  it("of reason codes is this", () => {
    expect(Object.keys(REASON_CODES)).toEqual(
      words(`
      admission.connect admission.image admission.scope admission.sealed admission.unchanged admission.ungoverned
      admission.unreadable admission.unsealed approval.expired approval.granted approval.mismatch approval.not-requested approval.refused approval.required approval.spent
      args.case-alias args.schema artifact.mismatch artifact.missing artifact.scope artifact.wider attestation.collection-failed
      attestation.expired attestation.no-device attestation.software attestation.unverified auth.audience
      auth.binding auth.certificate auth.dpop auth.expired auth.inactive auth.introspection auth.invalid auth.issuer auth.keys-unavailable
      auth.missing auth.nonce auth.not-yet-valid auth.replay auth.revocation-unknown auth.revoked auth.scope bridge.no-legacy-input
      bridge.unsupported catalog.digest-mismatch catalog.invalid catalog.lower-version catalog.pagination
      catalog.too-large catalog.unapproved catalog.unsigned client.cancelled client.disconnected
      definition.changed definition.hidden definition.quarantined definition.unchecked definition.unknown
      delegation.broken delegation.expired delegation.holder delegation.missing delegation.revoked delegation.roots delegation.scope
      delegation.untrusted delegation.wider egress.undeclared field.not-collected field.not-configured
      field.not-reached http.accept http.body http.content-type http.header http.header-mismatch
      http.header-missing http.headers-too-large http.host http.method http.origin http.path
      identity.bad-signature identity.conflict identity.unknown-key identity.unsigned-claim
      input.credential-asked input.elicitation-host inspect.block inspect.budget inspect.failed
      inspect.redact-failed json.bom json.case-collision json.depth json.duplicate-key json.members
      json.number-range json.proto-key json.reserved-alias json.shape json.size json.surrogate json.syntax
      json.utf8 kill-switch.active ledger.unreachable limit.in-flight limit.listen-streams
      limit.per-principal limit.per-session limit.per-tool limit.sessions limit.tasks limit.total mcp.capability-missing
      mcp.claim-malformed mcp.method-removed mcp.method-unknown mcp.notification-refused
      mcp.version-unsupported measurement.mismatch name.ambiguous name.unknown operator.incident
      operator.maintenance operator.request outbox.full pin.stale policy.advisory-forbid
      policy.default-deny policy.digest-mismatch policy.engine-failed policy.error policy.expired
      policy.forbid policy.invalid policy.lower-version policy.not-forbidden policy.permit policy.request-unmappable
      policy.unsigned receipt.too-large receipt.unavailable recovery.crash resource.ambiguous resource.unknown rpc.id
      rpc.shape rpc.version server.identity-changed server.publisher server.quarantined server.unavailable server.unknown
      session.ended session.expired session.foreign session.required session.unknown state.invalid
      state.rounds stdio.noise subject.drift subject.quarantined taint.boundary task.foreign task.gone task.unknown
      upstream.closed upstream.connect upstream.credential upstream.id-unknown upstream.invalid upstream.protocol
      upstream.redirect upstream.status upstream.timeout upstream.undeclared-input upstream.unseen vault.retention
      workflow.audience workflow.claim-ignored workflow.conflict workflow.expired workflow.holder workflow.invalid workflow.missing workflow.replay workflow.scope workflow.unknown workflow.untrusted workflow.wider
    `),
    );
  });

  it("of finding codes is this", () => {
    expect(Object.keys(FINDING_CODES)).toEqual(
      words(`
      catalog.pagination catalog.too-large drift.added drift.changed drift.cosmetic drift.removed inj.address
      inj.authority inj.conceal inj.context-param inj.encoded inj.exfil inj.ignore inj.markup inj.path
      inj.precondition inj.tag inj.tool inspect.budget name.charset name.clone name.length name.look-alike
      pii.card pii.email pii.hint pii.iban pii.ip pii.phone pii.us_ssn schema.contradiction schema.header
      schema.remote-ref secret.anthropic-key secret.aws-access-key secret.aws-secret secret.gitlab-token
      secret.google-api-key secret.high-entropy secret.huggingface-token secret.jwt secret.openai-key
      secret.private-key secret.slack-token secret.stripe-key secret.token-crc32 secret.url-credentials
      supply.install supply.unpinned surplus.bytes surplus.items surplus.undeclared text.long unicode.ansi unicode.bidi unicode.bidi-mark
      unicode.combining unicode.compatibility unicode.confusable unicode.control unicode.hidden
      unicode.invisible-operator unicode.mixed-script unicode.private-use unicode.tag unicode.unassigned
      unicode.variation unicode.zero-width upstream.unknown-notification
    `),
    );
  });

  it("take their own words and no others, not even those that every object has", () => {
    for (const code of Object.keys(REASON_CODES)) expect(reasonShape.read(code, "reason")).toBe(code);
    for (const code of Object.keys(FINDING_CODES)) expect(findingCodeShape.read(code, "rule")).toBe(code);
    for (const other of ["", "policy.permit ", "Policy.permit", "toString", "__proto__", "constructor"]) {
      expect(isReasonCode(other)).toBe(false);
      expect(isFindingCode(other)).toBe(false);
      expect(codeOf(() => reasonShape.read(other, "reason"))).toBe("ERR_SHAPE");
      expect(codeOf(() => findingCodeShape.read(other, "rule"))).toBe("ERR_SHAPE");
    }
  });

  it("have each word once", () => {
    for (const list of Object.values(vocabulary)) expect(new Set<string>(list).size).toBe(list.length);
  });
});
