/** tessera-log/: a log of transparency-dev/tessera, testdata/log (Apache-2.0), as the files that a log serves. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatBase64 } from "../../../kernel/base64.ts";
import { hashLeaf } from "../../../kernel/merkle/hash.ts";
import { readRoot } from "../../../kernel/merkle/prove.ts";
import { parseVerifierKey } from "../../../kernel/note/verifier-key.ts";
import { tilesForSize } from "../../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../../kernel/tile/tile-reader.ts";
import { openLogCheckpoint } from "../../../kernel/witness-policy.ts";
import { makeMemoryTree } from "../../support/memory-tree.ts";
import { type CaseFile, type CaseResult, compare, find } from "../case-file.ts";

/** The key of that test data, as published with it. */
const VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

/** One case a checkpoint: it verifies, and its root is that of the bundles and that of the tiles of its size. */
export async function* tesseraLog({ kind, folder }: CaseFile): AsyncGenerator<CaseResult> {
  const names = readdirSync(folder).filter((name) => name.startsWith("checkpoint."));
  if (names.length === 0) throw new Error("no checkpoints");
  for (const name of names.sort()) {
    const finding = await find(() => readBack(folder, readFileSync(join(folder, name), "utf8")));
    yield compare(`${kind}/${name}`, "accept", finding);
  }
}

async function readBack(folder: string, note: string): Promise<string> {
  const { checkpoint } = openLogCheckpoint(note, [parseVerifierKey(VKEY)]);
  const { size, root } = checkpoint;
  const read = (ref: TileRef): Uint8Array => Uint8Array.from(readFileSync(join(folder, formatTilePath(ref))));
  const bundles = [...tilesForSize(size)].filter(({ kind }) => kind === "entries");
  const entries = bundles.flatMap((ref) => parseEntryBundle(read(ref), ref.width));
  const fromEntries = await readRoot(size, makeMemoryTree(entries.map(hashLeaf)).reader);
  const fromTiles = await readRoot(
    size,
    makeTileHashReader(size, async (ref) => read(ref)),
  );
  if (formatBase64(fromEntries) !== formatBase64(root)) return "another root over the bundles";
  return formatBase64(fromTiles) === formatBase64(root) ? "accept" : "another root over the tiles";
}
