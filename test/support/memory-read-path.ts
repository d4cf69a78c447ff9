/** The read path of a ledger, answered from memory: for measuring what reads it, without sockets and disks. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import type { SignedReceipt } from "../../kernel/receipt/receipt.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseTilePath, TILE_WIDTH, type TileRef } from "../../kernel/tile/path.ts";
import { checkpointText, witnessedNote, witnesses } from "./log-keys.ts";
import { makeMemoryTree } from "./memory-tree.ts";

/** What the log holds behind one foreign entry: a stream's registration and its receipts. */
export interface MemoryStream {
  readonly registration: Uint8Array;
  readonly receipts: readonly SignedReceipt[];
}

/** A `fetch` that answers as the ledger of `log-keys.ts` would. Tiles are made once. */
export function memoryReadPath({ registration, receipts }: MemoryStream): typeof fetch {
  const entries = [formatUtf8("genesis"), registration, ...receipts.map(({ bytes }) => bytes)];
  const { reader, roots } = makeMemoryTree(entries.map(hashLeaf), { keepRoots: true });
  const root = roots.at(-1);
  const [last] = receipts.slice(-1);
  if (root === undefined || last === undefined) throw new Error("an empty stream");
  const note = witnessedNote(checkpointText(BigInt(entries.length), root), witnesses);
  const { stream, seq, kind } = last.receipt;
  const tip = {
    stream,
    next_seq: seq + 1,
    last: formatHex(last.hash),
    registered_index: 1,
    closed: kind === "stream-close",
  };
  const tiles = new Map<string, Uint8Array<ArrayBuffer>>();
  const tileOf = async (path: string): Promise<Uint8Array<ArrayBuffer>> => {
    const tile = tiles.get(path) ?? Uint8Array.from(await makeTile(parseTilePath(path), entries, reader));
    tiles.set(path, tile);
    return tile;
  };
  return async (input) => {
    const path = new URL(String(input)).pathname.slice(1);
    if (path === "checkpoint") return new Response(note);
    // A ledger without statements of the log about itself.
    if (path === "log-status") return new Response("{}", { status: 404 });
    if (path.startsWith("streams/")) return new Response(JSON.stringify(tip));
    return new Response(await tileOf(path));
  };
}

async function makeTile(
  ref: TileRef,
  entries: readonly Uint8Array[],
  reader: ReturnType<typeof makeMemoryTree>["reader"],
): Promise<Uint8Array> {
  const first = Number(ref.index) * TILE_WIDTH;
  if (ref.kind === "entries") return formatEntryBundle(entries.slice(first, first + ref.width));
  const ids = Array.from({ length: ref.width }, (_, i) => ({ level: 8 * ref.level, index: BigInt(first + i) }));
  return Buffer.concat(await reader.readNodes(ids));
}
