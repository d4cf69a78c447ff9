/**
 * fsck of a log in PostgreSQL and an S3-compatible store: every object and every row is read and compared with what the entries
 * derive. It reads beside running nodes, changes nothing, and checks the log as it was when it began.
 */

import { sha256 } from "#crypto";
import { equalBytes } from "../../../kernel/bytes.ts";
import type { Genesis } from "../../../kernel/genesis.ts";
import { formatHex } from "../../../kernel/hex.ts";
import { TILE_WIDTH } from "../../../kernel/tile/coordinates.ts";
import type { WitnessPolicy } from "../../../kernel/witness-policy.ts";
import { CHECKPOINT_PATH } from "../../checkpoint/publisher.ts";
import { type CheckPool, makeCheckPool } from "../../fsck/check-pool.ts";
import { auditCheckpoints, readCheckpointClaims } from "../../fsck/checkpoint-audit.ts";
import { firstEntryOf, makeReadReceipts } from "../../fsck/entry-reader.ts";
import { Findings } from "../../fsck/finding.ts";
import type { FsckReport } from "../../fsck/fsck.ts";
import { readGenesis } from "../../fsck/genesis-of.ts";
import { IndexAudit } from "../../fsck/index-audit.ts";
import { JoinQueue } from "../../fsck/join-queue.ts";
import { checkSideRecord, type SideRecord } from "../../fsck/side-audit.ts";
import { StatementAudit } from "../../fsck/statement-audit.ts";
import { StreamAudit } from "../../fsck/stream-audit.ts";
import { type HeadClaim, TreeAudit } from "../../fsck/tree-audit.ts";
import type { PostgresS3Storage, StorageSecrets } from "../config.ts";
import { bytesAt, type Database, openDatabase, textAt } from "../database.ts";
import { clearHalt, haltView } from "../log-halt.ts";
import { listObjects } from "../object-list.ts";
import { openObjectStore } from "../object-store.ts";
import { placeOf } from "../options.ts";
import { LeafAudit } from "./leaf-audit.ts";
import { auditObjects } from "./object-audit.ts";
import { auditShownSizes, awaitObject, objectBelow, type SeenObject } from "./shown-sizes.ts";
import { indexReaderOf, type LogSnapshot, readSnapshot } from "./snapshot.ts";
import { HEAD_PLACE, openStoreFolder, STORED_CHECKPOINTS, type StoreFolder } from "./store-folder.ts";
import { StoreWalk } from "./store-walk.ts";

/** Rows of one read; a segment's envelope is small, a refused receipt has at most 64 KiB. */
const PAGE_ROWS = 256;
const WIDTH = BigInt(TILE_WIDTH);
/** What remarks on a halt name. */
const HALT_PLACE = "database/halt";

/** What is checked, and how. */
export interface StoreFsckOptions {
  readonly origin: string;
  readonly storage: PostgresS3Storage;
  readonly secrets: StorageSecrets;
  /** Witnesses whose cosignatures are checked. */
  readonly policy?: WitnessPolicy;
  /** Threads that check signatures; 0 for none beside the caller's. */
  readonly workers: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Where the log is halted and nothing is found, clear the halt. */
  readonly isClearing?: boolean;
}

/**
 * Checks a log. Nodes may run. A halt that is cleared is the one that the check began with: while it stands nothing is sequenced,
 * integrated or published.
 *
 * @throws {StoreError} ERR_DATABASE*, ERR_OBJECT_STORE; ERR_GENESIS_MISMATCH if there is no such log; ERR_HEAD_DAMAGE if it has no
 *   head row; ERR_STORE_CONFLICT if the halt is another one by the time it is cleared
 */
export async function checkStoredLog(options: StoreFsckOptions): Promise<FsckReport> {
  const { storage, secrets } = options;
  const database = openDatabase(secrets.databaseUrl);
  try {
    const findings = new Findings();
    const place = placeOf(storage);
    // Objects first: whatever has been stored by now was sequenced before the snapshot.
    const keys: string[] = [];
    for await (const key of listObjects(place, secrets.credentials, "tile/", secrets.fetch)) keys.push(key);
    const store = openObjectStore(place, secrets.credentials, secrets.fetch);
    const readObject = async (): Promise<Uint8Array | undefined> => (await store.get(CHECKPOINT_PATH))?.bytes;
    const before = await readObject();
    const snapshot = await readSnapshot(database, options.origin);
    const seen = await awaitObject(readObject, before, snapshot.head.published);
    const checkpoint = objectBelow(seen, snapshot.next);
    const folder = openStoreFolder({ store, keys, head: snapshot.head, checkpoint });
    const report = await new StoreFsck({ options, database, snapshot, folder, findings, keys, seen }).run();
    const { log, halt } = snapshot;
    if (halt === undefined) return report;
    const isCleared = options.isClearing === true && findings.count === 0;
    if (isCleared) await clearHalt(database, log, halt);
    findings.remark(HALT_PLACE, `${isCleared ? "cleared" : "the log is halted"}: ${halt.code}: ${halt.message}`);
    return { ...report, halt: { ...haltView(halt), isCleared } };
  } finally {
    await database.close();
  }
}

interface Parts {
  readonly options: StoreFsckOptions;
  readonly database: Database;
  readonly snapshot: LogSnapshot;
  readonly folder: StoreFolder;
  readonly findings: Findings;
  /** Of the objects below `tile/`. */
  readonly keys: readonly string[];
  readonly seen: SeenObject;
}

/** What follows the walk. */
interface Audits {
  readonly walk: StoreWalk;
  readonly tree: TreeAudit;
  readonly leaves: LeafAudit;
  readonly statements: StatementAudit;
  readonly streams: StreamAudit | undefined;
  readonly rows: IndexAudit;
}

/** One run. */
class StoreFsck {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(): Promise<FsckReport> {
    const { database: sql, snapshot, folder, findings, options } = this.#parts;
    const walk = new StoreWalk({ sql, folder, findings, snapshot });
    const genesis = await this.#readGenesis(walk);
    const log = genesis === undefined ? { origin: "" } : { origin: genesis.origin, operator_key: genesis.operator_key };
    const pool = makeCheckPool(log, genesis?.log_kind === "receipts" ? options.workers : 0);
    try {
      return await this.#check(walk, genesis, pool);
    } finally {
      await pool.close();
    }
  }

  async #check(walk: StoreWalk, genesis: Genesis | undefined, pool: CheckPool): Promise<FsckReport> {
    const { database: sql, snapshot, folder, findings, options, keys, seen } = this.#parts;
    const tree = new TreeAudit(folder, findings, await this.#claims());
    const statements = new StatementAudit(findings, genesis);
    const endedAt = (stream: string): number | undefined => statements.state?.endedStreams.get(stream);
    const streams = genesis?.log_kind === "receipts" ? new StreamAudit(findings, pool, endedAt) : undefined;
    const leaves = new LeafAudit(sql, snapshot, findings);
    const rows = new IndexAudit(indexReaderOf(sql, snapshot), findings, options.origin, "database/row");
    await this.#walk({ walk, tree, leaves, statements, streams, rows }, pool.width);
    tree.finish();
    streams?.finish();
    statements.finish();
    await auditCheckpoints(folder, findings, { state: statements.state, policy: options.policy }, STORED_CHECKPOINTS);
    auditShownSizes(seen, snapshot.head, findings);
    const entriesOf = (bundle: bigint): Promise<readonly Uint8Array[]> => walk.entriesOf(bundle);
    const edgeHashes: TreeAudit["edgeHashes"] = (level, index) => tree.edgeHashes(level, index);
    await walk.compareRows();
    await auditObjects(keys, { folder, findings, size: tree.size, entriesOf, edgeHashes });
    await leaves.finish(tree.size, entriesOf);
    await rows.takeStatements(statements);
    await rows.takeTips(streams?.streams ?? new Map());
    await rows.finish(tree.size, streams?.streams ?? new Map());
    await this.#checkBeside(genesis, streams, entriesOf);
    rows.report();
    const bundles = Number(tree.size / WIDTH);
    const counts = { tiles: tree.tiles, bundles, receipts: streams?.receipts ?? 0 };
    return { origin: genesis?.origin, size: tree.size, root: tree.root(), ...counts, findings };
  }

  /** Heads that the row records and checkpoints say. */
  async #claims(): Promise<readonly HeadClaim[]> {
    const { folder, findings, options, snapshot } = this.#parts;
    const { size, root } = snapshot.head;
    const recorded = { path: HEAD_PLACE, name: "the recorded head", size, root };
    return [recorded, ...(await readCheckpointClaims(folder, findings, options.origin, STORED_CHECKPOINTS))];
  }

  async #walk({ walk, tree, leaves, statements, streams, rows }: Audits, width: number): Promise<void> {
    const { snapshot, options } = this.#parts;
    const queue = new JoinQueue(width);
    for await (const group of walk.groups()) {
      await tree.take(group);
      await leaves.take(group);
      statements.take(group);
      const join = streams?.begin(group, 0, group.entries.length);
      if (join !== undefined) {
        await queue.add(async () => {
          const part = await join();
          await rows.takeRuns(part);
          await rows.takeOthers(part);
        });
      }
      options.onProgress?.(Number(tree.size), Number(snapshot.next));
    }
    await queue.finish();
  }

  async #readGenesis(walk: StoreWalk): Promise<Genesis | undefined> {
    const { folder, findings, options } = this.#parts;
    const path = "tile/entries/000";
    const bundle = await folder.read(path);
    const bytes = bundle === undefined ? (await walk.entriesOf(0n))[0] : firstEntryOf(bundle);
    if (bytes !== undefined) return readGenesis({ bytes, path }, options.origin, findings);
    findings.remark(path, "the genesis entry cannot be read; what only it tells cannot be checked");
    return undefined;
  }

  async #checkBeside(
    genesis: Genesis | undefined,
    streams: StreamAudit | undefined,
    entriesOf: (bundle: bigint) => Promise<readonly Uint8Array[]>,
  ): Promise<void> {
    const { findings } = this.#parts;
    const readReceipts = makeReadReceipts(
      (stream, seq) => streams?.places.find(stream, seq),
      async (index) => (await entriesOf(index / WIDTH))[Number(index % WIDTH)],
    );
    const parts = {
      findings,
      origin: genesis?.origin ?? "",
      streams: streams?.streams ?? new Map(),
      readReceipts,
      // Read before anything is added: behind damage, receipts that are not to be found are no fault of the segment.
      isLogWhole: !findings.hasDamagedEntries && genesis !== undefined,
    };
    for await (const record of this.#beside()) await checkSideRecord(record, parts);
  }

  /** Records beside the entries, of turns up to the snapshot. */
  async *#beside(): AsyncGenerator<SideRecord, void, undefined> {
    const { database: sql, snapshot, findings } = this.#parts;
    let after: Uint8Array = new Uint8Array(0);
    for (;;) {
      const rows = await sql.query(
        `SELECT id, kind, content FROM countersign_beside WHERE log = $1 AND turn <= $2 AND id > $3
         ORDER BY id LIMIT ${PAGE_ROWS}`,
        [snapshot.log, snapshot.turn, after],
      );
      for (const row of rows) {
        after = bytesAt(row, "id");
        const [bytes, kind, path] = [
          bytesAt(row, "content"),
          textAt(row, "kind"),
          `database/beside/${formatHex(after)}`,
        ];
        const isNamed = equalBytes(sha256(bytes), after);
        if (!isNamed || (kind !== "segment" && kind !== "conflict")) {
          const message = isNamed ? "a record of no known kind" : "its bytes are not those of its name";
          findings.add({ path, code: "ERR_ARCHIVE_DAMAGE", message });
        } else yield { kind, bytes, path, offset: 0 };
      }
      if (rows.length < PAGE_ROWS) return;
    }
  }
}
