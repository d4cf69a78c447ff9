/**
 * Paths of tiles and entry bundles (C2SP tlog-tiles): one name a resource, any other spelling is refused.
 *
 *     tile/<L>/<N>[.p/<W>]          hash tile
 *     tile/entries/<N>[.p/<W>]      entry bundle
 *
 * L: 0 to 63. N: groups of three digits, all but the last prefixed by "x". W: 1 to 255, partial tiles only.
 */

import { FormatError, invariant } from "../errors.ts";

/** Hashes of a full tile, entries of a full bundle. */
export const TILE_WIDTH = 256;

const PATTERN = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,6}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/;
const MAX_LEVEL = 63;
/** Tiles of level 0 in the largest tree: 2^64 leaves in tiles of 256. */
const INDEX_LIMIT = 1n << 56n;

/** One resource of a log. `width` is 1 to 256; 256 names the full tile. */
export type TileRef =
  | { readonly kind: "hash"; readonly level: number; readonly index: bigint; readonly width: number }
  | { readonly kind: "entries"; readonly index: bigint; readonly width: number };

/**
 * The resource that `path` names, relative to the log's prefix: `tile/0/x001/000.p/5`.
 *
 * @throws {FormatError} ERR_TILE_PATH for anything but the one spelling
 */
export function parseTilePath(path: string): TileRef {
  const [, level, digits, partial] = PATTERN.exec(path) ?? [];
  if (level === undefined || digits === undefined) throw new FormatError("ERR_TILE_PATH", "want a tile path");
  const index = BigInt(digits.replaceAll(/[x/]/g, ""));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  const ref: TileRef =
    level === "entries" ? { kind: "entries", index, width } : { kind: "hash", level: Number(level), index, width };
  const inRange = index < INDEX_LIMIT && width >= 1 && (partial === undefined || width < TILE_WIDTH);
  // Leading zeros in any number, and an "x000" too many, do not survive the way back.
  if (!inRange || (ref.kind === "hash" && ref.level > MAX_LEVEL) || formatTilePath(ref) !== path) {
    throw new FormatError("ERR_TILE_PATH", "want the one spelling of a tile path");
  }
  return ref;
}

/** The path of a resource, relative to the log's prefix; requires level, index and width in range. */
export function formatTilePath(ref: TileRef): string {
  invariant(ref.index >= 0n && ref.width >= 1 && ref.width <= TILE_WIDTH, "formatTilePath: out of range");
  const digits = ref.index.toString();
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const groups = padded.replaceAll(/[0-9]{3}(?=[0-9])/g, "x$&/");
  const suffix = ref.width === TILE_WIDTH ? "" : `.p/${ref.width}`;
  return `tile/${ref.kind === "hash" ? ref.level : "entries"}/${groups}${suffix}`;
}
