/** A log that an integrator halts: every node sees it, nobody acknowledges behind it, and a check clears it. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fsckCommand } from "../../cli/commands/fsck.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import { HeadTable } from "../../ledger/postgres-s3/head-table.ts";
import { clearHalt, type LogHalt, recordHalt, requireRunning } from "../../ledger/postgres-s3/log-halt.ts";
import { prepareTables } from "../../ledger/postgres-s3/schema.ts";
import { beginTurn } from "../../ledger/postgres-s3/sequence-table.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { errorCode, eventually, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import type { TestNode } from "../support/postgres-s3-log.ts";
import { type CommandBench, startCommandBench } from "./stored-command.ts";
import { add, published } from "./stored-log.ts";

const WRONG = formatUtf8("not the tile");

let bench: CommandBench;
beforeAll(async () => {
  bench = await startCommandBench("raw");
});
afterAll(() => bench.close());

function fsck(...more: readonly string[]): Promise<CommandRun> {
  return runInProcess(fsckCommand, ["--config", bench.files.config, "--log", "a", ...more]);
}

async function status(node: TestNode): Promise<Record<string, unknown>> {
  const body: unknown = await (await node.get("/readyz")).json();
  return typeof body === "object" && body !== null ? { ...body } : {};
}

function faultOf(node: TestNode): Promise<unknown> {
  return eventually(async () => (await status(node))["fault"]);
}

async function nextIndex(): Promise<unknown> {
  const [row] = await bench.log.database.query("SELECT next_index FROM countersign_sequence");
  return row?.["next_index"];
}

describe("an integrator that finds other bytes at an immutable key", () => {
  let nodes: readonly TestNode[] = [];
  afterAll(async () => {
    for (const node of nodes) await node.close();
  });

  it("halts the log: admission nodes refuse, are not ready and say why, and reads go on", async () => {
    const { log } = bench;
    const [admission, integrator, standby] = [
      await log.start("raw", "admission"),
      await log.start("raw", "integrator"),
      await log.start("raw", "both"),
    ];
    nodes = [admission, integrator, standby];
    await add(admission, 0, 10);
    expect(await published(admission)).toBe(11);
    await log.put("tile/0/000", WRONG);
    await add(admission, 10, 260);
    expect(await faultOf(admission)).toBe("ERR_LOG_HALTED");
    const faults = [await faultOf(integrator), await faultOf(standby)];
    expect(faults.toSorted()).toEqual(["ERR_LOG_HALTED", "ERR_STORE_CONFLICT"]);
    const before = await nextIndex();
    const refused = await admission.post("/add", "behind the halt", SUBMIT);
    expect([refused.status, await errorCode(refused)]).toEqual([503, "ERR_LOG_HALTED"]);
    expect(await nextIndex()).toBe(before);
    for (const node of nodes) {
      expect((await node.get("/readyz")).status).toBe(503);
      expect(await status(node)).toMatchObject({ halt: { code: "ERR_STORE_CONFLICT", at: expect.any(String) } });
      expect(await (await node.get("/metrics")).text()).toMatch(/^ledger_halted 1$/mu);
      expect((await node.get("/checkpoint")).status).toBe(200);
      expect((await node.get("/log-proof/3?wait_ms=5000")).status).toBe(200);
    }
  });

  it("keeps every node from starting, and nobody takes the lease", async () => {
    for (const role of ["admission", "integrator", "both"] as const)
      await expect(bench.log.start("raw", role)).rejects.toMatchObject({ code: "ERR_LOG_HALTED" });
    const log = await prepareNumber();
    await bench.log.database.query("UPDATE countersign_head SET lease_until = now() - interval '1 hour'");
    expect(await new HeadTable(bench.log.database, log).acquire("somebody", 1000)).toBeUndefined();
  });

  it("is cleared by a check that finds nothing, and by no other", async () => {
    const found = await fsck("--clear-halt");
    expect([found.exit, found.out.includes("ERR_STORE_CONFLICT")]).toEqual([1, true]);
    await expect(bench.log.start("raw")).rejects.toMatchObject({ code: "ERR_LOG_HALTED" });
    await bench.log.store.remove("tile/0/000");
    const looked = await fsck("--json");
    expect(looked.exit).toBe(0);
    expect(JSON.parse(looked.out)).toMatchObject({ clean: true, halt: { code: "ERR_STORE_CONFLICT" } });
    await expect(bench.log.start("raw")).rejects.toMatchObject({ code: "ERR_LOG_HALTED" });
    expect(await fsck("--clear-halt")).toMatchObject({ exit: 0 });
    expect((await fsck("--json")).out).not.toContain('"halt"');
    // Whoever halted stays so until it is started again.
    for (const node of nodes) expect((await node.post("/add", "not restarted", SUBMIT)).status).toBe(503);
    const node = await bench.log.start("raw");
    expect((await node.post("/add", "goes on", SUBMIT)).status).toBe(200);
    expect(await published(node)).toBe(Number(await nextIndex()));
    await node.close();
    expect(await bench.log.faults()).toEqual([]);
  });

  it("is not cleared in a folder, and nothing is said where there is no halt", async () => {
    expect((await runInProcess(fsckCommand, ["folder", "--clear-halt"])).fault).toBe("usage");
    expect(await fsck("--clear-halt")).toMatchObject({ exit: 0 });
  });
});

function prepareNumber(): Promise<bigint> {
  return bench.log.database.query("SELECT id FROM countersign_log").then(([row]) => BigInt(String(row?.["id"])));
}

describe("a halt", () => {
  const FAULT = { code: "ERR_LOG_FORKED", message: "another root" } as const;

  async function newLog(origin: string): Promise<{ readonly log: bigint; readonly heads: HeadTable }> {
    const { database } = bench.log;
    const log = await prepareTables(database, `${LEDGER_ORIGIN}/${origin}`, EMPTY_ROOT);
    return { log, heads: new HeadTable(database, log) };
  }

  it("is recorded by the holder of the newest token alone, once", async () => {
    const { database } = bench.log;
    const { log, heads } = await newLog("token");
    const old = (await heads.acquire("old", 1)) ?? 0n;
    await new Promise((resolve) => setTimeout(resolve, 20));
    const token = (await heads.acquire("new", 60_000)) ?? 0n;
    const halt = (given: bigint): Promise<void> => recordHalt(database, log, { token: given, holder: "one", ...FAULT });
    await expect(halt(old)).rejects.toMatchObject({ code: "ERR_LEASE_LOST" });
    expect((await heads.readChanged(-1n)).halt).toBeUndefined();
    await halt(token);
    await halt(token);
    const seen = (await heads.readChanged(-1n)).halt;
    expect(seen).toMatchObject({ ...FAULT, holder: "one", token });
    await expect(heads.renew(token, 1000)).resolves.toBeUndefined();
    expect(await heads.acquire("third", 1000)).toBeUndefined();
  });

  it("is seen by the turn that waits for its lock, which commits nothing", async () => {
    const { database } = bench.log;
    const { log, heads } = await newLog("lock");
    const token = (await heads.acquire("one", 60_000)) ?? 0n;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld: () => void = () => undefined;
    const holding = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    const first = database.transaction(async (sql) => {
      await beginTurn(sql, log);
      isHeld();
      await held;
    });
    await holding;
    // Both wait for the row of the sequence; the database gives it to them in the order in which they asked.
    const halting = recordHalt(database, log, { token, holder: "one", ...FAULT });
    await waiting(1);
    const turn = database.transaction(async (sql) => {
      const { level } = await beginTurn(sql, log);
      await requireRunning(sql, log, level);
    });
    const refused = expect(turn).rejects.toMatchObject({ code: "ERR_LOG_HALTED", fatal: true });
    await waiting(2);
    release();
    await Promise.all([first, halting, refused]);
  });

  it("is met by the next turn of a node that has not heard of it", async () => {
    const { log } = bench;
    const node = await log.start("raw", "admission");
    const number = await prepareNumber();
    const token = (await new HeadTable(log.database, number).acquire("one", 60_000)) ?? 0n;
    const before = await nextIndex();
    await recordHalt(log.database, number, { token, holder: "one", ...FAULT });
    const answer = await node.post("/add", "at once", SUBMIT);
    expect([answer.status, await errorCode(answer), await nextIndex()]).toEqual([503, "ERR_LOG_HALTED", before]);
    expect(await faultOf(node)).toBe("ERR_LOG_HALTED");
    await node.close();
    expect(await fsck("--clear-halt")).toMatchObject({ exit: 0 });
  });

  it("is refused by the database to nodes of before it, whatever they know", async () => {
    const { database } = bench.log;
    const { log, heads } = await newLog("older");
    const token = (await heads.acquire("one", 60_000)) ?? 0n;
    for (const table of ["countersign_sequence", "countersign_head"])
      await database.query(`UPDATE ${table} SET level = 1, fence = 0 WHERE log = $1`, [log]);
    await recordHalt(database, log, { token, holder: "one", ...FAULT });
    const old = database.query("UPDATE countersign_sequence SET turn = turn + 1 WHERE log = $1", [log]);
    await expect(old).rejects.toMatchObject({ code: "ERR_DATABASE" });
    const halt = (await heads.readChanged(-1n)).halt as LogHalt;
    await expect(clearHalt(database, log, { ...halt, token: token + 1n })).rejects.toMatchObject({
      code: "ERR_STORE_CONFLICT",
    });
    await clearHalt(database, log, halt);
    const levels = await database.query(
      "SELECT s.level, h.level AS head FROM countersign_sequence s JOIN countersign_head h ON s.log = h.log WHERE s.log = $1",
      [log],
    );
    expect(levels).toEqual([{ level: "1", head: "1" }]);
    expect((await heads.readChanged(-1n)).halt).toBeUndefined();
  });

  /** Resolves when so many sessions wait for a lock. */
  function waiting(count: number): Promise<true> {
    return eventually(async () => {
      const rows = await bench.log.database.query(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
      );
      return rows.length >= count ? true : undefined;
    });
  }
});
