import { describe, expect, it } from "vitest";
import { isSparePath, WalSpares } from "../../ledger/storage/wal-spares.ts";
import { MemoryDisk } from "../support/ledger-memory.ts";

const NONE: readonly string[] = [];

async function diskWith(paths: readonly string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  for (const path of paths) disk.put(path, new Uint8Array(10).fill(7));
  return disk;
}

describe("spare files of the write-ahead log", () => {
  it("are retired ones as long as there are any, and then new ones full of zeros", async () => {
    const retired = ["wal/1.wal", "wal/2.wal", "wal/3.wal"];
    const disk = await diskWith(retired);
    const spares = new WalSpares(disk, "wal", 10, NONE);
    for (const path of retired) await spares.give(path);
    expect(disk.paths().every(isSparePath)).toBe(true);
    for (const path of ["wal/4.wal", "wal/5.wal", "wal/6.wal", "wal/7.wal"]) await spares.take(path);
    expect(["wal/4.wal", "wal/6.wal", "wal/7.wal"].map((path) => disk.file(path)?.[0])).toEqual([7, 7, 0]);
    expect(disk.paths()).toEqual(["wal/4.wal", "wal/5.wal", "wal/6.wal", "wal/7.wal"]);
  });

  it("are found again by the next process, and no more of them are kept than there are names", async () => {
    const retired = Array.from({ length: 9 }, (_, i) => `wal/${i}.wal`);
    const disk = await diskWith(retired);
    const spares = new WalSpares(disk, "wal", 10, NONE);
    for (const path of retired) await spares.give(path);
    const kept = disk.paths();
    expect([kept.length, kept.every(isSparePath)]).toEqual([6, true]);
    const next = new WalSpares(
      disk,
      "wal",
      10,
      kept.map((path) => path.slice("wal/".length)),
    );
    const before = disk.steps.length;
    for (let i = 0; i < kept.length; i += 1) await next.take(`wal/a${i}.wal`);
    expect(disk.steps.slice(before).every((step) => step.startsWith("rename"))).toBe(true);
  });

  it("are not given a file that is being made for the next batch, or moved, meanwhile", async () => {
    const disk = await diskWith(["wal/1.wal", "wal/2.wal"]);
    const spares = new WalSpares(disk, "wal", 10, NONE);
    spares.prepare();
    await Promise.all([spares.take("wal/3.wal"), spares.give("wal/1.wal"), spares.give("wal/2.wal")]);
    await spares.settled();
    await Promise.all([spares.take("wal/4.wal"), spares.take("wal/5.wal")]);
    const contents = ["wal/3.wal", "wal/4.wal", "wal/5.wal"].map((path) => disk.file(path)?.[0]);
    expect(contents.toSorted()).toEqual([0, 7, 7]);
    expect(disk.paths()).toEqual(["wal/3.wal", "wal/4.wal", "wal/5.wal"]);
  });

  it("fail whoever takes one when none can be made", async () => {
    const disk = new MemoryDisk();
    const spares = new WalSpares(disk, "wal", 10, NONE);
    disk.fault = { step: 1, mode: "failed" };
    spares.prepare();
    await expect(spares.take("wal/1.wal")).rejects.toThrow("injected");
  });
});
