/** fsck of what a log has shown: no place may show less than the one before it recorded, and whoever is amid a publication may be. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { add, published, StoredLog } from "./stored-log.ts";

let stores: StoreServers;
let log: StoredLog;
/** The object `checkpoint` of 301 entries, and that of 351. */
let [older, newer] = [new Uint8Array(), new Uint8Array()];

beforeAll(async () => {
  stores = await startStoreServers();
  log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
  for (const [from, count] of [
    [0, 300],
    [300, 50],
  ] as const) {
    const node = await log.start("raw");
    await add(node, from, count);
    await published(node);
    await node.close();
    [older, newer] = [newer, await object()];
    await log.database.query(`CREATE TABLE head_${from} AS SELECT * FROM countersign_head`);
  }
});
afterAll(async () => {
  await log.database.close();
  await stores.remove();
});

async function object(): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array((await log.store.get("checkpoint"))?.bytes ?? []);
}

const UNDO = `UPDATE countersign_head SET size = h.size, root = h.root, edge = h.edge, logged = h.logged,
  published = h.published, unwitnessed = h.unwitnessed FROM head_300 AS h`;

it("names an object that is older than the recorded one, or gone, and keeps to signatures and tree beside that", async () => {
  expect(await log.faults()).toEqual([]);
  await log.put("checkpoint", older);
  expect(await log.faults()).toEqual(["checkpoint ERR_LOG_BEHIND"]);
  const forged = older.slice();
  forged[forged.length - 10] = forged.at(-10) === 65 ? 66 : 65;
  await log.put("checkpoint", forged);
  expect(await log.faults()).toEqual([
    expect.stringMatching(/^checkpoint ERR_(?:NOTE|LOG)_SIGNATURE$/u),
    "checkpoint ERR_LOG_BEHIND",
  ]);
  await log.store.remove("checkpoint");
  expect(await log.faults()).toEqual(["checkpoint ERR_LOG_BEHIND"]);
  await log.put("checkpoint", newer);
  expect(await log.faults()).toEqual([]);
});

it("names a recorded checkpoint that is older than the object, or gone", async () => {
  const back = "UPDATE countersign_head SET published = h.published FROM head_0 AS h";
  expect(await log.withStatement(back, UNDO)).toEqual(["database/head/published ERR_LOG_BEHIND"]);
  const gone = "UPDATE countersign_head SET published = NULL";
  expect(await log.withStatement(gone, UNDO)).toEqual(["database/head/published ERR_LOG_BEHIND"]);
});

it("names a recorded head that is behind its own checkpoints", async () => {
  const back = "UPDATE countersign_head SET size = h.size, root = h.root, edge = h.edge FROM head_0 AS h";
  expect(await log.withStatement(back, UNDO)).toEqual(["database/head ERR_LOG_BEHIND"]);
  const columns = "logged = h.logged, published = h.published, unwitnessed = countersign_head.published";
  const found = await log.withStatement(back.replace(" FROM", `, ${columns} FROM`), UNDO);
  expect(found).toEqual(["database/head ERR_LOG_BEHIND", "database/head/published ERR_LOG_BEHIND"]);
  expect(await log.faults()).toEqual([]);
});

it.each([
  ["an older object", async (): Promise<Response> => new Response(older, { headers: { etag: '"old"' } })],
  ["no object", async (): Promise<Response> => new Response("", { status: 404 })],
])("looks again where an integrator has recorded and not yet written: %s at first", async (_name, early) => {
  let looks = 0;
  const send: typeof fetch = async (input, init) => {
    if (!new Request(input).url.endsWith("/checkpoint")) return fetch(input, init);
    looks += 1;
    return looks > 2 ? fetch(input, init) : early();
  };
  const report = await log.check(LEDGER_ORIGIN, send);
  expect(looks).toBe(3);
  expect(report.findings.faults).toEqual([]);
  expect(report.findings.remarks.filter(({ path }) => path === "checkpoint")).toEqual([]);
});
