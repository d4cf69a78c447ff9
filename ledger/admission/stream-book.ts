/** stub */
import type { EntryReplay } from "../recovery/catch-up-index.ts";
import type { IndexRow, IndexStore } from "../sequence/index-store.ts";
export class StreamBook implements EntryReplay {
  load(_store: IndexStore): Promise<void> {
    return Promise.resolve();
  }
  replay(_entry: Uint8Array, _index: bigint): readonly IndexRow[] {
    return [];
  }
}
