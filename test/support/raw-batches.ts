/** Bodies of raw batches: u16 length ‖ entry, one behind the other. */

import { concatAll } from "../../kernel/bytes.ts";

export function rawBatchBody(entries: readonly Uint8Array[]): Uint8Array {
  return concatAll(entries.flatMap((entry) => [Uint8Array.of(entry.length >>> 8, entry.length), entry]));
}
