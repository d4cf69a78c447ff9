/**
 * What an entry of a log is, told from its bytes alone. The one place that knows: a log has no type bytes in front of its
 * entries, because trust records and statements are hashed as their own formats say.
 *
 *     d2 …                                   COSE_Sign1 (tag 18): a signed statement
 *     { "kind": text, … }                    an envelope of ours: genesis, registration, receipt, …
 *     { "eat_profile": …, … }                a TRACE trust record
 *     { "type": "TraceRevocation…", … }      a TRACE revocation statement or bundle
 *     anything else                          unknown
 *
 * Admission makes the forms disjoint: envelopes are never signed without `kind`, and TRACE refuses a member of that name.
 */

import { SIGN1_FIRST_BYTE } from "./cose/sign1.ts";
import { isCodedError } from "./errors.ts";
import { parseJson } from "./json/parse.ts";
import { isJsonObject, type JsonObject } from "./json/value.ts";
import { MAX_ENTRY_BYTES } from "./tile/entry-bundle.ts";

/** The form of an entry; nothing about it is verified, and its shape is not read. */
export type EntryKind =
  | { readonly form: "envelope"; readonly kind: string; readonly value: JsonObject }
  | { readonly form: "statement" }
  | { readonly form: "trust-record"; readonly value: JsonObject }
  | { readonly form: "revocation"; readonly value: JsonObject }
  | { readonly form: "unknown" };

const BRACE = 0x7b;
const UNKNOWN: EntryKind = { form: "unknown" };

/** The form of `entry`; never throws on any bytes. */
export function classifyEntry(entry: Uint8Array): EntryKind {
  if (entry[0] === SIGN1_FIRST_BYTE) return { form: "statement" };
  if (entry[0] !== BRACE) return UNKNOWN;
  const value = parseObject(entry);
  if (value === undefined) return UNKNOWN;
  const { kind, type } = value;
  if (typeof kind === "string") return { form: "envelope", kind, value };
  if (kind !== undefined) return UNKNOWN;
  if (value["eat_profile"] !== undefined) return { form: "trust-record", value };
  if (typeof type === "string" && type.startsWith("TraceRevocation")) return { form: "revocation", value };
  return UNKNOWN;
}

function parseObject(entry: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(entry, { maxBytes: MAX_ENTRY_BYTES });
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
