/**
 * A log that is put back from copies of its two stores: one that has all that was acknowledged goes on, and none that lacks some of
 * it does, whoever says so.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import type { NodeRole } from "../../ledger/postgres-s3/config.ts";
import { startWitness } from "../../witness/start.ts";
import { eventually, LEDGER_KEYS, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import type { NodeOptions, TestNode } from "../support/postgres-s3-log.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { add, published, StoredLog } from "./stored-log.ts";

const WITNESS_KEY = makeSignerKey("witness.example/restore", 0x04, new Uint8Array(32).fill(78));
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What an operator has copied. */
interface Backup {
  readonly dump: string;
  readonly objects: ReadonlyMap<string, Uint8Array>;
}

let stores: StoreServers;
let folder: string;
let dumps = 0;

beforeAll(async () => {
  stores = await startStoreServers();
  folder = await mkdtemp(join(tmpdir(), "countersign-restore-"));
});
afterAll(async () => {
  await stores.remove();
  await rm(folder, { recursive: true });
});

async function dumpOf(log: StoredLog): Promise<string> {
  dumps += 1;
  const file = join(folder, `${dumps}.dump`);
  await stores.postgres.dump(log.url, file);
  return file;
}

/** Puts copies back where there was nothing: a new database and a new prefix of the bucket. */
async function restored({ dump, objects }: Backup): Promise<StoredLog> {
  const log = new StoredLog(await stores.postgres.restore(dump), stores.s3);
  for (const [key, bytes] of objects) await log.put(key, bytes);
  return log;
}

async function witnessOf(): Promise<{ readonly service: RunningService; readonly options: NodeOptions }> {
  const service = await startWitness({
    config: {
      listen: { port: 0 },
      data_dir: await mkdtemp(join(folder, "witness-")),
      key_files: [],
      logs: [{ origin: LEDGER_ORIGIN, keys: LEDGER_KEYS.map(({ verifierKey }) => verifierKey) }],
      requests_per_minute: 1_000_000,
    },
    keys: [WITNESS_KEY],
    logger: SILENT,
  });
  const witness_policy = `witness w ${formatVerifierKey(WITNESS_KEY.verifierKey)} ${service.url}/\nquorum w\n`;
  return { service, options: { config: { witness_policy } } };
}

async function nextIndex(log: StoredLog): Promise<number> {
  const [row] = await log.database.query("SELECT next_index FROM countersign_sequence");
  return Number(row?.["next_index"]);
}

/** Size of a checkpoint. */
function sizeOf(note: string | Uint8Array): number {
  return Number(parseCheckpoint(parseNote(note).text).size);
}

async function halted(node: TestNode, code: string): Promise<void> {
  const fault = await eventually(async () => {
    const body: unknown = await (await node.get("/readyz")).json();
    return (body as { readonly fault?: string }).fault;
  });
  expect(fault).toBe(code);
}

describe("a dump with all that was acknowledged, and objects that were copied behind it", () => {
  it("go on, though the dump records less than was published since: nothing is lost or signed twice", async () => {
    const { service: witness, options } = await witnessOf();
    const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const first = await log.start("raw", "both", options);
    await add(first, 0, 300);
    expect(await published(first)).toBe(301);
    await first.close();
    const admission = await log.start("raw", "admission", options);
    await add(admission, 300, 400);
    await admission.close();
    const dump = await dumpOf(log);
    const second = await log.start("raw", "integrator", options);
    expect(await published(second)).toBe(701);
    await second.close();
    const copy = await restored({ dump, objects: await log.copyObjects() });
    await log.database.close();

    const shown = sizeOf((await copy.store.get("checkpoint"))?.bytes ?? "");
    const [head] = await copy.database.query("SELECT size, published FROM countersign_head");
    expect([Number(head?.["size"]), sizeOf(String(head?.["published"])), shown]).toEqual([301, 301, 701]);
    const node = await copy.start("raw", "both", options);
    await add(node, 700, 10);
    expect(await published(node)).toBe(711);
    expect((await node.post("/add", "entry 650", SUBMIT)).status).toBe(200);
    expect(await nextIndex(copy)).toBe(711);
    await node.close();
    expect(await copy.faults(options.config?.witness_policy)).toEqual([]);
    await copy.database.close();
    await witness.close();
  });

  it("have a hole if the objects were copied before the dump: fsck names it, and the node halts", async () => {
    const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const node = await log.start("raw");
    await add(node, 0, 300);
    await published(node);
    const objects = await log.copyObjects();
    await add(node, 300, 400);
    await published(node);
    const copy = await restored({ dump: await dumpOf(log), objects });
    await node.close();
    await log.database.close();
    expect(await copy.faults()).toContain("tile/entries/001 ERR_TILE_MISSING");
    const broken = await copy.start("raw");
    await halted(broken, "ERR_TILE_MISSING");
    await broken.close();
    await copy.database.close();
  });
});

describe("a copy that lacks what was acknowledged", () => {
  let witness: RunningService;
  let options: NodeOptions;
  let older: Backup;
  let newer: ReadonlyMap<string, Uint8Array>;

  beforeAll(async () => {
    ({ service: witness, options } = await witnessOf());
    const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const node = await log.start("raw", "both", options);
    await add(node, 0, 300);
    await published(node);
    older = { dump: await dumpOf(log), objects: await log.copyObjects() };
    await add(node, 300, 300);
    expect(await published(node)).toBe(601);
    newer = await log.copyObjects();
    await node.close();
    await log.database.close();
  });
  afterAll(() => witness.close());

  /** Starts each kind of node on a copy. @returns the codes that they end with */
  async function refusals(copy: StoredLog, started: NodeOptions): Promise<readonly string[]> {
    const codes: string[] = [];
    for (const role of ["admission", "integrator", "both"] satisfies NodeRole[]) {
      const next = await nextIndex(copy).catch(() => 0);
      const node = await copy.start("raw", role, started).catch((error: unknown) => error);
      codes.push(String((node as { readonly code?: string }).code));
      if (typeof node === "object" && node !== null && "close" in node) await (node as TestNode).close();
      expect(await nextIndex(copy)).toBe(next);
    }
    await copy.database.close();
    return codes;
  }

  /** The witness is there, and cannot be reached. */
  const unheard = (): NodeOptions => ({
    ...options,
    ledger: { fetch: () => Promise.reject(new Error("no connection")) },
  });

  it("does not start where the witness has seen more, though both stores are as old", async () => {
    const codes = await refusals(await restored(older), options);
    expect(codes).toEqual(["ERR_WITNESS_AHEAD", "ERR_WITNESS_AHEAD", "ERR_WITNESS_AHEAD"]);
  });

  it("does not start beside the objects that are there, though no witness answers", async () => {
    const copy = await restored({ ...older, objects: newer });
    expect(await copy.faults(options.config?.witness_policy)).toEqual(
      expect.arrayContaining(["checkpoint ERR_LOG_BEHIND", "tile/entries/001 ERR_FILE_STRAY"]),
    );
    const codes = await refusals(copy, unheard());
    expect(codes).toEqual(["ERR_LOG_BEHIND", "ERR_LOG_BEHIND", "ERR_LOG_BEHIND"]);
    const bundles = new Map([...newer].filter(([key]) => key !== "checkpoint"));
    const others = await refusals(await restored({ ...older, objects: bundles }), unheard());
    expect(others).toEqual(["ERR_LOG_BEHIND", "ERR_LOG_BEHIND", "ERR_LOG_BEHIND"]);
  });

  it("does not start as a new log in an empty database, and writes no genesis entry", async () => {
    const empty = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    for (const [key, bytes] of newer) await empty.put(key, bytes);
    expect(await refusals(empty, unheard())).toEqual(["ERR_LOG_BEHIND", "ERR_LOG_BEHIND", "ERR_LOG_BEHIND"]);
    const nothing = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    expect(await refusals(nothing, options)).toEqual(["ERR_WITNESS_AHEAD", "ERR_WITNESS_AHEAD", "ERR_WITNESS_AHEAD"]);
  });

  it("halts with the first word of the witness, if that was silent at the start", async () => {
    const copy = await restored(older);
    let isSilent = true;
    const send: typeof fetch = (input, init) =>
      isSilent ? Promise.reject(new Error("no connection")) : fetch(input, init);
    const node = await copy.start("raw", "both", { ...options, ledger: { fetch: send } });
    await add(node, 1000, 5);
    isSilent = false;
    await halted(node, "ERR_WITNESS_AHEAD");
    expect((await node.post("/add", "another history", SUBMIT)).status).toBe(503);
    expect(sizeOf(await (await fetch(`${node.url}/checkpoint`)).text())).toBe(301);
    await node.close();
    await copy.database.close();
  });
});

describe("a bucket that comes to show more than the database has", () => {
  it("halts the node that was waiting for its term", async () => {
    const [one, two] = [await stores.postgres.newDatabase(), await stores.postgres.newDatabase()].map(
      (url) => new StoredLog(url, stores.s3),
    );
    if (one === undefined || two === undefined) throw new Error("want two logs");
    const first = await one.start("raw");
    await add(first, 0, 2);
    expect(await published(first)).toBe(3);
    await first.close();
    const admission = await two.start("raw", "admission");
    await two.database.query("UPDATE countersign_head SET lease_until = now() + interval '1 hour'");
    const waiting = await two.start("raw");
    await two.put("checkpoint", (await one.store.get("checkpoint"))?.bytes ?? new Uint8Array(0));
    await two.database.query("UPDATE countersign_head SET lease_until = now() - interval '1 second'");
    await halted(waiting, "ERR_LOG_BEHIND");
    for (const { close } of [waiting, admission, one.database, two.database]) await close();
  });
});

describe("a database that is put back under running nodes", () => {
  it("gets no entry: the node halts, whichever question comes first", async () => {
    const log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
    const first = await log.start("raw");
    await add(first, 0, 20);
    await published(first);
    await first.close();
    for (const isAsked of [true, false]) {
      const node = await log.start("raw", "admission");
      const next = await nextIndex(log);
      await add(node, next, 10);
      await log.database.transaction(async (sql) => {
        await sql.query(`DELETE FROM countersign_batch WHERE first_index >= ${next}`);
        await sql.query(`DELETE FROM countersign_leaf WHERE entry_index >= ${next}`);
        await sql.query(`UPDATE countersign_sequence SET next_index = ${next}`);
      });
      if (isAsked) expect((await node.post("/add", "at an index that was given", SUBMIT)).status).toBe(503);
      await halted(node, "ERR_LOG_BEHIND");
      expect(await nextIndex(log)).toBe(next);
      await node.close();
    }
    await log.database.close();
  });
});
