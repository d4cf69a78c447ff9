/**
 * Bytes of a witness's journal. One frame is what one sync made durable; frames are chained, so that a copy that went on
 * by itself can be told from the original.
 *
 *     frame   = "CSWJ" ‖ u32 length of payload ‖ u64 seq ‖ hash of the frame before[32] ‖ hash[32] ‖ payload
 *     hash    = SHA-256("countersign/witness-frame/v1" LF ‖ u64 seq ‖ hash of the frame before ‖ payload)
 *     payload = record ...           none in a seal, which only says that the frame before it was whole
 *     record  = u8 kind ‖ u32 length ‖ UTF-8
 *
 * Integers are big-endian. `seq` counts frames and never goes back.
 */

import { sha256 } from "#crypto";
import { concat, equalBytes, formatUint32, formatUint64, formatUtf8, parseUtf8 } from "../kernel/bytes.ts";
import { FormatError } from "../kernel/errors.ts";

/** Where a journal is: its newest frame. */
export interface JournalPosition {
  readonly seq: bigint;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** Before the first frame. */
export const JOURNAL_START: JournalPosition = { seq: 0n, hash: new Uint8Array(32) };

const KINDS = { cosigned: 1, suspended: 2, resumed: 3, cleared: 4 } as const;

/**
 * One fact. `cosigned`: the note that the monitoring path serves. `suspended`: why every log is refused. `resumed`: the
 * origin that an operator released, LF, why. `cleared`: why an operator released all.
 */
export interface JournalRecord {
  readonly kind: keyof typeof KINDS;
  readonly text: string;
}

/** A frame that was found. */
export interface Frame extends JournalPosition {
  readonly before: Uint8Array;
  readonly records: readonly JournalRecord[];
}

/** What a journal's bytes hold. */
export interface JournalScan {
  readonly frames: readonly Frame[];
  /** End of the last whole frame; what is behind it was torn by a crash and never answered. */
  readonly end: number;
  /** The bytes up to there, with a seal that a crash took put back. */
  readonly whole: Uint8Array;
}

const MAGIC = formatUtf8("CSWJ");
const DOMAIN = formatUtf8("countersign/witness-frame/v1\n");
const HEADER_BYTES = 80;
const RECORD_HEADER_BYTES = 5;
const MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;

/** The frame of these records behind `before`. */
export function formatFrame(
  before: JournalPosition,
  records: readonly JournalRecord[],
): { readonly bytes: Uint8Array; readonly position: JournalPosition } {
  const payload = concat(
    ...records.flatMap(({ kind, text }) => {
      const bytes = formatUtf8(text);
      return [Uint8Array.of(KINDS[kind]), formatUint32(bytes.length), bytes];
    }),
  );
  const seq = before.seq + 1n;
  const hash = hashOf(seq, before.hash, payload);
  const bytes = concat(MAGIC, formatUint32(payload.length), formatUint64(seq), before.hash, hash, payload);
  return { bytes, position: { seq, hash } };
}

/**
 * The frames of a journal.
 *
 * The first frame was written by an atomic replacement, so a bad one is damage; so is a bad one with a good one behind
 * it, or one that does not follow from the one before. Only the end may be torn: the last frame, or the seal in front of it, which
 * follows from what is before it and is put back.
 *
 * @throws {FormatError} ERR_WITNESS_STATE if it is damaged
 */
export function scanJournal(bytes: Uint8Array): JournalScan {
  const { frames, end } = scanFrames(bytes);
  const last = frames.at(-1);
  if (last === undefined) throw damaged("its first frame is not whole");
  if (!findFrame(bytes, end + 1)) return { frames, end, whole: bytes.slice(0, end) };
  // A seal is not synced: it and the frame behind it are on their way together, and a power cut may take either.
  const sealed = withSealAt(bytes, end, last);
  const again = scanFrames(sealed);
  if (again.frames.length !== frames.length + 2 || findFrame(sealed, again.end + 1)) {
    throw damaged("a frame in front of a whole one is not whole");
  }
  return { ...again, whole: sealed.slice(0, again.end) };
}

/** Frames from the first on, up to one that is not whole. @throws {FormatError} ERR_WITNESS_STATE if two do not follow */
function scanFrames(bytes: Uint8Array): { readonly frames: readonly Frame[]; readonly end: number } {
  const frames: Frame[] = [];
  let end = 0;
  while (end < bytes.length) {
    const frame = readFrame(bytes, end);
    if (frame === undefined) break;
    const last = frames.at(-1);
    if (last !== undefined && !follows(last, frame)) throw damaged("a frame does not follow from the one before it");
    frames.push(frame);
    end += frame.length;
  }
  return { frames, end };
}

/** The bytes with the seal of `last` at `end`: it says nothing of its own, so the frame in front gives all of it. */
function withSealAt(bytes: Uint8Array, end: number, last: JournalPosition): Uint8Array {
  const seal = formatFrame(last, []).bytes;
  const sealed = new Uint8Array(Math.max(bytes.length, end + seal.length));
  sealed.set(bytes);
  sealed.set(seal, end);
  return sealed;
}

function follows(last: JournalPosition, next: Frame): boolean {
  return next.seq === last.seq + 1n && equalBytes(next.before, last.hash);
}

/** True if a whole frame begins anywhere from `from` on. */
function findFrame(bytes: Uint8Array, from: number): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = buffer.indexOf(MAGIC, from); at >= 0; at = buffer.indexOf(MAGIC, at + 1)) {
    if (readFrame(bytes, at) !== undefined) return true;
  }
  return false;
}

function readFrame(bytes: Uint8Array, at: number): (Frame & { readonly length: number }) | undefined {
  if (at + HEADER_BYTES > bytes.length || !equalBytes(bytes.subarray(at, at + 4), MAGIC)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  const length = HEADER_BYTES + view.getUint32(4);
  if (length > MAX_PAYLOAD_BYTES || at + length > bytes.length) return undefined;
  const seq = view.getBigUint64(8);
  const [before, hash] = [bytes.slice(at + 16, at + 48), bytes.slice(at + 48, at + HEADER_BYTES)];
  const payload = bytes.subarray(at + HEADER_BYTES, at + length);
  if (!equalBytes(hash, hashOf(seq, before, payload))) return undefined;
  return { seq, hash, before, records: readRecords(payload), length };
}

/** The records of a payload that hashes right: anything else in it is our own fault or a forger's. */
function readRecords(payload: Uint8Array): readonly JournalRecord[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const records: JournalRecord[] = [];
  for (let at = 0; at < payload.length; ) {
    if (at + RECORD_HEADER_BYTES > payload.length) throw damaged("a record is cut");
    const kind = kindOf(view.getUint8(at));
    const start = at + RECORD_HEADER_BYTES;
    at = start + view.getUint32(at + 1);
    if (kind === undefined || at > payload.length) throw damaged("a record is none");
    records.push({ kind, text: parseUtf8(payload.subarray(start, at)) });
  }
  return records;
}

function kindOf(code: number): JournalRecord["kind"] | undefined {
  if (code === KINDS.cosigned) return "cosigned";
  if (code === KINDS.suspended) return "suspended";
  if (code === KINDS.resumed) return "resumed";
  return code === KINDS.cleared ? "cleared" : undefined;
}

function hashOf(seq: bigint, before: Uint8Array, payload: Uint8Array): Uint8Array {
  return sha256(concat(DOMAIN, formatUint64(seq), before, payload));
}

function damaged(what: string): FormatError {
  return new FormatError("ERR_WITNESS_STATE", what);
}
