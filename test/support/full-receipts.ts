/** Contents of receipts with every place filled: no field that can be present is absent, no list that can have items is empty. */

import { linkOf } from "../../kernel/receipt/delegation.ts";
import type { DriftItem } from "../../kernel/receipt/drift.ts";
import type { DataFacts } from "../../kernel/receipt/inspection.ts";
import { ABSENT, notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { ReceiptBody } from "../../kernel/receipt/receipt.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { digestOf, hex64, receiptBodies, STREAM_START_MS } from "./receipts.ts";

const COMMITMENT = { scheme: "countersign/fields/v1", root: hex64(0x51) } as const;
const PRINCIPAL = { issuer: "https://idp.example.com", id: hex64(0x52) };
const IDENTITY = {
  ...PRINCIPAL,
  provenance: "signed-request-claim",
  outcome: "verified",
  binding: "request",
} as const;
const POINTER = "/params/arguments/*";
const FACTS: Omit<DataFacts, "inspection"> = {
  redactions: present({ places: [{ rule: "op.internal-names", pointer: POINTER, count: 2 }], removed: COMMITMENT }),
  matches: present({ items: [{ source: 2, pointer: POINTER, kind: "exact", count: 1 }], bounded: true }),
  taint: present({ before: ["contact-data"], after: ["contact-data"], sources: [{ label: "contact-data", seq: 2 }] }),
  edges: present([{ source: 2, kind: "match", from: "health", to: "public" }]),
};

/** One body of each kind, at the places of `receiptBodies`, as full as it can be. */
export function fullReceiptBodies(): readonly ReceiptBody[] {
  const bodies = receiptBodies();
  const attestation = { state: "present", ref: digestOf(0x53) } as const;
  return [
    { ...bodies["stream-open"], attestation, predecessor: { stream: hex64(0x54), reason: "restore" } },
    fullPolicyLoad(bodies["policy-load"]),
    fullCatalogLoad(bodies["catalog-load"]),
    {
      ...bodies["session-open"],
      workflow: present({ id: "wf-1", provenance: "workflow-token", scope: digestOf(0x55) }),
      taint: present(["contact-data"]),
      session_artifact: digestOf(0x58),
    },
    fullDecision(bodies.decision),
    fullOutcome(bodies.outcome),
    bodies["session-seal"],
    bodies.heartbeat,
    { ...bodies.refusals, principal: present(PRINCIPAL) },
    fullDrift(bodies.drift),
    bodies["operator-action"],
    bodies.admission,
    bodies["stream-close"],
  ];
}

type BodyOf<K extends ReceiptBody["kind"]> = Extract<ReceiptBody, { readonly kind: K }>;

function fullPolicyLoad(body: BodyOf<"policy-load">): BodyOf<"policy-load"> {
  return {
    ...body,
    result: "refused",
    reasons: ["policy.unsigned"],
    policy: { ...body.policy, artifact: present(digestOf(0x56)), session_artifact: digestOf(0x59) },
    previous: present(digestOf(0x57)),
  };
}

function fullCatalogLoad(body: BodyOf<"catalog-load">): BodyOf<"catalog-load"> {
  return { ...body, result: "refused", reasons: ["catalog.unsigned"], previous: present(digestOf(0x58)) };
}

function fullDecision(body: BodyOf<"decision">): BodyOf<"decision"> {
  const scope = {
    tools: ["everything/echo", "everything/*"],
    resources: [hex64(0x59)],
    not_after: formatTimestamp(STREAM_START_MS + 3_600_000),
    depth: 1,
  };
  const hop = { delegator: hex64(0x5a), delegate: hex64(0x5b), scope };
  return {
    ...body,
    ...FACTS,
    call: { ...body.call, round: 1, first_round: present(2), retry_of: present(3) },
    delegation: present({
      hops: [{ ...hop, link: linkOf(hop, null) }],
      correlation: hex64(0x5d),
    }),
    subject: present(IDENTITY),
    workflow: present({ id: "wf-1", provenance: "token-claim", scope: digestOf(0x55) }),
    policy: present({
      digest: digestOf(0x5e),
      version: "1.0.0",
      artifact: present(digestOf(0x56)),
      session_artifact: digestOf(0x59),
    }),
    wire: {
      ...body.wire,
      mcp_name: present({ form: "commitment", commitment: COMMITMENT }),
      correlation: present(hex64(0x5f)),
    },
    server: present({
      id: "everything",
      identity: present(digestOf(0x35)),
      provenance: "verified",
      egress: present(digestOf(0x60)),
    }),
    ruling: {
      ...body.ruling,
      erring: ["err-1"],
      advisory: ["adv-1"],
      detail: present(COMMITMENT),
    },
    approval: present({
      id: "a".repeat(32),
      evidence: "authenticated",
      approver: present(PRINCIPAL),
      binding: hex64(0x61),
      notified: ["error", "webhook"],
    }),
    concurrent_with: [1, 3],
  };
}

function fullOutcome(body: BodyOf<"outcome">): BodyOf<"outcome"> {
  return {
    ...body,
    ...FACTS,
    call: { ...body.call, resolves: present(3) },
    wire: { ...body.wire, correlation: present(hex64(0x5f)) },
    server: present({
      id: "everything",
      identity: present(digestOf(0x35)),
      provenance: "verified",
      egress: present(digestOf(0x60)),
    }),
    outcome: { status: "rpc_error", effect: "unknown", rpc_code: present(-32602) },
    respond: present({
      mode: "advisory",
      action: "forward",
      judgement: "deny",
      would_deny: true,
      step: "respond",
      reasons: ["policy.forbid"],
      policies: ["forbid-respond"],
      erring: ["err-1"],
      advisory: ["adv-1"],
      obligations: [{ policy: "forbid-respond", kind: "redact", applied: false }],
      controls: ["ISO 27001:2022 A.8.12"],
      detail: present(COMMITMENT),
    }),
    accounting: present({
      limit: "calls-in-flight-total",
      charge: "charged",
      budget: 10,
      consumed: 4,
      reserved: 0,
      remaining: 6,
    }),
  };
}

function fullDrift(body: BodyOf<"drift">): BodyOf<"drift"> {
  const place: Pick<DriftItem, "subject" | "name" | "action" | "members"> = {
    subject: "tool",
    name: present({ form: "name", name: "echo" }),
    action: "hidden",
    members: [],
  };
  const added: DriftItem = { ...place, change: "added", before: ABSENT, after: present(digestOf(0x62)) };
  const removed: DriftItem = {
    ...place,
    change: "removed",
    before: notEstablished("field.not-collected"),
    after: ABSENT,
  };
  return {
    ...body,
    items: [...body.items, added, removed],
    more: 3,
    findings: [{ rule: "inj.conceal", severity: "block", pointer: "/description", count: 1 }],
  };
}
