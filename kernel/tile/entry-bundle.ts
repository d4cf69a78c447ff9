/** Entry bundles (C2SP tlog-tiles): up to 256 times u16 length ‖ entry. */

import { FormatError } from "../errors.ts";
import { TILE_WIDTH } from "./path.ts";

/** Longest entry of any log of ours: the length is an unsigned 16-bit integer. */
export const MAX_ENTRY_BYTES = 65_535;

const LENGTH_BYTES = 2;

/**
 * The bundle of 1 to 256 entries.
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_BUNDLE_LENGTH
 */
export function formatEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  checkWidth(entries.length);
  const bytes = new Uint8Array(entries.reduce((total, entry) => total + LENGTH_BYTES + checkedLength(entry), 0));
  let offset = 0;
  for (const entry of entries) {
    bytes[offset] = entry.length >>> 8;
    bytes[offset + 1] = entry.length;
    bytes.set(entry, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + entry.length;
  }
  return bytes;
}

/**
 * The entries of a bundle, as views of `bytes`.
 *
 * @param width  the number of entries that the bundle's name promises, 1 to 256
 * @throws {FormatError} ERR_BUNDLE_LENGTH unless the bytes are exactly that many entries
 */
export function parseEntryBundle(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  checkWidth(width);
  const entries: Uint8Array[] = [];
  let offset = 0;
  for (let i = 0; i < width; i += 1) {
    const [high, low] = [bytes[offset], bytes[offset + 1]];
    const start = offset + LENGTH_BYTES;
    offset = start + ((high ?? 0) << 8) + (low ?? 0);
    if (low === undefined || offset > bytes.length) {
      throw new FormatError("ERR_BUNDLE_LENGTH", `want ${width} entries, the bundle ends in entry ${i}`);
    }
    entries.push(bytes.subarray(start, offset));
  }
  if (offset !== bytes.length) {
    throw new FormatError("ERR_BUNDLE_LENGTH", `want ${width} entries, got ${bytes.length - offset} bytes more`);
  }
  return entries;
}

function checkedLength({ length }: Uint8Array): number {
  if (length <= MAX_ENTRY_BYTES) return length;
  throw new FormatError("ERR_ENTRY_LENGTH", `want an entry of at most ${MAX_ENTRY_BYTES} bytes, got ${length}`);
}

function checkWidth(width: number): void {
  if (Number.isInteger(width) && width >= 1 && width <= TILE_WIDTH) return;
  throw new FormatError("ERR_BUNDLE_LENGTH", `want 1 to ${TILE_WIDTH} entries, got ${width}`);
}
