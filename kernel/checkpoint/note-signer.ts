/**
 * Signers of notes: a log signs its checkpoints (0x01, and 0x06 as its own cosigner), a witness cosigns those of others.
 *
 * Every line that these functions return includes its LF; a note is `formatNote(text, lines)`. Seeds are 32 bytes.
 */

import { ed25519, mlDsa44 } from "#crypto";
import { concat, formatUint64, formatUtf8 } from "../bytes.ts";
import { formatSignatureLine } from "../note/signed-note.ts";
import { makeVerifierKey, type VerifierKey } from "../note/verifier-key.ts";
import { checkpointMessage, type SubtreeStatement, subtreeMessage } from "./cosignature.ts";

/** Signs note texts; no time is involved. */
export interface NoteSigner {
  readonly key: VerifierKey;
  /** The signature line (with LF) over `text`, which ends in LF. */
  readonly signLine: (text: string) => string;
}

/** Signs statements about checkpoints at a time. */
export interface Cosigner {
  readonly key: VerifierKey;
  /**
   * The cosignature line (with LF) over the checkpoint `text`.
   *
   * @param timestampSeconds  POSIX seconds
   * @throws {FormatError} ERR_COSIGNATURE; for 0x06 also as `parseCheckpoint`
   */
  readonly cosign: (text: string, timestampSeconds: bigint) => string;
  /**
   * The line (with LF) over a subtree, with time zero: no claim of freshness. Only keys of type 0x06 can sign subtrees.
   *
   * @throws {FormatError} ERR_COSIGNATURE
   */
  readonly cosignSubtree?: (subtree: Subtree) => string;
}

/** A range of leaves of a log. */
export type Subtree = Omit<SubtreeStatement, "cosigner" | "timestampSeconds">;

/**
 * The Ed25519 signer of a log (0x01). The name must be the log's origin.
 *
 * @throws {FormatError} ERR_KEY_NAME
 */
export function makeLogSigner(origin: string, seed: Uint8Array): NoteSigner {
  const key = makeVerifierKey(origin, 0x01, ed25519.publicKey(seed));
  const sign = ed25519.signer(seed);
  return { key, signLine: (text) => formatSignatureLine(key.name, key.keyId, sign(formatUtf8(text))) };
}

/**
 * The ML-DSA-44 signer of a log (0x06): a cosigner whose name is the origin.
 *
 * @throws {FormatError} ERR_KEY_NAME
 */
export function makeLogMlDsaSigner(origin: string, seed: Uint8Array): Cosigner {
  return makeCosigner(origin, 0x06, seed);
}

/**
 * A cosigner: Ed25519 (0x04) or ML-DSA-44 (0x06). One key must not serve two types or, for 0x04, two names.
 *
 * @throws {FormatError} ERR_KEY_NAME
 */
export function makeCosigner(name: string, type: 0x04 | 0x06, seed: Uint8Array): Cosigner {
  const algorithm = type === 0x04 ? ed25519 : mlDsa44;
  const key = makeVerifierKey(name, type, algorithm.publicKey(seed));
  const sign = algorithm.signer(seed);
  const cosign = (text: string, timestampSeconds: bigint): string => {
    const signature = sign(checkpointMessage({ name, type }, text, timestampSeconds));
    return formatSignatureLine(name, key.keyId, concat(formatUint64(timestampSeconds), signature));
  };
  if (type === 0x04) return { key, cosign };
  const cosignSubtree = (subtree: Subtree): string => {
    const signature = sign(subtreeMessage({ cosigner: name, timestampSeconds: 0n, ...subtree }));
    return formatSignatureLine(name, key.keyId, concat(formatUint64(0n), signature));
  };
  return { key, cosign, cosignSubtree };
}
