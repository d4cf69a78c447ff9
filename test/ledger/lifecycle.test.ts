/** A log that rotates its keys, ends, and goes on serving what it has. */

import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import type { LedgerOptions } from "../../ledger/options.ts";
import type { Disk } from "../../ledger/storage/disk.ts";
import { add, ledgerPair, operate, pinning, published, signersOfNote, statusOf } from "../support/ledger-operator.ts";
import {
  errorCode,
  eventually,
  makeDataDir,
  OPERATE,
  READ,
  SUBMIT,
  startTestLedger,
  type TestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";

let dataDir = "";
let witness: FakeWitness;
let running: TestLedger | undefined;
beforeEach(async () => {
  dataDir = await makeDataDir();
  witness = await startFakeWitness(1);
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  await witness.close();
  await rm(dataDir, { recursive: true, force: true });
});

const keysOf = (...pairs: readonly number[]): LedgerOptions["logKeys"] => pairs.flatMap(ledgerPair);

/** Starts the ledger of the folder, again if it runs. */
async function start(pairs: readonly number[], more: TestLedgerOptions = {}): Promise<TestLedger> {
  await running?.close();
  running = undefined;
  const config = { witness_policy: `${witness.policyLine}\nquorum w1\n`, ...more.config };
  running = await startTestLedger({ dataDir, logKeys: keysOf(...pairs), ...more, config });
  return running;
}

async function startCode(pairs: readonly number[]): Promise<string> {
  try {
    await start(pairs);
    return "started";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "another error";
  }
}

async function faults(): Promise<readonly string[]> {
  await running?.close();
  running = undefined;
  const { findings } = await checkDataFolder({ dataDir, workers: 0 });
  return findings.faults.map(({ code, index }) => `${code} ${index ?? ""}`);
}

describe("the keys of a log", () => {
  it("are rotated in the log: both pairs sign, then the newer one alone, over restarts", async () => {
    let ledger = await start([0, 1]);
    expect(await add(ledger, "one")).toBe(1);
    expect(signersOfNote(await published(ledger, 2))).toEqual([0]);
    expect(await operate(ledger, { action: "rotate-key" })).toBe(2);
    expect(signersOfNote(await published(ledger, 3))).toEqual([0, 1]);
    ledger = await start([0, 1]);
    expect(await add(ledger, "two")).toBe(3);
    expect(signersOfNote(await published(ledger, 4))).toEqual([0, 1]);
    expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "rotating" });
    expect(await operate(ledger, { action: "retire-key" })).toBe(4);
    expect(signersOfNote(await published(ledger, 5))).toEqual([1]);
    ledger = await start([1]);
    expect(await add(ledger, "three")).toBe(5);
    expect(signersOfNote(await published(ledger, 6))).toEqual([1]);
    expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "active", openBelow: 5n });
    expect(await faults()).toEqual([]);
  });

  it("are not given up while a checkpoint still needs them", async () => {
    const ledger = await start([0, 1]);
    expect(await operate(ledger, { action: "rotate-key" })).toBe(1);
    await published(ledger, 2);
    expect(await startCode([0])).toBe("ERR_GENESIS_MISMATCH");
    expect(await startCode([1])).toBe("ERR_GENESIS_MISMATCH");
    expect(await startCode([0, 1])).toBe("started");
  });

  it("are rotated only to a pair that is there, in order, and by the operator", async () => {
    const ledger = await start([0]);
    expect(await operate(ledger, { action: "rotate-key" })).toBe("ERR_CONFIG");
    expect(await operate(ledger, { action: "retire-key" })).toBe("ERR_ROTATION_ORDER");
    const both = await start([0, 1]);
    expect(await operate(both, { action: "rotate-key" })).toBe(1);
    expect(await operate(both, { action: "rotate-key" })).toBe("ERR_CONFIG");
    const answer = await both.post("/operator/statements", '{"action":"rotate-key"}', SUBMIT);
    expect([answer.status, await errorCode(answer)]).toEqual([401, "ERR_TOKEN"]);
    const stranger = await both.post("/operator/statements", "{}", { ...OPERATE, authorization: "Bearer x" });
    expect([stranger.status, await errorCode(stranger)]).toEqual([401, "ERR_TOKEN"]);
  });

  it("are not retired before witnesses saw a checkpoint of both pairs", async () => {
    const ledger = await start([0, 1]);
    await published(ledger, 1);
    witness.behaviour = () => ({ status: 503 });
    expect(await operate(ledger, { action: "rotate-key" })).toBe(1);
    expect(await operate(ledger, { action: "retire-key" })).toBe("ERR_LOG_UNWITNESSED");
  });

  it("are shown before anything is done", async () => {
    const ledger = await start([0, 1]);
    const answer = await ledger.post("/operator/statements", '{"action":"rotate-key","dry_run":true}', OPERATE);
    expect(await answer.json()).toMatchObject({ statement: { kind: "log-key-rotation", index: 1 } });
    expect(await add(ledger, "one")).toBe(1);
  });
});

describe("a frozen log", () => {
  const freeze = { action: "close", end: "frozen", reason: "the year is over", successor: { origin: "log.example/2" } };

  it("takes nothing new, names its successor, and serves what it has, over restarts", async () => {
    let ledger = await start([0]);
    expect(await add(ledger, "one")).toBe(1);
    expect(await operate(ledger, freeze)).toBe(2);
    for (let run = 0; run < 2; run += 1) {
      const refused = await ledger.post("/add", "two", SUBMIT);
      expect(refused.status).toBe(410);
      expect(await refused.json()).toMatchObject({
        error: { code: "ERR_LOG_CLOSED", final_size: 3, end: "frozen", successor: { origin: "log.example/2" } },
      });
      // What was acknowledged keeps its answer.
      expect(await add(ledger, "one")).toBe(1);
      expect(await operate(ledger, freeze)).toBe("ERR_LOG_CLOSED");
      await published(ledger, 3);
      expect((await ledger.get("/tile/entries/000.p/3", READ)).status).toBe(200);
      expect(await (await ledger.get("/readyz")).json()).toMatchObject({ ready: true, standing: "frozen" });
      expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "frozen", openBelow: 3n });
      ledger = await start([0]);
    }
    expect(await faults()).toEqual([]);
  });

  it("under load loses nothing that it acknowledged, and has nothing behind its last leaf", async () => {
    const ledger = await start([0]);
    const answers = new Map<string, number | string | undefined>();
    const load = Array.from({ length: 8 }, async (_, client) => {
      for (let i = 0; ; i += 1) {
        const answer = await add(ledger, `entry ${client} ${i}`);
        answers.set(`entry ${client} ${i}`, answer);
        if (typeof answer !== "number") return;
      }
    });
    await eventually(async () => (answers.size > 200 ? true : undefined));
    const last = await operate(ledger, freeze);
    await Promise.all(load);
    const indexes = [...answers.values()].filter((answer) => typeof answer === "number");
    expect([...answers.values()].filter((answer) => typeof answer === "string")).toEqual(
      Array.from({ length: 8 }, () => "ERR_LOG_CLOSED"),
    );
    expect(indexes.toSorted((a, b) => a - b)).toEqual(Array.from({ length: indexes.length }, (_, i) => i + 1));
    expect(last).toBe(indexes.length + 1);
    await published(ledger, indexes.length + 2);
    expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ openBelow: BigInt(indexes.length + 2) });
    expect(await faults()).toEqual([]);
  });
});

describe("a log of a period", () => {
  const day = { by: "day", period: "2026-02-28" } as const;
  const origin = "ledger.example/2026-02-28";

  it("takes entries while it is open by the ledger's clock, whichever way that jumps", async () => {
    let now = Date.parse("2026-02-28T23:59:59.000Z");
    const logKeys = ledgerPair(0).map(({ type, seed }) => makeSignerKey(origin, type, seed));
    const ledger = await start([0], { config: { origin, shard: day }, logKeys, clock: { nowMs: () => now } });
    expect(await add(ledger, "in time")).toBe(1);
    now += 1000;
    const late = await ledger.post("/add", "late", SUBMIT);
    expect([late.status, await errorCode(late)]).toEqual([403, "ERR_SHARD_TIME"]);
    expect(await add(ledger, "in time")).toBe(1);
    now -= 86_400_000 + 1;
    expect(await add(ledger, "early")).toBe("ERR_SHARD_TIME");
    now += 2;
    expect(await add(ledger, "back in time")).toBe(2);
    now += 365 * 86_400_000;
    expect(await operate(ledger, { action: "close", end: "frozen", reason: "over" })).toBe(3);
    expect(await add(ledger, "behind")).toBe("ERR_LOG_CLOSED");
  });
});

/** A disk that fails at one kind of call from a moment on; `kept` does what it was asked before it fails. */
class FaultyDisk {
  isArmed = false;
  readonly #path: RegExp;
  readonly #call: "write" | "sync" | "rename";
  readonly #isKept: boolean;

  constructor(path: RegExp, call: "write" | "sync" | "rename", isKept: boolean) {
    [this.#path, this.#call, this.#isKept] = [path, call, isKept];
  }

  readonly wrap = (disk: Disk): Disk => ({
    ...disk,
    rename: (from, to) => this.#guard("rename", to, () => disk.rename(from, to)),
    open: async (path) => {
      const file = await disk.open(path);
      return {
        write: (bytes, offset) => this.#guard("write", path, () => file.write(bytes, offset)),
        datasync: () => this.#guard("sync", path, () => file.datasync()),
        close: () => file.close(),
      };
    },
  });

  async #guard(call: "write" | "sync" | "rename", path: string, action: () => Promise<void>): Promise<void> {
    const fails = this.isArmed && call === this.#call && this.#path.test(path);
    if (!fails || this.#isKept) await action();
    if (fails) throw new Error("EIO");
  }
}

const WAL = /^wal\//u;
describe("a disk that fails while a log", () => {
  const faultsOf = (): readonly (readonly [string, FaultyDisk])[] => [
    ["write of the entry", new FaultyDisk(WAL, "write", false)],
    ["write of the entry that is kept", new FaultyDisk(WAL, "write", true)],
    ["sync of the entry", new FaultyDisk(WAL, "sync", false)],
    ["sync of the entry that is kept", new FaultyDisk(WAL, "sync", true)],
    ["record of the head", new FaultyDisk(/^head$/u, "write", false)],
    ["record of the head that is kept", new FaultyDisk(/^head$/u, "sync", true)],
    ["publication", new FaultyDisk(/^checkpoint$/u, "rename", false)],
    ["publication that is kept", new FaultyDisk(/^checkpoint$/u, "rename", true)],
  ];

  it.each(faultsOf())(
    "ends fails at the %s: it has ended after a restart, or has not, and goes on from there",
    async (_name, disk) => {
      let ledger = await start([0], { wrapDisk: disk.wrap });
      expect(await add(ledger, "one")).toBe(1);
      await published(ledger, 2);
      disk.isArmed = true;
      const closing = { action: "close", end: "frozen", reason: "over" };
      await operate(ledger, closing);
      disk.isArmed = false;
      ledger = await start([0]);
      const answer = await add(ledger, "two");
      const hasEnded = answer === "ERR_LOG_CLOSED";
      expect(hasEnded || answer === 2).toBe(true);
      if (!hasEnded) expect(await operate(ledger, closing)).toBe(3);
      await published(ledger, hasEnded ? 3 : 4);
      expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "frozen" });
      expect(await faults()).toEqual([]);
    },
  );

  it.each(faultsOf())(
    "rotates its keys fails at the %s: both pairs sign after a restart, or neither is lost",
    async (_name, disk) => {
      let ledger = await start([0, 1], { wrapDisk: disk.wrap });
      expect(await add(ledger, "one")).toBe(1);
      await published(ledger, 2);
      disk.isArmed = true;
      await operate(ledger, { action: "rotate-key" });
      disk.isArmed = false;
      ledger = await start([0, 1]);
      const again = await operate(ledger, { action: "rotate-key" });
      expect([2, "ERR_CONFIG"]).toContain(again);
      expect(signersOfNote(await published(ledger, 3))).toEqual([0, 1]);
      expect(await operate(ledger, { action: "retire-key" })).toBe(3);
      expect(signersOfNote(await published(ledger, 4))).toEqual([1]);
      expect(await faults()).toEqual([]);
    },
  );
});
