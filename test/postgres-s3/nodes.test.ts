import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { EMPTY_ROOT, hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { makeSigner } from "../../ledger/ledger.ts";
import { readRun } from "../../ledger/postgres-s3/batch-table.ts";
import { type Database, openDatabase } from "../../ledger/postgres-s3/database.ts";
import { HeadTable } from "../../ledger/postgres-s3/head-table.ts";
import { Integrator } from "../../ledger/postgres-s3/integrator.ts";
import { type ObjectStore, openObjectStore } from "../../ledger/postgres-s3/object-store.ts";
import { probeStore } from "../../ledger/postgres-s3/probe-store.ts";
import { prepareTables } from "../../ledger/postgres-s3/schema.ts";
import { beginTurn, writeTurn } from "../../ledger/postgres-s3/sequence-table.ts";
import { TermPublisher } from "../../ledger/postgres-s3/term-publisher.ts";
import { TileBucket } from "../../ledger/postgres-s3/tile-bucket.ts";
import { EMPTY_EDGE } from "../../ledger/tree/right-edge.ts";
import { GrowingTree } from "../../ledger/tree/tree.ts";
import { eventually, LEDGER_ORIGIN, ledgerOptions, READ, SUBMIT } from "../support/ledger-service.ts";
import { refusal, Submitter, segmentOf, tipOf } from "../support/ledger-submitter.ts";
import { type NodeOptions, startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { gatewayKeys, makeStream, receiptContents } from "../support/receipts.ts";
import { S3_CREDENTIALS, S3Server, versitygw } from "../support/s3-server.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";

let stores: StoreServers;
const nodes: TestNode[] = [];
beforeAll(async () => {
  stores = await startStoreServers();
});
afterAll(async () => {
  for (const node of nodes) await node.close();
  await stores.remove();
});

/** A new log: where its nodes are started. */
async function newLog(kind: "raw" | "receipts" = "raw"): Promise<(options?: NodeOptions) => Promise<TestNode>> {
  const url = await stores.postgres.newDatabase();
  const prefix = `${new URL(url).pathname.slice(1)}/`;
  return async ({ config, storage, ...rest } = {}) => {
    const options = { config: { log_kind: kind, ...config }, storage: { s3_prefix: prefix, ...storage }, ...rest };
    const node = await startNode({ url }, stores.s3, options);
    nodes.push(node);
    return node;
  };
}

async function add(node: TestNode, text: string): Promise<string> {
  return (await fetch(`${node.url}/add`, { method: "POST", body: text, headers: SUBMIT })).text();
}

async function status(node: TestNode): Promise<Record<string, unknown>> {
  const body: unknown = await (await fetch(`${node.url}/readyz`)).json();
  return typeof body === "object" && body !== null ? { ...body } : {};
}

function publishes(node: TestNode, size: number): Promise<true> {
  return eventually(async () => ((await status(node))["published_size"] === size ? true : undefined));
}

describe("several nodes of one log", () => {
  it("give one sequence of indexes, and equal bytes one place", async () => {
    const start = await newLog();
    const [a, b] = [await start(), await start({ storage: { role: "admission" } })];
    const texts = Array.from({ length: 200 }, (_, i) => `entry ${i % 120}`);
    const answers = await Promise.all(texts.map((text, i) => add(i % 2 === 0 ? a : b, text)));
    const places = new Map<string, string>();
    for (const [i, text] of texts.entries()) {
      expect(answers[i]).toBe(places.get(text) ?? answers[i]);
      places.set(text, answers[i] ?? "");
    }
    expect([...places.values()].map(Number).toSorted((x, y) => x - y)).toEqual(
      Array.from({ length: 120 }, (_, i) => i + 1),
    );
  });

  it("serve what the other one acknowledged, at once: proofs by leaf hash and by index", async () => {
    const start = await newLog();
    const [a, b] = [await start(), await start({ storage: { role: "admission" } })];
    for (let i = 0; i < 5; i += 1) {
      const index = await add(i % 2 === 0 ? a : b, `entry ${i}`);
      const other = i % 2 === 0 ? b : a;
      expect((await fetch(`${other.url}/log-proof/${index}?wait_ms=20000`)).status).toBe(200);
      const leaf = Buffer.from(hashLeaf(formatUtf8(`entry ${i}`))).toString("hex");
      expect((await fetch(`${other.url}/log-proof?leaf=${leaf}&wait_ms=20000`)).status).toBe(200);
    }
  });

  it("judge a stream together: registration, tip, gap and fork are the same at each", async () => {
    const start = await newLog("receipts");
    const [a, b] = [await start(), await start({ storage: { role: "admission" } })];
    const [at, other] = [new Submitter(a.url), new Submitter(b.url)];
    const stream = await at.open(makeStream({ keys: gatewayKeys(60), log: LEDGER_ORIGIN }));
    expect((await other.segment(segmentOf(stream, 0, 2))).status).toBe(200);
    expect(await at.tip(stream.stream)).toMatchObject({ status: 200, body: tipOf(stream, 2) });
    expect((await at.segment(segmentOf(stream, 2, 4))).status).toBe(200);
    expect(await other.receipt(stream.receipts[5]?.bytes ?? new Uint8Array(0))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: tipOf(stream, 4) }),
    );
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    const rival = makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, count: 3 }).next(heartbeat).bytes;
    expect(await other.receipt(rival)).toMatchObject(refusal(409, "ERR_STREAM_FORK", { tip: tipOf(stream, 4) }));
    const evidence = await fetch(`${a.url}/evidence/streams/${stream.stream}`, { headers: READ });
    expect((await evidence.text()).trimEnd().split("\n")).toHaveLength(1);
    const raced = await Promise.all([at, other, at, other].map((each) => each.segment(segmentOf(stream, 4, 6))));
    expect(new Set(raced.map((each) => JSON.stringify(each))).size).toBe(1);
  });

  it("take no entries where they only integrate, and wait for another one to integrate where they only admit", async () => {
    const start = await newLog();
    const admission = await start({ storage: { role: "admission" } });
    const index = await add(admission, "waits");
    expect((await fetch(`${admission.url}/log-proof/${index}?wait_ms=300`)).status).toBe(404);
    const integrator = await start({ storage: { role: "integrator" } });
    const refused = await fetch(`${integrator.url}/add`, { method: "POST", body: "x", headers: SUBMIT });
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: "ERR_NODE_ROLE" } }]);
    await publishes(admission, 2);
    expect(await status(integrator)).toMatchObject({ node: { role: "integrator", integrates: true } });
  });
});

describe("a database that refuses transactions to keep them apart", () => {
  /** Refuses every third write of a batch or head, as a stricter isolation may. */
  const REFUSALS = [
    "CREATE SEQUENCE refusals",
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF nextval('refusals') % 3 = 0 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;
       RETURN NEW;
     END $$`,
    "CREATE TRIGGER refuse BEFORE INSERT ON countersign_batch FOR EACH ROW EXECUTE FUNCTION refuse()",
    "CREATE TRIGGER refuse BEFORE UPDATE OF size ON countersign_head FOR EACH ROW EXECUTE FUNCTION refuse()",
  ];

  it("is asked again, with the streams as they were: no gap, no double, no lost tip", async () => {
    const url = await stores.postgres.newDatabase();
    const storage = { s3_prefix: "refusing/" };
    const node = await startNode({ url }, stores.s3, { config: { log_kind: "receipts" }, storage });
    nodes.push(node);
    const database = openDatabase(url);
    for (const statement of REFUSALS) await database.query(statement);
    const client = new Submitter(node.url);
    const streams = [70, 72, 74].map((seed) => makeStream({ keys: gatewayKeys(seed), log: LEDGER_ORIGIN }));
    const write = async (stream: (typeof streams)[number]): Promise<void> => {
      await client.open(stream);
      for (const [first, end] of [
        [0, 2],
        [2, 3],
        [3, 6],
      ] as const) {
        const answer = await client.segment(segmentOf(stream, first, end));
        expect(answer).toMatchObject({ status: 200, body: { tip: tipOf(stream, end) } });
      }
    };
    await Promise.all(streams.map(write));
    const [sequence] = await database.query("SELECT next_index FROM countersign_sequence");
    expect(sequence).toEqual({ next_index: String(1 + 3 * 7) });
    const [refused] = await database.query("SELECT last_value FROM refusals");
    expect(Number(refused?.["last_value"])).toBeGreaterThan(3);
    await publishes(node, 22);
    await database.close();
  });
});

describe("the lease", () => {
  it("goes to the next integrator when one stops, and the log goes on", async () => {
    const start = await newLog();
    const first = await start();
    await add(first, "one");
    await publishes(first, 2);
    const second = await start();
    await first.close();
    nodes.splice(nodes.indexOf(first), 1);
    await add(second, "two");
    await publishes(second, 3);
  });

  it("keeps an integrator that was replaced from recording, signing for others and publishing", async () => {
    const database = openDatabase(await stores.postgres.newDatabase());
    const log = await prepareTables(database, LEDGER_ORIGIN, EMPTY_ROOT);
    const heads = new HeadTable(database, log);
    const old = await heads.acquire("old", 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const token = await heads.acquire("new", 60_000);
    expect([old, token]).toEqual([1n, 2n]);
    expect(await heads.acquire("third", 60_000)).toBeUndefined();
    const empty = { size: 0n, root: EMPTY_ROOT };
    const one = { size: 1n, root: EMPTY_ROOT, edge: new Uint8Array(32) };
    const lost = { code: "ERR_LEASE_LOST", fatal: false };
    await expect(heads.renew(1n, 1000)).rejects.toMatchObject(lost);
    await expect(heads.advance(1n, empty, one, 0n)).rejects.toMatchObject(lost);
    await expect(heads.recordLogged(1n, 0n, "note")).rejects.toMatchObject(lost);
    await expect(heads.recordUnwitnessed(1n, "note")).rejects.toMatchObject(lost);
    const store = openObjectStore({ ...stores.s3.place, prefix: "stale/" }, S3_CREDENTIALS);
    const tree = new GrowingTree(new TileBucket(store), EMPTY_EDGE);
    const parts = { heads, token: 1n, store, tree, logKeys: [], onChange: () => undefined };
    const publisher = new TermPublisher(parts, undefined, undefined);
    await expect(publisher.publish({ size: 0n, root: EMPTY_ROOT, note: "note" })).rejects.toMatchObject(lost);
    expect(await store.get("checkpoint")).toBeUndefined();
    await heads.advance(2n, empty, one, 0n);
    await expect(heads.advance(2n, empty, one, 0n)).rejects.toMatchObject({ code: "ERR_HEAD_CONFLICT", fatal: true });
    await database.close();
  });
});

describe("a term", () => {
  interface Changes {
    readonly changeStore?: (store: ObjectStore) => Partial<ObjectStore>;
    readonly changeDatabase?: (database: Database) => Partial<Database>;
    readonly stallMs?: number;
  }

  /** An integrator of a new log with one entry, over a store and a database that may do anything. */
  async function integratorOn({ changeStore, changeDatabase, stallMs }: Changes): Promise<{
    readonly integrator: Integrator;
    readonly heads: HeadTable;
    readonly halts: unknown[];
    end: () => Promise<void>;
  }> {
    const url = await stores.postgres.newDatabase();
    const whole = openDatabase(url);
    const log = await prepareTables(whole, LEDGER_ORIGIN, EMPTY_ROOT);
    const bytes = formatUtf8("entry");
    const writes = { entries: [{ bytes, leaf: hashLeaf(bytes) }], rows: [], beside: [] };
    await whole.transaction(async (sql) => writeTurn(sql, log, await beginTurn(sql, log), writes));
    const database = { ...whole, ...changeDatabase?.(whole) };
    const heads = new HeadTable(database, log);
    const real = openObjectStore({ ...stores.s3.place, prefix: `${new URL(url).pathname.slice(1)}/` }, S3_CREDENTIALS);
    const options = ledgerOptions("", { info: () => undefined, warn: () => undefined, error: () => undefined });
    const halts: unknown[] = [];
    const integrator = new Integrator({
      options,
      policy: parseWitnessPolicy(options.config.witness_policy),
      signer: makeSigner(options),
      clock: { nowMs: () => Date.now() },
      database,
      log,
      heads,
      store: { ...real, ...changeStore?.(real) },
      holder: "one",
      leaseMs: 300,
      ...(stallMs === undefined ? {} : { stallMs }),
      onChange: () => undefined,
      onWitness: () => undefined,
      onHalt: (fault) => void halts.push(fault),
    });
    integrator.start();
    const end = async (): Promise<void> => {
      await integrator.stop();
      await database.close();
    };
    return { integrator, heads, halts, end };
  }

  it("that hangs gives the lease back, and another integrator takes it", async () => {
    const { integrator, heads, halts, end } = await integratorOn({
      changeStore: () => ({ get: () => new Promise(() => undefined) }),
      stallMs: 300,
    });
    await eventually(async () => (integrator.lastFault === "ERR_TERM_STALLED" ? true : undefined));
    await eventually(() => heads.acquire("two", 60_000));
    expect([integrator.isActive, halts]).toEqual([false, []]);
    await end();
  });

  it("whose commit was not answered is followed by one that goes on from what was committed", async () => {
    let isLost = true;
    const losing = ({ transaction }: Database): Partial<Database> => ({
      transaction: async (work) => {
        const result = await transaction(work);
        if (!isLost) return result;
        isLost = false;
        throw new StoreError("ERR_DATABASE", "the connection broke before the answer");
      },
    });
    const { heads, halts, end } = await integratorOn({ changeDatabase: losing });
    const published = await eventually(async () => (await heads.read()).published);
    expect([published.split("\n")[1], isLost, halts]).toEqual(["1", false, []]);
    await end();
  });

  it("that ends by what proves nothing is followed by another one", async () => {
    let isBroken = true;
    const breaking = (store: ObjectStore): Partial<ObjectStore> => ({
      get: async (key) => {
        if (isBroken) throw new TypeError("terminated");
        return store.get(key);
      },
    });
    const { integrator, halts, end } = await integratorOn({ changeStore: breaking });
    await eventually(async () => (integrator.lastFault === "ERR_BUG" ? true : undefined));
    isBroken = false;
    await eventually(async () => (integrator.isActive ? true : undefined));
    expect([integrator.lastFault, halts]).toEqual([undefined, []]);
    await end();
  });
});

describe("the stores", () => {
  it("are refused by the probe if they do not honour conditional writes; this one does", async () => {
    await probeStore(openObjectStore(stores.s3.place, S3_CREDENTIALS));
  });

  it("halt a log by name where an immutable object holds other bytes", async () => {
    const start = await newLog();
    const node = await start({ storage: { s3_prefix: "damaged/" } });
    await publishes(node, 1);
    const store = openObjectStore({ ...stores.s3.place, prefix: "damaged/" }, S3_CREDENTIALS);
    await store.create("tile/0/000", formatUtf8("not the tile"), {
      contentType: "text/plain",
      cacheControl: "no-store",
    });
    await Promise.all(Array.from({ length: 260 }, (_, i) => add(node, `entry ${i}`)));
    await eventually(async () => ((await status(node))["fault"] === "ERR_STORE_CONFLICT" ? true : undefined));
    const refused = await fetch(`${node.url}/add`, { method: "POST", body: "more", headers: SUBMIT });
    expect(refused.status).toBe(503);
    expect((await fetch(`${node.url}/checkpoint`)).status).toBe(200);
  });

  it("may lose the object store for a while: entries are acknowledged, and published when it is back", async () => {
    const own = await S3Server.start(versitygw());
    const node = await startNode({ url: await stores.postgres.newDatabase() }, own);
    try {
      await publishes(node, 1);
      await own.kill();
      const indexes = await Promise.all(Array.from({ length: 300 }, (_, i) => add(node, `entry ${i}`)));
      expect(indexes.map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
      await own.up();
      await publishes(node, 301);
    } finally {
      await node.close();
      await own.remove();
    }
  });

  it("may have been killed amid a write, and take for existing what they do not have", async () => {
    const url = await stores.postgres.newDatabase();
    const start = async (role: "admission" | "integrator"): Promise<TestNode> => {
      const node = await startNode({ url }, stores.s3, { storage: { role, s3_prefix: "ghosts/" } });
      nodes.push(node);
      return node;
    };
    const node = await start("admission");
    await Promise.all(Array.from({ length: 299 }, (_, i) => add(node, `entry ${i}`)));
    const database = openDatabase(url);
    const entries: Uint8Array[] = [];
    while (entries.length < 256)
      entries.push(...((await readRun(database, 1n, BigInt(entries.length)))?.entries ?? []));
    await database.close();
    const bundle = formatEntryBundle(entries.slice(0, 256));
    const [key, headers] = ["tile/entries/000", { contentType: "text/plain", cacheControl: "no-store" }];
    await stores.s3.plantGhost(`ghosts/${key}`, bundle);
    const store = openObjectStore({ ...stores.s3.place, prefix: "ghosts/" }, S3_CREDENTIALS);
    expect([await store.create(key, bundle, headers), await store.get(key)]).toEqual(["exists", undefined]);
    await start("integrator");
    await publishes(node, 300);
    expect((await store.get(key))?.bytes).toEqual(bundle);
  });

  it("are refused if the database lacks what the bucket shows as published", async () => {
    const storage = { s3_prefix: "older/" };
    const first = await startNode({ url: await stores.postgres.newDatabase() }, stores.s3, { storage });
    await Promise.all(["one", "two"].map((text) => add(first, text)));
    await publishes(first, 3);
    await first.close();
    const second = startNode({ url: await stores.postgres.newDatabase() }, stores.s3, { storage });
    await expect(second).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
  });

  it("are refused if the database acknowledges before it is durable", async () => {
    for (const setting of ["fsync=off", "synchronous_commit=off"]) {
      const careless = await PostgresServer.start([setting]);
      await expect(startNode(careless, stores.s3)).rejects.toMatchObject({ code: "ERR_DATABASE_SETTINGS" });
      await careless.remove();
    }
  });

  it("are refused if the tables are of another version, or the log is another one", async () => {
    const url = await stores.postgres.newDatabase();
    const node = await startNode({ url }, stores.s3, { storage: { s3_prefix: "versions/" } });
    await node.close();
    const other = {
      config: { admission: { software_evidence: "refuse" } },
      storage: { s3_prefix: "versions/" },
    } as const;
    await expect(startNode({ url }, stores.s3, other)).rejects.toMatchObject({ code: "ERR_GENESIS_MISMATCH" });
    const database = openDatabase(url);
    await database.query("UPDATE countersign_schema SET version = 2");
    await database.close();
    await expect(startNode({ url }, stores.s3)).rejects.toMatchObject({ code: "ERR_DATABASE_SCHEMA" });
  });
});
