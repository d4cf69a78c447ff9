import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { type Database, openDatabase } from "../../ledger/postgres-s3/database.ts";
import { checkStoredLog } from "../../ledger/postgres-s3/fsck/fsck.ts";
import { add, ledgerPair, operate, pinning, published, signersOfNote } from "../support/ledger-operator.ts";
import { errorCode, eventually, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import { type NodeOptions, nodeStorage, startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { S3_CREDENTIALS } from "../support/s3-server.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";

/** The two tables, and a log in them, as versions of before the levels made them. */
const OLD_TABLES = [
  "CREATE TABLE countersign_log (id bigint PRIMARY KEY, origin text NOT NULL UNIQUE)",
  "CREATE TABLE countersign_sequence (log bigint PRIMARY KEY, next_index bigint NOT NULL, turn bigint NOT NULL)",
  `CREATE TABLE countersign_head (
     log bigint PRIMARY KEY, token bigint NOT NULL, holder text NOT NULL, lease_until timestamptz NOT NULL,
     change bigint NOT NULL, size bigint NOT NULL, root bytea NOT NULL, edge bytea NOT NULL,
     logged text, published text, published_met bigint, unwitnessed text)`,
  `INSERT INTO countersign_log VALUES (1, '${LEDGER_ORIGIN}')`,
  "INSERT INTO countersign_sequence VALUES (1, 0, 0)",
  `INSERT INTO countersign_head VALUES (1, 0, '', now(), 0, 0, '\\x${Buffer.from(EMPTY_ROOT).toString("hex")}', '')`,
];
/** How nodes of before the levels began a turn, and took the lease. */
const OLD_TURN = "UPDATE countersign_sequence SET turn = turn + 1 WHERE log = 1 RETURNING turn";
const OLD_LEASE = `UPDATE countersign_head SET token = token + 1, holder = 'old', change = change + 1, lease_until = now()
  WHERE log = 1 RETURNING token`;

let stores: StoreServers;
const nodes: TestNode[] = [];
const databases: Database[] = [];
beforeAll(async () => {
  stores = await startStoreServers();
});
afterEach(async () => {
  for (const each of [...nodes.splice(0), ...databases.splice(0)]) await each.close();
});
afterAll(() => stores.remove());

/** Stores of one log. */
interface Stores {
  readonly database: Database;
  readonly start: (options?: NodeOptions) => Promise<TestNode>;
  readonly check: () => Promise<readonly object[]>;
}

async function newStores(): Promise<Stores> {
  const url = await stores.postgres.newDatabase();
  const database = openDatabase(url);
  databases.push(database);
  const s3_prefix = `${new URL(url).pathname.slice(1)}/`;
  const start: Stores["start"] = async ({ storage, ...rest } = {}) => {
    const ledger = { logKeys: [...ledgerPair(0), ...ledgerPair(1)] };
    const node = await startNode({ url }, stores.s3, { ledger, ...rest, storage: { s3_prefix, ...storage } });
    nodes.push(node);
    return node;
  };
  const options = {
    origin: LEDGER_ORIGIN,
    storage: nodeStorage(stores.s3, { s3_prefix }),
    secrets: { databaseUrl: url, credentials: S3_CREDENTIALS },
    policy: parseWitnessPolicy(pinning([0, 1])),
    workers: 0,
  };
  return { database, start, check: async () => (await checkStoredLog(options)).findings.faults };
}

/** Whether the database takes what a node of before the levels does. */
async function oldNodeMay(database: Database): Promise<readonly unknown[]> {
  const ask = (statement: string): Promise<unknown> =>
    database.query(statement).then(
      (rows) => rows.length,
      (error: unknown) => (error as { code: unknown }).code,
    );
  return [await ask(OLD_TURN), await ask(OLD_LEASE)];
}

describe("a log that nodes of before the levels serve too", () => {
  it("is theirs until it says something of itself, and then no more", async () => {
    const { database, start, check } = await newStores();
    for (const statement of OLD_TABLES) await database.query(statement);
    const [integrator, admission] = [await start(), await start({ storage: { role: "admission" } })];
    expect(await add(admission, "one")).toBe(1);
    expect(await oldNodeMay(database)).toEqual([1, 1]);
    expect(await add(admission, "two")).toBe(2);
    expect(await operate(admission, { action: "rotate-key" })).toBe(3);
    expect(await oldNodeMay(database)).toEqual(["ERR_DATABASE", "ERR_DATABASE"]);
    expect(signersOfNote(await published(integrator, 4))).toEqual([0, 1]);
    expect(await oldNodeMay(database)).toEqual(["ERR_DATABASE", "ERR_DATABASE"]);
    expect(await add(await start({ storage: { role: "admission" } }), "three")).toBe(4);
    await published(integrator, 5);
    expect(await check()).toEqual([]);
  });

  it("is not theirs if it is new", async () => {
    const { database, start } = await newStores();
    await published(await start(), 1);
    expect(await oldNodeMay(database)).toEqual(["ERR_DATABASE", "ERR_DATABASE"]);
  });
});

describe("a log of a level that this program does not know", () => {
  const RAISE = ["countersign_sequence", "countersign_head"].map((table) => `UPDATE ${table} SET level = 3`);

  it("has no node of it: what runs halts, what starts does not, and fsck says so", async () => {
    const { database, start, check } = await newStores();
    const node = await start();
    await published(node, 1);
    for (const statement of RAISE) await database.query(statement);
    expect(["ERR_DATABASE_SCHEMA", "ERR_LEDGER_STOPPED"]).toContain(
      await errorCode(await node.post("/add", "late", SUBMIT)),
    );
    await eventually(async () => {
      const ready = (await (await node.get("/readyz")).json()) as { readonly fault?: string };
      return ready.fault === "ERR_DATABASE_SCHEMA" ? true : undefined;
    });
    await expect(start()).rejects.toMatchObject({ code: "ERR_DATABASE_SCHEMA" });
    await expect(check()).rejects.toMatchObject({ code: "ERR_DATABASE_SCHEMA" });
    const [row] = await database.query("SELECT next_index FROM countersign_sequence");
    expect(row).toEqual({ next_index: "1" });
  });

  it("is integrated by nobody who has not noticed yet", async () => {
    const { database, start } = await newStores();
    const node = await start();
    await published(node, 1);
    await node.close();
    const [before] = await database.query("UPDATE countersign_head SET level = 3 RETURNING token");
    await start({ storage: { role: "integrator" } });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const [after] = await database.query("SELECT token, lease_until < now() AS free FROM countersign_head");
    expect(after).toEqual({ ...before, free: true });
  });
});
