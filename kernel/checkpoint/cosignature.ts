/**
 * Cosignatures (C2SP tlog-cosignature): what a witness says about a checkpoint.
 *
 *     line payload    = key id[4] ‖ u64 time ‖ signature         64 bytes (0x04) or 2420 bytes (0x06)
 *     Ed25519 message = "cosignature/v1" LF "time " ‖ decimal seconds ‖ LF ‖ whole note text
 *     ML-DSA message  = "subtree/v1" 0A 00 ‖ u8 len ‖ cosigner ‖ u64 time ‖ u8 len ‖ origin ‖ u64 start ‖ u64 end ‖ hash
 */

import { concat, formatUint64, formatUtf8 } from "../bytes.ts";
import { CheckError, FormatError } from "../errors.ts";
import type { NodeHash, RootHash } from "../merkle/hash.ts";
import { verifierOf } from "../note/key-verifier.ts";
import type { NoteSignature } from "../note/signed-note.ts";
import type { VerifierKey } from "../note/verifier-key.ts";
import { parseCheckpoint } from "./checkpoint.ts";

/** Largest time of a cosignature, POSIX seconds. SPEC tlog-cosignature: it MUST NOT exceed 2^63 - 1. */
export const MAX_TIMESTAMP_SECONDS: bigint = (1n << 63n) - 1n;

const TIME_BYTES = 8;
const SIGNATURE_BYTES = { 4: 64, 6: 2420 } as const;

/** What an ML-DSA-44 cosignature says: this subtree is consistent with all that the cosigner saw of this log. */
export interface SubtreeStatement {
  /** Key name of the cosigner, 1 to 255 bytes. */
  readonly cosigner: string;
  /** POSIX seconds; zero makes no claim of freshness and is required when start is not zero. */
  readonly timestampSeconds: bigint;
  /** Origin of the log, 1 to 255 bytes. */
  readonly origin: string;
  readonly start: bigint;
  /** Exclusive; the tree size for a checkpoint. */
  readonly end: bigint;
  readonly hash: RootHash | NodeHash;
}

/**
 * The message of an Ed25519 cosignature (0x04). It does not name the cosigner: one key serves one cosigner.
 *
 * @throws {FormatError} ERR_COSIGNATURE if the time is out of range
 */
export function cosignatureMessage(text: string, timestampSeconds: bigint): Uint8Array {
  checkTimestamp(timestampSeconds);
  return formatUtf8(`cosignature/v1\ntime ${timestampSeconds}\n${text}`);
}

/**
 * The message of an ML-DSA-44 cosignature (0x06); 70 bytes and the two names.
 *
 * @throws {FormatError} ERR_COSIGNATURE if a name is not 1 to 255 bytes, the time is out of range, or a subtree that does
 *   not start at zero claims a time
 */
export function subtreeMessage(statement: SubtreeStatement): Uint8Array {
  const { cosigner, timestampSeconds, origin, start, end, hash } = statement;
  checkTimestamp(timestampSeconds);
  // SPEC tlog-cosignature: if start is not zero, timestamp MUST be zero.
  if (start !== 0n && timestampSeconds !== 0n) {
    throw new FormatError("ERR_COSIGNATURE", "want time zero for a subtree that does not start at zero");
  }
  return concat(
    formatUtf8("subtree/v1\n\0"),
    shortPrefixed(cosigner),
    formatUint64(timestampSeconds),
    shortPrefixed(origin),
    formatUint64(start),
    formatUint64(end),
    hash,
  );
}

/**
 * The message that a cosigner of this key type signs about the checkpoint `text`.
 *
 * @throws {FormatError} ERR_COSIGNATURE; for 0x06 also as `parseCheckpoint`
 */
export function checkpointMessage(
  key: { readonly name: string; readonly type: 0x04 | 0x06 },
  text: string,
  timestampSeconds: bigint,
): Uint8Array {
  if (key.type === 0x04) return cosignatureMessage(text, timestampSeconds);
  const { origin, size, root } = parseCheckpoint(text);
  return subtreeMessage({ cosigner: key.name, timestampSeconds, origin, start: 0n, end: size, hash: root });
}

/**
 * Checks a cosignature line of `key` over the checkpoint `text` and returns the time that it claims.
 *
 * @param text  the note text, last LF included
 * @param signature  the line in parts, as `parseNote` gives it
 * @throws {FormatError} ERR_COSIGNATURE (length, time); for 0x06 also as `parseCheckpoint`
 * @throws {CheckError} ERR_NOTE_SIGNATURE if the line is of another key or the signature does not verify
 */
export function checkCosignatureLine(
  key: VerifierKey,
  text: string,
  signature: NoteSignature,
): { readonly timestampSeconds: bigint } {
  const { name, type } = key;
  if (type === 0x01 || signature.name !== name || signature.keyId !== key.keyId) {
    throw new CheckError("ERR_NOTE_SIGNATURE", "the line is not a cosignature of this key");
  }
  const { payload } = signature;
  const want = TIME_BYTES + SIGNATURE_BYTES[type];
  if (payload.length !== want) {
    throw new FormatError("ERR_COSIGNATURE", `want ${want} bytes of time and signature, got ${payload.length}`);
  }
  const timestampSeconds = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0);
  const message = checkpointMessage({ name, type }, text, timestampSeconds);
  if (!verifierOf(key)(message, payload.subarray(TIME_BYTES))) {
    throw new CheckError("ERR_NOTE_SIGNATURE", `the cosignature of ${name} does not verify`);
  }
  return { timestampSeconds };
}

function checkTimestamp(timestampSeconds: bigint): void {
  if (timestampSeconds >= 0n && timestampSeconds <= MAX_TIMESTAMP_SECONDS) return;
  throw new FormatError("ERR_COSIGNATURE", "want a time from 0 to 2^63 - 1 seconds");
}

/** u8 length ‖ UTF-8 bytes. */
function shortPrefixed(name: string): Uint8Array {
  const bytes = formatUtf8(name);
  if (bytes.length < 1 || bytes.length > 255) {
    throw new FormatError("ERR_COSIGNATURE", `want a name of 1 to 255 bytes, got ${bytes.length}`);
  }
  return concat(Uint8Array.of(bytes.length), bytes);
}
