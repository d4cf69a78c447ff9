/** Small trees in memory, against a slow transcription of the RFC. */

import { describe, expect, it } from "vitest";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
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

  it("needs a leaf", () => {
    expect(codeOf(() => new LeafTree([]))).toBe("ERR_BUG");
  });
});
