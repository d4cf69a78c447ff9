/** Receipts as OCSF events: every kind by the schema's own rules, and what an event says of its receipt. */

import { describe, expect, it } from "vitest";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { ABSENT, notEstablished } from "../../kernel/receipt/observed.ts";
import { parseReceipt, type ReceiptBody, receiptHash } from "../../kernel/receipt/receipt.ts";
import { OcsfExport } from "../../verifier/ocsf.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { ocsfFaults } from "../support/ocsf-rules.ts";
import { receiptBodies } from "../support/receipts.ts";

const SIGNATURES = [{ alg: "ed25519", kid: "aa".repeat(32), sig: "A".repeat(86).concat("==") }];
const bytesOf = (body: ReceiptBody): Uint8Array => canonicalBytes({ ...body, signatures: SIGNATURES } as JsonValue);

/** Events of bodies, in their order, by one export. */
function eventsOf(bodies: readonly ReceiptBody[]): readonly JsonObject[] {
  const ocsf = new OcsfExport();
  return bodies.map((body, index) => {
    const bytes = bytesOf(body);
    return ocsf.eventOf({ receipt: parseReceipt(bytes), bytes, log: { origin: "log.example/test", index } });
  });
}

const ALL = [...Object.values(receiptBodies()), ...fullReceiptBodies()];

describe("an event", () => {
  it("is of its class by the schema's rules, for every kind of receipt, bare and full", () => {
    for (const [i, event] of eventsOf(ALL).entries()) {
      expect([ALL[i]?.kind, ocsfFaults(JSON.parse(JSON.stringify(event)))]).toEqual([ALL[i]?.kind, []]);
    }
  });

  it("names its receipt by stream, number, digest and place in the log, and has the fields of CoSAI", () => {
    const { decision } = receiptBodies();
    const [event] = eventsOf([decision]);
    expect(event).toMatchObject({
      class_uid: 6003,
      metadata: { uid: `${decision.stream}/${decision.seq}`, event_code: "decision", log_name: "log.example/test" },
      raw_data_hash: { value: formatHex(receiptHash(bytesOf(decision))) },
      unmapped: {
        attestation_state: decision.attestation.state,
        correlation_id: null,
        mcp_method: "tools/call",
        mcp_name: "echo",
        countersign: { seq: decision.seq, log: { origin: "log.example/test", leaf_index: 0 } },
      },
    });
    expect(Object.keys(event?.["unmapped"] ?? {})).toContain("delegation_path");
  });

  it("of an outcome names who asked, by the decision before it, and nobody without it", () => {
    const { decision, outcome } = receiptBodies();
    const pending = { ...decision, outcome: { state: "pending" as const } };
    const ended = { ...outcome, call: { ...outcome.call, decision_seq: decision.seq } };
    const [, known] = eventsOf([pending, ended]);
    const principal = decision.principal.state === "present" ? decision.principal.value.id : "";
    expect(known).toMatchObject({ actor: { user: { uid: principal } } });
    expect(eventsOf([ended])[0]).toMatchObject({ actor: { user: { name: "not_established" } } });
  });

  it("says what was decided: denied, would be denied, held, answered with invented data", () => {
    const { decision } = receiptBodies();
    const { ruling } = decision;
    const events = eventsOf([
      {
        ...decision,
        outcome: ABSENT,
        request_sent: ABSENT,
        ruling: { ...ruling, action: "refuse", judgement: "deny", reasons: ["policy.forbid"] },
      },
      {
        ...decision,
        ruling: { ...ruling, mode: "advisory", judgement: "deny", would_deny: true, reasons: ["policy.forbid"] },
      },
      { ...decision, request_sent: ABSENT, ruling: { ...ruling, action: "phantom" } },
    ] as ReceiptBody[]);
    expect(events.map(({ action_id, disposition_id, status_id }) => [action_id, disposition_id, status_id])).toEqual([
      [2, 2, 2],
      [1, 15, 99],
      [2, 3, 99],
    ]);
    expect(events[0]).toMatchObject({ status_code: "policy.forbid", severity_id: 3 });
  });

  it("calls whom nobody could establish by that word", () => {
    const { decision } = receiptBodies();
    const [event] = eventsOf([{ ...decision, principal: notEstablished("attestation.no-device") }]);
    expect(event).toMatchObject({ actor: { user: { name: "not_established" } } });
  });
});

describe("the rules", () => {
  it("refuse an event with any member of it taken away that is required, and with any of another type", () => {
    const [event = {}] = eventsOf([receiptBodies().decision]);
    for (const name of ["class_uid", "type_uid", "time", "severity_id", "metadata", "actor", "api", "src_endpoint"]) {
      const { [name]: _, ...rest } = event;
      expect(ocsfFaults(rest).length).toBeGreaterThan(0);
    }
    for (const change of [
      { type_uid: 1 },
      { severity: "High" },
      { time: 1_700_000_000 },
      { activity_id: 7 },
      { extra: 1 },
      { actor: {} },
      { status_id: 99, status: undefined },
    ]) {
      expect(ocsfFaults(JSON.parse(JSON.stringify({ ...event, ...change }))).length).toBeGreaterThan(0);
    }
  });
});
