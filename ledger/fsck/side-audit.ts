/**
 * Checks what is kept beside the entries, in the archive and in the write-ahead log: signed segments, against the
 * receipts they brought; refused receipts of forks, which their stream's key must have signed; and trust records whose
 * name was taken, which their own key must have signed.
 */

import { concat } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { readOtherEntry } from "../../kernel/other-entry.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";
import { checkSegment, MAX_SEGMENT_RECEIPTS, parseSegment } from "../../kernel/segment.ts";
import { readStreamKeys, type StreamKeys } from "../../kernel/stream/stream-keys.ts";
import { checkReceiptSignature, checkStreamOpen } from "../../kernel/stream/stream-state.ts";
import { readFrame, type WalRecord } from "../storage/wal-frame.ts";
import { NO_SALT } from "../storage/wal-salt.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import { checkTrustRecord } from "./other-check.ts";
import type { AuditedStream } from "./stream-audit.ts";

const NAME = /^archive\/(\d{16})\.frames$/;
const NEWLINE = Uint8Array.of(0x0a);

/** A record and where it stands. */
export interface SideRecord extends WalRecord {
  readonly path: string;
  /** Byte of its frame. */
  readonly offset: number;
}

/** Reads receipts of a stream; undefined if the log or the index does not give them. */
export type ReadReceipts = (
  stream: string,
  firstSeq: number,
  count: number,
) => Promise<readonly Uint8Array[] | undefined>;

/** What side records are checked against. */
export interface SideParts {
  readonly findings: Findings;
  readonly origin: string;
  readonly streams: ReadonlyMap<string, AuditedStream>;
  readonly readReceipts: ReadReceipts;
  /** False if entries are damaged or missing: then records are only read, and not compared with them. */
  readonly isLogWhole: boolean;
}

/** Records of every archive file; each is one frame, whole to its last byte. */
export async function* readArchive(
  folder: DataFolder,
  findings: Findings,
): AsyncGenerator<SideRecord, void, undefined> {
  for (const path of await folder.list("archive")) {
    const named = NAME.exec(path)?.[1];
    if (named === undefined) {
      if (path.endsWith(".tmp")) findings.remark(path, "left by a crash; nothing reads it");
      else findings.add({ path, code: "ERR_FILE_STRAY", message: "not a file of the archive" });
      continue;
    }
    const bytes = await folder.read(path);
    if (bytes === undefined) continue;
    const frame = readFrame(bytes, 0, NO_SALT);
    if (frame === undefined || frame.length !== bytes.length || frame.batch !== BigInt(named)) {
      findings.add({
        path,
        code: "ERR_ARCHIVE_DAMAGE",
        offset: 0,
        message: "the frame is not whole, or not that of its name",
      });
      continue;
    }
    for (const record of frame.records) yield { ...record, path, offset: 0 };
  }
}

/** Checks one record after the walk over the log. */
export async function checkSideRecord(record: SideRecord, parts: SideParts): Promise<void> {
  if (!parts.isLogWhole) {
    parts.findings.remark(record.path, `a ${record.kind} was not compared with the damaged log`);
    return;
  }
  try {
    if (record.kind === "segment") await checkKeptSegment(record, parts);
    else if (record.kind === "conflict") checkConflict(record, parts);
    else addFault(record, parts, "ERR_ARCHIVE_DAMAGE", "an entry has no place here");
  } catch (error) {
    if (!isCodedError(error)) throw error;
    addFault(record, parts, error.code, error.message);
  }
}

async function checkKeptSegment(record: SideRecord, parts: SideParts): Promise<void> {
  const value = parseCanonical(record.bytes);
  const { stream, first_seq: firstSeq, count } = isJsonObject(value) ? value : {};
  if (typeof stream !== "string" || typeof firstSeq !== "number" || typeof count !== "number") {
    return addFault(record, parts, "ERR_SEGMENT", "not the envelope of a segment");
  }
  const keys = keysOf(parts, stream);
  if (keys === undefined) return addFault(record, parts, "ERR_STREAM_UNKNOWN", "a segment of an unknown stream");
  const isBounded = count >= 1 && count <= MAX_SEGMENT_RECEIPTS;
  const receipts = isBounded ? await parts.readReceipts(stream, firstSeq, count) : undefined;
  if (receipts === undefined) {
    return addFault(
      record,
      parts,
      "ERR_ARCHIVE_DAMAGE",
      `receipts ${firstSeq} and ${count - 1} more are not to be found`,
    );
  }
  const lines = [record.bytes, ...receipts].flatMap((line) => [line, NEWLINE]);
  checkSegment(parseSegment(concat(...lines)), keys, parts.origin);
}

/** A refused receipt of a fork, or a trust record whose name was that of another. */
function checkConflict(record: SideRecord, parts: SideParts): void {
  const other = readOtherEntry(record.bytes);
  if (other?.form === "trust-record") {
    checkTrustRecord(other.record, parts.origin);
    return;
  }
  const receipt = parseReceipt(record.bytes);
  const keys = keysOf(parts, receipt.stream);
  if (keys === undefined) addFault(record, parts, "ERR_STREAM_UNKNOWN", "a receipt of an unknown stream");
  else if (receipt.kind === "stream-open") checkStreamOpen(receipt);
  else checkReceiptSignature(keys, receipt);
}

function keysOf({ streams }: SideParts, stream: string): StreamKeys | undefined {
  const audited = streams.get(stream);
  return audited === undefined ? undefined : readStreamKeys(audited.keys);
}

function addFault({ path, offset }: SideRecord, { findings }: SideParts, code: ErrorCode, message: string): void {
  findings.add({ path, code, offset, message });
}
