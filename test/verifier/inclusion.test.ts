import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  hashLeaf,
  type LeafHash,
  type NodeHash,
  parseLeafHash,
  parseNodeHash,
  parseRootHash,
} from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { makeInclusionChecker } from "../../verifier/inclusion.ts";
import { codeOf } from "../support/code-of.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";

const leaves = numberedLeaves("entry", 70);

interface Claim {
  readonly leaf: LeafHash;
  readonly index: number;
  readonly proof: readonly NodeHash[];
}

/** Every leaf of the tree of `size` leaves with its proof. */
async function claimsOf(size: number): Promise<readonly Claim[]> {
  const { reader } = makeMemoryTree(leaves.slice(0, size));
  const claims = leaves.slice(0, size).map(async (leaf, index): Promise<Claim> => {
    return { leaf, index, proof: await proveInclusion(BigInt(index), BigInt(size), reader) };
  });
  return Promise.all(claims);
}

const rootOf = (size: number): ReturnType<typeof parseRootHash> =>
  parseRootHash(makeMemoryTree(leaves.slice(0, size)).roots[size] ?? new Uint8Array(0));

const flip = (bytes: Uint8Array): Uint8Array => bytes.with(7, (bytes[7] ?? 0) ^ 1);

/** Ways to be wrong; `at` picks the place. */
const DAMAGES: readonly ((claim: Claim, at: number) => Claim)[] = [
  (claim) => claim,
  (claim) => ({ ...claim, leaf: parseLeafHash(flip(claim.leaf)) }),
  (claim) => ({ ...claim, index: claim.index + 1 }),
  (claim) => ({ ...claim, index: -1 }),
  (claim) => ({ ...claim, proof: claim.proof.slice(1) }),
  (claim) => ({ ...claim, proof: [...claim.proof, parseNodeHash(new Uint8Array(32))] }),
  (claim, at) => ({
    ...claim,
    proof: claim.proof.map((hash, i) => (i === at % claim.proof.length ? parseNodeHash(flip(hash)) : hash)),
  }),
];

describe("the checker of many inclusion proofs", () => {
  it("accepts every leaf of every tree up to 70 leaves, in order and in reverse", async () => {
    for (let size = 1; size <= 70; size += 1) {
      const claims = await claimsOf(size);
      for (const order of [claims, claims.toReversed()]) {
        const check = makeInclusionChecker(rootOf(size), BigInt(size));
        for (const { leaf, index, proof } of order) check(leaf, index, proof);
      }
    }
  });

  it("says what the kernel's check says, whatever was proven before", async () => {
    const sizes = [1, 2, 3, 7, 8, 13, 33, 64];
    const trees = new Map(await Promise.all(sizes.map(async (size) => [size, await claimsOf(size)] as const)));
    const step = fc.tuple(fc.nat(1000), fc.nat(DAMAGES.length - 1), fc.nat(100));
    fc.assert(
      fc.property(fc.constantFrom(...sizes), fc.array(step, { minLength: 1, maxLength: 30 }), (size, steps) => {
        const [claims, root] = [trees.get(size) ?? [], rootOf(size)];
        const check = makeInclusionChecker(root, BigInt(size));
        for (const [pick, damage, at] of steps) {
          const claim = claims[pick % size];
          if (claim === undefined) throw new Error("a claim");
          const { leaf, index, proof } = DAMAGES[damage]?.(claim, at) ?? claim;
          const want = codeOf(() => checkInclusion({ leaf, index: BigInt(index), size: BigInt(size), root, proof }));
          expect(codeOf(() => check(leaf, index, proof))).toBe(want);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("takes trees beyond 2^53 leaves by the kernel's check", () => {
    const check = makeInclusionChecker(rootOf(1), 2n ** 60n);
    expect(codeOf(() => check(hashLeaf(new Uint8Array(0)), 5, []))).toBe("ERR_PROOF_LENGTH");
  });
});
