import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fsckCommand } from "../../cli/commands/fsck.ts";
import { bigintAt } from "../../ledger/postgres-s3/database.ts";
import { runInProcess } from "../support/command-io.ts";
import { eventually, LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { refusal, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream, receiptContents } from "../support/receipts.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { writeStoredCommand } from "./stored-command.ts";
import { add, published, StoredLog } from "./stored-log.ts";

let stores: StoreServers;
beforeAll(async () => {
  stores = await startStoreServers();
});
afterAll(() => stores.remove());

/** 701 entries: two bundles, a rest in rows, partial tiles of two published sizes. */
async function makeRaw(): Promise<StoredLog> {
  const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
  const node = await log.start("raw");
  await add(node, 0, 600);
  await published(node);
  await add(node, 600, 100);
  await published(node);
  await node.close();
  return log;
}

/** Two streams, single receipts and segments, a fork that was refused. */
async function makeReceipts(): Promise<StoredLog> {
  const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
  const node = await log.start("receipts");
  const client = new Submitter(node.url);
  const one = await client.open(makeStream({ keys: gatewayKeys(80), log: LEDGER_ORIGIN }));
  const two = await client.open(makeStream({ keys: gatewayKeys(82), log: LEDGER_ORIGIN }));
  await client.segment(segmentOf(one, 0, 4));
  for (const { bytes } of two.receipts.slice(0, 3)) expect((await client.receipt(bytes)).status).toBe(200);
  await client.segment(segmentOf(one, 4, 6));
  const { heartbeat } = receiptContents(one.keys, LEDGER_ORIGIN);
  const rival = makeStream({ keys: one.keys, log: LEDGER_ORIGIN, count: 3 }).next(heartbeat).bytes;
  expect(await client.receipt(rival)).toMatchObject(refusal(409, "ERR_STREAM_FORK"));
  await published(node);
  await node.close();
  return log;
}

describe("fsck of a raw log in its stores", () => {
  let log: StoredLog;
  beforeAll(async () => {
    log = await makeRaw();
  });
  afterAll(() => log.database.close());

  it("finds nothing in a sound one, and says what it read", async () => {
    const report = await log.check();
    expect(report.findings.faults).toEqual([]);
    expect(report).toMatchObject({ origin: LEDGER_ORIGIN, size: 701n, bundles: 2, tiles: 2 });
    expect(report.root).toHaveLength(32);
  });

  it("finds nothing beside a node that takes entries and integrates them", async () => {
    const busy = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const node = await busy.start("raw");
    let isOver = false;
    const writing = (async () => {
      for (let from = 0; !isOver; from += 64) await add(node, from, 64);
    })();
    try {
      let size = 0n;
      for (let run = 0; run < 6; run += 1) {
        const report = await busy.check();
        expect(report.findings.faults).toEqual([]);
        expect(report.size).toBeGreaterThan(size);
        size = report.size;
        // A check of so small a log may be over before the next entries are sequenced.
        await eventually(async () => {
          const [row] = await busy.database.query("SELECT next_index FROM countersign_sequence");
          return bigintAt(row, "next_index") > size ? true : undefined;
        });
      }
    } finally {
      isOver = true;
      await writing;
      await node.close();
      await busy.database.close();
    }
  });

  it("refuses a log that the database does not have", async () => {
    await expect(log.check("ledger.example/another")).rejects.toMatchObject({ code: "ERR_GENESIS_MISMATCH" });
  });

  it("names each object of which a byte was changed, at its first, middle and last byte", async () => {
    const keys = await log.objects();
    expect(keys).toContain("checkpoint");
    expect(keys.filter((key) => key.includes(".p/")).length).toBeGreaterThan(2);
    for (const key of keys) {
      for (const at of [() => 0, (length: number) => length >> 1, (length: number) => length - 1]) {
        const found = await log.withFlip(key, at, () => log.faults());
        expect(found.filter((fault) => fault.startsWith(`${key} `)).length, `${key}: ${found.join()}`).toBeGreaterThan(
          0,
        );
      }
    }
  }, 120_000);

  it("names an object that is missing, and one that has no place", async () => {
    for (const key of ["tile/entries/000", "tile/entries/001", "tile/0/000"]) {
      const bytes = (await log.store.get(key))?.bytes ?? new Uint8Array(0);
      await log.store.remove(key);
      expect(await log.faults()).toContain(`${key} ERR_TILE_MISSING`);
      await log.put(key, bytes);
    }
    for (const key of ["tile/entries/002", "tile/0/002.p/250", "tile/0/0x1"]) {
      await log.put(key, new Uint8Array(8));
      expect(await log.faults()).toEqual([`${key} ERR_FILE_STRAY`]);
      await log.store.remove(key);
    }
  });

  it("names a row of sequenced entries of which a byte was changed", async () => {
    const rows = await log.database.query("SELECT first_index, length(entries) AS bytes FROM countersign_batch");
    expect(rows.length).toBeGreaterThan(0);
    for (const { first_index: first, bytes } of rows) {
      for (const at of [1, Number(bytes) >> 1, Number(bytes) - 1]) {
        const flip = `UPDATE countersign_batch SET entries = set_byte(entries, ${at}, get_byte(entries, ${at}) # 1)
          WHERE first_index = ${String(first)}`;
        const found = await log.withStatement(flip, flip);
        expect(found[0], found.join()).toMatch(new RegExp(`^database/batch/${String(first)} ERR_BATCH_DAMAGE$`, "u"));
      }
    }
  }, 120_000);

  it("names rows of sequenced entries that are missing", async () => {
    await log.database.query("CREATE TABLE kept AS SELECT * FROM countersign_batch");
    const restore = "INSERT INTO countersign_batch SELECT * FROM kept ON CONFLICT DO NOTHING";
    const some = "DELETE FROM countersign_batch WHERE first_index = (SELECT MAX(first_index) FROM countersign_batch)";
    expect((await log.withStatement(some, restore))[0]).toMatch(/^database\/batch\/\d+ ERR_BATCH_DAMAGE$/u);
    const all = await log.withStatement("DELETE FROM countersign_batch", restore);
    expect(all).toContain("database/sequence ERR_LOG_BEHIND");
    expect(await log.faults()).toEqual([]);
  });

  it("names leaf hashes that are missing, changed, moved or of no entry", async () => {
    const at = (index: number): string => `WHERE entry_index = ${index}`;
    await log.database.query("CREATE TABLE leaves AS SELECT * FROM countersign_leaf");
    const undo =
      "INSERT INTO countersign_leaf SELECT * FROM leaves ON CONFLICT (log, leaf) DO UPDATE SET entry_index = excluded.entry_index";
    const drop = `DELETE FROM countersign_leaf ${at(700)}`;
    expect(await log.withStatement(drop, undo)).toEqual(["database/leaf ERR_INDEX_ROW"]);
    const move = `UPDATE countersign_leaf SET entry_index = 9 ${at(300)}`;
    expect(await log.withStatement(move, undo)).toEqual(["database/leaf ERR_INDEX_ROW"]);
    const flip = `UPDATE countersign_leaf SET leaf = set_byte(leaf, 31, get_byte(leaf, 31) # 1) ${at(17)}`;
    expect(await log.withStatement(flip, flip)).toContain("database/leaf ERR_INDEX_ROW");
    const extra = "INSERT INTO countersign_leaf SELECT log, sha256(leaf), 5 FROM leaves WHERE entry_index = 5";
    const gone = "DELETE FROM countersign_leaf WHERE leaf NOT IN (SELECT leaf FROM leaves)";
    expect(await log.withStatement(extra, gone)).toEqual(["database/leaf ERR_INDEX_ROW"]);
    for (const index of ["701", "1::bigint << 60"]) {
      const beyond = `INSERT INTO countersign_leaf SELECT log, sha256(leaf), ${index} FROM leaves WHERE entry_index = 5`;
      expect(await log.withStatement(beyond, gone), index).toEqual(["database/leaf ERR_INDEX_ROW"]);
    }
    const short = "INSERT INTO countersign_leaf SELECT log, '\\x00'::bytea, 5 FROM leaves WHERE entry_index = 5";
    const both = await log.withStatement(`${short} UNION ${extra.slice("INSERT INTO countersign_leaf ".length)}`, gone);
    expect(both).toEqual(["database/leaf ERR_INDEX_ROW", "database/leaf ERR_INDEX_ROW"]);
    expect(await log.faults()).toEqual([]);
  });

  it("names the recorded head, its edge, its checkpoints and the sequence", async () => {
    await log.database.query("CREATE TABLE heads AS SELECT * FROM countersign_head");
    for (const column of ["root", "edge"]) {
      const flip = `UPDATE countersign_head SET ${column} = set_byte(${column}, 5, get_byte(${column}, 5) # 1)`;
      expect(await log.withStatement(flip, flip)).toContain("database/head ERR_HEAD_DAMAGE");
    }
    for (const column of ["logged", "published"]) {
      for (const at of [3, 25, 60, 150]) {
        const flip = `UPDATE countersign_head SET ${column} = overlay(${column} placing
          CASE substr(${column}, ${at}, 1) WHEN 'A' THEN 'B' ELSE 'A' END from ${at} for 1)`;
        const found = await log.withStatement(
          flip,
          `UPDATE countersign_head SET ${column} = (SELECT ${column} FROM heads)`,
        );
        expect(found.join(), `${column} ${at}`).toContain(`database/head/${column} ERR_`);
      }
    }
    const ahead = "UPDATE countersign_sequence SET next_index = next_index + 9";
    const back = "UPDATE countersign_sequence SET next_index = 701";
    expect((await log.withStatement(ahead, back)).join()).toMatch(/database\/(?:batch\/\d+|sequence) ERR_/u);
    const behind = "UPDATE countersign_sequence SET next_index = next_index - 9";
    const found = await log.withStatement(behind, back);
    expect(found).toContain("database/head ERR_LOG_BEHIND");
    expect(found).toContain("database/sequence ERR_LOG_BEHIND");
    expect(await log.faults()).toEqual([]);
  });
});

describe("fsck of a log of receipts in its stores", () => {
  let log: StoredLog;
  beforeAll(async () => {
    log = await makeReceipts();
  });
  afterAll(() => log.database.close());

  it("finds nothing in a sound one, and counts the receipts", async () => {
    const report = await log.check();
    expect(report.findings.faults).toEqual([]);
    expect(report).toMatchObject({ size: 12n, receipts: 9 });
  });

  it("names rows of streams and receipts that are changed, missing or of nothing", async () => {
    await log.database.query("CREATE TABLE rows AS SELECT * FROM countersign_row");
    const undo =
      "INSERT INTO countersign_row SELECT * FROM rows ON CONFLICT (log, name) DO UPDATE SET value = excluded.value";
    for (const kind of ["s", "t", "u"]) {
      const which = `name = (SELECT name FROM rows WHERE get_byte(name, 0) = ascii('${kind}') ORDER BY name LIMIT 1)`;
      const flip = `UPDATE countersign_row SET value = set_byte(value, length(value) - 3, get_byte(value, length(value) - 3) # 1) WHERE ${which}`;
      expect(await log.withStatement(flip, undo), kind).toContain("database/row ERR_INDEX_ROW");
      expect(await log.withStatement(`DELETE FROM countersign_row WHERE ${which}`, undo), kind).toContain(
        "database/row ERR_INDEX_ROW",
      );
    }
    const extra = "INSERT INTO countersign_row SELECT log, name || '\\x30'::bytea, value, turn FROM rows";
    const gone = "DELETE FROM countersign_row WHERE name NOT IN (SELECT name FROM rows)";
    expect(await log.withStatement(extra, gone)).toContain("database/row ERR_INDEX_ROW");
    expect(await log.faults()).toEqual([]);
  });

  it("names a kept segment and a refused receipt of which a byte was changed", async () => {
    const rows = await log.database.query(
      "SELECT encode(id, 'hex') AS id, kind, length(content) AS bytes FROM countersign_beside",
    );
    expect(new Set(rows.map(({ kind }) => kind))).toEqual(new Set(["segment", "conflict"]));
    for (const { id, bytes } of rows) {
      const at = Number(bytes) >> 1;
      const flip = `UPDATE countersign_beside SET content = set_byte(content, ${at}, get_byte(content, ${at}) # 1)
        WHERE id = decode('${String(id)}', 'hex')`;
      expect(await log.withStatement(flip, flip)).toEqual([`database/beside/${String(id)} ERR_ARCHIVE_DAMAGE`]);
    }
  });

  it("finds nothing beside a node that admits segments", async () => {
    const busy = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const node = await busy.start("receipts");
    const client = new Submitter(node.url);
    let isOver = false;
    const writing = (async () => {
      for (let seed = 200; !isOver; seed += 2) {
        const stream = await client.open(makeStream({ keys: gatewayKeys(seed % 250), log: LEDGER_ORIGIN }));
        await client.segment(segmentOf(stream, 0, 3));
        await client.segment(segmentOf(stream, 3, stream.receipts.length));
      }
    })();
    try {
      for (let run = 0; run < 5; run += 1) expect((await busy.check()).findings.faults).toEqual([]);
    } finally {
      isOver = true;
      await writing;
      await node.close();
      await busy.database.close();
    }
  });

  it("is what `countersign fsck --config` runs", async () => {
    const { folder, config } = await writeStoredCommand(log, stores.s3, "receipts");
    const args = ["--config", config, "--log", "a", "--threads", "0", "--json"];
    const run = await runInProcess(fsckCommand, args);
    expect(run).toMatchObject({ exit: 0 });
    expect(JSON.parse(run.out)).toMatchObject({ clean: true, size: 12, origin: LEDGER_ORIGIN, faults: [] });
    expect((await runInProcess(fsckCommand, [...args, "--repair-index"])).fault).toBe("usage");
    await rm(folder, { recursive: true });
  });
});
