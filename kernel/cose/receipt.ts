/**
 * COSE receipts, RFC 9942, of the verifiable data structure RFC9162_SHA256 (vds 1):
 *
 *     18([<< {1: alg, 4: kid, 395: 1, 15: {1: issuer, 2: subject, -65537: tree size}} >>,
 *         {396: {kind: [<< proof >>]}}, null, signature])
 *
 * This file has what both kinds of proof share. The signature covers the protected header and the root, so nothing in the
 * proof is signed but what the root fixes. In a tree with a leaf of the right bytes any size that folds to the same root
 * would pass: that is why our receipts carry the tree size as a signed claim, and why it is checked wherever it stands.
 */

import { equalBytes } from "../bytes.ts";
import { parseCbor } from "../cbor/parse.ts";
import { type CborKey, type CborValue, isCborArray, isCborBytes, isCborMap } from "../cbor/value.ts";
import { CheckError, FormatError } from "../errors.ts";
import { type NodeHash, parseNodeHash, type RootHash } from "../merkle/hash.ts";
import type { PublicKey } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { coseThumbprint } from "./cose-key.ts";
import { CLAIM, HEADER, readBytes, readClaims, readInteger, readText } from "./header.ts";
import { checkSign1, parseSign1, readAlgorithm, type Sign1, signSign1 } from "./sign1.ts";

/** RFC9162_SHA256 in the registry of verifiable data structures. */
const VDS_RFC9162_SHA256 = 1n;
/** A tree of less than 2^64 leaves needs no more for inclusion, and one more for consistency. */
const MAX_PATH = 65;

/** Kinds of proof inside `vdp` (396). */
export const PROOF_KIND = { inclusion: -1n, consistency: -2n } as const;

/** What the protected header of a receipt says; all of it is covered by the signature. */
export interface ReceiptHeader {
  readonly alg: bigint;
  readonly kid?: Uint8Array;
  /** CWT claim 1: of our logs `https://` ‖ origin. */
  readonly issuer?: string;
  /** CWT claim 2: of our receipts the statement's. */
  readonly subject?: string;
  /** CWT claim −65537: leaves under the root that is signed. */
  readonly treeSize?: bigint;
}

/** A receipt of either kind in parts, nothing verified. */
export interface ParsedReceipt {
  readonly sign1: Sign1;
  readonly header: ReceiptHeader;
  /** The three items of the proof: two numbers and a path of 1 to 65 hashes. */
  readonly proof: readonly [bigint, bigint, readonly NodeHash[]];
}

/** The issuer claim of a log: `https://` ‖ origin. */
export function issuerOfLog(origin: string): string {
  return `https://${origin}`;
}

/**
 * Reads a receipt with exactly one proof of `kind`.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_STRUCTURE, ERR_COSE_HEADER
 * @throws {CheckError} ERR_COSE_VDS
 */
export function parseReceiptOf(kind: bigint, bytes: Uint8Array): ParsedReceipt {
  const sign1 = parseSign1(bytes);
  const header = readHeader(sign1);
  return { sign1, header, proof: readProof(readOneProof(sign1, kind)) };
}

/** What goes into a receipt. */
export interface ReceiptContent {
  readonly kind: bigint;
  readonly issuer: string;
  readonly subject?: string;
  /** Bytes of the proof's CBOR. */
  readonly proof: Uint8Array;
  readonly size: bigint;
  readonly root: RootHash;
}

/** A receipt over `root`, signed, the root detached; `kid` is the thumbprint of the signer's key. */
export function signReceipt(content: ReceiptContent, signer: EnvelopeSigner): Uint8Array {
  const claims = new Map<CborKey, CborValue>([[CLAIM.issuer, content.issuer]]);
  if (content.subject !== undefined) claims.set(CLAIM.subject, content.subject);
  claims.set(CLAIM.treeSize, content.size);
  const protectedHeader = new Map<CborKey, CborValue>([
    [HEADER.kid, coseThumbprint(signer.publicKey)],
    [HEADER.cwtClaims, claims],
    [HEADER.vds, VDS_RFC9162_SHA256],
  ]);
  const unprotectedHeader = new Map<CborKey, CborValue>([[HEADER.vdp, new Map([[content.kind, [content.proof]]])]]);
  return signSign1({ protectedHeader, unprotectedHeader, payload: content.root, isDetached: true }, signer);
}

/** What a verifier expects of a receipt beside its proof. */
export interface ReceiptExpectation {
  /** The key that the verifier pinned for the log. */
  readonly key: PublicKey;
  /** Compared with the signed issuer, if there is one. */
  readonly issuer?: string;
  /** Compared with the signed subject, if there is one. */
  readonly subject?: string;
}

/**
 * Checks signed claims against what the proof and the verifier say, then the signature over `root`.
 *
 * @param size  leaves under `root`, as the proof says
 * @throws {CheckError} ERR_COSE_CLAIM, ERR_COSE_PAYLOAD, ERR_COSE_ALG, ERR_COSE_SIGNATURE
 */
export function checkReceiptOver(
  { sign1, header }: ParsedReceipt,
  { root, size }: { readonly root: RootHash; readonly size: bigint },
  expected: ReceiptExpectation,
): void {
  checkClaim("issuer", header.issuer, expected.issuer);
  checkClaim("subject", header.subject, expected.subject);
  checkClaim("tree size", header.treeSize, size);
  // An attached payload changes nothing that is signed; another root there would be shown to readers who trust it.
  if (sign1.payload !== null && !equalBytes(sign1.payload, root)) {
    throw new CheckError("ERR_COSE_PAYLOAD", "the attached payload is not the root that the proof gives");
  }
  checkSign1(sign1, root, expected.key);
}

/** Signed claims are compared where both sides have them: receipts of other logs may lack any of them. */
function checkClaim<T>(name: string, signed: T | undefined, want: T | undefined): void {
  if (signed === undefined || want === undefined || signed === want) return;
  throw new CheckError("ERR_COSE_CLAIM", `${name}: the signed claim is another one`);
}

function readHeader({ protectedHeader, unprotectedHeader }: Sign1): ReceiptHeader {
  // What decides how the proof is read must be signed: otherwise a receipt could be re-read as another structure.
  if (unprotectedHeader.has(HEADER.vds)) throw refuse("vds (395): want it in the protected header only");
  if (protectedHeader.has(HEADER.vdp)) throw refuse("proofs (396): want them in the unprotected header only");
  const vds = readInteger(protectedHeader, HEADER.vds, "vds (395)");
  if (vds === undefined) throw refuse("vds (395): want it in the protected header");
  if (vds !== VDS_RFC9162_SHA256) throw new CheckError("ERR_COSE_VDS", `vds ${vds}: want 1, RFC9162_SHA256`);
  const claims = readClaims(protectedHeader);
  const [issuer, subject] = [readText(claims, CLAIM.issuer, "issuer"), readText(claims, CLAIM.subject, "subject")];
  const kid = readBytes(protectedHeader, HEADER.kid, "kid (4)");
  const treeSize = readInteger(claims, CLAIM.treeSize, "tree size (-65537)");
  return {
    alg: readAlgorithm(protectedHeader),
    ...(kid === undefined ? {} : { kid }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(subject === undefined ? {} : { subject }),
    ...(treeSize === undefined ? {} : { treeSize }),
  };
}

/** One proof: with several, a receipt would say several things under one signature. */
function readOneProof({ unprotectedHeader }: Sign1, kind: bigint): Uint8Array {
  const proofs = unprotectedHeader.get(HEADER.vdp);
  const list = isCborMap(proofs) && proofs.size === 1 ? proofs.get(kind) : undefined;
  const [proof, ...rest] = isCborArray(list) ? list : [];
  if (isCborBytes(proof) && rest.length === 0) return proof;
  throw refuse(`proofs (396): want {${kind}: [one proof]}`);
}

function readProof(bytes: Uint8Array): readonly [bigint, bigint, readonly NodeHash[]] {
  const item = parseCbor(bytes);
  const [first, second, path, ...rest] = isCborArray(item) ? item : [];
  const isUnsigned = (value: CborValue | undefined): value is bigint => typeof value === "bigint" && value >= 0n;
  if (rest.length > 0 || !isUnsigned(first) || !isUnsigned(second) || !isCborArray(path)) {
    throw structure("a proof: want [number, number, path]");
  }
  // SPEC RFC 9942 §5.2, §5.3: [+ bstr]. A tree of one leaf, and equal sizes, cannot be expressed.
  if (path.length === 0 || path.length > MAX_PATH) throw structure(`a path: want 1 to ${MAX_PATH} hashes`);
  return [first, second, path.map(readHash)];
}

function readHash(item: CborValue): NodeHash {
  if (isCborBytes(item)) return parseNodeHash(item);
  throw structure("a path: want byte strings");
}

function refuse(message: string): FormatError {
  return new FormatError("ERR_COSE_HEADER", message);
}

function structure(message: string): FormatError {
  return new FormatError("ERR_COSE_STRUCTURE", message);
}
