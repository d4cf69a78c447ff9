/** What the index takes from a receipt: its place, and the few facts that questions are asked about. */

import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { OutcomeBody } from "../../kernel/receipt/outcome.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Wire } from "../../kernel/receipt/target.ts";
import type { Signed } from "../../kernel/signature/envelope.ts";
import type { IndexedFilter } from "./keys.ts";
import type { ReceiptChecks, ReceiptRow } from "./row-shapes.ts";

/** Where a receipt stands in the log. */
export interface EntryPlace {
  readonly index: number;
  /** In hexadecimal. */
  readonly leaf: string;
}

type Facts = Omit<ReceiptRow, "index" | "leaf" | "stream" | "seq" | "kind" | "time" | "checks">;

/**
 * The row of a receipt.
 *
 * @param decision  of an outcome: the row of the decision that it belongs to, from which it takes the session
 */
export function receiptRowOf(
  { index, leaf }: EntryPlace,
  receipt: StreamReceipt,
  checks: ReceiptChecks,
  decision: ReceiptRow | undefined,
): ReceiptRow {
  const { stream, seq, kind, time } = receipt;
  return { index, leaf, stream, seq, kind, time, ...factsOf(receipt, decision), checks };
}

/** The values under which a receipt is found. */
export function filterValues(row: ReceiptRow): readonly (readonly [IndexedFilter, string])[] {
  const values: readonly (readonly [IndexedFilter, string | undefined])[] = [
    ["kind", row.kind],
    ["stream", row.stream],
    ["tool", row.tool],
    ["server", row.server],
    ["session", row.session],
    ["decision", row.action],
    ["policy", row.policy?.digest],
  ];
  return values.flatMap(([filter, value]) => (value === undefined ? [] : [[filter, value] as const]));
}

function factsOf(receipt: StreamReceipt, decision: ReceiptRow | undefined): Facts {
  switch (receipt.kind) {
    case "decision":
      return decisionFacts(receipt);
    case "outcome":
      return outcomeFacts(receipt, decision);
    case "session-open":
    case "session-seal":
      return { session: receipt.session.id };
    case "policy-load":
      return {
        policy: { digest: receipt.policy.digest, version: receipt.policy.version },
        mode: receipt.mode,
        reasons: receipt.reasons,
      };
    case "catalog-load":
      return { reasons: receipt.reasons };
    case "refusals":
      return { step: receipt.step, reasons: [receipt.reason] };
    case "operator-action":
      return { reasons: [receipt.reason], ...("server" in receipt.target ? { server: receipt.target.server } : {}) };
    case "admission":
      return { reasons: [receipt.reason] };
    case "drift":
      return { server: receipt.server, mode: receipt.mode };
    case "stream-open":
    case "heartbeat":
    case "stream-close":
      return {};
  }
}

function decisionFacts(receipt: Signed<DecisionBody>): Facts {
  const { ruling } = receipt;
  const policy = observedValue(receipt.policy);
  const session = observedValue(receipt.session)?.id;
  return {
    ...callFacts(receipt.wire, observedValue(receipt.server)?.id),
    ...(session === undefined ? {} : { session }),
    ...(policy === undefined ? {} : { policy: { digest: policy.digest, version: policy.version } }),
    action: ruling.action,
    judgement: ruling.judgement,
    would_deny: ruling.would_deny,
    mode: ruling.mode,
    step: ruling.step,
    reasons: ruling.reasons,
    policies: ruling.policies,
  };
}

function outcomeFacts(receipt: Signed<OutcomeBody>, decision: ReceiptRow | undefined): Facts {
  const session = decision?.session;
  return {
    ...callFacts(receipt.wire, observedValue(receipt.server)?.id),
    ...(session === undefined ? {} : { session }),
    status: receipt.outcome.status,
    effect: receipt.outcome.effect,
    decision_seq: receipt.call.decision_seq,
  };
}

/** A tool's name is there if the approved catalog has it; any other name is a commitment and stays one. */
function callFacts(wire: Wire, server: string | undefined): Pick<Facts, "tool" | "server" | "method"> {
  const name = observedValue(wire.mcp_name);
  const method = observedValue(wire.mcp_method);
  return {
    ...(name?.form === "name" ? { tool: name.name } : {}),
    ...(server === undefined ? {} : { server }),
    ...(method === undefined ? {} : { method }),
  };
}
