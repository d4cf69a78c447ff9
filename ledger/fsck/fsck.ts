/**
 * fsck: the whole log from disk, without running it. Every frame, bundle, tile, head, checkpoint, archived record and
 * index row is read and compared with what the entries derive; every fault is reported, and nothing is changed.
 */

import { isCodedError } from "../../kernel/errors.ts";
import type { Genesis } from "../../kernel/genesis.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import { type IndexReader, isOfFormerFormat, openIndexReader } from "../sequence/level-index.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { RETENTION_PATH, readRetention } from "../storage/retention.ts";
import { type CheckPool, makeCheckPool } from "./check-pool.ts";
import { auditCheckpoints, readCheckpointClaims } from "./checkpoint-audit.ts";
import { type DataFolder, openDataFolder } from "./data-folder.ts";
import { EntryReader } from "./entry-reader.ts";
import { Findings } from "./finding.ts";
import { findFirstEntry, readGenesis } from "./genesis-of.ts";
import { readHeadClaims } from "./head-audit.ts";
import { IndexAudit } from "./index-audit.ts";
import { JoinQueue } from "./join-queue.ts";
import { LeavesAudit } from "./leaves-audit.ts";
import { countBundles, type Group, LogWalk } from "./log-walk.ts";
import { checkSideRecord, readArchive, type SideRecord } from "./side-audit.ts";
import { StatementAudit } from "./statement-audit.ts";
import { findStrays } from "./stray-audit.ts";
import { StreamAudit } from "./stream-audit.ts";
import { type HeadClaim, TreeAudit } from "./tree-audit.ts";
import { WalAudit, type WalPart } from "./wal-audit.ts";

const WIDTH = BigInt(TILE_WIDTH);

/** What fsck is asked to do. */
export interface FsckOptions {
  readonly dataDir: string;
  /** The origin that the log must have. */
  readonly origin?: string;
  /** Witnesses whose cosignatures are checked. */
  readonly policy?: WitnessPolicy;
  /** Heads that others have seen; the log must derive them too. */
  readonly claims?: readonly HeadClaim[];
  /** Threads that check signatures; 0 for none beside the caller's. */
  readonly workers: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What fsck found. */
export interface FsckReport {
  readonly origin: string | undefined;
  readonly size: bigint;
  /** Undefined if parts of the log are missing. */
  readonly root: Uint8Array | undefined;
  readonly receipts: number;
  readonly tiles: number;
  readonly bundles: number;
  readonly findings: Findings;
  /** Of a log of several nodes that was halted when the check began: the fault that did it (a code), when (RFC 3339), and who found it. */
  readonly halt?: { readonly code: string; readonly at: string; readonly by: string; readonly isCleared: boolean };
}

/**
 * Checks a data folder. Takes the folder's lock, so it does not run beside a ledger.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED; ERR_FILE_READ if it is no data folder
 */
export async function checkDataFolder(options: FsckOptions): Promise<FsckReport> {
  const findings = new Findings();
  const folder = await openDataFolder(options.dataDir, findings);
  const lock = await lockFolder(options.dataDir);
  const reader = await openIndex(options.dataDir, folder, findings);
  try {
    return await new Fsck(options, folder, findings, reader).run();
  } finally {
    await reader?.close();
    await lock.release();
  }
}

async function openIndex(dataDir: string, folder: DataFolder, findings: Findings): Promise<IndexReader | undefined> {
  if (!folder.names.includes("index")) {
    findings.remark("index", "there is none; a start makes it from the log");
    return undefined;
  }
  try {
    const reader = await openIndexReader(dataDir);
    if (!isOfFormerFormat(reader)) return reader;
    findings.remark("index", "it is of an earlier format; a start takes it to this one, and makes leaf tables");
    await reader.close();
    return undefined;
  } catch (error) {
    const message = `it cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
    findings.add({ path: "index", code: "ERR_INDEX_ROW", message });
    return undefined;
  }
}

/** One run. */
class Fsck {
  readonly #options: FsckOptions;
  readonly #folder: DataFolder;
  readonly #findings: Findings;
  readonly #reader: IndexReader | undefined;
  #index: IndexAudit | undefined;
  /** Records beside the entries of the write-ahead log: bounded as that is. */
  readonly #beside: SideRecord[] = [];

  constructor(options: FsckOptions, folder: DataFolder, findings: Findings, reader: IndexReader | undefined) {
    this.#options = options;
    this.#folder = folder;
    this.#findings = findings;
    this.#reader = reader;
  }

  async run(): Promise<FsckReport> {
    const genesis = await this.#readGenesis();
    const { origin = "" } = genesis ?? {};
    this.#index = this.#reader === undefined ? undefined : new IndexAudit(this.#reader, this.#findings, origin);
    const log = genesis === undefined ? { origin: "" } : { origin: genesis.origin, operator_key: genesis.operator_key };
    const pool = makeCheckPool(log, genesis?.log_kind === "receipts" ? this.#options.workers : 0);
    try {
      return await this.#check(genesis, pool);
    } finally {
      await pool.close();
    }
  }

  async #check(genesis: Genesis | undefined, pool: CheckPool): Promise<FsckReport> {
    const [folder, findings] = [this.#folder, this.#findings];
    const claims = [
      ...(this.#options.claims ?? []),
      ...(await readHeadClaims(folder, findings)),
      ...(await readCheckpointClaims(folder, findings, this.#options.origin ?? genesis?.origin)),
    ];
    const signedSize = claims.map(({ size }) => size).sort((a, b) => Number(b - a))[0] ?? 0n;
    const tree = new TreeAudit(folder, findings, claims);
    const statements = new StatementAudit(findings, genesis);
    const endedAt = (stream: string): number | undefined => statements.state?.endedStreams.get(stream);
    const streams = genesis?.log_kind === "receipts" ? new StreamAudit(findings, pool, endedAt) : undefined;
    const tiles = await folder.list("tile");
    const bundles = countBundles(tiles);
    const leaves = await LeavesAudit.open(this.#options.dataDir, findings);
    const held = await this.#walk({ tree, streams, statements, leaves }, pool.width, { bundles, signedSize });
    tree.finish();
    streams?.finish();
    statements.finish();
    await auditCheckpoints(folder, findings, { state: statements.state, policy: this.#options.policy });
    findStrays(folder, tiles, tree.size, findings);
    const entries = new EntryReader(folder, held, (stream, seq) => streams?.places.find(stream, seq));
    await this.#index?.takeStatements(statements);
    await this.#index?.finish(tree.size, streams?.streams ?? new Map());
    leaves.finish(tree.size);
    await this.#checkBeside(genesis, streams, entries);
    this.#index?.report();
    const counts = { tiles: tree.tiles, bundles: Number(bundles), receipts: streams?.receipts ?? 0 };
    return { origin: genesis?.origin, size: tree.size, root: tree.root(), ...counts, findings };
  }

  /** Reads all entries once, in order. @returns the groups that no bundle holds */
  async #walk(
    audits: {
      readonly tree: TreeAudit;
      readonly streams: StreamAudit | undefined;
      readonly statements: StatementAudit;
      readonly leaves: LeavesAudit;
    },
    width: number,
    { bundles, signedSize }: { readonly bundles: bigint; readonly signedSize: bigint },
  ): Promise<readonly Group[]> {
    const { tree, streams, statements, leaves } = audits;
    const wal = new WalAudit(this.#folder, this.#findings);
    const walk = new LogWalk(this.#folder, this.#findings, wal, (part) => this.#keepBeside(part));
    const total = Number(bundles * WIDTH > signedSize ? bundles * WIDTH : signedSize);
    const minimumIndex = await this.#readMinimumIndex();
    const held: Group[] = [];
    const queue = new JoinQueue(width);
    for await (const group of walk.groups(bundles, signedSize, minimumIndex)) {
      await tree.take(group);
      statements.take(group);
      for (const [i, entry] of group.entries.entries()) await leaves.take(Number(group.index * WIDTH) + i, entry?.leaf);
      if (!group.isStored) held.push(group);
      for (const [start, end] of this.#parts(group)) await this.#takePart(streams, queue, group, start, end);
      this.#options.onProgress?.(Number(tree.size), Math.max(total, Number(tree.size)));
    }
    await queue.finish();
    return held;
  }

  async #readMinimumIndex(): Promise<bigint> {
    try {
      return BigInt((await readRetention(this.#folder))?.minimum_index ?? 0);
    } catch (error) {
      if (!isCodedError(error)) throw error;
      this.#findings.add({ path: RETENTION_PATH, code: error.code, message: error.message });
      return 0n;
    }
  }

  /** Places of a group, cut at the watermark of the index: there the rows of the streams' tips can be compared. */
  #parts(group: Group): readonly (readonly [number, number])[] {
    const count = group.entries.length;
    const cut = Number((this.#index?.watermark ?? 0n) - group.index * WIDTH);
    if (cut <= 0 || cut >= count) return [[0, count]];
    return [
      [0, cut],
      [cut, count],
    ];
  }

  async #takePart(
    streams: StreamAudit | undefined,
    queue: JoinQueue,
    group: Group,
    start: number,
    end: number,
  ): Promise<void> {
    const join = streams?.begin(group, start, end);
    if (streams === undefined || join === undefined) return;
    await queue.add(async () => {
      const part = await join();
      await this.#index?.takeRuns(part);
      await this.#index?.takeOthers(part);
      if (this.#index?.watermark === group.index * WIDTH + BigInt(end)) await this.#index.takeTips(streams.streams);
    });
  }

  #keepBeside({ path, offset, beside }: WalPart): void {
    for (const record of beside) this.#beside.push({ ...record, bytes: record.bytes.slice(), path, offset });
  }

  async #checkBeside(
    genesis: Genesis | undefined,
    streams: StreamAudit | undefined,
    entries: EntryReader,
  ): Promise<void> {
    const parts = {
      findings: this.#findings,
      origin: genesis?.origin ?? "",
      streams: streams?.streams ?? new Map(),
      readReceipts: entries.receipts,
      // Read before anything is added: behind damage, receipts that are not to be found are no fault of the segment.
      isLogWhole: !this.#findings.hasDamagedEntries && genesis !== undefined,
    };
    for await (const record of readArchive(this.#folder, this.#findings)) await checkSideRecord(record, parts);
    for (const record of this.#beside) await checkSideRecord(record, parts);
  }

  /** The genesis entry, from the first bundle or the first batch; its absence is a fault. */
  async #readGenesis(): Promise<Genesis | undefined> {
    const found = await findFirstEntry(this.#folder);
    if (found === undefined) {
      const message = "the genesis entry cannot be read; what only it tells cannot be checked";
      this.#findings.remark(formatTilePath({ kind: "entries", index: 0n, width: TILE_WIDTH }), message);
      return undefined;
    }
    return readGenesis(found, this.#options.origin, this.#findings);
  }
}
