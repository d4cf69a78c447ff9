/** A log in memory that is read as C2SP tlog-tiles, with a hook that may answer anything else. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { checkpointText, witnessedNote, witnesses } from "./log-keys.ts";
import { type MemoryTree, makeMemoryTree } from "./memory-tree.ts";

/** What a request gets instead of the honest answer; undefined lets it pass. */
export type Tamper = (path: string, honest: Uint8Array | undefined) => Response | undefined | Promise<Response>;

/** The log. */
export interface TiledLog {
  readonly tree: MemoryTree;
  readonly entry: (index: number) => Uint8Array;
  /** Size that is shown; may be changed. */
  size: number;
  tamper: Tamper | undefined;
  /** Paths asked for, in order. */
  readonly asked: string[];
  readonly note: (size: number) => string;
  readonly fetch: typeof fetch;
}

/** URL under which `fetch` knows the log. */
export const LOG_URL = "http://log.test/prefix";

/** @param prefix  two logs with the same one have the same entries */
export function makeTiledLog(maxSize: number, prefix = "entry"): TiledLog {
  const entries = Array.from({ length: maxSize }, (_, i) => formatUtf8(`${prefix} ${i}`));
  const tree = makeMemoryTree(entries.map(hashLeaf));
  const rootOf = (size: number): (typeof tree.roots)[number] => tree.roots[size] ?? tree.roots[0] ?? failing();
  const log: TiledLog = {
    tree,
    entry: (index) => entries[index] ?? failing(),
    size: maxSize,
    tamper: undefined,
    asked: [],
    note: (size) => witnessedNote(checkpointText(BigInt(size), rootOf(size)), witnesses.slice(0, 2)),
    fetch: async (input) => {
      const path = String(input).slice(LOG_URL.length + 1);
      log.asked.push(path);
      const honest = path === "checkpoint" ? formatUtf8(log.note(log.size)) : await tileOf(log, entries, path);
      const other = await log.tamper?.(path, honest);
      if (other !== undefined) return other;
      return honest === undefined ? new Response("", { status: 404 }) : answer(honest);
    },
  };
  return log;
}

/** A 200 with these bytes. */
export function answer(bytes: Uint8Array): Response {
  return new Response(Buffer.from(bytes));
}

async function tileOf(log: TiledLog, entries: readonly Uint8Array[], path: string): Promise<Uint8Array | undefined> {
  const ref = parseTilePath(path);
  const place = ref.kind === "hash" ? ref : { level: 0, index: ref.index };
  if (tileWidth(place, BigInt(log.size)) < ref.width) return undefined;
  return readTile(log, entries, ref);
}

async function readTile(log: TiledLog, entries: readonly Uint8Array[], ref: TileRef): Promise<Uint8Array> {
  const first = ref.index * BigInt(TILE_WIDTH);
  if (ref.kind === "entries") return formatEntryBundle(entries.slice(Number(first), Number(first) + ref.width));
  const ids = Array.from({ length: ref.width }, (_, i) => ({ level: 8 * ref.level, index: first + BigInt(i) }));
  return Buffer.concat(await log.tree.reader.readNodes(ids));
}

function failing(): never {
  throw new Error("the log has no such place");
}
