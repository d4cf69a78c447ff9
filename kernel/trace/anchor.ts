/**
 * TRACE anchors (Registry Anchor Format; conformance code TR-ANC-002). The anchored unit is the whole signed record:
 *
 *     leaf = SHA-256(00 ‖ anchor form of the record)           node = SHA-256(01 ‖ left ‖ right), the tree of RFC 6962
 *
 *     {"leaf_index": int, "audit_path": ["sha256:<64 hex>", … leaf to root], "leaf_count": int,
 *      "merkle_root": "sha256:<64 hex>"}
 *
 * Our logs hold a record as its anchor form and nothing else, so each of their inclusion proofs is an anchor receipt. A
 * receipt alone proves only that somebody built a tree: `anchorStatus` says what more is needed.
 */

import { equalBytes } from "../bytes.ts";
import { CheckError, FormatError, isCodedError } from "../errors.ts";
import { formatHex, parseHex } from "../hex.ts";
import type { JsonObject } from "../json/value.ts";
import {
  HASH_BYTES,
  hashLeaf,
  type LeafHash,
  type NodeHash,
  parseNodeHash,
  parseRootHash,
  type RootHash,
} from "../merkle/hash.ts";
import { checkInclusion } from "../merkle/inclusion-proof.ts";
import { array, integer, mapped, object, readShape, type Shape, string } from "../shape.ts";
import { anchorBytes, parseTraceDocument } from "./anchor-form.ts";

/** An anchor receipt. */
export interface AnchorReceipt {
  /** 0-based. */
  readonly index: bigint;
  /** Leaves of the tree. */
  readonly size: bigint;
  /** Leaf to root. */
  readonly path: readonly NodeHash[];
  readonly root: RootHash;
}

type AnchorReceiptJson = {
  readonly leaf_index: number;
  readonly audit_path: readonly Uint8Array[];
  readonly leaf_count: number;
  readonly merkle_root: Uint8Array;
};

const PREFIX = "sha256:";
/** More hashes than any tree can need; how many a place does need is the replay's matter. */
const MAX_PATH = 256;

/** `sha256:` and 64 lower-case hexadecimal digits, read as bytes. */
export const traceHashShape: Shape<Uint8Array> = mapped(
  string({
    pattern: /^sha256:[0-9a-f]{64}$/u,
    maxLength: PREFIX.length + 2 * HASH_BYTES,
    description: "sha256:<64 hex>",
  }),
  (text) => parseHex(text.slice(PREFIX.length), HASH_BYTES),
);

const receiptShape: Shape<AnchorReceiptJson> = object<AnchorReceiptJson>({
  leaf_index: integer(),
  audit_path: array(traceHashShape, { max: MAX_PATH }),
  leaf_count: integer({ min: 1 }),
  merkle_root: traceHashShape,
});

/**
 * Reads an anchor receipt: exactly its four members, 0 <= index < count.
 *
 * @throws {FormatError} ERR_ANCHOR_RECEIPT, or as `parseTraceDocument`: it is malformed
 */
export function parseAnchorReceipt(input: Uint8Array | string): AnchorReceipt {
  const { leaf_index, audit_path, leaf_count, merkle_root } = readOrRefuse(parseTraceDocument(input));
  if (leaf_index >= leaf_count) {
    throw new FormatError("ERR_ANCHOR_RECEIPT", `leaf_index ${leaf_index}: want one below leaf_count ${leaf_count}`);
  }
  const [index, size] = [BigInt(leaf_index), BigInt(leaf_count)];
  return { index, size, path: audit_path.map(parseNodeHash), root: parseRootHash(merkle_root) };
}

/** The receipt as JSON, members in the order of the format; requires index < size < 2^53. */
export function formatAnchorReceipt({ index, size, path, root }: AnchorReceipt): JsonObject {
  return {
    leaf_index: Number(index),
    audit_path: path.map(formatTraceHash),
    leaf_count: Number(size),
    merkle_root: formatTraceHash(root),
  };
}

/** `sha256:` and the hash in hexadecimal. */
export function formatTraceHash(hash: Uint8Array): string {
  return PREFIX + formatHex(hash);
}

/** Leaf hash of a record. @throws {FormatError} ERR_ANCHOR_FORM */
export function anchorLeaf(record: JsonObject): LeafHash {
  return hashLeaf(anchorBytes(record));
}

/**
 * Replays a receipt: checks that its root is that of a tree with `record` at its index. It proves the record against that
 * root and nothing more.
 *
 * @throws {FormatError} ERR_ANCHOR_FORM
 * @throws {CheckError} ERR_PROOF_LENGTH, ERR_ROOT_MISMATCH: it does not reproduce
 */
export function checkAnchorReceipt(record: JsonObject, { index, size, path, root }: AnchorReceipt): void {
  checkInclusion({ leaf: anchorLeaf(record), index, size, root, proof: path });
}

/** A tree head that the caller trusts: signed by a pinned key of the log and cosigned by the witness quorum. */
export interface TrustedHead {
  readonly size: bigint;
  readonly root: RootHash;
}

/** What a replayed receipt is, or why it fails: TR-ANC-002. */
export type AnchorReplay =
  | { readonly verdict: "pass"; readonly receipt: AnchorReceipt }
  | { readonly verdict: "fail"; readonly reason: "absent" | "malformed" | "non-reproducing" };

/** Whether a record is anchored. `not_established` is neither a pass nor a fail. */
export type AnchorStatus =
  | { readonly verdict: "pass" }
  | { readonly verdict: "fail"; readonly reason: "absent" | "malformed" | "non-reproducing" | "checkpoint" }
  | { readonly verdict: "not_established"; readonly reason: "checkpoint" };

/** Replays a receipt without exceptions. @param receipt  its text; undefined if there is none */
export function replayAnchor(record: JsonObject, receipt: Uint8Array | string | undefined): AnchorReplay {
  if (receipt === undefined) return { verdict: "fail", reason: "absent" };
  try {
    const parsed = parseAnchorReceipt(receipt);
    checkAnchorReceipt(record, parsed);
    return { verdict: "pass", receipt: parsed };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { verdict: "fail", reason: error instanceof CheckError ? "non-reproducing" : "malformed" };
  }
}

/**
 * What a receipt establishes.
 *
 * @param receipt  its text; undefined if there is none
 * @param head  the witnessed head whose root it must be; undefined if the caller has none: a receipt alone never passes,
 *   since a tree that the submitter built replays as well
 */
export function anchorStatus(
  record: JsonObject,
  receipt: Uint8Array | string | undefined,
  head: TrustedHead | undefined,
): AnchorStatus {
  const replayed = replayAnchor(record, receipt);
  if (replayed.verdict === "fail") return replayed;
  if (head === undefined) return { verdict: "not_established", reason: "checkpoint" };
  const { size, root } = replayed.receipt;
  const isOfHead = size === head.size && equalBytes(root, head.root);
  return isOfHead ? { verdict: "pass" } : { verdict: "fail", reason: "checkpoint" };
}

function readOrRefuse(value: JsonObject): AnchorReceiptJson {
  try {
    return readShape(receiptShape, value, "receipt");
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new FormatError("ERR_ANCHOR_RECEIPT", error.message, { cause: error });
  }
}
