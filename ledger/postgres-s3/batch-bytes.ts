/** Entries of one row of countersign_batch: (u16 length ‖ entry) ..., as in an entry bundle but without its bound. */

import { concatAll, formatUint16 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";

/** In front of each entry. */
export const LENGTH_BYTES = 2;

/** Bytes of entries, each of at most 65,535 bytes. */
export function formatBatch(entries: readonly Uint8Array[]): Uint8Array {
  return concatAll(entries.flatMap((entry) => [formatUint16(entry.length), entry]));
}

/**
 * The entries, as views of `bytes`.
 *
 * @throws {StoreError} ERR_BATCH_DAMAGE, fatal, unless the bytes are exactly `count` entries
 */
export function parseBatch(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (entries.length < count) {
    const [high, low] = [bytes[offset], bytes[offset + 1]];
    const start = offset + LENGTH_BYTES;
    offset = start + ((high ?? 0) << 8) + (low ?? 0);
    if (low === undefined || offset > bytes.length) throw damage(`it ends in entry ${entries.length} of ${count}`);
    entries.push(bytes.subarray(start, offset));
  }
  if (offset !== bytes.length) throw damage(`${bytes.length - offset} bytes follow its ${count} entries`);
  return entries;
}

function damage(what: string): StoreError {
  return new StoreError("ERR_BATCH_DAMAGE", `a batch of sequenced entries is damaged: ${what}`, { fatal: true });
}
