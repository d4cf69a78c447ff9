/** fsck of rows and objects that nobody has integrated yet: holes in the rows, leaf hashes beyond the log, bundles ahead of it. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseBatch } from "../../ledger/postgres-s3/batch-bytes.ts";
import { bigintAt, bytesAt } from "../../ledger/postgres-s3/database.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { add, published, StoredLog } from "./stored-log.ts";

let stores: StoreServers;
beforeAll(async () => {
  stores = await startStoreServers();
});
afterAll(() => stores.remove());

/** 301 entries that are published, 1,400 behind them that only have an index. */
let log: StoredLog;
beforeEach(async () => {
  log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
  const first = await log.start("raw");
  await add(first, 0, 300);
  await published(first);
  await first.close();
  const second = await log.start("raw", "admission");
  for (let from = 300; from < 1700; from += 100) await add(second, from, 100);
  await second.close();
});
afterEach(() => log.database.close());

/** Drops the rows that have entries of [start, end). */
function dropRows(start: number, end: number): Promise<unknown> {
  return log.database.query(
    `DELETE FROM countersign_batch WHERE first_index < ${end} AND first_index + count > ${start}`,
  );
}

it("finds nothing in a log whose integrator is far behind", async () => {
  const report = await log.check();
  expect(report.findings.faults).toEqual([]);
  expect(report.size).toBe(1701n);
  expect(new Set(report.findings.remarks.map(({ message }) => message))).toEqual(
    new Set(["not written yet; it is made of entries that are in no bundle"]),
  );
});

it("names a hole of whole bundles once, and goes on behind it", async () => {
  await dropRows(512, 1024);
  const last = "(SELECT MAX(first_index) FROM countersign_batch)";
  await log.database.query(
    `UPDATE countersign_batch SET entries = set_byte(entries, 0, 255) WHERE first_index = ${last}`,
  );
  const report = await log.check();
  const places = report.findings.faults.map(({ path, code }) => `${path} ${code}`);
  expect(places).toEqual([
    expect.stringMatching(/^database\/batch\/\d+ ERR_BATCH_DAMAGE$/u),
    expect.stringMatching(/^database\/batch\/1[67]\d\d ERR_BATCH_DAMAGE$/u),
  ]);
  expect(report.findings.faults[0]?.index).toBeLessThanOrEqual(512n);
  expect(report.size).toBe(1701n);
});

it("ends where neither the database nor the bucket has anything, and says that the sequence is ahead", async () => {
  await dropRows(512, 1701);
  await log.database.query("UPDATE countersign_sequence SET next_index = 1::bigint << 40");
  const report = await log.check();
  const places = report.findings.faults.map(({ path, code }) => `${path} ${code}`);
  expect(places[0]).toMatch(/^database\/(?:batch\/\d+ ERR_BATCH_DAMAGE|sequence ERR_LOG_BEHIND)$/u);
  expect(report.size).toBeLessThanOrEqual(1024n);
});

it("goes on to the last object where all rows are gone, and calls none of them stray", async () => {
  await dropRows(0, 1701);
  const found = await log.faults();
  expect(found).toContain("database/sequence ERR_LOG_BEHIND");
  expect(found.filter((fault) => fault.startsWith("tile/"))).toEqual([]);
});

/** Stores bundles 1 to 5, as an integrator does before it records a head. */
async function storeAhead(): Promise<void> {
  const rows = await log.database.query("SELECT * FROM countersign_batch WHERE first_index + count > 256");
  const entries: Uint8Array[] = [];
  for (const row of rows)
    for (const [i, entry] of parseBatch(bytesAt(row, "entries"), Number(bigintAt(row, "count"))).entries())
      entries[Number(bigintAt(row, "first_index")) + i] = entry;
  for (let index = 1; index <= 5; index += 1) {
    await log.put(`tile/entries/00${index}`, formatEntryBundle(entries.slice(index * 256, (index + 1) * 256)));
  }
}

it("finds nothing in bundles ahead of the recorded head, and reads them where rows are missing", async () => {
  await storeAhead();
  const { root, findings } = await log.check();
  expect(findings.faults).toEqual([]);
  expect(root).toHaveLength(32);
  await dropRows(512, 1024);
  const report = await log.check();
  expect(report.findings.faults.map(({ code }) => code)).toEqual(["ERR_BATCH_DAMAGE"]);
  expect(report.root).toEqual(root);
});

it("names a bundle ahead of the recorded head that is damaged, or has another entry than its row", async () => {
  await storeAhead();
  const key = "tile/entries/002";
  expect(
    await log.withFlip(
      key,
      () => 0,
      () => log.faults(),
    ),
  ).toEqual([`${key} ERR_BUNDLE_LENGTH`]);
  expect(
    await log.withFlip(
      key,
      (length) => length - 1,
      () => log.faults(),
    ),
  ).toEqual([`${key} ERR_TILE_DAMAGE`]);
  const entries = parseEntryBundle((await log.store.get(key))?.bytes ?? new Uint8Array(0), 256);
  await log.put(key, formatEntryBundle([...entries.slice(1), ...entries.slice(0, 1)]));
  expect(await log.faults()).toEqual([`${key} ERR_TILE_DAMAGE`]);
});

it("names a row that differs from a bundle ahead of the recorded head, by its leaf hash", async () => {
  await storeAhead();
  const row = "(SELECT MIN(first_index) FROM countersign_batch WHERE first_index > 600)";
  const flip = `UPDATE countersign_batch SET entries = set_byte(entries, 4, get_byte(entries, 4) # 1) WHERE first_index = ${row}`;
  expect(await log.withStatement(flip, flip)).toEqual([
    expect.stringMatching(/^database\/batch\/\d+ ERR_BATCH_DAMAGE$/u),
  ]);
});

it("calls a full bundle stray whose entries are not all sequenced", async () => {
  await log.put("tile/entries/006", formatEntryBundle(Array.from({ length: 256 }, () => new Uint8Array(8))));
  expect(await log.faults()).toEqual(["tile/entries/006 ERR_FILE_STRAY"]);
});

/** Places, codes and indexes of what is found in rows, with the size that was checked. */
async function rowFaults(): Promise<readonly string[]> {
  const report = await log.check();
  expect(report.size).toBe(1701n);
  return report.findings.faults.map(({ path, code, index }) => `${path} ${code} ${index}`);
}

const FIRST_ROW = "(SELECT MIN(first_index) FROM countersign_batch)";
const LOWEST = "-9223372036854775808";

it.each(["-5", LOWEST])("names a row of a leaf hash that is negative, and goes on: %s", async (index) => {
  await log.database.query(`UPDATE countersign_leaf SET entry_index = ${index} WHERE entry_index = 700`);
  await log.database.query("DELETE FROM countersign_leaf WHERE entry_index = 1600");
  const found = await rowFaults();
  expect(found).toEqual([
    "database/leaf ERR_INDEX_ROW 700",
    "database/leaf ERR_INDEX_ROW 1600",
    `database/leaf ERR_INDEX_ROW ${index}`,
  ]);
});

it.each(["0", "-1", LOWEST, "9223372036854775807"])(
  "names a row of sequenced entries of impossible count, and goes on: %s",
  async (count) => {
    const [row] = await log.database.query(
      `UPDATE countersign_batch SET count = ${count} WHERE first_index = ${FIRST_ROW} RETURNING first_index AS first`,
    );
    await log.database.query("DELETE FROM countersign_leaf WHERE entry_index = 1600");
    const found = await rowFaults();
    expect(found).toContain(`database/batch/${String(row?.["first"])} ERR_BATCH_DAMAGE ${String(row?.["first"])}`);
    expect(found.filter((fault) => fault.startsWith("tile/"))).toEqual([]);
  },
);

it.each(["-7", LOWEST])(
  "names a row of sequenced entries at a negative index, beside whole ones: %s",
  async (first) => {
    await log.database.query(
      `INSERT INTO countersign_batch (log, first_index, count, entries)
     SELECT log, ${first}, count, entries FROM countersign_batch WHERE first_index = ${FIRST_ROW}`,
    );
    expect(await rowFaults()).toEqual([`database/batch/${first} ERR_BATCH_DAMAGE ${first}`]);
  },
);

it("names a row that was moved to a negative index, and the hole that it left", async () => {
  const here = "first_index <= 1000 AND first_index + count > 1000";
  const [row] = await log.database.query(`SELECT first_index FROM countersign_batch WHERE ${here}`);
  await log.database.query(`UPDATE countersign_batch SET first_index = -9 WHERE ${here}`);
  const found = await rowFaults();
  expect(found).toContain("database/batch/-9 ERR_BATCH_DAMAGE -9");
  const hole = ` ERR_BATCH_DAMAGE ${bigintAt(row, "first_index")}`;
  expect(found.filter((fault) => fault.endsWith(hole))).toHaveLength(1);
});

it.each(["1::bigint << 40", "1699"])("finds a leaf hash too many beside one that was moved: to %s", async (moved) => {
  await log.database.query(`UPDATE countersign_leaf SET entry_index = ${moved} WHERE entry_index = 5`);
  await log.database.query(
    "INSERT INTO countersign_leaf (log, leaf, entry_index) SELECT id, sha256('no entry'), 6 FROM countersign_log",
  );
  const found = await rowFaults();
  expect(found).toEqual(expect.arrayContaining(["database/leaf ERR_INDEX_ROW 5", "database/leaf ERR_INDEX_ROW 6"]));
});
