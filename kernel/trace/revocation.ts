/**
 * Revocation of record keys by log order (TRACE v0.2, `TraceRevocation/1.0`). A signature outlives its key and a stolen key
 * signs any time, so the boundary is a place in a log:
 *
 *     a record of the key stands if and only if it has a checked inclusion in the log `log_id` at an index that is not
 *     above `last_valid_entry_id`
 *
 * In our logs `log_id` is the origin and an entry's id its 0-based index in decimal; ids are compared as integers, so that
 * "9" comes before "10".
 */

import { parseDecimal } from "../decimal.ts";
import { CheckError, FormatError } from "../errors.ts";
import type { JsonObject } from "../json/value.ts";
import { integer, literal, object, optional, readShape, type Shape, string } from "../shape.ts";
import type { PublicKey } from "../signature/public-key.ts";
import { parseTraceDocument } from "./anchor-form.ts";
import { checkDetached, jwkThumbprint } from "./record-key.ts";

/** A revocation statement. */
export type TraceRevocation = {
  readonly type: "TraceRevocation/1.0";
  /** Thumbprint or `kid` of the key that is revoked. */
  readonly compromised_key_id: string;
  readonly last_valid_entry_id: string;
  readonly revoked_after_entry?: string;
  readonly log_id: string;
  readonly reason?: string;
  /** POSIX seconds; for information, no verdict depends on it. */
  readonly revoked_at?: number;
  readonly revocation_key_id: string;
  readonly sig: { readonly alg: "ed25519" | "ES256" | "ES384"; readonly value: string };
};

const text = string({ pattern: /^.+$/su, maxLength: 4096, description: "a text" });

/** Shape of a statement, also inside a bundle. */
export const revocationShape: Shape<TraceRevocation> = object<TraceRevocation>({
  type: literal("TraceRevocation/1.0"),
  compromised_key_id: text,
  last_valid_entry_id: text,
  revoked_after_entry: optional(text),
  log_id: text,
  reason: optional(string({ maxLength: 4096 })),
  revoked_at: optional(integer()),
  revocation_key_id: text,
  sig: object<TraceRevocation["sig"]>({ alg: literal("ed25519", "ES256", "ES384"), value: text }),
});

const ALGS: Readonly<Record<TraceRevocation["sig"]["alg"], PublicKey["alg"] | undefined>> = {
  ed25519: "ed25519",
  ES256: "es256",
  ES384: undefined,
};

/**
 * Reads a revocation statement.
 *
 * @throws {FormatError} as `parseTraceDocument`; ERR_SHAPE
 */
export function parseRevocation(input: Uint8Array | string): TraceRevocation {
  return readRevocation(parseTraceDocument(input));
}

/** `parseRevocation` of a parsed object. */
export function readRevocation(value: JsonObject): TraceRevocation {
  return readShape(revocationShape, value, "revocation");
}

/**
 * Checks that `key` signed a statement and may: it is the key that the statement names as its signer, and not the one that
 * it revokes. That the key stands above the revoked one is the caller's trust.
 *
 * @throws {CheckError} ERR_REVOCATION_KEY, ERR_SIGNATURE_INVALID
 * @throws {FormatError} ERR_BASE64
 */
export function checkRevocation(statement: TraceRevocation, key: PublicKey): void {
  const id = jwkThumbprint(key);
  const { sig, ...signed } = statement;
  if (statement.revocation_key_id !== id) throw refuse("it names another key as its signer");
  // A stolen key could otherwise revoke itself at a boundary that suits the thief.
  if (statement.compromised_key_id === id) throw refuse("a key cannot revoke itself");
  if (ALGS[sig.alg] !== key.alg) throw refuse(`alg ${sig.alg} is not that of the key`);
  checkDetached(signed, sig.value, key);
}

/** Where a record was found: a checked inclusion. */
export interface RecordPlace {
  readonly logId: string;
  readonly index: bigint;
}

/**
 * True if a record of a key stands against every statement about one of the key's ids.
 *
 * @param keyIds  thumbprint of the record's key, and its `kid` if it has one
 * @param place  undefined if no inclusion of the record was checked: nothing of a revoked key stands then
 */
export function standsAgainst(
  statements: readonly TraceRevocation[],
  keyIds: readonly string[],
  place: RecordPlace | undefined,
): boolean {
  const about = statements.filter(({ compromised_key_id: id }) => keyIds.includes(id));
  return about.every((statement) => isWithin(place, statement));
}

/** The index that an entry id spells; ids of other logs may have another form, and then cover nothing. */
export function readEntryId(id: string): bigint | undefined {
  try {
    return parseDecimal(id);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function isWithin(place: RecordPlace | undefined, { log_id, last_valid_entry_id }: TraceRevocation): boolean {
  const last = readEntryId(last_valid_entry_id);
  return place !== undefined && last !== undefined && place.logId === log_id && place.index <= last;
}

function refuse(why: string): CheckError {
  return new CheckError("ERR_REVOCATION_KEY", `revocation: ${why}`);
}
