/**
 * Rows of the index that the background checks keep:
 *
 *     c/checked                → u64: every entry below was read, or was read when it was admitted
 *     f/<index>                → a finding, as canonical JSON (16 digits)
 *     g/<index>                → envelope of the segment whose first entry is there (16 digits)
 *
 * An index that is made anew has none of them: everything is read again.
 */

import { formatUint64 } from "../../kernel/bytes.ts";
import { ERROR_CODES, type ErrorCode } from "../../kernel/error-codes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { integer, mapped, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { IndexRow } from "../sequence/index-store.ts";

const DIGITS = 16;
const ROW = /^(?:c\/checked|[fg]\/\d{16})$/;

/** Key of the row that says how far the checks are. */
export const CHECKED_KEY: string = "c/checked";

/** A logged receipt that is false, and whose it claims to be. */
export type CheckFinding = {
  readonly index: number;
  /** Why: a code of docs/errors.md. */
  readonly code: ErrorCode;
  readonly stream: string;
  readonly seq: number;
};

const findingShape: Shape<CheckFinding> = object<CheckFinding>({
  index: integer(),
  code: mapped(string({ maxLength: 64 }), (code) => (isErrorCode(code) ? code : "ERR_BUG")),
  stream: hex64Shape,
  seq: integer(),
});

/** True for the key of one of these rows. */
export function isCheckRow(key: string): boolean {
  return ROW.test(key);
}

/** Row of how far the checks are. */
export function checkedRow(size: bigint): IndexRow {
  return { key: CHECKED_KEY, value: formatUint64(size) };
}

/** Key of the finding about an entry. */
export function findingKey(index: bigint): string {
  return `f/${format(index)}`;
}

/** Row of a finding. */
export function findingRow(finding: CheckFinding): IndexRow {
  return { key: findingKey(BigInt(finding.index)), value: canonicalBytes(finding) };
}

/** The finding of a row. @throws {FormatError} */
export function parseFindingRow(row: Uint8Array): CheckFinding {
  return readShape(findingShape, parseJson(row), "finding");
}

/** Key of the segment whose first entry is at `index`. */
export function segmentKey(index: bigint): string {
  return `g/${format(index)}`;
}

/** Row of a segment whose first entry is at `index`. */
export function segmentRow(index: bigint, envelope: Uint8Array): IndexRow {
  return { key: segmentKey(index), value: envelope };
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

function format(index: bigint): string {
  return index.toString().padStart(DIGITS, "0");
}
