/**
 * Brings a mirror up to its log, in an order that a crash at any point cannot break:
 *
 *     1. the newest checkpoint, under the policy; consistent with what is published and with what is pending
 *     2. it becomes the pending one, durably
 *     3. tiles and bundles, each verified against its root, become visible and durable
 *     4. it becomes the published one
 *
 * A restart reads the log's newest checkpoint again; what is already on disk is verified again and not fetched.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CheckError, isCodedError, StoreError } from "../../kernel/errors.ts";
import { closed } from "../../kernel/lifecycle/log-state.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveConsistency, readRoot } from "../../kernel/merkle/prove.ts";
import { TILE_WIDTH, tileWidth } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import { cutResource, type MirrorHead, type MirrorStore, type OpenNote } from "./mirror-store.ts";
import type { Upstream } from "./upstream.ts";
import { VerifiedTiles } from "./verified-tiles.ts";

/** Bundles that are fetched at the same time and made durable together; fewer if they are large. */
const MAX_GROUP = 32;
const FIRST_GROUP = 4;
const GROUP_BYTES = 64 * 1024 * 1024;
const WIDTH = BigInt(TILE_WIDTH);

/** What a mirror pulls with. */
export interface PullParts {
  readonly store: MirrorStore;
  readonly upstream: Upstream;
  /** Opens a checkpoint under the policy. */
  readonly openNote: OpenNote;
  /** True for an entry that closes the log where it stands. Default: none does. */
  readonly closesLog?: (entry: Uint8Array, index: bigint) => boolean;
  /** Told of entries that are durable, and of all there will be. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a round did. */
export interface Pulled {
  readonly size: bigint;
  readonly fetchedEntries: number;
}

/**
 * One round.
 *
 * @throws {CheckError} ERR_LOG_BEHIND (the log shows less than it did), ERR_LOG_FORKED; both checkpoints are kept as
 *   evidence. ERR_LOG_CLOSED: entries behind a closing statement. ERR_ROOT_MISMATCH, ERR_TILE_MISSING: the log shows other bytes than it signed. As `openNote`.
 * @throws {StoreError} ERR_LOG_UNREACHABLE; ERR_STORE_CONFLICT, fatal
 */
export async function pullOnce(parts: PullParts): Promise<Pulled> {
  const { store, upstream, openNote } = parts;
  const next = openNote(new TextDecoder("utf-8", { fatal: true }).decode(await upstream.checkpoint()));
  const old = store.published;
  for (const before of [old, store.pending]) if (before !== undefined) await checkSize(store, before, next);
  if (old !== undefined && old.size === next.size) {
    if (old.note !== next.note) await store.publish(next);
    return { size: next.size, fetchedEntries: 0 };
  }
  if (old !== undefined) await checkOpen(parts, old, next);
  // What is on disk must not take part in the proof: of a forked log it would only look like a wrong tile.
  const shown = await VerifiedTiles.open(next, (ref) => fetchTile(upstream, ref));
  for (const before of [old, store.pending]) if (before !== undefined) await checkExtends(store, shown, before, next);
  await store.begin(next);
  const tiles = shown.from((ref) => readOrFetch(store, upstream, ref));
  const fetchedEntries = await fetchAll(parts, tiles, old?.size ?? 0n, next);
  await store.publish(next);
  await dropPartials(store, old?.size ?? 0n, next.size);
  return { size: next.size, fetchedEntries };
}

async function checkSize(store: MirrorStore, old: MirrorHead, next: MirrorHead): Promise<void> {
  if (next.size > old.size) return;
  if (next.size === old.size && equalBytes(next.root, old.root)) return;
  await store.addEvidence(old.note, next.note);
  if (next.size === old.size) throw forked(old, next);
  throw new CheckError("ERR_LOG_BEHIND", `the log shows size ${next.size}, and has shown ${old.size}`);
}

/** A log that ended with the tree that is here has no larger one. */
async function checkOpen({ store, closesLog }: PullParts, old: MirrorHead, next: MirrorHead): Promise<void> {
  const last = old.size - 1n;
  if (closesLog === undefined || last < 0n) return;
  const width = tileWidth({ level: 0, index: last / WIDTH }, old.size);
  const bytes = await store.read({ kind: "entries", index: last / WIDTH, width });
  const entry = bytes === undefined ? undefined : parseEntryBundle(bytes, width).at(-1);
  if (entry === undefined || !closesLog(entry, last)) return;
  await store.addEvidence(old.note, next.note);
  throw closed(old.size);
}

/** A head that the log signed before must be a prefix of the new one. */
async function checkExtends(
  store: MirrorStore,
  shown: VerifiedTiles,
  before: MirrorHead,
  next: MirrorHead,
): Promise<void> {
  if (before.size === 0n) return;
  const proof = await proveConsistency(before.size, next.size, shown.reader());
  const { size: oldSize, root: oldRoot } = before;
  try {
    checkConsistency({ oldSize, oldRoot, size: next.size, root: next.root, proof });
  } catch (error) {
    if (!isCodedError(error)) throw error;
    await store.addEvidence(before.note, next.note);
    throw forked(before, next, error);
  }
}

/** From the log: a partial tile that it no longer has is cut from the full one. */
async function fetchTile(upstream: Upstream, ref: TileRef): Promise<Uint8Array | undefined> {
  const bytes = await upstream.tile(ref);
  if (bytes !== undefined || ref.width === TILE_WIDTH) return bytes;
  const full = await upstream.tile({ ...ref, width: TILE_WIDTH });
  return full === undefined ? undefined : cutResource(ref, full, TILE_WIDTH);
}

async function fetchAll(parts: PullParts, tiles: VerifiedTiles, oldSize: bigint, next: MirrorHead): Promise<number> {
  const { store, onProgress } = parts;
  const bundles = (next.size + WIDTH - 1n) / WIDTH;
  const first = oldSize / WIDTH;
  let [fetched, width] = [0, FIRST_GROUP];
  for (let index = first; index < bundles; ) {
    const count = Math.min(width, Number(bundles - index));
    const group = await Promise.all(
      Array.from({ length: count }, (_, i) => fetchBundle(parts, tiles, index + BigInt(i), next.size)),
    );
    await store.write(group.flatMap(({ resources }) => resources));
    index += BigInt(count);
    fetched += group.reduce((total, { entries }) => total + entries, 0);
    const bytes = group.reduce((total, { resources }) => total + (resources[0]?.bytes.length ?? 0), 1);
    width = Math.max(1, Math.min(MAX_GROUP, Math.floor((GROUP_BYTES * count) / bytes)));
    onProgress?.(Number(first * WIDTH) + fetched, Number(next.size));
  }
  await writeUpperTiles(store, tiles, oldSize, next.size);
  await store.write(tiles.edgeTiles());
  return fetched;
}

async function readOrFetch(store: MirrorStore, upstream: Upstream, ref: TileRef): Promise<Uint8Array | undefined> {
  return (await store.read(ref)) ?? fetchTile(upstream, ref);
}

interface FetchedBundle {
  readonly resources: readonly { readonly ref: TileRef; readonly bytes: Uint8Array }[];
  readonly entries: number;
}

/** A bundle, verified against its tile, and the tile if it is full: the partial ones follow at the end. */
async function fetchBundle(
  { store, upstream, closesLog }: PullParts,
  tiles: VerifiedTiles,
  index: bigint,
  size: bigint,
): Promise<FetchedBundle> {
  const width = tileWidth({ level: 0, index }, size);
  const ref: TileRef = { kind: "entries", index, width };
  const [bytes, tile] = await Promise.all([readOrFetch(store, upstream, ref), tiles.tile(0, index)]);
  if (bytes === undefined) throw new CheckError("ERR_TILE_MISSING", `bundle ${index} of the log is not to be had`);
  const entries = parseEntryBundle(bytes, width);
  await tiles.checkLeaves(index, entries.map(hashLeaf));
  for (const [i, entry] of entries.entries()) {
    const at = index * WIDTH + BigInt(i);
    if (at < size - 1n && closesLog?.(entry, at) === true) throw closed(at + 1n);
  }
  const bundle = { ref, bytes };
  if (width < TILE_WIDTH) return { resources: [bundle], entries: width };
  return { resources: [bundle, { ref: { kind: "hash", level: 0, index, width }, bytes: tile }], entries: width };
}

/** Full tiles above level 0 that the new size completes. */
async function writeUpperTiles(store: MirrorStore, tiles: VerifiedTiles, oldSize: bigint, size: bigint): Promise<void> {
  for (let level = 1; size >> BigInt(8 * (level + 1)) > 0n; level += 1) {
    const shift = BigInt(8 * (level + 1));
    for (let index = oldSize >> shift; index < size >> shift; index += 1n) {
      const bytes = await tiles.tile(level, index);
      await store.write([{ ref: { kind: "hash", level, index, width: TILE_WIDTH }, bytes }]);
    }
  }
}

/** SPEC tlog-tiles: partial tiles may go once the full one is there. */
async function dropPartials(store: MirrorStore, oldSize: bigint, size: bigint): Promise<void> {
  for (let level = 0; oldSize >> BigInt(8 * level) > 0n; level += 1) {
    const index = oldSize >> BigInt(8 * (level + 1));
    if (tileWidth({ level, index }, size) < TILE_WIDTH) continue;
    await store.dropPartials({ kind: "hash", level, index, width: TILE_WIDTH });
    if (level === 0) await store.dropPartials({ kind: "entries", index, width: TILE_WIDTH });
  }
}

/**
 * Checks that everything below the published checkpoint is here and gives its root; for a mirror that was copied.
 *
 * @throws {CheckError} ERR_ROOT_MISMATCH, ERR_TILE_MISSING
 */
export async function checkMirror(store: MirrorStore, onProgress?: PullParts["onProgress"]): Promise<bigint> {
  const head = store.published;
  if (head === undefined) throw new StoreError("ERR_NOT_PUBLISHED", "the mirror holds no checkpoint yet");
  const tiles = await VerifiedTiles.open(head, (ref) => store.read(ref));
  for (let index = 0n; index * WIDTH < head.size; index += 1n) {
    const width = tileWidth({ level: 0, index }, head.size);
    const bytes = await store.read({ kind: "entries", index, width });
    if (bytes === undefined) throw new CheckError("ERR_TILE_MISSING", `bundle ${index} is missing`);
    await tiles.checkLeaves(index, parseEntryBundle(bytes, width).map(hashLeaf));
    onProgress?.(Number(index * WIDTH) + width, Number(head.size));
  }
  if (head.size > 0n && !equalBytes(await readRoot(head.size, tiles.reader()), head.root)) {
    throw new CheckError("ERR_ROOT_MISMATCH", "the tiles give another root than the checkpoint");
  }
  return head.size;
}

function forked(old: MirrorHead, next: MirrorHead, cause?: unknown): CheckError {
  return new CheckError(
    "ERR_LOG_FORKED",
    `the log signed heads of sizes ${old.size} and ${next.size} that contradict`,
    {
      cause,
    },
  );
}
