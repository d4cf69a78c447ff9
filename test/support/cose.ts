/** A log whose receipts and statements the COSE tests damage: fixed keys, eleven statements behind a genesis entry. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import type { CborKey, CborValue } from "../../kernel/cbor/value.ts";
import { signInclusionReceipt } from "../../kernel/cose/inclusion-receipt.ts";
import { issuerOfLog } from "../../kernel/cose/receipt.ts";
import { formatSign1, parseSign1, type Sign1 } from "../../kernel/cose/sign1.ts";
import { parseStatement, signStatement, statementEntry } from "../../kernel/cose/statement.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { type MemoryTree, makeMemoryTree } from "./memory-tree.ts";

export const COSE_ORIGIN = "log.example/cose";
export const COSE_ISSUER: string = issuerOfLog(COSE_ORIGIN);

/** The log's two keys. */
export const coseSigners: Readonly<Record<"ed25519" | "es256", EnvelopeSigner>> = {
  ed25519: createSigner("ed25519", new Uint8Array(32).fill(71)),
  es256: createSigner("es256", new Uint8Array(32).fill(72)),
};

/** Signs statements. */
export const statementIssuer: EnvelopeSigner = createSigner("ed25519", new Uint8Array(32).fill(73));

/** Statement `n` of the issuer. */
export function makeStatement(n: number, signer: EnvelopeSigner = statementIssuer): Uint8Array {
  return signStatement(
    {
      issuer: "https://issuer.example",
      subject: `urn:example:artifact:${n}`,
      contentType: "text/plain",
      payload: formatUtf8(`statement ${n}`),
    },
    signer,
  );
}

/** A genesis entry, then statements 1 to 11. */
export const coseEntries: readonly Uint8Array[] = [
  formatUtf8("genesis"),
  ...Array.from({ length: 11 }, (_, i) => statementEntry(parseStatement(makeStatement(i + 1)))),
];

/** Their tree. */
export const coseTree: MemoryTree = makeMemoryTree(coseEntries.map(hashLeaf));

/** Leaf of entry `index`. */
export function coseLeaf(index: number): LeafHash {
  const leaf = coseTree.leaves[index];
  if (leaf === undefined) throw new Error(`the log has no entry ${index}`);
  return leaf;
}

/** The receipt of statement `index` in the tree of `size`. */
export async function makeReceipt(
  index: number,
  size: number,
  signer: EnvelopeSigner = coseSigners.ed25519,
): Promise<Uint8Array> {
  const [i, n] = [BigInt(index), BigInt(size)];
  const proof = await proveInclusion(i, n, coseTree.reader);
  const subject = `urn:example:artifact:${index}`;
  return signInclusionReceipt(
    { leaf: coseLeaf(index), index: i, size: n, proof, issuer: COSE_ISSUER, subject },
    signer,
  );
}

/** The object with other parts; the signature stays what it was. */
export function rewriteSign1(bytes: Uint8Array, change: (parts: Sign1) => Partial<Sign1>): Uint8Array {
  const parts = parseSign1(bytes);
  return formatSign1({ ...parts, ...change(parts) });
}

/** The object with another protected header, signed again: what a careless log could sign. */
export function resignSign1(
  bytes: Uint8Array,
  payload: Uint8Array,
  signer: EnvelopeSigner,
  change: (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>) => void,
): Uint8Array {
  const parts = parseSign1(bytes);
  const [header, unprotectedHeader] = [new Map(parts.protectedHeader), new Map(parts.unprotectedHeader)];
  change(header, unprotectedHeader);
  const protectedBytes = formatCbor(header);
  const signature = signer.sign(formatCbor(["Signature1", protectedBytes, new Uint8Array(0), payload]));
  return formatSign1({ ...parts, protectedBytes, unprotectedHeader, signature });
}
