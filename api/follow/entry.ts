/**
 * What an entry of a log is: genesis, registration, receipt, an entry of another format that a log of receipts may hold
 * (COSE statement, TRACE trust record or revocation, reservation of a name), or nothing that this node can read.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError, isCodedError } from "../../kernel/errors.ts";
import { type Genesis, parseGenesis } from "../../kernel/genesis.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { type OtherEntry, readOtherEntry } from "../../kernel/other-entry.ts";
import { MAX_RECEIPT_BYTES, readReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { type CheckedRegistration, readRegistration } from "../../kernel/registration.ts";

/** Formats that are kept and proven like any entry, and of which nothing is indexed yet. */
export type OtherForm = OtherEntry["form"];

/** An entry, read. Signatures of genesis and registration hold; those of receipts are not yet looked at. */
export type ReadEntry =
  | { readonly type: "genesis"; readonly genesis: Genesis }
  | { readonly type: "registration"; readonly checked: CheckedRegistration }
  | { readonly type: "receipt"; readonly receipt: StreamReceipt }
  | { readonly type: "other"; readonly form: OtherForm }
  | { readonly type: "unreadable"; readonly code: ErrorCode; readonly message: string };

/** Reads the entry at `index` of a log of receipts; never throws for what a ledger serves. */
export function readEntry(index: number, bytes: Uint8Array): ReadEntry {
  try {
    return readStrict(index, bytes);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { type: "unreadable", code: error.code, message: error.message };
  }
}

function readStrict(index: number, bytes: Uint8Array): ReadEntry {
  // A log's first entry says what the log is, and no other does.
  if (index === 0) return { type: "genesis", genesis: parseGenesis(bytes) };
  if (bytes.length > MAX_RECEIPT_BYTES) throw new FormatError("ERR_ENTRY_LENGTH", "the entry is too long");
  const other = readOtherEntry(bytes);
  if (other !== undefined) return { type: "other", form: other.form };
  const value = parseCanonical(bytes, { maxBytes: MAX_RECEIPT_BYTES });
  const kind = isJsonObject(value) ? value["kind"] : undefined;
  if (kind === "registration") return { type: "registration", checked: readRegistration(value) };
  return { type: "receipt", receipt: readReceipt(value) };
}
