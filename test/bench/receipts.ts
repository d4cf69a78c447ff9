/** Benchmarks of receipts, segments and log proofs: what a gateway, a ledger and a verifier do for each call. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { checkLogProof, formatLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { parseReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { checkSegment, formatSegment, makeSegment, parseSegment } from "../../kernel/segment.ts";
import { ed25519Verifier } from "../../kernel/signature/ed25519.ts";
import { checkReceiptSignature, nextStreamState, type StreamState } from "../../kernel/stream/stream-state.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkpointText, ORIGIN, policyText, witnessedNote, witnesses } from "../support/log-keys.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";
import { makeStream, receiptBodies } from "../support/receipts.ts";
import { type BenchContext, compare } from "./harness.ts";

/** All comparisons of this file. */
export async function bench(context: BenchContext): Promise<void> {
  await benchReceipts(context);
  await benchSegments(context);
  await benchLogProof(context);
}

async function benchReceipts(context: BenchContext): Promise<void> {
  const { keys } = makeStream({ count: 1 });
  const body = receiptBodies().decision;
  const { receipt, bytes } = signReceipt(body, [keys.receipt]);
  const text = new TextDecoder().decode(bytes);
  const verify = ed25519Verifier(keys.receipt.publicKey.bytes);
  const [message, signature] = [bytes.subarray(0, 128), keys.receipt.sign(bytes.subarray(0, 128))];
  const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
  const size = bytes.length;
  await compare(context, `one decision receipt, ${size} bytes`, [
    {
      name: "JSON.parse and bare verification",
      run: () => [JSON.parse(text), verify(message, signature)],
      bytes: size,
    },
    { name: "parseReceipt", run: () => parseReceipt(bytes), bytes: size },
    { name: "checkReceiptSignature", run: () => checkReceiptSignature(streamKeys, receipt), bytes: size },
    { name: "parse and check", run: () => checkReceiptSignature(streamKeys, parseReceipt(bytes)), bytes: size },
    { name: "signReceipt", run: () => signReceipt(body, [keys.receipt]), bytes: size },
  ]);
}

/** A whole stream, as a verifier reads it: parse, step, signature, receipt by receipt. */
function walk(receipts: readonly Uint8Array[]): StreamState | undefined {
  let state: StreamState | undefined;
  for (const bytes of receipts) {
    const receipt = parseReceipt(bytes);
    state = nextStreamState(state, receipt, bytes);
    if (receipt.seq > 0) checkReceiptSignature(state.keys, receipt);
  }
  return state;
}

async function benchSegments(context: BenchContext): Promise<void> {
  const calls = context.isQuick ? 5 : 125;
  const { keys, stream, receipts } = makeStream({ calls });
  const lines = receipts.map(({ bytes }) => bytes);
  const operations = lines.length;
  const segment = makeSegment({ origin: ORIGIN, stream, firstSeq: 0, receipts: lines }, keys.receipt);
  const wire = formatSegment(segment, lines);
  const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
  await compare(context, `a stream of ${operations} receipts, by receipt`, [
    { name: "parse, step and signature of each", run: () => walk(lines), operations },
    { name: "segment: parse and check", run: () => checkSegment(parseSegment(wire), streamKeys, ORIGIN), operations },
    { name: "leaf hashes alone", run: () => lines.map((bytes) => hashLeaf(bytes)), operations },
  ]);
}

async function benchLogProof(context: BenchContext): Promise<void> {
  const size = context.isQuick ? 256 : 65_536;
  const leaves = numberedLeaves("bench", size);
  const tree = makeMemoryTree(leaves);
  const root = tree.roots[size];
  if (root === undefined) throw new Error("an empty tree");
  const index = BigInt(Math.floor(size / 3));
  const entry = formatUtf8(`bench ${index}`);
  const proof = await proveInclusion(index, BigInt(size), tree.reader);
  const checkpoint = witnessedNote(checkpointText(BigInt(size), root), witnesses);
  const text = formatLogProof({ index, proof, checkpoint });
  const policy = parseWitnessPolicy(policyText(2));
  const seed = new Uint8Array(32).fill(7);
  const { keys } = makeStream({ count: 1 });
  const verify = ed25519Verifier(keys.receipt.publicKey.bytes);
  const signature = keys.receipt.sign(seed);
  await compare(context, `log proof, ${proof.length} hashes, 3 cosignatures`, [
    { name: "four bare verifications", run: () => [0, 1, 2, 3].map(() => verify(seed, signature)) },
    { name: "parse and check", run: () => checkLogProof({ proof: parseLogProof(text), entry, policy }) },
  ]);
}
