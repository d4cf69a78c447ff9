/**
 * Log archives (docs/formats/log-archive.md): a log, or a range of it, in one tar file with the C2SP layout. The order lets
 * a reader verify each resource as it comes:
 *
 *     archive.json                      the manifest, canonical JSON
 *     checkpoint                        the signed note
 *     tile/<L>/<N>.p/<W>                partial tiles, from the highest level down: together they give the root
 *     tile/<L>/<N>                      full tiles of the levels above 0, from the highest down; each is in the one above
 *     tile/0/<N>, tile/entries/<N>      pairs, by number; of the last bundle, if it is partial, the bundle alone
 */

import { FormatError } from "../../kernel/errors.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { originShape } from "../../kernel/receipt/stream-open.ts";
import { integer, literal, object, readShape, type Shape } from "../../kernel/shape.ts";
import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import type { TileRef } from "../../kernel/tile/path.ts";

/** Name of the first file. */
export const MANIFEST_NAME = "archive.json";
/** Name of the second file. */
export const CHECKPOINT_NAME = "checkpoint";

/** What an archive promises. */
export type ArchiveManifest = {
  readonly kind: "log-archive";
  readonly v: 1;
  readonly origin: string;
  /** Size of the checkpoint's tree. */
  readonly size: number;
  /** Number of the first bundle that is in the archive, and of the one behind the last. */
  readonly first_bundle: number;
  readonly end_bundle: number;
};

const manifestShape: Shape<ArchiveManifest> = object<ArchiveManifest>({
  kind: literal("log-archive"),
  v: literal(1),
  origin: originShape,
  size: integer(),
  first_bundle: integer(),
  end_bundle: integer(),
});

/** Bytes of a manifest. */
export function formatManifest(manifest: ArchiveManifest): Uint8Array {
  return canonicalBytes(manifest);
}

/**
 * Reads a manifest.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE; ERR_LOG_ARCHIVE for bundles that a log of this size does not have
 */
export function parseManifest(bytes: Uint8Array): ArchiveManifest {
  const manifest = readShape(manifestShape, parseCanonical(bytes), "manifest");
  const { size, first_bundle: first, end_bundle: end } = manifest;
  if (first <= end && end <= Math.ceil(size / TILE_WIDTH)) return manifest;
  throw new FormatError("ERR_LOG_ARCHIVE", `want bundles of a log of ${size} entries, got [${first}, ${end})`);
}

/** Every resource of an archive behind the checkpoint, in order. Lazy. */
export function* resourcesOf(manifest: ArchiveManifest): Generator<TileRef, void, undefined> {
  const size = BigInt(manifest.size);
  const top = levelsOf(size) - 1;
  for (let level = top; level >= 0; level -= 1) {
    const index = size >> BigInt(8 * (level + 1));
    const width = tileWidth({ level, index }, size);
    if (width > 0) yield { kind: "hash", level, index, width };
  }
  for (let level = top; level >= 1; level -= 1) {
    for (let index = 0n; index < size >> BigInt(8 * (level + 1)); index += 1n) {
      yield { kind: "hash", level, index, width: TILE_WIDTH };
    }
  }
  for (let index = BigInt(manifest.first_bundle); index < BigInt(manifest.end_bundle); index += 1n) {
    const width = tileWidth({ level: 0, index }, size);
    if (width === TILE_WIDTH) yield { kind: "hash", level: 0, index, width };
    yield { kind: "entries", index, width };
  }
}

function levelsOf(size: bigint): number {
  let levels = 0;
  while (size >> BigInt(8 * levels) > 0n) levels += 1;
  return levels;
}
