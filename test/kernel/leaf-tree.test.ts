/** Small trees in memory, against a slow transcription of the RFC. */

import { describe, expect, it } from "vitest";
import { foldHashes, hashLeaf, joinLeaves } from "../../kernel/merkle/hash.ts";
import { LeafTree } from "../../kernel/merkle/leaf-tree.ts";
import { codeOf } from "../support/code-of.ts";
import { SlowTree } from "../support/slow-merkle.ts";

const leaves = Array.from({ length: 64 }, (_, i) => hashLeaf(Uint8Array.of(i)));

describe("a tree in memory", () => {
  it("has root and paths of RFC 6962 for every size up to 64 and every leaf", () => {
    for (let size = 1; size <= leaves.length; size += 1) {
      const [tree, slow] = [new LeafTree(leaves.slice(0, size)), new SlowTree(leaves.slice(0, size))];
      expect(tree.root()).toEqual(slow.mth(0, size));
      for (let i = 0; i < size; i += 1) expect(tree.path(i)).toEqual(slow.path(i, 0, size));
    }
  });

  it("has the root that hashes in one memory fold to, up to as many as a segment has", () => {
    const many = Array.from({ length: 1024 }, (_, i) => hashLeaf(Uint8Array.of(i >> 8, i)));
    for (const size of [...leaves.keys(), 254, 255, 256, 257, 511, 512, 513, 1000, 1022].map((i) => i + 1)) {
      const some = many.slice(0, size);
      expect(foldHashes(joinLeaves(some), size)).toEqual(new LeafTree(some).root());
    }
    expect(foldHashes(joinLeaves(many), 1024)).toEqual(new LeafTree(many).root());
  });

  it("needs a leaf", () => {
    expect(codeOf(() => new LeafTree([]))).toBe("ERR_BUG");
  });
});
