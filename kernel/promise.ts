/**
 * Promises (docs/formats/promise.md): after the durable write of a batch the log signs where its entries will be, and
 * until when a quorum of witnesses will have seen them there. The client keeps the envelope and its leaf's path:
 *
 *     {"index": n, "path": [hex, …], "promise": {"kind": "promise", "origin", "first_index", "count", "root", "deadline", …}}
 *
 * The envelope is signed by the log's Ed25519 checkpoint key (0x01), so whoever can check the log's checkpoints can check
 * its promises. No checkpoint has the form of a signing input: its second line is a decimal, theirs is `ed25519`.
 */

import { CheckError, FormatError, invariant } from "./errors.ts";
import { formatHex, parseHex } from "./hex.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import type { JsonValue } from "./json/value.ts";
import { HASH_BYTES, type LeafHash, parseNodeHash, parseRootHash, type RootHash } from "./merkle/hash.ts";
import { checkInclusion } from "./merkle/inclusion-proof.ts";
import { LeafTree } from "./merkle/leaf-tree.ts";
import type { VerifierKey } from "./note/verifier-key.ts";
import { type Hex64, hex64Shape } from "./receipt/fields.ts";
import { originShape } from "./receipt/stream-open.ts";
import { array, integer, literal, object, readShape, type Shape, timestamp } from "./shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import { makePublicKey } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import type { Timestamp } from "./time.ts";

/** Body of a promise: where the leaves of one batch are. */
export type PromiseBody = {
  readonly kind: "promise";
  readonly v: 1;
  readonly origin: string;
  /** Index in the log of the batch's first leaf; the others stand right behind it. */
  readonly first_index: number;
  /** 1..1,048,576 */
  readonly count: number;
  /** RFC 6962 root over the batch's leaf hashes. */
  readonly root: Hex64;
  /** From then on no quorum of witnesses cosigns a tree that ends before the batch does. */
  readonly deadline: Timestamp;
};

/** A promise, signed by the log. */
export type BatchPromise = Signed<PromiseBody>;

/** The promise of a batch, and the place of one leaf in it. */
export type LeafPromise = {
  /** Index of the leaf in the log. */
  readonly index: number;
  /** Sibling hashes of the leaf in the batch's tree, leaf to root. */
  readonly path: readonly Hex64[];
  readonly promise: BatchPromise;
};

/** Most leaves of one promise. */
export const MAX_PROMISE_LEAVES = 1_048_576;
/** Longest path in a batch of that many leaves. */
const MAX_PATH = 20;
const MAX_PROMISE_BYTES = 16_384;

const batchPromiseShape: Shape<BatchPromise> = object<BatchPromise>({
  kind: literal("promise"),
  v: literal(1),
  origin: originShape,
  first_index: integer(),
  count: integer({ min: 1, max: MAX_PROMISE_LEAVES }),
  root: hex64Shape,
  deadline: timestamp(),
  signatures: signaturesShape,
});

const leafPromiseShape: Shape<LeafPromise> = object<LeafPromise>({
  index: integer(),
  path: array(hex64Shape, { max: MAX_PATH }),
  promise: batchPromiseShape,
});

/** What a promise is made of. */
export interface PromiseParts {
  readonly origin: string;
  readonly firstIndex: bigint;
  /** 1 to 1,048,576. */
  readonly count: number;
  readonly root: RootHash;
  readonly deadline: Timestamp;
}

/** Signs a promise with the log's Ed25519 key. Only for what is durable. */
export function signPromise(parts: PromiseParts, signer: EnvelopeSigner): BatchPromise {
  const { origin, firstIndex, count, root, deadline } = parts;
  invariant(count >= 1 && count <= MAX_PROMISE_LEAVES, "signPromise: count");
  const body: PromiseBody = {
    kind: "promise",
    v: 1,
    origin,
    first_index: Number(firstIndex),
    count,
    root: formatHex(root),
    deadline,
  };
  return signEnvelope(body, [signer]);
}

/** The leaf promise of the batch's leaf at `position`, 0-based; `tree` is the batch's. */
export function leafPromiseOf(promise: BatchPromise, tree: LeafTree, position: number): LeafPromise {
  return { index: promise.first_index + position, path: tree.path(position).map(formatHex), promise };
}

/** Canonical bytes of a leaf promise: what a client keeps. */
export function formatLeafPromise(promise: LeafPromise): Uint8Array {
  return canonicalBytes(promise);
}

/**
 * The leaf promise that `bytes` spell, nothing verified.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 */
export function parseLeafPromise(bytes: Uint8Array): LeafPromise {
  const promise = readShape(leafPromiseShape, parseCanonical(bytes, { maxBytes: MAX_PROMISE_BYTES }), "leaf promise");
  readRange(promise.promise);
  return promise;
}

/**
 * The promise that a JSON value holds, nothing verified; for answers that carry it beside other members.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function readBatchPromise(value: JsonValue): BatchPromise {
  const promise = readShape(batchPromiseShape, value, "promise");
  readRange(promise);
  return promise;
}

/**
 * Checks that the log signed a promise for `leaf` at the promise's index.
 *
 * @param logKeys  keys of trusted logs; those of type 0x01 that have the promise's origin count
 * @throws {CheckError} ERR_ORIGIN (no such key), ERR_PROMISE_LEAF (the index, the path or the leaf is not of the batch), and
 *   as `checkBatchPromise`
 */
export function checkLeafPromise(
  { index, path, promise }: LeafPromise,
  leaf: LeafHash,
  logKeys: readonly VerifierKey[],
): void {
  checkPromiseSignature(promise, logKeys);
  const claim = {
    leaf,
    index: BigInt(index - promise.first_index),
    size: BigInt(promise.count),
    root: parseRootHash(parseHex(promise.root, HASH_BYTES)),
    proof: path.map((hash) => parseNodeHash(parseHex(hash, HASH_BYTES))),
  };
  try {
    checkInclusion(claim);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_PROMISE_LEAF", `the promise is not of this leaf: ${cause.message}`, { cause });
  }
}

/**
 * Checks that the log signed a promise for exactly these leaves, in this order.
 *
 * @throws {CheckError} ERR_ORIGIN, ERR_SIGNATURE_MISSING, ERR_SIGNATURE_INVALID, ERR_PROMISE_LEAF
 */
export function checkBatchPromise(
  promise: BatchPromise,
  leaves: readonly LeafHash[],
  logKeys: readonly VerifierKey[],
): void {
  checkPromiseSignature(promise, logKeys);
  if (promise.count === leaves.length && promise.root === formatHex(new LeafTree(leaves).root())) return;
  throw new CheckError("ERR_PROMISE_LEAF", "the promise is of other leaves");
}

function checkPromiseSignature(promise: BatchPromise, logKeys: readonly VerifierKey[]): void {
  const ofOrigin = logKeys.filter(({ type, name }) => type === 0x01 && name === promise.origin);
  const keys = ofOrigin.map(({ publicKey }) => makePublicKey("ed25519", publicKey));
  const [first] = keys;
  if (first === undefined) throw new CheckError("ERR_ORIGIN", "no Ed25519 key of the promise's log is known");
  const isOnlySignature = promise.signatures.length === 1;
  // A signature that nobody checks could be changed without notice.
  if (!isOnlySignature) throw new CheckError("ERR_SIGNATURE_INVALID", "want one signature, that of the log");
  const kid = promise.signatures[0]?.kid;
  checkSignedBy(promise, keys.find((key) => key.kid === kid) ?? first);
}

function readRange({ first_index: firstIndex, count }: BatchPromise): void {
  if (Number.isSafeInteger(firstIndex + count)) return;
  throw new FormatError("ERR_SHAPE", "promise.count: want a range below 2^53");
}
