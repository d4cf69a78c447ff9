/**
 * Checks entries that are no receipts by what they bear themselves: form, the signature of a trust record under its own
 * key, a derived name, the reservation's signature under its stream's key, the expiry's under the operator's. Issuers of
 * statements and revocation keys are configured and not in the log: of those only the form is judged.
 */

import { CheckError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type OtherEntry, readOtherEntry } from "../../kernel/other-entry.ts";
import { checkSignedBy, type Signed } from "../../kernel/signature/envelope.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import type { StreamKeys } from "../../kernel/stream/stream-keys.ts";
import { derivedName, nameForm, nameInLog } from "../../kernel/trace/entry-name.ts";
import type { NameReservationBody } from "../../kernel/trace/name-reservation.ts";
import { checkRecordSignature, readRecordKey } from "../../kernel/trace/record-key.ts";

/** What such entries are checked against. */
export interface OtherCheckParts {
  readonly origin: string;
  /** The operator's key by the genesis entry; undefined if that cannot be read. */
  readonly operator: PublicKey | undefined;
  /** Keys of a stream that was registered before the entry; undefined if it was not. */
  readonly keysOf: (stream: string) => StreamKeys | undefined;
}

/**
 * Checks an entry of another form.
 *
 * @returns false if it is none: then it must be a receipt
 * @throws {FormatError | CheckError} the code of its fault
 */
export function checkOtherEntry(bytes: Uint8Array, parts: OtherCheckParts): boolean {
  const entry = readOtherEntry(bytes);
  if (entry === undefined) return false;
  checkContent(entry, parts);
  return true;
}

function checkContent(entry: OtherEntry, parts: OtherCheckParts): void {
  switch (entry.form) {
    case "statement":
      return;
    case "trust-record":
      checkTrustRecord(entry.record, parts.origin);
      return;
    case "revocation":
      checkOrigin("log_id", entry.revocation.log_id, parts.origin);
      return;
    case "revocation-bundle":
      // Its statements are about the same log, or it had not been read.
      checkOrigin("log_id", entry.bundle.log_id, parts.origin);
      return;
    case "name-reservation":
      checkReservation(entry.reservation, parts);
      return;
    case "log-statement":
      // Whether it follows from those before it is for the statement audit to say.
      checkOrigin("origin", entry.statement.origin, parts.origin);
      return;
    case "name-expiry":
      checkOrigin("origin", entry.expiry.origin, parts.origin);
      if (parts.operator !== undefined) checkSignedBy(entry.expiry, parts.operator);
      return;
  }
}

function checkReservation(reservation: Signed<NameReservationBody>, { origin, keysOf }: OtherCheckParts): void {
  checkOrigin("origin", reservation.origin, origin);
  const keys = keysOf(reservation.stream);
  if (keys === undefined) throw new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered before it");
  checkSignedBy(reservation, keys.receipt);
}

/**
 * The signature under the record's own key; and, of a record that names its entry in this log, a derived name.
 *
 * @throws {FormatError | CheckError} ERR_TRACE_DOCUMENT, ERR_SIGNATURE_INVALID, ERR_TRUST_RECORD_NAME
 */
export function checkTrustRecord(record: JsonObject, origin: string): void {
  checkRecordSignature(record, readRecordKey(record));
  const { transparency } = record;
  const name = typeof transparency === "string" ? nameInLog(transparency, origin) : undefined;
  if (name === undefined || nameForm(name) !== "derived" || derivedName(record) === name) return;
  throw new CheckError("ERR_TRUST_RECORD_NAME", "the name in transparency is not the one that the record derives");
}

function checkOrigin(member: string, got: string, want: string): void {
  if (got !== want) throw new CheckError("ERR_ADMISSION", `${member}: want ${want}`);
}
