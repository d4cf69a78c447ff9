/**
 * Registry entries (Registry Anchor Format v1 §5.2): what a batch of anchored records is published as.
 *
 *     {"ts": UTC with Z, "merkle_root": "sha256:<64 hex>", "leaf_count": int >= 1, "producer": text, "batch_id": text}
 *
 * For our logs `batch_id` is `<origin>#<tree size>`: the batch is the whole tree. Entries of others carry further members,
 * which are ignored; five are written.
 */

import { FormatError, isCodedError } from "../errors.ts";
import type { JsonObject } from "../json/value.ts";
import { parseRootHash, type RootHash } from "../merkle/hash.ts";
import { integer, mapped, object, readShape, type Shape, string } from "../shape.ts";
import type { Timestamp } from "../time.ts";
import { formatTraceHash, traceHashShape } from "./anchor.ts";

/** A registry entry. */
export type RegistryEntry = {
  /** RFC 3339 in UTC, as written. */
  readonly ts: string;
  readonly merkle_root: RootHash;
  readonly leaf_count: number;
  readonly producer: string;
  readonly batch_id: string;
};

const MEMBERS = ["ts", "merkle_root", "leaf_count", "producer", "batch_id"] as const;
const UTC =
  /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,9})?Z$/u;
const text = string({ pattern: /^.+$/su, maxLength: 4096, description: "a text" });

const shape: Shape<RegistryEntry> = object<RegistryEntry>({
  ts: string({ pattern: UTC, maxLength: 32, description: "a UTC time with Z" }),
  merkle_root: mapped(traceHashShape, parseRootHash),
  leaf_count: integer({ min: 1 }),
  producer: text,
  batch_id: text,
});

/**
 * Reads the five members of a registry entry and no others.
 *
 * @throws {FormatError} ERR_TRACE_DOCUMENT
 */
export function readRegistryEntry(value: JsonObject): RegistryEntry {
  const five: Record<string, JsonObject[string]> = {};
  for (const name of MEMBERS) five[name] = value[name];
  try {
    return readShape(shape, five, "entry");
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new FormatError("ERR_TRACE_DOCUMENT", error.message, { cause: error });
  }
}

/** The tree of a log as a registry entry. */
export function formatRegistryEntry(tree: {
  readonly time: Timestamp;
  readonly origin: string;
  readonly size: bigint;
  readonly root: RootHash;
  /** Version of the gateway, semver. */
  readonly version: string;
}): JsonObject {
  return {
    ts: tree.time,
    merkle_root: formatTraceHash(tree.root),
    leaf_count: Number(tree.size),
    producer: `countersign-gateway/${tree.version}`,
    batch_id: `${tree.origin}#${tree.size}`,
  };
}
