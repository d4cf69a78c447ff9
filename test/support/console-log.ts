/** A log that is worth looking at: two gateways, several tools and servers, denied, held and failed calls. */

import { formatHex } from "../../kernel/hex.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { type SignedReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { AuditedLog, registrationEntry } from "./audited-log.ts";
import {
  type ContentOf,
  type GatewayKeys,
  gatewayKeys,
  type ReceiptContent,
  receiptContents,
  STREAM_START_MS,
} from "./receipts.ts";

type Call = { readonly tool: string; readonly server: string; readonly policy: string; readonly denied?: boolean };

const CALLS: readonly Call[] = [
  { tool: "search_invoices", server: "finance", policy: "finance-read" },
  { tool: "read_document", server: "documents", policy: "allow-reading" },
  { tool: "create_entities", server: "memory", policy: "notes-write" },
  { tool: "delete_entities", server: "memory", policy: "no-deletes", denied: true },
  { tool: "open_nodes", server: "memory", policy: "notes-read" },
  { tool: "send_payment", server: "finance", policy: "no-payments-by-agents", denied: true },
  { tool: "summarise", server: "everything", policy: "allow-reading" },
];

const SESSION = "01234567-89ab-cdef-0123-456789abcdef";

/** Index of a denied decision. */
export const DENIED_INDEX = 60;

/** The log, published. */
export function consoleLog(): AuditedLog {
  const log = new AuditedLog();
  for (const [n, label] of ["gateway-eu-1", "gateway-us-1"].entries()) {
    const keys = gatewayKeys(40 + 20 * n);
    log.append(
      registrationEntry(keys, label),
      ...makeReceipts(keys, 18, STREAM_START_MS + n * 40_000).map(({ bytes }) => bytes),
    );
  }
  return log.publish();
}

function makeReceipts(keys: GatewayKeys, calls: number, startMs: number): readonly SignedReceipt[] {
  const contents = receiptContents(keys);
  const receipts: SignedReceipt[] = [];
  const add = (content: ReceiptContent): number => {
    const seq = receipts.length;
    const previous = receipts.at(-1);
    const header = {
      v: 1,
      stream: keys.instance.publicKey.kid,
      seq,
      time: formatTimestamp(startMs + seq * 1300),
      attestation: { state: "not_available", reason: "attestation.software" },
      ...(previous === undefined ? {} : { prev: formatHex(previous.hash) }),
    } as const;
    receipts.push(signReceipt({ ...header, ...content }, seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt]));
    return seq;
  };
  for (const kind of ["stream-open", "policy-load", "catalog-load", "session-open"] as const) add(contents[kind]);
  for (let i = 0; i < calls; i += 1) addCall(contents.decision, contents.outcome, receipts, add, i);
  return receipts;
}

function addCall(
  decision: ContentOf<"decision">,
  outcome: ContentOf<"outcome">,
  receipts: readonly SignedReceipt[],
  add: (content: ReceiptContent) => number,
  i: number,
): void {
  const call = CALLS[i % CALLS.length];
  if (call === undefined) return;
  const id = i.toString(16).padStart(32, "0");
  const wire = { ...decision.wire, mcp_name: present({ form: "name", name: call.tool } as const) };
  const server = present({
    id: call.server,
    identity: { state: "absent" },
    provenance: "unchecked",
    egress: { state: "absent" },
  } as const);
  const session =
    decision.session.state === "present"
      ? present({ ...decision.session.value, id: SESSION, session_seq: i })
      : decision.session;
  const refused = call.denied === true;
  const seq = add({
    ...decision,
    wire,
    server,
    session,
    call: { ...decision.call, id },
    ...(refused ? { request_sent: { state: "absent" }, outcome: { state: "absent" } } : {}),
    ruling: {
      ...decision.ruling,
      ...(refused ? { action: "refuse", judgement: "deny", reasons: ["policy.forbid"] } : {}),
      policies: [call.policy],
      obligations: [],
    },
  });
  const made = receipts[seq];
  if (refused || made === undefined) return;
  const status = i % 6 === 2 ? "tool_error" : "ok";
  const ties = { ...outcome.call, id, decision_seq: seq, decision_hash: formatHex(made.hash) };
  add({ ...outcome, wire, server, call: ties, outcome: { ...outcome.outcome, status } });
}
