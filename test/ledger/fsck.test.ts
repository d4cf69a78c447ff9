import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concat, formatUint64, formatUtf8 } from "../../kernel/bytes.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkDataFolder, type FsckReport } from "../../ledger/fsck/fsck.ts";
import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { openLevelIndex } from "../../ledger/sequence/level-index.ts";
import { readSalt, SALT_PATH } from "../../ledger/storage/wal-salt.ts";
import { isSparePath } from "../../ledger/storage/wal-spares.ts";
import {
  copyFolder,
  FOLDER_ORIGIN,
  FOLDER_POLICY,
  filesOf,
  makeFolder,
  openFolderLog,
  removeFolder,
  withFlip,
} from "../support/data-folder.ts";
import { makeReceiptStream } from "../support/receipt-stream.ts";
import { sweepSize } from "../support/sweep.ts";

const policy = parseWitnessPolicy(FOLDER_POLICY);
const folders: string[] = [];
let raw = "";
let receipts = "";

async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  folders.push(folder);
  return folder;
}

async function copied(folder: string): Promise<string> {
  const copy = await copyFolder(folder);
  folders.push(copy);
  return copy;
}

const check = (dataDir: string): Promise<FsckReport> =>
  checkDataFolder({ dataDir, origin: FOLDER_ORIGIN, policy, workers: 0 });

const faultsOf = async (dataDir: string): Promise<readonly string[]> =>
  (await check(dataDir)).findings.faults.map(({ path, code }) => `${path} ${code}`);

/** 700 entries: two full bundles, retired and reused write-ahead files, a published checkpoint behind the newest head. */
async function makeRawFolder(): Promise<string> {
  const folder = await newFolder();
  const log = await openFolderLog(folder, "raw");
  for (let i = 0; i < 35; i += 1) {
    await log.addRaw(Array.from({ length: 20 }, (_, j) => `entry ${i}/${j} ${"x".repeat(50)}`));
    if (i % 10 === 9) await log.publish();
  }
  await log.close();
  return folder;
}

/** Two streams, single receipts and segments, an archive, a fork that was refused. */
async function makeReceiptsFolder(): Promise<string> {
  const folder = await newFolder();
  const log = await openFolderLog(folder, "receipts", 65_536);
  const [one, two] = [makeReceiptStream(FOLDER_ORIGIN, 1), makeReceiptStream(FOLDER_ORIGIN, 2)];
  await log.register(one.registration);
  await log.addSegment(one.nextSegment(100));
  await log.register(two.registration);
  for (const receipt of two.next(20)) await log.addReceipt(receipt);
  await log.addSegment(one.nextSegment(120));
  const [, fork = new Uint8Array(0)] = makeReceiptStream(FOLDER_ORIGIN, 2, 1).next(2);
  await expect(log.addReceipt(fork)).rejects.toMatchObject({ error: { code: "ERR_STREAM_FORK" } });
  for (const receipt of two.next(5)) await log.addReceipt(receipt);
  await log.addSegment(two.nextSegment(60));
  await log.publish();
  await log.addSegment(one.nextSegment(10));
  await log.publish();
  await log.close();
  return folder;
}

beforeAll(async () => {
  [raw, receipts] = [await makeRawFolder(), await makeReceiptsFolder()];
}, 60_000);

afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

describe("fsck of a sound folder", () => {
  it("finds nothing, and says what it read", async () => {
    const report = await check(raw);
    expect(report.findings.faults).toEqual([]);
    expect(report).toMatchObject({ origin: FOLDER_ORIGIN, size: 701n, bundles: 2, tiles: 2 });
  });

  it("finds nothing in a log of receipts, and counts the receipts that it checked", async () => {
    const report = await check(receipts);
    expect(report.findings.faults).toEqual([]);
    expect(report).toMatchObject({ receipts: 315, size: 318n });
    expect((await filesOf(receipts)).some((path) => path.startsWith("archive/"))).toBe(true);
  });

  it("changes no file that holds truth", async () => {
    const isTruth = (path: string): boolean => /^(?:wal|tile|archive|head|checkpoint)/.test(path);
    const read = async (): Promise<readonly string[]> =>
      Promise.all(
        (await filesOf(raw))
          .filter(isTruth)
          .map(async (path) => `${path} ${(await readFile(join(raw, path))).toString("base64")}`),
      );
    const before = await read();
    await check(raw);
    expect(await read()).toEqual(before);
  });

  it("refuses another origin, and a folder that is none", async () => {
    const report = await checkDataFolder({ dataDir: raw, origin: "other.example/log", workers: 0 });
    expect(report.findings.faults.map(({ code }) => code)).toContain("ERR_ORIGIN");
    await expect(check(join(raw, "nowhere"))).rejects.toMatchObject({ code: "ERR_FILE_READ" });
    await expect(check(join(raw, "tile"))).rejects.toMatchObject({ code: "ERR_FILE_READ" });
  });

  it("does not run beside a ledger", async () => {
    const folder = await copied(raw);
    const { lockFolder } = await import("../../ledger/storage/folder-lock.ts");
    const lock = await lockFolder(folder);
    await expect(check(folder)).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
    await lock.release();
  });
});

/** Places of a file to flip: its first bytes, its last, and some between, the same in every run. */
function placesOf(length: number, count: number): readonly number[] {
  const spread = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.37) * length) / count));
  return [...new Set([0, length - 1, ...spread])].filter((at) => at >= 0 && at < length);
}

describe("one flipped byte", () => {
  /** Bytes of the last write-ahead file that hold batches; what stands behind them is left from an earlier use. */
  async function endOfWal(folder: string, path: string): Promise<number> {
    const { scanWal, firstPosition } = await import("../../ledger/storage/wal-scan.ts");
    const bytes = await readFile(join(folder, path));
    const salt = readSalt(await readFile(join(folder, SALT_PATH)));
    const first = firstPosition(bytes, salt);
    return first === undefined ? 0 : scanWal(path, bytes, first, salt).end;
  }

  async function expectNamed(folder: string, count: number): Promise<number> {
    let flips = 0;
    for (const path of await filesOf(folder)) {
      if (/^(?:index|lock)\//.test(path) || isSparePath(path)) continue;
      const { length } = await readFile(join(folder, path));
      const end = path.startsWith("wal/") && path !== SALT_PATH ? await endOfWal(folder, path) : length;
      for (const offset of placesOf(end, count)) {
        const faults = await withFlip(join(folder, path), offset, () => faultsOf(folder));
        flips += 1;
        const isNamed = faults.some((fault) => fault.startsWith(`${path} `));
        // What the shorter log no longer reaches is a consequence, and said as well.
        const others = faults.filter((fault) => !fault.startsWith(`${path} `) && !fault.endsWith(" ERR_LOG_BEHIND"));
        expect({ path, offset, isNamed, others }).toEqual({ path, offset, isNamed: true, others: [] });
      }
    }
    return flips;
  }

  it("is named with its file, wherever it is in a raw log", async () => {
    expect(await expectNamed(raw, sweepSize(1, 5))).toBeGreaterThan(sweepSize(20, 40));
  }, 60_000);

  it("is named with its file in a log of receipts", async () => {
    expect(await expectNamed(receipts, sweepSize(0, 2))).toBeGreaterThan(sweepSize(12, 20));
  }, 60_000);

  it("in the free parts of the write-ahead log changes nothing", async () => {
    const last = (await filesOf(raw)).filter((path) => /^wal\/\d/.test(path)).at(-1) ?? "";
    const { length } = await readFile(join(raw, last));
    const end = await endOfWal(raw, last);
    expect(end).toBeLessThan(length);
    for (const offset of [end, end + 9, length - 1]) {
      expect(await withFlip(join(raw, last), offset, () => faultsOf(raw))).toEqual([]);
    }
    const folder = await copied(raw);
    await writeFile(join(folder, "wal/spare.wal"), new Uint8Array(100));
    expect(await withFlip(join(folder, "wal/spare.wal"), 50, () => faultsOf(folder))).toEqual([]);
  });

  it("in the index is named, or leaves every row as the log derives it", async () => {
    let found = 0;
    for (const path of (await filesOf(raw)).filter((each) => each.startsWith("index/"))) {
      const { length } = await readFile(join(raw, path));
      for (const offset of placesOf(length, sweepSize(1, 3))) {
        const folder = await copyFolder(raw);
        try {
          const faults = await withFlip(join(folder, path), offset, async () => faultsOf(folder).catch(() => []));
          for (const fault of faults) expect(fault).toMatch(/^index /);
          if (faults.length > 0) found += 1;
        } finally {
          await removeFolder(folder);
        }
      }
    }
    expect(found).toBeGreaterThan(0);
  }, 60_000);
});

describe("fsck of a damaged folder", () => {
  it("names a lost salt, and still reads every batch", async () => {
    const folder = await copied(receipts);
    await rm(join(folder, SALT_PATH));
    expect(await faultsOf(folder)).toEqual([`${SALT_PATH} ERR_WAL_DAMAGE`]);
    expect((await check(folder)).size).toBe((await check(receipts)).size);
  });

  it("names every fault, not the first alone", async () => {
    const folder = await copied(raw);
    for (const [path, offset] of [
      ["tile/0/000", 100],
      ["tile/entries/001", 300],
      ["head", 20],
      ["checkpoint", 12],
    ] as const) {
      const bytes = await readFile(join(folder, path));
      bytes[offset] = (bytes[offset] ?? 0) ^ 1;
      await writeFile(join(folder, path), bytes);
    }
    const faults = await faultsOf(folder);
    for (const path of ["tile/0/000", "tile/entries/001", "head", "checkpoint"]) {
      expect(faults.some((fault) => fault.startsWith(`${path} `))).toBe(true);
    }
  });

  it("names missing tiles and bundles, stray files, and a missing end", async () => {
    const folder = await copied(raw);
    await rm(join(folder, "tile/0/001"));
    await rm(join(folder, "tile/entries/000"));
    await writeFile(join(folder, "tile/0/009"), "x");
    await writeFile(join(folder, "archive-not"), "x");
    for (const path of await filesOf(folder)) {
      if (/^wal\/\d/.test(path)) await writeFile(join(folder, path), new Uint8Array(100));
    }
    const faults = await faultsOf(folder);
    expect(faults).toEqual(
      expect.arrayContaining([
        "tile/0/001 ERR_TILE_MISSING",
        "tile/entries/000 ERR_TILE_MISSING",
        "tile/0/009 ERR_FILE_STRAY",
        "head ERR_LOG_BEHIND",
        "checkpoint ERR_LOG_BEHIND",
        "index ERR_LOG_BEHIND",
      ]),
    );
  });

  it("does not judge an index of the format before, which a start takes to this one", async () => {
    const folder = await copied(raw);
    const former = new Level<Uint8Array, Uint8Array>(join(folder, "index"), {
      keyEncoding: "view",
      valueEncoding: "view",
    });
    for (const key of ["w", "d"]) await former.put(formatUtf8(key), concat(formatUint64(5n), Uint8Array.of(1)));
    await former.put(concat(formatUtf8("l"), new Uint8Array(32)), formatUint64(3n));
    await former.close();
    const { findings } = await check(folder);
    expect([findings.faults, findings.remarks.map(({ path }) => path)]).toEqual([
      [],
      expect.arrayContaining(["index"]),
    ]);
  });

  it("finds rows of the index that are wrong, missing or of no entry, and a rebuild repairs them", async () => {
    const folder = await copied(receipts);
    const store = await openLevelIndex(folder);
    const one = makeReceiptStream(FOLDER_ORIGIN, 1);
    await store.write({
      rows: [
        { key: `t/${one.stream}`, value: new Uint8Array(3) },
        { key: `u/${one.stream}/${"7".padStart(16, "0")}`, value: new Uint8Array(8) },
        { key: `u/${one.stream}/${"9999".padStart(16, "0")}`, value: new Uint8Array(8) },
      ],
      watermark: store.watermark,
    });
    await store.close();
    const report = await check(folder);
    expect(report.findings.faults.length).toBeGreaterThanOrEqual(3);
    expect(report.findings.faults.filter(({ path }) => path !== "index" && !path.startsWith("archive/"))).toEqual([]);
    expect(await rebuildIndex({ dataDir: folder, isDryRun: true })).toBe(318n);
    expect((await check(folder)).findings.count).toBeGreaterThan(0);
    expect(await rebuildIndex({ dataDir: folder, isDryRun: false })).toBe(318n);
    expect(await faultsOf(folder)).toEqual([]);
  });
});
