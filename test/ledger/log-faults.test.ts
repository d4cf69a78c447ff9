import { describe, expect, it } from "vitest";
import { type OpenTestLog, openTestLog, rawProposal } from "../support/ledger-log.ts";
import { type FaultMode, MemoryDisk, MemoryIndex } from "../support/ledger-memory.ts";
import { checkPromised, noPromises, type Promised, runLog } from "../support/log-promises.ts";
import { sampled } from "../support/sweep.ts";

const BATCHES = 8;
const ENTRIES_PER_BATCH = 40;

/** Runs `count` batches from number `from` on. */
function run(log: OpenTestLog, promises: Promised, from = 0, count = BATCHES): Promise<void> {
  return runLog(log, promises, { from, batches: count, entries: ENTRIES_PER_BATCH });
}

/** Steps of a run without faults. */
async function countSteps(): Promise<readonly string[]> {
  const disk = new MemoryDisk();
  const promises: Promised = noPromises();
  await run(await openTestLog(disk), promises);
  expect(promises.acknowledged.size).toBe(BATCHES * ENTRIES_PER_BATCH);
  return disk.steps;
}

const STEPS = await countSteps();

describe("a fault at any write", () => {
  it("is tried at writes of every kind", () => {
    const kinds = new Set(STEPS.map((step) => step.replaceAll(/[0-9]+/g, "N").replaceAll("xN/", "")));
    expect([...kinds].toSorted()).toEqual(
      expect.arrayContaining([
        "write wal/N.wal",
        "sync wal/N.wal",
        "rename wal/N.wal",
        "sync folder wal",
        "write tile/N/N.tmp",
        "rename tile/entries/N",
        "sync folder tile/entries",
        "write head",
        "sync head",
      ]),
    );
  });

  const modes: readonly FaultMode[] = ["failed", "failed but kept"];
  it.each(modes.flatMap((mode) => (["keep", "lose"] as const).map((crash, i) => [mode, crash, i] as const)))(
    "(%s, then the process ends and the disk may %s what was not synced) loses nothing that was acknowledged, and leaves no signature that the disk does not derive",
    async (mode, crash, i) => {
      for (const step of sampled(STEPS.keys(), 5, 2 * i + modes.indexOf(mode))) {
        const promises: Promised = noPromises();
        const disk = new MemoryDisk();
        disk.fault = { step, mode };
        const opened = await openTestLog(disk).catch(() => undefined);
        if (opened !== undefined) await run(opened, promises);
        const restarted = await openTestLog(disk.crash(crash));
        await checkPromised(restarted, promises);
        await run(restarted, promises, BATCHES, 2);
        expect(restarted.halt.fault).toBeUndefined();
        await checkPromised(restarted, promises);
      }
    },
  );
});

describe("a restart", () => {
  async function stopped(): Promise<{ disk: MemoryDisk; promises: Promised }> {
    const disk = new MemoryDisk();
    const promises: Promised = noPromises();
    const log = await openTestLog(disk, { fileBytes: 1 << 20 });
    await run(log, promises);
    await log.close();
    return { disk: disk.crash("lose"), promises };
  }

  it("rebuilds the index from nothing, and gives known entries their first index", async () => {
    const { disk, promises } = await stopped();
    const store = new MemoryIndex();
    const log = await openTestLog(disk, { store });
    expect(store.watermark).toBe(log.tree.size);
    const [text, index] = [...promises.acknowledged][200] ?? ["", 0n];
    expect(await log.sequencer.submit(rawProposal([text, "new"]))).toEqual([index, log.tree.size - 1n]);
  });

  it("forgets an index that knows more than the log", async () => {
    const { disk, promises } = await stopped();
    const store = new MemoryIndex();
    await store.write({ rows: [], watermark: 99_999n });
    const log = await openTestLog(disk, { store });
    expect(await log.sequencer.submit(rawProposal(["never"]))).toEqual([BigInt(promises.acknowledged.size)]);
  });

  it("refuses to run when the disk derives less than a recorded head", async () => {
    const { disk } = await stopped();
    const wal = disk.file("wal/0000000000000001.wal") ?? new Uint8Array(0);
    wal.fill(0, 10_000);
    await expect(openTestLog(disk)).rejects.toMatchObject({ code: "ERR_LOG_BEHIND", fatal: true });
  });

  it("refuses to run when the disk derives another root than a recorded head", async () => {
    const { disk } = await stopped();
    const other = new MemoryDisk();
    const log = await openTestLog(other, { fileBytes: 1 << 20 });
    for (let i = 0; i < 700; i += 1) await log.sequencer.submit(rawProposal([`other ${i}`]));
    for (const path of ["wal/salt", "wal/0000000000000001.wal"]) {
      disk.put(path, other.file(path) ?? new Uint8Array(0));
    }
    for (const path of disk.paths()) if (path.startsWith("tile/")) disk.drop(path);
    await expect(openTestLog(disk)).rejects.toMatchObject({ code: "ERR_LOG_FORKED", fatal: true });
  });

  it("refuses to run when a full tile differs from the write-ahead log, or is missing behind it", async () => {
    const { disk } = await stopped();
    const tile = disk.file("tile/0/000") ?? new Uint8Array(0);
    tile[5] = (tile[5] ?? 0) ^ 1;
    await expect(openTestLog(disk)).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT", fatal: true });
    const retired = new MemoryDisk();
    const log = await openTestLog(retired, { fileBytes: 2048 });
    await run(log, noPromises(), 0, 20);
    const cut = retired.crash("lose");
    cut.drop("tile/0/000");
    await expect(openTestLog(cut, { fileBytes: 2048 })).rejects.toMatchObject({ code: "ERR_TILE_MISSING" });
  });

  it("refuses to run on a damaged head file", async () => {
    const { disk } = await stopped();
    disk.put("head", new Uint8Array(1024).fill(3));
    await expect(openTestLog(disk)).rejects.toMatchObject({ code: "ERR_HEAD_DAMAGE", fatal: true });
  });

  it("stops signing in the process that another one has replaced", async () => {
    const disk = new MemoryDisk();
    const first = await openTestLog(disk);
    await first.sequencer.submit(rawProposal(["a"]));
    await first.checkpointer.tick();
    await openTestLog(disk, { store: new MemoryIndex() });
    await first.sequencer.submit(rawProposal(["b"]));
    await first.checkpointer.tick();
    expect(first.halt.fault).toMatchObject({ code: "ERR_HEAD_CONFLICT", fatal: true });
    expect(first.checkpointer.logged?.size).toBe(1n);
    await expect(first.sequencer.submit(rawProposal(["c"]))).rejects.toMatchObject({ code: "ERR_LEDGER_STOPPED" });
  });
});
