/**
 * The frame of an OCSF 1.8.0 event: what every event has, whatever its class (docs/ocsf.md). An event says of itself which
 * receipt it is made from, so that whoever doubts it can ask for that receipt and its proof.
 */

import { sha256 } from "#crypto";
import { formatHex } from "../kernel/hex.ts";
import type { JsonObject, JsonValue } from "../kernel/json/value.ts";
import type { StreamReceipt } from "../kernel/receipt/receipt.ts";
import { timestampMs } from "../kernel/time.ts";

/** Version of the schema that the events are of. */
export const OCSF_VERSION = "1.8.0";

/** A receipt, and where a log has it. */
export interface ExportedReceipt {
  readonly receipt: StreamReceipt;
  /** Entry bytes. */
  readonly bytes: Uint8Array;
  /** Undefined of a receipt that comes from a gateway's own folder: which place a log gave it is not known there. */
  readonly log?: { readonly origin: string; readonly index: number };
}

/** The classes that receipts become. */
export const CLASSES = {
  base: { uid: 0, name: "Base Event", category: 0, categoryName: "Uncategorized", activities: {} },
  lifecycle: {
    uid: 6002,
    name: "Application Lifecycle",
    category: 6,
    categoryName: "Application Activity",
    activities: { 3: "Start", 4: "Stop", 8: "Update" },
  },
  api: {
    uid: 6003,
    name: "API Activity",
    category: 6,
    categoryName: "Application Activity",
    activities: { 1: "Create", 2: "Read", 3: "Update", 4: "Delete" },
  },
} as const;

export type OcsfClass = keyof typeof CLASSES;

const SEVERITIES = { 1: "Informational", 2: "Low", 3: "Medium", 4: "High" } as const;
const STATUSES = { 0: "Unknown", 1: "Success", 2: "Failure" } as const;
const OTHER = 99;
/** OCSF's `integer_t`: signed, of 32 bits. */
const MAX_INTEGER = 2_147_483_647;

/** What differs from class to class. */
export interface EventFacts {
  readonly class: OcsfClass;
  /** A number of the class, or a word of ours for "Other". */
  readonly activity: number | string;
  readonly severity: keyof typeof SEVERITIES;
  /** A word of ours is status "Other". */
  readonly status: keyof typeof STATUSES | string;
  readonly statusCode?: string;
  readonly statusDetail?: string;
  readonly message: string;
  /** Of receipts about one call: the call's id. */
  readonly correlation?: string;
  /** Attributes of the class. */
  readonly attributes: JsonObject;
  /** What has no attribute in OCSF. */
  readonly unmapped: JsonObject;
}

/** The software that made the receipts, as the stream's first one says; `unknown` where that one is not there. */
export interface Product {
  readonly name: string;
  readonly version: string;
}

/** One event. Its members are in an order that people can read. */
export function formatEvent(from: ExportedReceipt, product: Product, facts: EventFacts): JsonObject {
  const { receipt } = from;
  const ocsf = CLASSES[facts.class];
  const activity = activityOf(facts);
  return {
    activity_id: activity.id,
    activity_name: activity.name,
    category_uid: ocsf.category,
    category_name: ocsf.categoryName,
    class_uid: ocsf.uid,
    class_name: ocsf.name,
    type_uid: ocsf.uid * 100 + activity.id,
    type_name: `${ocsf.name}: ${activity.id === OTHER ? "Other" : activity.name}`,
    time: timestampMs(receipt.time),
    severity_id: facts.severity,
    severity: SEVERITIES[facts.severity],
    ...statusOf(facts),
    message: facts.message,
    metadata: metadataOf(from, product, facts),
    raw_data_hash: { algorithm_id: 3, algorithm: "SHA-256", value: formatHex(sha256(from.bytes)) },
    raw_data_size: from.bytes.length,
    ...facts.attributes,
    unmapped: { ...facts.unmapped, countersign: originOf(from) },
  };
}

function activityOf({ class: name, activity }: EventFacts): { readonly id: number; readonly name: string } {
  if (typeof activity === "string") return { id: OTHER, name: activity };
  const names: Readonly<Record<number, string>> = CLASSES[name].activities;
  return { id: activity, name: names[activity] ?? "Unknown" };
}

function statusOf({ status, statusCode, statusDetail }: EventFacts): JsonObject {
  const known = typeof status === "string" ? { status_id: OTHER, status } : namedStatus(status);
  return {
    ...known,
    ...(statusCode === undefined ? {} : { status_code: statusCode }),
    ...(statusDetail === undefined ? {} : { status_detail: statusDetail }),
  };
}

function namedStatus(id: keyof typeof STATUSES): JsonObject {
  return { status_id: id, status: STATUSES[id] };
}

function metadataOf({ receipt, log }: ExportedReceipt, product: Product, { correlation }: EventFacts): JsonObject {
  return {
    version: OCSF_VERSION,
    product: { name: product.name, vendor_name: "Countersign", version: product.version },
    uid: `${receipt.stream}/${receipt.seq}`,
    event_code: receipt.kind,
    original_time: receipt.time,
    profiles: ["security_control"],
    ...(receipt.seq <= MAX_INTEGER ? { sequence: receipt.seq } : {}),
    ...(log === undefined ? {} : { log_name: log.origin }),
    ...(correlation === undefined ? {} : { correlation_uid: correlation }),
  };
}

/** Which receipt an event is made from, and where its proof is to be asked for. */
function originOf({ receipt, bytes, log }: ExportedReceipt): JsonObject {
  const hash = formatHex(sha256(bytes));
  const place: JsonValue = log === undefined ? null : { origin: log.origin, leaf_index: log.index };
  return { kind: receipt.kind, stream: receipt.stream, seq: receipt.seq, receipt_sha256: hash, log: place };
}
