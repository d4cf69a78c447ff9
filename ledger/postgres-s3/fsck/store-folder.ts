/**
 * The bucket and the head row of a log as files that a check reads. Checkpoints are read once, so that what is compared and
 * whose signatures are checked is the same; tiles are asked for ahead of the walk.
 */

import { formatUtf8 } from "../../../kernel/bytes.ts";
import { TILE_WIDTH } from "../../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../../kernel/tile/path.ts";
import { CHECKPOINT_PATH } from "../../checkpoint/publisher.ts";
import type { PublishedFile } from "../../fsck/checkpoint-audit.ts";
import type { DataFolder } from "../../fsck/data-folder.ts";
import { refOf } from "../../fsck/log-walk.ts";
import type { HeadRow } from "../head-table.ts";
import type { ObjectStore } from "../object-store.ts";

/** What findings about the head row name. */
export const HEAD_PLACE = "database/head";

/** The checkpoints that a log has shown or may have shown. */
export const STORED_CHECKPOINTS: readonly PublishedFile[] = [
  { path: CHECKPOINT_PATH, name: "the published checkpoint", isWitnessed: true },
  { path: `${HEAD_PLACE}/published`, name: "the recorded published checkpoint", isWitnessed: true },
  { path: `${HEAD_PLACE}/unwitnessed`, name: "the checkpoint published without a quorum", isWitnessed: false },
  { path: `${HEAD_PLACE}/logged`, name: "the signed checkpoint", isWitnessed: false },
];

/** Bundles, each with its tile of level 0, that are on their way ahead of the walk. */
const AHEAD = 8n;

/** A folder that is told how far the walk is. */
export interface StoreFolder extends DataFolder {
  /** Asks for the bundles and tiles behind this one, up to and without the bundle `end`. */
  readonly reachBundle: (index: bigint, end: bigint) => void;
  /** Entries of a log that has the last of the bundles and the tiles of level 0 among the objects. */
  readonly reach: bigint;
  /** Whether there was such an object when the check began. */
  readonly isListed: (path: string) => boolean;
}

/** What the folder is made of. */
export interface StoreFolderParts {
  readonly store: Pick<ObjectStore, "get">;
  /** Of the objects below `tile/`. */
  readonly keys: readonly string[];
  readonly head: HeadRow;
  /** The object `checkpoint`, of entries that the check is of. */
  readonly checkpoint: Uint8Array | undefined;
}

/** Nothing is read yet. */
export function openStoreFolder({ store, keys, head, checkpoint }: StoreFolderParts): StoreFolder {
  const notes = new Map<string, Uint8Array | undefined>([
    [CHECKPOINT_PATH, checkpoint],
    [`${HEAD_PLACE}/published`, bytesOf(head.published)],
    [`${HEAD_PLACE}/unwitnessed`, bytesOf(head.unwitnessed)],
    [`${HEAD_PLACE}/logged`, bytesOf(head.logged)],
  ]);
  const listed = new Set(keys);
  const ahead = new Map<string, Promise<Uint8Array | undefined>>();
  const get = async (path: string): Promise<Uint8Array | undefined> => (await store.get(path))?.bytes;
  const ask = (path: string): void => {
    if (ahead.has(path)) return;
    const asked = get(path);
    // Whoever reads it is told; the walk may also end before.
    asked.catch(() => undefined);
    ahead.set(path, asked);
  };
  return {
    names: [],
    reach: reachOf(keys),
    isListed: (path) => listed.has(path),
    list: async (folder) => keys.filter((key) => key.startsWith(`${folder}/`)),
    read: async (path) => {
      if (notes.has(path)) return notes.get(path);
      const asked = ahead.get(path);
      ahead.delete(path);
      return asked ?? get(path);
    },
    reachBundle: (index, end) => {
      for (let next = index; next <= index + AHEAD && next < end; next += 1n) {
        ask(formatTilePath({ kind: "entries", index: next, width: TILE_WIDTH }));
        ask(formatTilePath({ kind: "hash", level: 0, index: next, width: TILE_WIDTH }));
      }
    },
  };
}

function bytesOf(note: string | undefined): Uint8Array | undefined {
  return note === undefined ? undefined : formatUtf8(note);
}

function reachOf(keys: readonly string[]): bigint {
  let reach = 0n;
  for (const key of keys) {
    const ref = refOf(key);
    if (ref === undefined || (ref.kind === "hash" && ref.level > 0)) continue;
    const end = ref.index * BigInt(TILE_WIDTH) + BigInt(ref.width);
    if (end > reach) reach = end;
  }
  return reach;
}
