import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pruneCommand } from "../../cli/commands/prune.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseLogProof } from "../../kernel/log-proof.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { prune } from "../../ledger/retention/prune.ts";
import { runInProcess } from "../support/command-io.ts";
import { copyFolder, filesOf, makeFolder, openFolderLog, removeFolder, withFlip } from "../support/data-folder.ts";
import { errorCode, eventually, READ, SUBMIT, startTestLedger, type TestLedger } from "../support/ledger-service.ts";
import { sweepSize } from "../support/sweep.ts";

const POLICY = "https://ledger.example/retention";
const folders: string[] = [];
let base = "";

/** 1,201 entries; the write-ahead log covers the last few only. */
beforeAll(async () => {
  base = await makeFolder();
  folders.push(base);
  const log = await openFolderLog(base, "raw");
  for (let i = 0; i < 30; i += 1) {
    await log.addRaw(Array.from({ length: 40 }, (_, j) => `entry ${i * 40 + j + 1}`));
    await log.publish();
  }
  await log.close();
});

afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

async function copied(): Promise<string> {
  const folder = await copyFolder(base);
  folders.push(folder);
  return folder;
}

const pruned = (dataDir: string, beforeIndex: bigint, more = {}): ReturnType<typeof prune> =>
  prune({ dataDir, beforeIndex, policy: POLICY, isDeleting: true, isDryRun: false, ...more });

const bundlesOf = async (folder: string): Promise<readonly string[]> =>
  (await filesOf(folder)).filter((path) => path.startsWith("tile/entries/"));

describe("pruning", () => {
  it("deletes bundles below the minimum index, but the first, and no hash tile; a dry run deletes nothing", async () => {
    const folder = await copied();
    const dry = await pruned(folder, 800n, { isDryRun: true });
    expect(dry).toMatchObject({ minimumIndex: 800n, bundles: 2 });
    expect(dry.bytes).toBeGreaterThan(1000);
    expect(await bundlesOf(folder)).toHaveLength(4);
    expect(await filesOf(folder)).not.toContain("retention");
    expect(await pruned(folder, 800n)).toEqual(dry);
    expect(await bundlesOf(folder)).toEqual(["tile/entries/000", "tile/entries/003"]);
    expect((await filesOf(folder)).filter((path) => path.startsWith("tile/0/"))).toHaveLength(4);
    expect(await pruned(folder, 800n)).toMatchObject({ bundles: 0 });
  });

  it("only refuses the bundles unless deletion is asked for", async () => {
    const folder = await copied();
    expect(await pruned(folder, 800n, { isDeleting: false })).toMatchObject({ bundles: 0 });
    expect(await bundlesOf(folder)).toHaveLength(4);
  });

  it("is refused without a policy, above the published size, backwards, and in a log of receipts", async () => {
    const folder = await copied();
    await expect(pruned(folder, 800n, { policy: "" })).rejects.toMatchObject({ code: "ERR_RETENTION" });
    await expect(pruned(folder, 1202n)).rejects.toMatchObject({ code: "ERR_RETENTION" });
    await pruned(folder, 600n);
    await expect(pruned(folder, 599n)).rejects.toMatchObject({ code: "ERR_RETENTION" });
    const receipts = await makeFolder();
    folders.push(receipts);
    const log = await openFolderLog(receipts, "receipts");
    await log.publish();
    await log.close();
    await expect(pruned(receipts, 1n)).rejects.toMatchObject({ code: "ERR_RETENTION" });
    expect(await pruned(receipts, 1n, { isDeleting: false })).toMatchObject({ minimumIndex: 1n });
  });

  it("leaves a folder that fsck finds sound, whose index can be rebuilt, and that still knows every entry", async () => {
    const folder = await copied();
    await pruned(folder, 1000n);
    expect((await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults).toEqual([]);
    await rm(join(folder, "index"), { recursive: true });
    await rebuildIndex({ dataDir: folder, isDryRun: false });
    expect((await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults).toEqual([]);
    await rm(join(folder, "index"), { recursive: true });
    const log = await openFolderLog(folder, "raw");
    const leaf = hashLeaf(formatUtf8("entry 300"));
    expect((await log.log.index.find([leaf]))(leaf)).toBe(300n);
    await log.addRaw(["one more"]);
    await log.publish();
    await log.close();
    expect((await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults).toEqual([]);
  });

  it("keeps fsck able to name a damaged tile of a pruned bundle", async () => {
    const folder = await copied();
    await pruned(folder, 1000n);
    const faults = await withFlip(
      join(folder, "tile/0/001"),
      77,
      async () => (await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults,
    );
    expect(faults.length).toBeGreaterThan(0);
    const { length } = await readFile(join(folder, "retention"));
    for (let at = 0; at < length; at += sweepSize(45, 9)) {
      const named = await withFlip(
        join(folder, "retention"),
        at,
        async () => (await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults,
      );
      expect(named.map(({ path }) => path)).toContain("retention");
    }
  });
});

describe("a ledger whose log was pruned", () => {
  let ledger: TestLedger;
  const entry = (i: number): string => `entry ${i}`;

  beforeAll(async () => {
    const first = await startTestLedger();
    for (let i = 1; i <= 600; i += 60) {
      await Promise.all(Array.from({ length: 60 }, (_, j) => first.post("/add", entry(i + j), SUBMIT)));
    }
    await eventually(async () =>
      (await (await first.get("/checkpoint")).text()).split("\n")[1] === "601" ? true : undefined,
    );
    await first.close();
    folders.push(first.dataDir);
    await prune({ dataDir: first.dataDir, beforeIndex: 512n, policy: POLICY, isDeleting: true, isDryRun: false });
    ledger = await startTestLedger({ dataDir: first.dataDir });
  });
  afterAll(async () => {
    await ledger.close();
  });

  it("publishes minimum index and policy, and refuses full bundles below, no others", async () => {
    expect(await (await ledger.get("/metadata")).json()).toMatchObject({
      minimum_index: 512,
      retention_policy: POLICY,
    });
    for (const [path, status] of [
      ["tile/entries/000", 410],
      ["tile/entries/001", 410],
      ["tile/entries/002.p/89", 200],
      ["tile/0/000", 200],
      ["tile/0/001", 200],
    ] as const) {
      expect([path, (await ledger.get(`/${path}`, READ)).status]).toEqual([path, status]);
    }
    expect(await errorCode(await ledger.get("/tile/entries/001", READ))).toBe("ERR_PRUNED");
    expect((await ledger.get("/tile/entries/001")).status).toBe(401);
  });

  it("still proves: inclusion of every entry, consistency of all sizes, roots", async () => {
    const reader = makeTileHashReader(
      601n,
      async (ref) => new Uint8Array(await (await ledger.get(`/${formatTilePath(ref)}`)).arrayBuffer()),
    );
    const root = await readRoot(601n, reader);
    for (const [oldSize, index] of [
      [1n, 0n],
      [300n, 255n],
      [512n, 512n],
      [600n, 600n],
    ] as const) {
      const oldRoot = await readRoot(
        oldSize,
        makeTileHashReader(
          oldSize,
          async (ref) => new Uint8Array(await (await ledger.get(`/${formatTilePath(ref)}`)).arrayBuffer()),
        ),
      );
      checkConsistency({ oldSize, oldRoot, size: 601n, root, proof: await proveConsistency(oldSize, 601n, reader) });
      expect(await proveInclusion(index, 601n, reader)).toBeDefined();
    }
    const text = await (await ledger.get("/log-proof/550")).text();
    const { index, proof } = parseLogProof(text);
    const tile = new Uint8Array(await (await ledger.get("/tile/0/002.p/89")).arrayBuffer());
    const at = Number(index - 512n) * 32;
    expect(index).toBe(550n);
    const known = [...Array(601).keys()].map((i) => hashLeaf(formatUtf8(entry(i))));
    const leaf = known.find((hash) => Buffer.from(hash).equals(Buffer.from(tile.subarray(at, at + 32))));
    if (leaf === undefined) throw new Error("the leaf is of no entry");
    checkInclusion({ leaf, index, size: 601n, root, proof });
    expect((await ledger.get("/log-proof/3")).status).toBe(200);
  });

  it("gives an old entry its first index again", async () => {
    const before = await (await ledger.post("/add", entry(1), SUBMIT)).text();
    expect(Number(before)).toBeLessThan(601);
  });
});

describe("countersign prune", () => {
  it("says what it would do, does it, and refuses what is not allowed", async () => {
    const folder = await copied();
    const args = [folder, "--before-index", "800", "--retention-policy", POLICY];
    const dry = await runInProcess(pruneCommand, [...args, "--delete", "--dry-run"]);
    expect(dry.out).toMatch(/^minimum index would be 800; 2 bundles of \d+ bytes would be deleted\n$/);
    expect((await runInProcess(pruneCommand, [...args, "--delete"])).exit).toBe(0);
    expect(
      (await runInProcess(pruneCommand, [folder, "--before-index", "5000", "--retention-policy", POLICY])).fault,
    ).toBe("ERR_RETENTION");
    expect((await runInProcess(pruneCommand, [folder, "--before-index", "5"])).fault).toBe("usage");
    expect(
      (await runInProcess(pruneCommand, [folder, "--before-index", "05", "--retention-policy", POLICY])).fault,
    ).toBe("usage");
    expect(pruneCommand.help).toContain("--dry-run");
  });
});
