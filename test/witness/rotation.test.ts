/** A witness and a log that rotates its keys: what each list of keys goes on accepting. */

import { describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveConsistency } from "../../kernel/merkle/prove.ts";
import { ORIGIN } from "../support/log-keys.ts";
import { pairOf, rotationBody, StatedLog } from "../support/log-statements.ts";
import { makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";
import { openMemoryWitness } from "../support/memory-witness.ts";

const log = new StatedLog()
  .fill(1)
  .declare((index) => rotationBody(index, 0, 1))
  .fill(1)
  .declare((index) => ({
    v: 1,
    origin: ORIGIN,
    index,
    time: rotationBody(1, 0, 1).time,
    kind: "log-key-retirement",
    rotation_index: 2,
  }));
const tree = makeMemoryTree(log.entries.map(hashLeaf));

/** Statuses of the checkpoints before, in and behind the overlap, by a witness with the keys of these pairs. */
async function statuses(pairs: readonly number[]): Promise<readonly number[]> {
  const keys = pairs.flatMap(pairOf).map(({ verifierKey }) => verifierKey);
  const witness = await openMemoryWitness(makeMemoryStateFiles(), [{ origin: ORIGIN, keys }]);
  const found: number[] = [];
  let recorded = 0;
  for (const [size, signers] of [
    [2, [0]],
    [3, [0, 1]],
    [4, [0, 1]],
    [5, [1]],
  ] as const) {
    const proof = recorded === 0 ? [] : await proveConsistency(BigInt(recorded), BigInt(size), tree.reader);
    const answer = await witness.add(formatAddCheckpoint(BigInt(recorded), proof, log.note(signers, size, 0)));
    found.push(answer.status);
    if (answer.status === 200) recorded = size;
  }
  return found;
}

describe("a witness of a log that rotates its keys", () => {
  it("goes on through the overlap with the old keys, and no further", async () => {
    expect(await statuses([0])).toEqual([200, 200, 200, 403]);
  });

  it("goes all the way with both pairs in its list", async () => {
    expect(await statuses([0, 1])).toEqual([200, 200, 200, 200]);
  });

  it("begins with the overlap if it has the new pair alone", async () => {
    expect(await statuses([1])).toEqual([403, 200, 200, 200]);
  });
});
