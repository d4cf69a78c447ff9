/**
 * Revocations of mandates (docs/formats/mandate.md): what one key takes back before its time. A key takes back what it issued,
 * and what was derived from that; its list only grows, but for mandates whose time is over.
 */

import { sha256 } from "#crypto";
import { CheckError, FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import { type Digest, type Hex64, hex64Shape, publicKeyJsonShape } from "../receipt/fields.ts";
import { array, integer, literal, mapped, object, readShape, type Shape, timestamp } from "../shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "../signature/envelope.ts";
import { formatPublicKey, type Kid, type PublicKeyJson, publicKeyShape } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { formatTimestamp, type Timestamp } from "../time.ts";
import type { MandateChain } from "./mandate-chain.ts";

/** A mandate that is taken back. */
export type Revoked = {
  /** SHA-256 of its bytes. */
  readonly mandate: Hex64;
  /** When its time is over; from then on the list need not name it. */
  readonly not_after: Timestamp;
};

/** Body of a list. */
export type MandateRevocationsBody = {
  readonly kind: "mandate-revocations";
  readonly v: 1;
  /** Rises with every change. */
  readonly version: number;
  /** The key that signs. */
  readonly issuer_key: PublicKeyJson;
  /** Sorted by mandate, each once. */
  readonly revoked: readonly Revoked[];
};

type MandateRevocations = Signed<MandateRevocationsBody>;

/** A list whose signature holds. */
export interface CheckedRevocations {
  readonly kid: Kid;
  readonly version: number;
  readonly revoked: readonly Revoked[];
  /** Of its bytes. */
  readonly digest: Digest;
}

/** Most mandates of one list, and most bytes. */
const MAX_REVOKED = 65_536;
export const MAX_REVOCATIONS_BYTES: number = 16 * 1_048_576;

const listShape: Shape<MandateRevocations> = mapped(
  object<MandateRevocations>({
    kind: literal("mandate-revocations"),
    v: literal(1),
    version: integer({ min: 1 }),
    issuer_key: publicKeyJsonShape,
    revoked: array(object<Revoked>({ mandate: hex64Shape, not_after: timestamp() }), { max: MAX_REVOKED }),
    signatures: signaturesShape,
  }),
  (list) => {
    const isSorted = list.revoked.every(
      ({ mandate }, at) => at === 0 || (list.revoked[at - 1]?.mandate ?? "") < mandate,
    );
    if (isSorted && list.signatures.length === 1) return list;
    throw new FormatError("ERR_SHAPE", "want mandates sorted and each once, and one signature");
  },
);

/**
 * Reads a list and checks its signature; whose mandates it takes back is the chain's question.
 *
 * @param bytes  canonical JSON
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_KEY_*, ERR_MANDATE_BROKEN (the signature does not hold)
 */
export function parseRevocations(bytes: Uint8Array): CheckedRevocations {
  const list = readShape(listShape, parseCanonical(bytes, { maxBytes: MAX_REVOCATIONS_BYTES }), "revocations");
  const key = publicKeyShape.read(list.issuer_key, "revocations.issuer_key");
  try {
    checkSignedBy(list, key);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_MANDATE_BROKEN", "a list of revocations is not signed by the key that it names", {
      cause,
    });
  }
  const { version, revoked } = list;
  return { kid: key.kid, version, revoked, digest: `sha256:${formatHex(sha256(bytes))}` };
}

/** Bytes of a new list. @param revoked  in any order */
export function signRevocations(version: number, revoked: readonly Revoked[], issuer: EnvelopeSigner): Uint8Array {
  const sorted = revoked.toSorted((a, b) => (a.mandate < b.mandate ? -1 : 1));
  const body = { kind: "mandate-revocations", v: 1, version, issuer_key: formatPublicKey(issuer.publicKey) } as const;
  const whole: MandateRevocationsBody = { ...body, revoked: sorted };
  const bytes = canonicalBytes(signEnvelope(whole, [issuer]));
  // Nothing leaves that we would refuse ourselves.
  parseRevocations(bytes);
  return bytes;
}

/**
 * Checks that a list may come after another one of its key: it is the same, or newer with everything in it that is still in its
 * time.
 *
 * @throws {CheckError} ERR_MANDATE_LIST
 */
export function checkSuccessor(before: CheckedRevocations, next: CheckedRevocations, nowMs: number): void {
  if (next.kid !== before.kid) throw new CheckError("ERR_MANDATE_LIST", "a list of another key");
  if (next.digest === before.digest) return;
  if (next.version <= before.version)
    throw new CheckError("ERR_MANDATE_LIST", "a list that is not newer than the one known");
  const now = formatTimestamp(nowMs);
  const named = new Set(next.revoked.map(({ mandate }) => mandate));
  if (before.revoked.every(({ mandate, not_after: end }) => end <= now || named.has(mandate))) return;
  throw new CheckError("ERR_MANDATE_LIST", "a list that takes a revocation back");
}

/** What a set of lists says: by key, the mandates that it takes back. */
export type RevokedByKey = ReadonlyMap<Kid, ReadonlySet<Hex64>>;

/** The lists as a lookup. */
export function revokedByKey(lists: readonly CheckedRevocations[]): RevokedByKey {
  return new Map(lists.map(({ kid, revoked }) => [kid, new Set(revoked.map(({ mandate }) => mandate))]));
}

/** True if a hop was taken back by the key that issued it, or by one that issued a hop before it: then nothing behind it holds. */
export function isRevoked({ links }: Pick<MandateChain, "links">, revoked: RevokedByKey): boolean {
  return links.some(({ hash }, at) =>
    links.slice(0, at + 1).some(({ issuer }) => revoked.get(issuer)?.has(hash) === true),
  );
}
