/** fsck of rows and objects that nobody has integrated yet: holes in the rows, leaf hashes beyond the log, bundles ahead of it. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { PostgresServer } from "../support/postgres-server.ts";
import { S3Server, versitygw } from "../support/s3-server.ts";
import { add, published, StoredLog } from "./stored-log.ts";

let postgres: PostgresServer;
let s3: S3Server;
beforeAll(async () => {
  [postgres, s3] = await Promise.all([PostgresServer.start(), S3Server.start(versitygw())]);
});
afterAll(async () => {
  await postgres.remove();
  await s3.remove();
});

/** 301 entries that are published, 1,400 behind them that only have an index. */
let log: StoredLog;
beforeEach(async () => {
  log = new StoredLog(await postgres.newDatabase(), s3);
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
