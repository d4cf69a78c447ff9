/** Turns the entries of a bundle into receipts and registrations, and groups them by stream. Nothing is verified yet. */

import type { BundleEntry, EvidenceBundle, StreamWindow } from "../kernel/bundle.ts";
import { isCodedError } from "../kernel/errors.ts";
import { canonicalBytes } from "../kernel/json/canonical.ts";
import type { JsonObject } from "../kernel/json/value.ts";
import { isStatementKind } from "../kernel/lifecycle/statement.ts";
import type { Hex64 } from "../kernel/receipt/fields.ts";
import { isReceiptKind, readReceipt, type StreamReceipt } from "../kernel/receipt/receipt.ts";
import { doubt, type Finding, faultOf } from "./verdict.ts";

/** One entry of a log with the bytes that were logged. */
export interface LogEntry {
  readonly origin: string;
  readonly bytes: Uint8Array;
  readonly entry: BundleEntry;
}

/** A receipt at its place in a log. */
export interface PlacedReceipt {
  readonly receipt: StreamReceipt;
  readonly at: LogEntry;
}

/** A registration at its place in a log; still unread. */
export interface PlacedRegistration {
  readonly value: JsonObject;
  readonly at: LogEntry;
}

/** What the entries of a bundle are. */
export interface ReadEntries {
  /** In the order of the bundle: log by log, ascending by index. */
  readonly entries: readonly LogEntry[];
  readonly receipts: readonly PlacedReceipt[];
  readonly registrations: readonly PlacedRegistration[];
  /** Receipts that are malformed, and entries of unknown kinds. */
  readonly findings: readonly Finding[];
}

/** Everything in a bundle about one stream. */
export interface StreamParts {
  readonly stream: Hex64;
  /** Ascending by their place in the log. */
  readonly receipts: readonly PlacedReceipt[];
  /** Declared windows, ascending, disjoint. */
  readonly windows: readonly StreamWindow[];
}

/** `<origin>#<index>`: how findings name an entry. */
export function entrySubject({ origin, entry }: LogEntry): string {
  return `${origin}#${entry.index}`;
}

/** `<stream>/<seq>`: how findings name a receipt. */
export function receiptSubject({ stream, seq }: Pick<StreamReceipt, "stream" | "seq">): string {
  return `${stream}/${seq}`;
}

/** Reads every entry; a malformed one becomes a finding. */
export function readEntries(bundle: EvidenceBundle): ReadEntries {
  const entries = bundle.logs.flatMap(({ origin, entries: ofLog }) =>
    ofLog.map((entry): LogEntry => ({ origin, entry, bytes: canonicalBytes(entry.entry) })),
  );
  const receipts: PlacedReceipt[] = [];
  const registrations: PlacedRegistration[] = [];
  const findings: Finding[] = [];
  for (const at of entries) {
    const value = at.entry.entry;
    const kind = value["kind"];
    if (kind === "registration") registrations.push({ value, at });
    else if (isReceiptKind(kind)) readInto(receipts, findings, at);
    // What a log says of itself is judged with its checkpoint.
    else if (!isStatementKind(kind) && !(kind === "log-genesis" && at.entry.index === 0))
      findings.push(doubt("entry.kind-unknown", entrySubject(at), "an entry that is no receipt and no registration"));
  }
  return { entries, receipts, registrations, findings };
}

/** The streams that the bundle speaks of, in receipts or in windows; `more` are others that must be looked at too. */
export function groupStreams(
  bundle: EvidenceBundle,
  receipts: readonly PlacedReceipt[],
  more: readonly Hex64[],
): readonly StreamParts[] {
  const byStream = new Map<Hex64, { receipts: PlacedReceipt[]; windows: StreamWindow[] }>();
  const partsOf = (stream: Hex64): { receipts: PlacedReceipt[]; windows: StreamWindow[] } => {
    const known = byStream.get(stream) ?? { receipts: [], windows: [] };
    byStream.set(stream, known);
    return known;
  };
  for (const placed of receipts) partsOf(placed.receipt.stream).receipts.push(placed);
  for (const window of bundle.streams) partsOf(window.stream).windows.push(window);
  for (const stream of more) partsOf(stream);
  return [...byStream].map(([stream, parts]) => ({ stream, ...parts }));
}

function readInto(receipts: PlacedReceipt[], findings: Finding[], at: LogEntry): void {
  try {
    receipts.push({ receipt: readReceipt(at.entry.entry), at });
  } catch (error) {
    if (!isCodedError(error)) throw error;
    findings.push(faultOf(error, entrySubject(at)));
  }
}
