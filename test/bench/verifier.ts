/** Benchmark of offline verification: whole bundles, each receipt with its signature and its log proof, on one core. */

import { collectBundle } from "../../cli/collect.ts";
import { formatBundle, parseBundle } from "../../kernel/bundle.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { makeEnvelopeChecker } from "../../kernel/signature/envelope.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { makeInclusionChecker } from "../../verifier/inclusion.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import {
  decide,
  type Evidence,
  finish,
  LOADS,
  makeEvidence,
  objectOf,
  openSession,
  registrationOf,
  type Step,
  seal,
  WITNESSED,
} from "../support/evidence.ts";
import { logSigner, policyText } from "../support/log-keys.ts";
import { memoryReadPath } from "../support/memory-read-path.ts";
import { gatewayKeys } from "../support/receipts.ts";
import { type BenchContext, compare } from "./harness.ts";

/** All comparisons of this file. */
export async function bench(context: BenchContext): Promise<void> {
  const calls = context.isQuick ? 10 : 1000;
  const evidence = await makeEvidence({ steps: stepsOf(calls) });
  await benchVerification(context, evidence);
  await benchProofs(context, evidence);
  await benchCollecting(context, evidence);
}

/** A session of so many calls: two receipts each. */
function stepsOf(calls: number): readonly Step[] {
  const first = 4;
  const pairs = Array.from({ length: calls }, (_, i) => [decide(i), finish(first + 2 * i)]);
  const counts = { total: calls, allowed: calls, denied: 0, faulted: 0, open: 0 };
  return [...LOADS, openSession(), ...pairs.flat(), seal(first - 1, counts)];
}

/** The floor is one signature a receipt: what no verifier can do without. */
async function benchVerification(context: BenchContext, { bytes, trust, receipts, content }: Evidence): Promise<void> {
  const check = makeEnvelopeChecker(gatewayKeys().receipt.publicKey);
  const bodies = receipts.slice(1).map((receipt) => objectOf(receipt.bytes));
  const operations = receipts.length;
  const size = bytes.length / operations;
  await compare(
    context,
    `verify a bundle of ${receipts.length} receipts, ${Math.round(size)} bytes each; one op is a receipt`,
    [
      {
        name: "signatures alone",
        run: () => {
          for (const body of bodies) check(body);
        },
        operations: bodies.length,
        bytes: size,
      },
      { name: "parseBundle alone", run: () => parseBundle(bytes), operations, bytes: size },
      { name: "verifyBundle, everything", run: () => verifyBundle({ bundle: bytes, trust }), operations, bytes: size },
      { name: "formatBundle", run: () => formatBundle(content), operations, bytes: size },
    ],
  );
}

async function benchProofs(context: BenchContext, { content }: Evidence): Promise<void> {
  const [log] = content.logs;
  if (log === undefined) return;
  const { size, root } = openLogCheckpoint(log.checkpoint, [logSigner.key]).checkpoint;
  const claims = log.entries.map(({ index, entry, proof }) => ({
    index,
    proof,
    leaf: hashLeaf(canonicalBytes(entry)),
  }));
  const operations = claims.length;
  const one = (): void => {
    for (const { index, leaf, proof } of claims) checkInclusion({ index: BigInt(index), leaf, proof, size, root });
  };
  const shared = (): void => {
    const check = makeInclusionChecker(root, size);
    for (const { index, leaf, proof } of claims) check(leaf, index, proof);
  };
  await compare(context, `inclusion of ${operations} neighbours in a tree of ${size}`, [
    { name: "checkInclusion, one by one", run: one, operations },
    { name: "makeInclusionChecker, shared nodes", run: shared, operations },
  ]);
}

/** What an export costs on its side of the network, against making the file alone. */
async function benchCollecting(context: BenchContext, { receipts, content, stream }: Evidence): Promise<void> {
  const options = {
    ledgerUrl: "http://memory",
    readerToken: "a token",
    witnessPolicy: policyText(2),
    stream,
    firstSeq: 0,
    created: WITNESSED,
    fetch: memoryReadPath({ registration: registrationOf(gatewayKeys()), receipts }),
  };
  const operations = receipts.length;
  await compare(context, `export a bundle of ${operations} receipts; one op is a receipt`, [
    { name: "formatBundle alone", run: () => formatBundle(content), operations },
    { name: "collectBundle, from memory", run: () => collectBundle(options), operations },
  ]);
}
