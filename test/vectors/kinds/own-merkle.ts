/** own/merkle-* and own/tiles: roots, proofs and resources of one log, whose entries are numbered texts. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatBase64, parseBase64 } from "../../../kernel/base64.ts";
import { concat } from "../../../kernel/bytes.ts";
import { checkConsistency } from "../../../kernel/merkle/consistency-proof.ts";
import { hashLeaf, type NodeHash, parseLeafHash, parseNodeHash, parseRootHash } from "../../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../../kernel/merkle/inclusion-proof.ts";
import { proveConsistency, proveInclusion, proveSubtree, readRoot } from "../../../kernel/merkle/prove.ts";
import { checkSubtreeConsistency } from "../../../kernel/merkle/subtree-proof.ts";
import { tilesForSize } from "../../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import { formatTilePath, parseTilePath, TILE_WIDTH, type TileRef } from "../../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../../kernel/tile/tile-reader.ts";
import { type MemoryTree, makeMemoryTree } from "../../support/memory-tree.ts";
import {
  type CaseFile,
  type CaseResult,
  caseId,
  compare,
  eachCase,
  find,
  integerOf,
  isVectorObject,
  type KindHandler,
  textOf,
  textsOf,
  type VectorObject,
} from "../case-file.ts";
import { proofOf } from "./merkle.ts";

/** Bound of a log that is built in memory to prove things about it. */
const MAX_BUILT_ENTRIES = 2_000_000n;

/** A log of numbered entries, built as far as the largest case needs. */
interface NumberedLog {
  readonly tree: MemoryTree;
  readonly entry: (index: number) => Uint8Array;
}

const logs = new Map<string, NumberedLog>();

/** The log `<prefix> 0`, `<prefix> 1`, ... of at least `size` entries. */
function numberedLog(prefix: string, size: bigint): NumberedLog {
  if (size > MAX_BUILT_ENTRIES) throw new Error(`a log of ${size} entries is too long to build`);
  const known = logs.get(prefix);
  if (known !== undefined && known.tree.leaves.length >= size) return known;
  const entry = (index: number): Uint8Array => new TextEncoder().encode(`${prefix} ${index}`);
  const leaves = Array.from({ length: Number(size) }, (_, index) => hashLeaf(entry(index)));
  const log = { tree: makeMemoryTree(leaves, { keepRoots: false }), entry };
  logs.set(prefix, log);
  return log;
}

/** The log of a file: its own `prefix`, or that of merkle-roots.json beside it. Built for the largest case. */
function logOf({ document, folder, cases }: CaseFile): NumberedLog {
  const own = document["prefix"];
  let size = 0n;
  for (const one of cases) if (integerOf(one, "size") > size) size = integerOf(one, "size");
  if (typeof own === "string") return numberedLog(own, size);
  const shared: unknown = JSON.parse(readFileSync(join(folder, "merkle-roots.json"), "utf8"));
  if (!isVectorObject(shared)) throw new Error("want an object in merkle-roots.json");
  return numberedLog(textOf(shared, "prefix"), size);
}

const base64s = (hashes: readonly NodeHash[]): readonly string[] => hashes.map(formatBase64);

const roots = eachCase(
  async (one, file) => formatBase64(await readRoot(integerOf(one, "size"), logOf(file).tree.reader)),
  (one) => textOf(one, "root"),
);

/** What `accept` adds: the prover gives exactly the proof of the case. */
const expectPath = (one: VectorObject): unknown =>
  one["expect"] === "accept" ? { verdict: "accept", path: textsOf(one, "path") } : "reject";

const inclusion = eachCase(async (one, file) => {
  const [index, size] = [integerOf(one, "index"), integerOf(one, "size")];
  const leaf = parseLeafHash(parseBase64(textOf(one, "leaf")));
  const root = parseRootHash(parseBase64(textOf(one, "root")));
  checkInclusion({ leaf, index, size, root, proof: proofOf(one, "path") });
  return { verdict: "accept", path: base64s(await proveInclusion(index, size, logOf(file).tree.reader)) };
}, expectPath);

const consistency = eachCase(async (one, file) => {
  const [oldSize, size] = [integerOf(one, "old"), integerOf(one, "size")];
  const oldRoot = parseRootHash(parseBase64(textOf(one, "oldRoot")));
  const root = parseRootHash(parseBase64(textOf(one, "root")));
  checkConsistency({ oldSize, oldRoot, size, root, proof: proofOf(one, "path") });
  return { verdict: "accept", path: base64s(await proveConsistency(oldSize, size, logOf(file).tree.reader)) };
}, expectPath);

const subtree = eachCase(async (one, file) => {
  const [start, end, size] = [integerOf(one, "start"), integerOf(one, "end"), integerOf(one, "size")];
  const hash = parseNodeHash(parseBase64(textOf(one, "hash")));
  const root = parseRootHash(parseBase64(textOf(one, "root")));
  checkSubtreeConsistency({ start, end, hash, size, root, proof: proofOf(one, "path") });
  return { verdict: "accept", path: base64s(await proveSubtree(start, end, size, logOf(file).tree.reader)) };
}, expectPath);

/** Bytes of one resource of the log, whatever the size of the log. */
async function resource({ tree, entry }: NumberedLog, ref: TileRef): Promise<Uint8Array> {
  const first = Number(ref.index) * TILE_WIDTH;
  const places = Array.from({ length: ref.width }, (_, i) => first + i);
  if (ref.kind === "entries") return formatEntryBundle(places.map(entry));
  const level = 8 * ref.level;
  return concat(...(await tree.reader.readNodes(places.map((place) => ({ level, index: BigInt(place) })))));
}

const tileCases = eachCase(
  async (one, file) => {
    const [log, size, path] = [logOf(file), integerOf(one, "size"), textOf(one, "path")];
    const ref = parseTilePath(path);
    if (![...tilesForSize(size)].some((served) => formatTilePath(served) === path)) return "not served at this size";
    const bytes = await resource(log, ref);
    if (ref.kind === "entries") parseEntryBundle(bytes, ref.width);
    // The root of this size, read back through tiles alone.
    const throughTiles = await readRoot(
      size,
      makeTileHashReader(size, (tile) => resource(log, tile)),
    );
    if (formatBase64(throughTiles) !== formatBase64(await readRoot(size, log.tree.reader))) return "another root";
    return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  },
  (one) => ({ bytes: Number(integerOf(one, "bytes")), sha256: textOf(one, "sha256") }),
);

async function* tiles(file: CaseFile): AsyncGenerator<CaseResult> {
  yield* tileCases(file);
  const counts = file.document["resource_count"];
  if (!isVectorObject(counts)) return;
  for (const [size, expected] of Object.entries(counts)) {
    const got = await find(() => [...tilesForSize(BigInt(size))].length);
    yield compare(caseId(file, { name: `resource_count ${size}` }), expected, got);
  }
}

/** By kind. */
export const ownMerkleKinds: Readonly<Record<string, KindHandler>> = {
  "own/merkle-roots": roots,
  "own/merkle-inclusion": inclusion,
  "own/merkle-consistency": consistency,
  "own/merkle-subtree": subtree,
  "own/tiles": tiles,
};
