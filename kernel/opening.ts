/**
 * Openings of commitments (docs/formats/commitment.md): what reveals one field, or the exact bytes, and proves that a
 * receipt committed to it. All other leaves stay hidden: a proof holds salted hashes only.
 *
 * An opening shows that the committer put this value under this pointer. That it put nothing else there is shown by the
 * whole payload alone (`checkPayload`).
 */

import { formatBase64, parseBase64 } from "./base64.ts";
import { equalBytes } from "./bytes.ts";
import {
  BYTES_POINTER,
  bytesLeaf,
  type CommitmentScheme,
  type CommittedLeaf,
  commitBytes,
  commitJson,
  hashCommittedLeaf,
  jsonLeaves,
  MAX_COMMITTED_FIELDS,
  SALT_BYTES,
} from "./commitment.ts";
import { CheckError, invariant } from "./errors.ts";
import { parseHex } from "./hex.ts";
import { canonicalBytes } from "./json/canonical.ts";
import { parseJson } from "./json/parse.ts";
import { isField, isJsonPointer } from "./json/pointer.ts";
import type { JsonValue } from "./json/value.ts";
import { CompactRange } from "./merkle/compact-range.ts";
import { type NodeHash, parseNodeHash } from "./merkle/hash.ts";
import { rootFromInclusion } from "./merkle/inclusion-proof.ts";
import { foldRange, type NodeId } from "./merkle/node-id.ts";
import { planSubtreeProof } from "./merkle/proof-plan.ts";
import { array, base64, integer, json, literal, object, type Shape, string, tagged } from "./shape.ts";

/** Salt and place of an opened leaf. */
export type OpenedLeaf = {
  /** Base64, 32 bytes. */
  readonly salt: string;
  /** 0-based place of the leaf. */
  readonly index: number;
  /** Leaves of the tree: the fields and one for the exact bytes. */
  readonly leaves: number;
  /** Base64 sibling hashes, leaf to root. */
  readonly proof: readonly string[];
};

/** Reveals one field of a JSON value: tier 2. */
export type FieldOpening = OpenedLeaf & {
  readonly part: "field";
  /** JSON Pointer. */
  readonly pointer: string;
  /** A scalar or an empty container. */
  readonly value: JsonValue;
};

/** Reveals the exact bytes. */
export type BytesOpening = OpenedLeaf & {
  readonly part: "bytes";
  /** Base64. */
  readonly bytes: string;
};

/** What reveals one leaf of a commitment. */
export type Opening = FieldOpening | BytesOpening;

/** A commitment as a receipt holds it. */
export interface CommitmentRoot {
  readonly scheme: CommitmentScheme;
  /** 64 hexadecimal digits. */
  readonly root: string;
}

const MAX_LEAVES = MAX_COMMITTED_FIELDS + 1;
const MAX_PROOF = 13;

const leafMembers = {
  salt: base64(SALT_BYTES),
  index: integer({ max: MAX_LEAVES - 1 }),
  leaves: integer({ min: 1, max: MAX_LEAVES }),
  proof: array(base64(32), { max: MAX_PROOF }),
};

/** Reads an Opening. */
export const openingShape: Shape<Opening> = tagged("part", {
  field: object<FieldOpening>({
    part: literal("field"),
    pointer: string({ maxLength: 65_535, description: "a JSON Pointer" }),
    value: json(),
    ...leafMembers,
  }),
  bytes: object<BytesOpening>({ part: literal("bytes"), bytes: base64(), ...leafMembers }),
});

/**
 * Opens the field at `pointer` of what `commitJson` committed with the same arguments.
 *
 * @throws {CheckError} ERR_OPENING_FIELD if the value has no such field; containers with members are no fields
 */
export function openField(
  secret: Uint8Array,
  name: string,
  value: JsonValue,
  exactBytes: Uint8Array,
  pointer: string,
): FieldOpening {
  const leaves = jsonLeaves(secret, name, value, exactBytes);
  const index = leaves.findIndex((leaf) => leaf.pointer === pointer);
  const leaf = leaves[index];
  if (leaf === undefined || pointer === BYTES_POINTER) {
    throw new CheckError("ERR_OPENING_FIELD", "the value has no such field to open");
  }
  return {
    part: "field",
    pointer,
    value: parseJson(leaf.value, { maxBytes: leaf.value.length }),
    ...openLeaf(leaves, index),
  };
}

/** Opens the exact bytes of a commitment; `value` as in `commitJson`, or undefined for `commitBytes`. */
export function openBytes(
  secret: Uint8Array,
  name: string,
  value: JsonValue | undefined,
  exactBytes: Uint8Array,
): BytesOpening {
  const leaves =
    value === undefined ? [bytesLeaf(secret, name, exactBytes)] : jsonLeaves(secret, name, value, exactBytes);
  return { part: "bytes", bytes: formatBase64(exactBytes), ...openLeaf(leaves, leaves.length - 1) };
}

/**
 * Checks that `commitment` holds what `opening` reveals.
 *
 * @throws {CheckError} ERR_OPENING_FIELD (no leaf of this scheme can be at that place, or is no field),
 *   ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_OPENING_MISMATCH
 */
export function checkOpening(commitment: CommitmentRoot, opening: Opening): void {
  checkPlace(commitment.scheme, opening);
  const leaf = hashCommittedLeaf({
    pointer: opening.part === "bytes" ? BYTES_POINTER : opening.pointer,
    salt: parseBase64(opening.salt, SALT_BYTES),
    value: opening.part === "bytes" ? parseBase64(opening.bytes) : canonicalBytes(opening.value),
  });
  const proof = opening.proof.map((hash) => parseNodeHash(parseBase64(hash)));
  const root = rootFromInclusion({ leaf, index: BigInt(opening.index), size: BigInt(opening.leaves), proof });
  if (equalBytes(root, parseHex(commitment.root, 32))) return;
  throw new CheckError("ERR_OPENING_MISMATCH", "the opening is not of this commitment");
}

/**
 * Checks that `commitment` is to exactly these bytes, and to the fields that they hold: tier 3.
 *
 * @throws {CheckError} ERR_OPENING_MISMATCH
 * @throws {FormatError} as parseJson, if the scheme says that the bytes are JSON and they are not
 */
export function checkPayload(
  commitment: CommitmentRoot,
  secret: Uint8Array,
  name: string,
  exactBytes: Uint8Array,
): void {
  const root =
    commitment.scheme === "countersign/bytes/v1"
      ? commitBytes(secret, name, exactBytes)
      : commitJson(secret, name, parseJson(exactBytes, { maxBytes: exactBytes.length }), exactBytes);
  if (root === commitment.root) return;
  throw new CheckError("ERR_OPENING_MISMATCH", "the payload is not the one that was committed");
}

/** The exact bytes are the last leaf, and in `countersign/bytes/v1` the only one; fields are fields. */
function checkPlace(scheme: CommitmentScheme, opening: Opening): void {
  const { leaves, index } = opening;
  const isPossible =
    (scheme === "countersign/bytes/v1") === (leaves === 1) &&
    (opening.part === "bytes"
      ? index === leaves - 1
      : index < leaves - 1 && isJsonPointer(opening.pointer) && isField(opening.value));
  if (!isPossible) throw new CheckError("ERR_OPENING_FIELD", "no leaf of this scheme can be what the opening says");
}

function openLeaf(leaves: readonly CommittedLeaf[], index: number): OpenedLeaf {
  const leaf = leaves[index];
  invariant(leaf !== undefined, "openLeaf: index");
  const proof = proveLeaf(leaves, index).map((hash) => formatBase64(hash));
  return { salt: formatBase64(leaf.salt), index, leaves: leaves.length, proof };
}

/** The inclusion proof of one leaf, from all leaves in memory. */
function proveLeaf(leaves: readonly CommittedLeaf[], index: number): readonly NodeHash[] {
  const nodes = new Map<string, NodeHash>();
  const range = CompactRange.empty((id, hash) => nodes.set(keyOf(id), hash));
  for (const leaf of leaves) range.append(hashCommittedLeaf(leaf));
  const read = (id: NodeId): NodeHash => {
    const hash = nodes.get(keyOf(id));
    invariant(hash !== undefined, "proveLeaf: a planned node is missing");
    return hash;
  };
  const { steps } = planSubtreeProof(BigInt(index), BigInt(index) + 1n, BigInt(leaves.length));
  return steps.map((step) => foldRange(step.nodes.map(read)));
}

function keyOf({ level, index }: NodeId): string {
  return `${level}/${index}`;
}
