/** Verification of one log proof: text parsed, inclusion, the log's signature and three cosignatures checked under a policy. */

import { formatUtf8 } from "../../../kernel/bytes.ts";
import { checkLogProof, formatLogProof, parseLogProof } from "../../../kernel/log-proof.ts";
import { proveInclusion } from "../../../kernel/merkle/prove.ts";
import { parseWitnessPolicy } from "../../../kernel/witness-policy.ts";
import { checkpointText, policyText, witnessedNote, witnesses } from "../../support/log-keys.ts";
import { makeMemoryTree, numberedLeaves } from "../../support/memory-tree.ts";
import { type BarsContext, type Figure, quantile } from "./frame.ts";

const SIZE = 65_536;
const QUICK_SIZE = 256;
const BAR_MS = 1;
const CHECKS = { full: 3000, quick: 50 };

/** The figure of the row. */
export async function measure({ isQuick }: BarsContext): Promise<readonly Figure[]> {
  const size = isQuick ? QUICK_SIZE : SIZE;
  const tree = makeMemoryTree(numberedLeaves("bench", size));
  const root = tree.roots[size];
  if (root === undefined) throw new Error("an empty tree");
  const index = BigInt(Math.floor(size / 3));
  const checkpoint = witnessedNote(checkpointText(BigInt(size), root), witnesses);
  const proof = await proveInclusion(index, BigInt(size), tree.reader);
  const text = formatLogProof({ index, proof, checkpoint });
  const [entry, policy] = [formatUtf8(`bench ${index}`), parseWitnessPolicy(policyText(2))];
  const times: number[] = [];
  for (let i = 0; i < (isQuick ? CHECKS.quick : CHECKS.full); i += 1) {
    const started = performance.now();
    checkLogProof({ proof: parseLogProof(text), entry, policy });
    times.push(performance.now() - started);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const note = `p99 ${quantile(sorted, 0.99).toFixed(2)} ms; ${proof.length} hashes, ${size.toLocaleString("en-US")} entries`;
  return [
    {
      what: "check of a log proof with 3 cosignatures, p50",
      value: quantile(sorted, 0.5),
      unit: "ms",
      bar: BAR_MS,
      note,
    },
  ];
}
