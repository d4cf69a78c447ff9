/**
 * Receipts as OCSF 1.8.0 events, one event a receipt, in the order in which they come (docs/ocsf.md). Events hold what receipts
 * hold: codes, counts, keyed hashes; never a payload, since no receipt has one.
 */

import type { JsonObject } from "../kernel/json/value.ts";
import type { ReceiptOf, StreamReceipt } from "../kernel/receipt/receipt.ts";
import { type Asker, admissionFacts, decisionFacts, operatorFacts, outcomeFacts, refusalsFacts } from "./ocsf-calls.ts";
import { type EventFacts, type ExportedReceipt, formatEvent, type Product } from "./ocsf-event.ts";

/** Decisions whose outcome has not come; beyond it the oldest is forgotten, and its outcome names nobody. */
const MAX_OPEN = 65_536;

/** What the export remembers of the receipts before. */
export class OcsfExport {
  readonly #products = new Map<string, Product>();
  readonly #askers = new Map<string, Asker>();

  /** The event of a receipt. */
  eventOf(from: ExportedReceipt): JsonObject {
    const { receipt } = from;
    if (receipt.kind === "stream-open") this.#products.set(receipt.stream, receipt.software);
    if (receipt.kind === "decision") this.#note(receipt);
    const product = this.#products.get(receipt.stream) ?? { name: "countersign", version: "unknown" };
    const event = formatEvent(from, product, this.#factsOf(receipt, product));
    if (receipt.kind === "outcome" && receipt.outcome.effect !== "unknown") this.#askers.delete(keyOf(receipt));
    return event;
  }

  #note({ stream, seq, outcome, principal, actor, session, delegation, policy }: ReceiptOf<"decision">): void {
    if (outcome.state !== "pending") return;
    this.#askers.set(`${stream}/${seq}`, { principal, actor, session, delegation, policy });
    const [oldest] = this.#askers.keys();
    if (this.#askers.size > MAX_OPEN && oldest !== undefined) this.#askers.delete(oldest);
  }

  #factsOf(receipt: StreamReceipt, product: Product): EventFacts {
    switch (receipt.kind) {
      case "decision":
        return decisionFacts(receipt);
      case "outcome":
        return outcomeFacts(receipt, this.#askers.get(keyOf(receipt)));
      case "refusals":
        return refusalsFacts(receipt);
      case "admission":
        return admissionFacts(receipt);
      case "operator-action":
        return operatorFacts(receipt);
      case "stream-open":
        return lifecycle(receipt, product, 3, "the stream was opened");
      case "stream-close":
        return lifecycle(receipt, product, 4, `the stream was closed: ${receipt.reason}`);
      case "policy-load":
      case "catalog-load":
        return loadFacts(receipt, product);
      case "drift":
        return { ...bare(receipt, 4, `definitions of ${receipt.server} differ from the approved ones`), status: 2 };
      case "session-open":
        return bare(receipt, 1, "a session was opened");
      case "session-seal":
        return bare(receipt, 1, `a session was sealed after ${receipt.calls.total} calls`);
      case "heartbeat":
        return bare(receipt, 1, "heartbeat");
    }
  }
}

function keyOf({ stream, call }: ReceiptOf<"outcome">): string {
  return `${stream}/${call.decision_seq}`;
}

/** What OCSF has no class for. */
function bare(receipt: StreamReceipt, severity: EventFacts["severity"], message: string): EventFacts {
  const unmapped = { attestation_state: receipt.attestation.state };
  return { class: "base", activity: receipt.kind, severity, status: 1, message, attributes: {}, unmapped };
}

function lifecycle(receipt: StreamReceipt, { name, version }: Product, activity: number, message: string): EventFacts {
  const app = { name, vendor_name: "Countersign", version };
  return { ...bare(receipt, 1, message), class: "lifecycle", activity, attributes: { app } };
}

function loadFacts(receipt: ReceiptOf<"policy-load" | "catalog-load">, product: Product): EventFacts {
  const what = receipt.kind === "policy-load" ? "policy" : "catalog";
  const { digest } = receipt.kind === "policy-load" ? receipt.policy : receipt.catalog;
  const facts = lifecycle(receipt, product, 8, `${what} ${digest}: ${receipt.result}`);
  const [reason] = receipt.reasons;
  const isLoaded = receipt.result === "loaded";
  return {
    ...facts,
    severity: isLoaded ? 1 : 3,
    status: isLoaded ? 1 : 2,
    ...(reason === undefined ? {} : { statusCode: reason }),
    unmapped: { ...facts.unmapped, [`${what}_digest`]: digest },
  };
}
