/** Log proofs. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkLogProof, formatLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf, parseNodeHash } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { checkpointText, policyText, witnessedNote, witnesses } from "../support/log-keys.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";

const entryAt = (index: number): Uint8Array => new TextEncoder().encode(`entry ${index}`);
const tree = makeMemoryTree(Array.from({ length: 5 }, (_, i) => hashLeaf(entryAt(i))));
const root = tree.roots[5];
if (root === undefined) throw new Error("no root");
const policy = parseWitnessPolicy(policyText(3));
const checkpoint = witnessedNote(checkpointText(5n, root), witnesses);
const proof = { index: 2n, proof: await proveInclusion(2n, 5n, tree.reader), checkpoint };
const TEXT = formatLogProof(proof);
const verdict = (text: string): string =>
  codeOf(() => checkLogProof({ proof: parseLogProof(text), entry: entryAt(2), policy }));

describe("a log proof", () => {
  test("is accepted and tells the checkpoint and the witnesses", () => {
    const { checkpoint: opened, cosignatures } = checkLogProof({
      proof: parseLogProof(TEXT),
      entry: entryAt(2),
      policy,
    });
    expect(opened).toMatchObject({ size: 5n, root });
    expect(cosignatures.map(({ witness }) => witness)).toEqual(["w1", "w2", "w3"]);
  });

  test("is refused truncated anywhere, and with any one character changed", () => {
    for (const bad of truncations(TEXT)) expect(verdict(bad)).not.toBe("accepted");
    for (const bad of oneCharacterChanges(TEXT, "A")) expect(verdict(bad)).not.toBe("accepted");
  });

  test("of any content comes back from its text", () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(parseNodeHash);
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.array(hash, { maxLength: 64 }),
        fc.option(fc.uint8Array({ minLength: 1, maxLength: 100 }), { nil: undefined }),
        (index, hashes, extra) => {
          const value = { index, proof: hashes, checkpoint, ...(extra === undefined ? {} : { extra }) };
          expect(parseLogProof(formatLogProof(value))).toEqual(value);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("may carry extra data, which changes no verdict", () => {
    expect(verdict(formatLogProof({ ...proof, extra: entryAt(9) }))).toBe("accepted");
    expect(formatLogProof({ ...proof, extra: new Uint8Array(0) })).toBe(TEXT);
  });

  const [, ...rest] = TEXT.split("\n");
  const hashes = rest.slice(1, rest.indexOf(""));
  test.each([
    ["without a header", rest.join("\n"), "ERR_LOG_PROOF"],
    ["with another version", TEXT.replace("@v1", "@v2"), "ERR_LOG_PROOF"],
    ["without an index", TEXT.replace("index 2\n", ""), "ERR_LOG_PROOF"],
    ["with extra data after the index", TEXT.replace("index 2\n", "index 2\nextra aGk=\n"), "ERR_BASE64"],
    ["with an empty extra line", TEXT.replace("index", "extra \nindex"), "ERR_LOG_PROOF"],
    ["with two extra lines", TEXT.replace("index", "extra aGk=\nextra aGk=\nindex"), "ERR_LOG_PROOF"],
    ["with index 02", TEXT.replace("index 2", "index 02"), "ERR_DECIMAL"],
    ["with index +2", TEXT.replace("index 2", "index +2"), "ERR_DECIMAL"],
    ["with an index at the size", TEXT.replace("index 2", "index 5"), "ERR_INDEX_RANGE"],
    ["with another index of as many hashes", TEXT.replace("index 2", "index 3"), "ERR_ROOT_MISMATCH"],
    ["with a hash missing", TEXT.replace(`${hashes[0]}\n`, ""), "ERR_PROOF_LENGTH"],
    ["with a hash too many", TEXT.replace("index 2\n", `index 2\n${hashes[0]}\n`), "ERR_PROOF_LENGTH"],
    [
      "with more hashes than any tree has",
      TEXT.replace("index 2\n", `index 2\n${`${hashes[0]}\n`.repeat(64)}`),
      "ERR_LOG_PROOF",
    ],
    [
      "with two hashes swapped",
      TEXT.replace(`${hashes[0]}\n${hashes[1]}`, `${hashes[1]}\n${hashes[0]}`),
      "ERR_ROOT_MISMATCH",
    ],
    ["with a hash of 31 bytes", TEXT.replace(hashes[0] ?? "", `${"A".repeat(40)}AA==`), "ERR_BYTES_LENGTH"],
    ["with two empty lines before the checkpoint", TEXT.replace("\n\n", "\n\n\n"), "ERR_CHECKPOINT"],
    ["without a checkpoint", TEXT.slice(0, TEXT.indexOf("\n\n") + 2), "ERR_NOTE"],
    ["longer than any log proof is", TEXT + "x".repeat(300_000), "ERR_LOG_PROOF"],
  ])("is refused %s", (_, text, code) => {
    expect(verdict(text)).toBe(code);
  });

  test("of another entry is refused", () => {
    expect(codeOf(() => checkLogProof({ proof, entry: entryAt(3), policy }))).toBe("ERR_ROOT_MISMATCH");
  });

  test("with fewer witnesses than the quorum is refused before the proof is looked at", () => {
    const few = witnessedNote(checkpointText(5n, root), witnesses.slice(1));
    const claim = { proof: { ...proof, proof: [], checkpoint: few }, entry: entryAt(2), policy };
    expect(codeOf(() => checkLogProof(claim))).toBe("ERR_QUORUM");
  });

  test("of a tree of one has no hashes", async () => {
    const one = tree.roots[1];
    if (one === undefined) throw new Error("no root");
    const single = { index: 0n, proof: [], checkpoint: witnessedNote(checkpointText(1n, one), witnesses) };
    expect(formatLogProof(single)).toContain("index 0\n\nlog.example");
    expect(
      codeOf(() => checkLogProof({ proof: parseLogProof(formatLogProof(single)), entry: entryAt(0), policy })),
    ).toBe("accepted");
  });
});
