/**
 * Keyed commitments to JSON values and byte strings (docs/formats/commitment.md).
 *
 *     salt = HMAC-SHA-256(receipt secret, lp(commitment name) ‖ lp(pointer))
 *     leaf = SHA-256(00 ‖ lp(salt) ‖ lp(pointer) ‖ lp(value))
 *     root = RFC 6962 root over the leaves
 *
 * A field's value is its JCS form. The leaves are the fields in byte order of their JSON Pointers, then one leaf for the
 * exact bytes, whose pointer `bytes` is no JSON Pointer. Without the secret nothing can be guessed, not even a boolean;
 * with one field's salt, that field alone; and once the secret is deleted, nothing can be opened any more.
 */

import { hmacSha256 } from "#crypto";
import { compareBytes, formatUtf8 } from "./bytes.ts";
import { saltedRoot } from "./commitment-root.ts";
import { FormatError } from "./errors.ts";
import { canonicalBytes } from "./json/canonical.ts";
import { type JsonField, listFields } from "./json/pointer.ts";
import type { JsonValue } from "./json/value.ts";
import { hashLeaf, type LeafHash } from "./merkle/hash.ts";

/** How a root is made: of fields and exact bytes, or of exact bytes alone. Roots of two schemes cannot be compared. */
export type CommitmentScheme = "countersign/fields/v1" | "countersign/bytes/v1";

/** Bytes of a receipt secret. */
export const RECEIPT_SECRET_BYTES = 32;

/** Bytes of a salt. */
export const SALT_BYTES = 32;

/** A value with more fields is committed by its bytes alone. */
export const MAX_COMMITTED_FIELDS = 4096;

/** Pointer of the leaf that holds the exact bytes. A JSON Pointer is empty or starts with `/`. */
export const BYTES_POINTER = "bytes";

/** What a leaf is made of, in tree order. */
export interface CommittedLeaf {
  readonly pointer: string;
  readonly salt: Uint8Array;
  /** JCS form of the field, or the exact bytes. */
  readonly value: Uint8Array;
}

/**
 * Commits to a JSON value, field by field, and to the bytes that it came in.
 *
 * @param secret  32 random bytes of this receipt
 * @param name  the member of the receipt that holds the commitment, for example `request_received`
 * @param value  what parseJson(exactBytes) gives
 * @returns 64 hexadecimal digits: the root, scheme `countersign/fields/v1`
 * @throws {FormatError} ERR_BYTES_LENGTH (secret), ERR_JSON_SIZE (more than MAX_COMMITTED_FIELDS fields)
 */
export function commitJson(secret: Uint8Array, name: string, value: JsonValue, exactBytes: Uint8Array): string {
  requireSecret(secret);
  const fields = sortByPointer(listFields(value, MAX_COMMITTED_FIELDS));
  return saltedRoot(secret, name, { fields, bytesPointer: BYTES_POINTER, bytes: exactBytes });
}

/**
 * Commits to bytes that are not JSON (or hold too many fields).
 *
 * @returns 64 hexadecimal digits: the root, scheme `countersign/bytes/v1`
 * @throws {FormatError} ERR_BYTES_LENGTH (secret)
 */
export function commitBytes(secret: Uint8Array, name: string, exactBytes: Uint8Array): string {
  requireSecret(secret);
  return saltedRoot(secret, name, { fields: [], bytesPointer: BYTES_POINTER, bytes: exactBytes });
}

/** The leaves of `commitJson`, in tree order. */
export function jsonLeaves(
  secret: Uint8Array,
  name: string,
  value: JsonValue,
  exactBytes: Uint8Array,
): readonly CommittedLeaf[] {
  const fields = listFields(value, MAX_COMMITTED_FIELDS);
  const leaves = sortByPointer(fields).map((field) => fieldLeaf(secret, name, field));
  return [...leaves, bytesLeaf(secret, name, exactBytes)];
}

/** The one leaf of `commitBytes`, and the last one of `commitJson`. */
export function bytesLeaf(secret: Uint8Array, name: string, exactBytes: Uint8Array): CommittedLeaf {
  return { pointer: BYTES_POINTER, salt: deriveSalt(secret, name, BYTES_POINTER), value: exactBytes };
}

/** SHA-256(00 ‖ lp(salt) ‖ lp(pointer) ‖ lp(value)). */
export function hashCommittedLeaf({ salt, pointer, value }: CommittedLeaf): LeafHash {
  return hashLeaf(joinPrefixed(salt, formatUtf8(pointer), value));
}

function requireSecret(secret: Uint8Array): void {
  if (secret.length === RECEIPT_SECRET_BYTES) return;
  throw new FormatError("ERR_BYTES_LENGTH", `want a receipt secret of 32 bytes, got ${secret.length}`);
}

/** Salt of one leaf: HMAC-SHA-256(secret, lp(name) ‖ lp(pointer)). */
function deriveSalt(secret: Uint8Array, name: string, pointer: string): Uint8Array {
  requireSecret(secret);
  return hmacSha256(secret, joinPrefixed(formatUtf8(name), formatUtf8(pointer)));
}

/**
 * lp(part) ‖ lp(part) ‖ …, for one hash: the next call may write over it. This runs twice for every field of every payload,
 * and new memory of more than 64 bytes costs more than the hash.
 */
function joinPrefixed(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += 4 + part.length;
  const joined = length <= hashInput.length ? hashInput : new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined[offset] = part.length >>> 24;
    joined[offset + 1] = part.length >>> 16;
    joined[offset + 2] = part.length >>> 8;
    joined[offset + 3] = part.length;
    joined.set(part, offset + 4);
    offset += 4 + part.length;
  }
  return joined.subarray(0, length);
}

const hashInput = new Uint8Array(8192);

function fieldLeaf(secret: Uint8Array, name: string, { pointer, value }: JsonField): CommittedLeaf {
  return { pointer, salt: deriveSalt(secret, name, pointer), value: canonicalBytes(value) };
}

/** Sorts by the bytes of the pointers, which is the order of their UTF-16 code units only where none is of a surrogate's or above. */
function sortByPointer(fields: JsonField[]): readonly JsonField[] {
  if (fields.every(({ pointer }) => BELOW_SURROGATES.test(pointer))) {
    return fields.sort((a, b) => (a.pointer < b.pointer ? -1 : 1));
  }
  const keyed = fields.map((field) => ({ field, key: formatUtf8(field.pointer) }));
  return keyed.sort((a, b) => compareBytes(a.key, b.key)).map(({ field }) => field);
}

const BELOW_SURROGATES = /^[^\ud800-\uffff]*$/;
