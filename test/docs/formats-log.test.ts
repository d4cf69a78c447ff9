/** The examples of the log formats' documents are what the code makes and accepts. */

import { describe, expect, test } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCheckpoint, parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { checkCosignatureLine, cosignatureMessage, subtreeMessage } from "../../kernel/checkpoint/cosignature.ts";
import { makeCosigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, formatLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf, parseLeafHash, parseNodeHash, parseRootHash } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveConsistency, proveInclusion, proveSubtree } from "../../kernel/merkle/prove.ts";
import { checkSubtreeConsistency } from "../../kernel/merkle/subtree-proof.ts";
import { formatNote, parseSignatureLine } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey, parseVerifierKey } from "../../kernel/note/verifier-key.ts";
import { tilesForSize } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, parseTilePath } from "../../kernel/tile/path.ts";
import { openLogCheckpoint, openWitnessedCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";

const entryAt = (index: number): Uint8Array => formatUtf8(`entry ${index}`);
const tree = makeMemoryTree(Array.from({ length: 7 }, (_, i) => hashLeaf(entryAt(i))));
const merkle = fencedBlocks("docs/formats/merkle-tree.md");
const notes = fencedBlocks("docs/formats/signed-note.md");
const checkpoints = fencedBlocks("docs/formats/checkpoint.md");
const policies = fencedBlocks("docs/formats/witness-policy.md");
const seedOf = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const logSigner = makeLogSigner("log.example/test", seedOf(1));
const checkpointText = `${checkpoints("checkpoint")}\n`;

const hashes = (name: string): readonly Uint8Array[] =>
  merkle(name)
    .split("\n")
    .map((line) => parseBase64(line));
const lines = (all: readonly Uint8Array[]): string => all.map(formatBase64).join("\n");
const rootAt = (size: number): ReturnType<typeof parseRootHash> => parseRootHash(hashes("roots")[size] ?? seedOf(0));

describe("docs/formats/merkle-tree.md", () => {
  test("shows the leaf hashes and roots of its entries", () => {
    expect(lines(tree.leaves)).toBe(merkle("leaf-hashes"));
    expect(lines(tree.roots)).toBe(merkle("roots"));
  });

  test("shows proofs that are made and accepted", async () => {
    expect(lines(await proveInclusion(5n, 7n, tree.reader))).toBe(merkle("inclusion-5-7"));
    expect(lines(await proveConsistency(3n, 7n, tree.reader))).toBe(merkle("consistency-3-7"));
    expect(lines(await proveSubtree(4n, 6n, 7n, tree.reader))).toBe(merkle("subtree-4-6-7"));
    const root = rootAt(7);
    const leaf = parseLeafHash(hashes("leaf-hashes")[5] ?? seedOf(0));
    checkInclusion({ leaf, index: 5n, size: 7n, root, proof: hashes("inclusion-5-7").map(parseNodeHash) });
    const consistency = hashes("consistency-3-7").map(parseNodeHash);
    checkConsistency({ oldSize: 3n, oldRoot: rootAt(3), size: 7n, root, proof: consistency });
    const hash = parseNodeHash(parseBase64(merkle("subtree-4-6-hash")));
    const subtree = hashes("subtree-4-6-7").map(parseNodeHash);
    checkSubtreeConsistency({ start: 4n, end: 6n, hash, size: 7n, root, proof: subtree });
  });
});

describe("docs/formats/tiles.md", () => {
  const block = fencedBlocks("docs/formats/tiles.md");

  test("shows the partial resources of 70,000 leaves", () => {
    const partial = [...tilesForSize(70_000n)].filter(({ width }) => width < 256).map(formatTilePath);
    expect(partial.join("\n")).toBe(block("partial-70000"));
    expect(partial.map((path) => formatTilePath(parseTilePath(path)))).toEqual(partial);
  });

  test("shows a bundle and a tile of its entries", () => {
    const bundle = formatEntryBundle([entryAt(0), entryAt(1)]);
    expect(formatHex(bundle)).toBe(block("bundle-2"));
    expect(
      parseEntryBundle(bundle, 2)
        .map((entry) => formatHex(hashLeaf(entry)))
        .join(""),
    ).toBe(block("tile-2"));
  });
});

describe("docs/formats/signed-note.md", () => {
  test("shows a key and a note that it signed", () => {
    expect(formatVerifierKey(logSigner.key)).toBe(notes("vkey"));
    const note = `${notes("note")}\n`;
    const { text, verified } = openNote(note, [parseVerifierKey(notes("vkey"))]);
    expect(formatNote(text, [logSigner.signLine(text)])).toBe(note);
    expect(verified.length).toBe(1);
  });
});

describe("docs/formats/checkpoint.md", () => {
  test("shows a checkpoint, plain and signed", () => {
    const parsed = parseCheckpoint(checkpointText);
    expect(parsed).toEqual({ origin: "log.example/test", size: 7n, root: rootAt(7), extensions: [] });
    expect(formatCheckpoint(parsed)).toBe(checkpointText);
    const signed = `${checkpoints("checkpoint-signed")}\n`;
    expect(openLogCheckpoint(signed, [parseVerifierKey(notes("vkey"))]).text).toBe(checkpointText);
    expect(formatNote(checkpointText, [logSigner.signLine(checkpointText)])).toBe(signed);
  });
});

describe("docs/formats/cosignature.md", () => {
  const block = fencedBlocks("docs/formats/cosignature.md");
  const time = 1_700_000_000n;

  test("shows an Ed25519 cosignature and its message", () => {
    const witness = makeCosigner("witness.example/1", 0x04, seedOf(11));
    expect(formatVerifierKey(witness.key)).toBe(block("cosignature-key"));
    expect(new TextDecoder().decode(cosignatureMessage(checkpointText, time))).toBe(
      `${block("cosignature-message")}\n`,
    );
    const line = `${block("cosignature-line")}\n`;
    expect(witness.cosign(checkpointText, time)).toBe(line);
    const key = parseVerifierKey(block("cosignature-key"));
    expect(checkCosignatureLine(key, checkpointText, parseSignatureLine(line)).timestampSeconds).toBe(time);
  });

  test("shows an ML-DSA-44 message", () => {
    const { origin, size, root } = parseCheckpoint(checkpointText);
    const statement = {
      cosigner: "witness.example/pq",
      timestampSeconds: time,
      origin,
      start: 0n,
      end: size,
      hash: root,
    };
    expect(formatHex(subtreeMessage(statement))).toBe(block("subtree-message"));
  });
});

describe("docs/formats/witness-policy.md and log-proof.md", () => {
  const policy = parseWitnessPolicy(`${policies("policy")}\n`);
  const text = `${fencedBlocks("docs/formats/log-proof.md")("log-proof")}\n`;

  test("show a policy and a log proof that counts under it", () => {
    const proof = parseLogProof(text);
    expect(formatLogProof(proof)).toBe(text);
    const { cosignatures } = checkLogProof({ proof, entry: entryAt(5), policy });
    expect(cosignatures.map(({ witness }) => witness)).toEqual(["w1", "w2"]);
    expect(openWitnessedCheckpoint(proof.checkpoint, policy).text).toBe(checkpointText);
    expect(policy.groups).toEqual([{ name: "g", threshold: 2, members: ["w1", "w2", "w3"] }]);
  });
});
