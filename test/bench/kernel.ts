/** Benchmarks of the kernel's primitives, each against the thing that a reader would otherwise use. */

import { createHash } from "node:crypto";
import { MerkleTree } from "merkletreejs";
import { commitJson } from "../../kernel/commitment.ts";
import * as browser from "../../kernel/crypto/browser.ts";
import * as node from "../../kernel/crypto/node.ts";
import type { CryptoPrimitives } from "../../kernel/crypto/primitives.ts";
import { canonicalBytes, formatCanonical, parseCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { checkEd25519Key } from "../../kernel/signature/ed25519-key-guard.ts";
import { makeEnvelopeChecker, signEnvelope } from "../../kernel/signature/envelope.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { canonicalizeByPeer } from "../support/canonicalize.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";
import { type BenchContext, type Contender, compare } from "./harness.ts";

const ENTRY_BYTES = 300;
const PAIR_PREFIX: Uint8Array = Uint8Array.of(1);
const native: CryptoPrimitives = node;
const noble: CryptoPrimitives = browser;
const secret: Uint8Array = new Uint8Array(32).fill(7);
const entry: Uint8Array = new Uint8Array(ENTRY_BYTES).map((_, i) => i);

/** All comparisons of this file. */
export async function bench(context: BenchContext): Promise<void> {
  await benchHashes(context);
  await benchJson(context);
  await benchSignatures(context);
  await benchEnvelopes(context);
  await benchTree(context);
}

async function benchHashes(context: BenchContext): Promise<void> {
  for (const length of [64, ENTRY_BYTES, 65_536]) {
    const data = new Uint8Array(length).fill(3);
    await compare(context, `SHA-256 of ${length} bytes`, [
      { name: "node:crypto createHash", run: () => createHash("sha256").update(data).digest(), bytes: length },
      { name: "#crypto, Node", run: () => native.sha256(data), bytes: length },
      { name: "#crypto, browser (noble)", run: () => noble.sha256(data), bytes: length },
    ]);
  }
  await compare(context, `leaf hash of ${ENTRY_BYTES} bytes`, [
    { name: "SHA-256 alone", run: () => native.sha256(entry), bytes: ENTRY_BYTES },
    { name: "hashLeaf", run: () => hashLeaf(entry), bytes: ENTRY_BYTES },
  ]);
}

/** An object of about the size and make of a call receipt. */
function receiptLike(): JsonObject & { readonly kind: string } {
  const names = Array.from({ length: 20 }, (_, i): readonly [string, string] => [`member_${i}`, "v".repeat(8 + 2 * i)]);
  return {
    kind: "example",
    v: 1,
    seq: 123_456,
    ...Object.fromEntries(names),
    prev: "ab".repeat(32),
    session: { id: "cd".repeat(16), key: "ef".repeat(32), source: "header", trust: "asserted" },
    reasons: ["policy.forbid", "catalog.drift"],
    commitments: ["received", "sent"].map((name) => ({ name, scheme: "countersign/fields/v1", root: "01".repeat(32) })),
    latency_us: [120, 45, 7, 1890],
  };
}

async function benchJson(context: BenchContext): Promise<void> {
  const value = signEnvelope(receiptLike(), [createSigner("ed25519", secret)]);
  const document = canonicalBytes(value);
  const bytes = document.length;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  await compare(context, `reading JSON, ${bytes} bytes`, [
    { name: "JSON.parse of decoded bytes", run: () => JSON.parse(decoder.decode(document)), bytes },
    { name: "parseJson", run: () => parseJson(document), bytes },
    { name: "parseCanonical", run: () => parseCanonical(document), bytes },
  ]);
  await compare(context, `writing canonical JSON, ${bytes} bytes`, [
    { name: "canonicalize", run: () => canonicalizeByPeer(value), bytes },
    { name: "formatCanonical", run: () => formatCanonical(value), bytes },
    { name: "JSON.stringify (not canonical)", run: () => JSON.stringify(value), bytes },
  ]);
}

async function benchSignatures(context: BenchContext): Promise<void> {
  for (const name of ["ed25519", "p256", "mlDsa44", "mlDsa65"] as const) {
    const sides = sidesOf(name);
    const signers = sides.map(([label, side]): Contender => {
      const sign = side[name].signer(secret);
      return { name: label, run: () => sign(entry) };
    });
    await compare(context, `${name} sign`, signers);
    const signature = native[name].signer(secret)(entry);
    const verifiers = sides.map(([label, side]): Contender => {
      const verify = side[name].verifier(side[name].publicKey(secret));
      return { name: label, run: () => verify(entry, signature) };
    });
    await compare(context, `${name} verify, key imported once`, verifiers);
  }
}

/** Who signs and verifies, with a label each: for Ed25519 also OpenSSL, which decides where libsodium cannot be had. */
function sidesOf(name: "ed25519" | "p256" | "mlDsa44" | "mlDsa65"): readonly (readonly [string, CryptoPrimitives])[] {
  const openssl: CryptoPrimitives = { ...native, ed25519: node.opensslEd25519 };
  return [
    ...(name === "ed25519" ? ([["node without libsodium: node:crypto", openssl]] as const) : []),
    [`${sideName(0)}: ${native.implementations[name]}`, native],
    [`${sideName(1)}: ${noble.implementations[name]}`, noble],
  ];
}

async function benchEnvelopes(context: BenchContext): Promise<void> {
  const signer = createSigner("ed25519", secret);
  const verify = native.ed25519.verifier(signer.publicKey.bytes);
  const body = receiptLike();
  const envelope = signEnvelope(body, [signer]);
  const signature = signer.sign(entry);
  const check = makeEnvelopeChecker(signer.publicKey);
  const exact = canonicalBytes(body);
  await compare(context, "envelopes, ed25519", [
    { name: "bare verification", run: () => verify(entry, signature) },
    { name: "check an envelope", run: () => check(envelope) },
    { name: "bare signature", run: () => signer.sign(entry) },
    { name: "sign an envelope", run: () => signEnvelope(body, [signer]) },
  ]);
  await compare(context, "once a key, once a payload", [
    { name: "Ed25519 key guard", run: () => checkEd25519Key(signer.publicKey.bytes) },
    { name: "commitment to 44 fields", run: () => commitJson(secret, "request_received", body, exact) },
  ]);
}

/** The peer's tree with RFC 6962 hashes: leaves are hashed already, pairs get 0x01, an odd node is promoted. */
function makePeerTree(leaves: readonly Uint8Array[]): MerkleTree {
  const hashPair = (pair: Buffer): Buffer => createHash("sha256").update(PAIR_PREFIX).update(pair).digest();
  return new MerkleTree(
    [...leaves].map((leaf) => Buffer.from(leaf)),
    hashPair,
  );
}

async function benchTree(context: BenchContext): Promise<void> {
  const size = context.isQuick ? 256 : 4096;
  const leaves = numberedLeaves("bench", size);
  const tree = makeMemoryTree(leaves);
  const root = tree.roots[size];
  const middle = Math.floor(size / 3);
  const leaf = leaves[middle];
  if (root === undefined || leaf === undefined) throw new Error("an empty tree");
  const index = BigInt(middle);
  const peer = makePeerTree(leaves);
  const [peerRoot, peerLeaf] = [peer.getRoot(), Buffer.from(leaf)];
  const peerProof = peer.getProof(peerLeaf, Number(index));
  const proof = await proveInclusion(index, BigInt(size), tree.reader);
  await compare(context, `root of ${size} leaves, by leaf`, [
    { name: "merkletreejs", run: () => makePeerTree(leaves).getRoot(), operations: size },
    { name: "compact range", run: () => rootOf(leaves), operations: size },
  ]);
  await compare(context, `inclusion proof, ${size} leaves in memory`, [
    { name: "merkletreejs", run: () => peer.getProof(peerLeaf, Number(index)) },
    { name: "proveInclusion", run: () => proveInclusion(index, BigInt(size), tree.reader) },
  ]);
  await compare(context, `check of an inclusion proof, ${proof.length} hashes`, [
    { name: "merkletreejs", run: () => peer.verify(peerProof, peerLeaf, peerRoot) },
    { name: "checkInclusion", run: () => checkInclusion({ leaf, index, size: BigInt(size), root, proof }) },
  ]);
}

function rootOf(leaves: ReturnType<typeof numberedLeaves>): Uint8Array {
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  return range.root();
}

function sideName(index: number): string {
  return index === 0 ? "Node" : "browser";
}
