/**
 * A log that is open: derived from disk, checked against every head it ever recorded or published, its index caught
 * up, ready to take entries. What the world sees of it (HTTP, witnesses) is built around this.
 */

import { parseUtf8 } from "../kernel/bytes.ts";
import { areLeavesOf } from "../kernel/merkle/hash.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import type { Clock } from "../kernel/service/service.ts";
import { openLogCheckpoint } from "../kernel/witness-policy.ts";
import { CHECKPOINT_PATH, type PublishedCheckpoint, UNWITNESSED_PATH } from "./checkpoint/publisher.ts";
import type { Halt } from "./halt.ts";
import type { LeafStore } from "./leaves/leaf-store.ts";
import { catchUpIndex, type EntryReplay, leafSourceOf, placeNewestLeaves } from "./recovery/catch-up-index.ts";
import { checkHead } from "./recovery/check-heads.ts";
import { rebuildTree } from "./recovery/rebuild-tree.ts";
import type { StartTimes } from "./recovery/start-times.ts";
import { EntryIndex, type LeafIndex } from "./sequence/entry-index.ts";
import type { IndexStore } from "./sequence/index-store.ts";
import type { LeafCheck } from "./sequence/leaf-check.ts";
import type { Sequencer } from "./sequence/proposal.ts";
import type { SequencerLimits } from "./sequence/proposal-queue.ts";
import { GroupSequencer, type Room, type SequencerParts } from "./sequence/sequencer.ts";
import type { Disk } from "./storage/disk.ts";
import { openHeadStore, type TreeHeadStore } from "./storage/head-store.ts";
import { readRetention } from "./storage/retention.ts";
import { retireWalFiles } from "./storage/retirement.ts";
import type { Wal, WalFile, WalOptions } from "./storage/wal.ts";
import { TileStore } from "./tree/tile-store.ts";
import type { GrowingTree, Tree } from "./tree/tree.ts";

/** What a log is opened with. */
export interface LogParts {
  readonly disk: Disk;
  readonly store: IndexStore;
  readonly leaves: LeafStore;
  readonly replay: EntryReplay;
  /** Keys of the log, to open the published checkpoint with; asked once the entries were replayed. */
  readonly logKeys: () => readonly VerifierKey[];
  readonly wal: WalOptions;
  /** Default `areLeavesOf`. */
  readonly checkLeaves?: LeafCheck;
  readonly limits: SequencerLimits;
  readonly clock: Clock;
  readonly halt: Halt;
  readonly onBatch?: NonNullable<SequencerParts["onBatch"]>;
  /** Takes the times of the phases. */
  readonly times?: StartTimes;
}

/** A log as it is served. Every storage driver has one. */
export interface ServedLog {
  readonly tree: Tree;
  readonly index: LeafIndex;
  readonly sequencer: Sequencer;
  /** Bundles that end at or below it are refused. With several nodes it may rise while the log is served. */
  readonly minimumIndex: bigint;
  /** The published policy that the minimum index follows from; undefined while that is 0. */
  readonly retentionPolicy: string | undefined;
}

/** An open log. */
export interface Log extends ServedLog {
  /** What the next start would have to read again; and what a crash tore, to be cut once nobody knows more entries. */
  readonly wal: Pick<Wal, "entries" | "bytes" | "cutTorn">;
  /** What this start read again. */
  readonly recovered: { readonly walEntries: number; readonly indexedEntries: number };
  readonly tree: GrowingTree;
  readonly index: EntryIndex;
  readonly sequencer: GroupSequencer;
  readonly heads: TreeHeadStore;
  /** The published checkpoint that was found on disk. */
  readonly published: PublishedCheckpoint | undefined;
  /** The one that was published without a quorum. */
  readonly unwitnessed: PublishedCheckpoint | undefined;
  /** Refused receipts of forks that were found in the write-ahead log. */
  readonly conflicts: readonly Uint8Array[];
  readonly flushTiles: () => Promise<void>;
  /** Gives up write-ahead files that are covered elsewhere; faults halt the log. */
  readonly retire: () => Promise<void>;
  /** Finishes what is queued and closes every file. */
  readonly close: () => Promise<void>;
}

/**
 * Opens the log on `disk`.
 *
 * @throws {StoreError} ERR_WAL_DAMAGE, ERR_TILE_MISSING, ERR_STORE_CONFLICT, ERR_HEAD_DAMAGE, ERR_LOG_BEHIND,
 *   ERR_LOG_FORKED: it must not run
 */
export async function openLog(parts: LogParts): Promise<Log> {
  const { disk, store, leaves, halt, times } = parts;
  const onFatal = (error: unknown): void => halt.trip(error);
  const tiles = new TileStore(disk, onFatal);
  const { wal, tree, oldestInWal, conflicts } = await rebuildTree(disk, tiles, parts.wal);
  const walEntries = wal.entries;
  times?.end("wal_replayed");
  const heads = await openHeadStore(disk);
  if (heads.head !== undefined) await checkHead(tree, heads.head, "the recorded head");
  await leaves.bind(leafSourceOf(tree));
  const index = new EntryIndex(store, leaves, onFatal);
  await placeNewestLeaves(tree, index);
  times?.end("leaves_read");
  const retention = await readRetention(disk);
  const minimumIndex = BigInt(retention?.minimum_index ?? 0);
  const replay = parts.replay;
  const indexedEntries = Number(await catchUpIndex({ tree, store, index, oldestInWal, replay, minimumIndex }));
  times?.end("index_caught_up");
  const logKeys = parts.logKeys();
  const published = await readPublished(disk, CHECKPOINT_PATH, logKeys);
  const unwitnessed = await readPublished(disk, UNWITNESSED_PATH, logKeys);
  if (published !== undefined) await checkHead(tree, published, "the published checkpoint");
  if (unwitnessed !== undefined) await checkHead(tree, unwitnessed, "the checkpoint published without a quorum");
  times?.end("heads_checked");
  // What it cannot read is found damaged by the first look-up of it, and made again.
  void index.readFilter().catch(() => undefined);
  const retirement = { disk, wal, tiles, tree, index, store };
  const retire = inTurn(() =>
    halt.fault === undefined ? retireWalFiles(retirement).catch(onFatal) : Promise.resolve(),
  );
  const sequencer = makeSequencer(parts, { wal, tree, tiles, index, retire });
  return {
    tree,
    wal,
    recovered: { walEntries, indexedEntries },
    index,
    sequencer,
    heads,
    published,
    unwitnessed,
    conflicts,
    minimumIndex,
    retentionPolicy: retention?.policy,
    flushTiles: () => tiles.flush(),
    retire,
    close: async () => {
      await sequencer.stop();
      if (halt.fault === undefined) {
        await Promise.all([tiles.flush(), index.flush()]);
        await store.sync();
      }
      await Promise.all([wal.close(), heads.close(), store.close(), leaves.close()]);
    },
  };
}

/** Runs `task` once a call, each behind the one before: two that archive the same file would take it from each other. */
function inTurn(task: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(task);
    return last;
  };
}

interface WrittenParts {
  readonly wal: Wal;
  readonly tree: GrowingTree;
  readonly tiles: TileStore;
  readonly index: EntryIndex;
  readonly retire: () => Promise<void>;
}

/**
 * Lets admission wait while too much is in memory only, or while a start would have to read more of the write-ahead log than
 * is allowed. Before it comes to that, files are retired in the background: once for each time that one was begun, and never
 * twice at the same time.
 */
function makeRoom({ wal, tiles, index, retire }: WrittenParts): Room {
  let [retiredFor, isRetiring] = [wal.files.at(-1), false];
  const retireBehind = (newest: WalFile | undefined): void => {
    [retiredFor, isRetiring] = [newest, true];
    void retire().finally(() => {
      isRetiring = false;
    });
  };
  return {
    isThere: () => tiles.hasRoom && index.hasRoom && wal.hasRoom,
    wait: async () => {
      if (!tiles.hasRoom) await tiles.flush();
      if (!index.hasRoom) await index.waitForLeaves();
      const newest = wal.files.at(-1);
      if (!wal.hasRoom) await retire();
      else if (wal.isFilling && !isRetiring && newest !== retiredFor) retireBehind(newest);
    },
  };
}

function makeSequencer(parts: LogParts, written: WrittenParts): GroupSequencer {
  const { limits, clock, halt, onBatch, checkLeaves = areLeavesOf } = parts;
  const { wal, tree, index } = written;
  const sequencer = new GroupSequencer({
    log: wal,
    tree,
    index,
    checkLeaves,
    limits,
    room: makeRoom(written),
    nowMs: () => clock.nowMs(),
    onFatal: (error) => halt.trip(error),
    ...(onBatch === undefined ? {} : { onBatch }),
  });
  halt.onTrip((fault) => void sequencer.stop(fault));
  return sequencer;
}

async function readPublished(
  disk: Disk,
  path: string,
  keys: readonly VerifierKey[],
): Promise<PublishedCheckpoint | undefined> {
  const bytes = await disk.read(path);
  if (bytes === undefined) return undefined;
  const { checkpoint } = openLogCheckpoint(bytes, keys);
  return { size: checkpoint.size, root: checkpoint.root, note: parseUtf8(bytes) };
}
