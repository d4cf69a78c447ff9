/**
 * The entries of a log of receipts that are neither genesis, registration nor receipt: signed statements (COSE), trust
 * records and revocations (TRACE), reservations of names and their ends, statements of the log about itself. Read strictly, in the one spelling that each
 * format has; whose signatures they bear is for the caller to judge.
 */

import { equalBytes } from "./bytes.ts";
import { parseStatement, type Statement, statementEntry } from "./cose/statement.ts";
import { classifyEntry } from "./entry-kind.ts";
import { FormatError } from "./errors.ts";
import type { JsonObject } from "./json/value.ts";
import { isStatementKind, type LogStatement, parseStatement as parseLogStatement } from "./lifecycle/statement.ts";
import type { Signed } from "./signature/envelope.ts";
import { coincidentBytes } from "./trace/anchor-form.ts";
import {
  type NameExpiryBody,
  type NameReservationBody,
  parseNameReservation,
  readNameExpiry,
} from "./trace/name-reservation.ts";
import { readRevocation, type TraceRevocation } from "./trace/revocation.ts";
import { REVOCATION_BUNDLE_TYPE, readRevocationBundle, type TraceRevocationBundle } from "./trace/revocation-bundle.ts";

/** An entry of another form, read. */
export type OtherEntry =
  | { readonly form: "statement"; readonly statement: Statement }
  | { readonly form: "trust-record"; readonly record: JsonObject }
  | { readonly form: "revocation"; readonly revocation: TraceRevocation }
  | { readonly form: "revocation-bundle"; readonly bundle: TraceRevocationBundle }
  | { readonly form: "name-reservation"; readonly reservation: Signed<NameReservationBody> }
  | { readonly form: "name-expiry"; readonly expiry: Signed<NameExpiryBody> }
  | { readonly form: "log-statement"; readonly statement: LogStatement };

/**
 * Reads an entry of another form; undefined if it is none, by its first look.
 *
 * @throws {FormatError} ERR_ENTRY_FORM (not the one spelling), and the codes of the formats' readers
 */
export function readOtherEntry(bytes: Uint8Array): OtherEntry | undefined {
  const found = classifyEntry(bytes);
  if (found.form === "unknown") return undefined;
  if (found.form === "envelope") return readNameEntry(found.kind, bytes);
  if (found.form === "statement") {
    const statement = parseStatement(bytes);
    requireSame(statementEntry(statement), bytes);
    return { form: "statement", statement };
  }
  requireSame(coincidentBytes(found.value), bytes);
  if (found.form === "trust-record") return { form: "trust-record", record: found.value };
  if (found.value["type"] === REVOCATION_BUNDLE_TYPE) {
    return { form: "revocation-bundle", bundle: readRevocationBundle(found.value) };
  }
  return { form: "revocation", revocation: readRevocation(found.value) };
}

function readNameEntry(kind: string, bytes: Uint8Array): OtherEntry | undefined {
  if (kind === "name-reservation") return { form: kind, reservation: parseNameReservation(bytes) };
  if (isStatementKind(kind)) return { form: "log-statement", statement: parseLogStatement(bytes) };
  return kind === "name-expiry" ? { form: kind, expiry: readNameExpiry(bytes) } : undefined;
}

/** The entry of such a format is its one canonical spelling, and nothing in front of or behind it. */
function requireSame(canonical: Uint8Array, bytes: Uint8Array): void {
  if (equalBytes(canonical, bytes)) return;
  throw new FormatError("ERR_ENTRY_FORM", "want the one spelling that the entry's format has");
}
