/** What the ledger has of the gateway's stream: the other side of the comparison. Each receipt is read from the log's entries. */

import { makeLogReader } from "../../cli/log-reader.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { readReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";

/** A decision, as far as it is compared. */
export interface SeenDecision {
  /** `<server>/<tool>` of the approved catalog; undefined for what was refused before it was looked up there. */
  readonly target: string | undefined;
  readonly action: string;
  readonly reason: string;
  outcomes: number;
  /** What the outcome says of the server: that it acted, that it got nothing, or that nobody knows. */
  effect: string | undefined;
}

/** The stream as the ledger has it. */
export interface LedgerSide {
  readonly decisions: ReadonlyMap<number, SeenDecision>;
  /** Refusals that were counted, by reason. */
  readonly counted: ReadonlyMap<string, number>;
  readonly outcomes: number;
  readonly receipts: number;
  /** What is wrong with the sequence: numbers that are missing, or there twice. */
  readonly faults: readonly string[];
}

/** Where the log is read, and how far. */
export interface LedgerQuestion {
  readonly url: string;
  readonly token: string;
  readonly stream: string;
  /** The first number that is not expected. */
  readonly nextSeq: number;
}

const BUNDLE_WIDTH = 256;
const MAX_FAULTS = 10;

/** Reads the whole log. */
export async function readLedgerSide(question: LedgerQuestion): Promise<LedgerSide> {
  const reader = makeLogReader(question);
  const size = Number((await reader.readCheckpoint()).split("\n")[1]);
  const seen = new Uint8Array(question.nextSeq);
  const side = new Side();
  for (let first = 0; first < size; first += BUNDLE_WIDTH) {
    const entries = await reader.readEntries(first / BUNDLE_WIDTH, Math.min(BUNDLE_WIDTH, size - first));
    for (const bytes of entries) {
      const value = parseCanonical(bytes);
      if (!isJsonObject(value) || value["stream"] !== question.stream || value["kind"] === "registration") continue;
      const receipt = readReceipt(value);
      if (receipt.seq < seen.length) seen[receipt.seq] = (seen[receipt.seq] ?? 0) + 1;
      side.take(receipt);
    }
  }
  for (const [seq, times] of seen.entries()) {
    if (times !== 1) side.fault(`receipt ${seq} is in the log ${times} times`);
  }
  return side;
}

class Side implements LedgerSide {
  readonly decisions: Map<number, SeenDecision> = new Map();
  readonly counted: Map<string, number> = new Map();
  readonly faults: string[] = [];
  outcomes = 0;
  receipts = 0;

  take(receipt: StreamReceipt): void {
    this.receipts += 1;
    if (receipt.kind === "refusals") {
      this.counted.set(receipt.reason, (this.counted.get(receipt.reason) ?? 0) + receipt.count);
    } else if (receipt.kind === "decision") {
      this.decisions.set(receipt.seq, {
        target: targetOf(receipt),
        action: receipt.ruling.action,
        reason: receipt.ruling.reasons[0] ?? "",
        outcomes: 0,
        effect: undefined,
      });
    } else if (receipt.kind === "outcome") this.#takeOutcome(receipt);
  }

  #takeOutcome({ call, outcome, seq }: Extract<StreamReceipt, { kind: "outcome" }>): void {
    this.outcomes += 1;
    const decision = this.decisions.get(call.decision_seq);
    if (decision === undefined) return void this.fault(`outcome ${seq} belongs to no decision`);
    decision.outcomes += 1;
    decision.effect = outcome.effect;
  }

  fault(text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(text);
  }
}

function targetOf({ server, wire }: Extract<StreamReceipt, { kind: "decision" }>): string | undefined {
  const name = wire.mcp_name.state === "present" ? wire.mcp_name.value : undefined;
  if (server.state !== "present" || name?.form !== "name") return undefined;
  return `${server.value.id}/${name.name}`;
}
