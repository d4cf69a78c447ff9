import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backupCommand } from "../../cli/commands/backup.ts";
import { restoreCommand } from "../../cli/commands/restore.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { backUp } from "../../ledger/backup/backup.ts";
import { type RestoreOptions, restore } from "../../ledger/backup/restore.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { runInProcess } from "../support/command-io.ts";
import {
  FOLDER_ORIGIN,
  type FolderLog,
  filesOf,
  makeFolder,
  openFolderLog,
  removeFolder,
} from "../support/data-folder.ts";
import { eventually, removeLedgers, SUBMIT, startTestLedger } from "../support/ledger-service.ts";
import { conflict, honest, startFakeWitness } from "../support/ledger-witness.ts";
import { makeReceiptStream } from "../support/receipt-stream.ts";

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  folders.push(folder);
  return folder;
}
afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

const faultsOf = async (dataDir: string): Promise<readonly string[]> =>
  (await checkDataFolder({ dataDir, workers: 0 })).findings.faults.map(({ path, code }) => `${path} ${code}`);

/** Adds to a raw log, signs, publishes and retires, as a running ledger does. */
async function grow(log: FolderLog, name: string): Promise<void> {
  await log.addRaw(Array.from({ length: 150 }, (_, i) => `${name} ${i} ${"x".repeat(60)}`));
  await log.publish();
}

describe("a backup of a running log", () => {
  it("is a whole log of its own, whatever the log does between its steps", async () => {
    const source = await newFolder();
    const log = await openFolderLog(source, "raw");
    await grow(log, "before");
    for (const step of ["tiles", "heads", "wal", "none"] as const) {
      const to = await newFolder();
      const onStep = async (at: string): Promise<void> => {
        if (at === step) for (let i = 0; i < 4; i += 1) await grow(log, `${step} ${i}`);
      };
      const sizeBefore = log.log.tree.size;
      const backup = await backUp({ dataDir: source, to, onStep });
      expect(backup.size).toBeGreaterThanOrEqual(step === "tiles" || step === "heads" ? sizeBefore + 600n : sizeBefore);
      expect(backup.headSize).toBeLessThanOrEqual(backup.size);
      expect(await faultsOf(to)).toEqual([]);
      const restarted = await openFolderLog(to, "raw");
      expect(restarted.log.tree.size).toBe(backup.size);
      await grow(restarted, "after");
      await restarted.close();
      expect(await faultsOf(to)).toEqual([]);
    }
    await log.close();
    expect(await faultsOf(source)).toEqual([]);
  });

  it("keeps receipts, segments and the archive", async () => {
    const [source, to] = [await newFolder(), await newFolder()];
    const log = await openFolderLog(source, "receipts", 32_768);
    const stream = makeReceiptStream(FOLDER_ORIGIN);
    await log.register(stream.registration);
    for (let i = 0; i < 4; i += 1) {
      await log.addSegment(stream.nextSegment(80));
      await log.publish();
    }
    await backUp({ dataDir: source, to });
    await log.close();
    expect((await filesOf(to)).some((path) => path.startsWith("archive/"))).toBe(true);
    expect(await faultsOf(to)).toEqual([]);
  });

  it("is never written over another, and no log starts on a half of it", async () => {
    const [source, to] = [await newFolder(), await newFolder()];
    const log = await openFolderLog(source, "raw");
    for (let i = 0; i < 3; i += 1) await grow(log, `${i}`);
    await log.close();
    await backUp({ dataDir: source, to });
    await expect(backUp({ dataDir: source, to })).rejects.toMatchObject({ code: "ERR_FILE_WRITE" });
    for (const path of await filesOf(to)) if (path.startsWith("wal/")) await rm(join(to, path));
    await expect(openFolderLog(to, "raw")).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
    await rm(join(to, "head"));
    await rm(join(to, "checkpoint"));
    await expect(openFolderLog(to, "raw")).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
  });

  it("refuses a source whose write-ahead log or head is damaged", async () => {
    const source = await newFolder();
    const log = await openFolderLog(source, "raw", 1 << 20);
    for (let i = 0; i < 3; i += 1) await grow(log, `${i}`);
    await log.close();
    const wal = join(source, "wal/0000000000000001.wal");
    const bytes = await readFile(wal);
    await writeFile(wal, Buffer.concat([bytes.subarray(0, 400), Buffer.alloc(1), bytes.subarray(401)]));
    await expect(backUp({ dataDir: source, to: await newFolder() })).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
    await writeFile(wal, bytes);
    await writeFile(join(source, "head"), new Uint8Array(1024));
    await expect(backUp({ dataDir: source, to: await newFolder() })).rejects.toMatchObject({ code: "ERR_HEAD_DAMAGE" });
  });
});

describe("a restore", () => {
  let old = "";
  let oldNote = "";
  let newNote = "";
  let forkedNote = "";
  let size = 0n;

  beforeAll(async () => {
    const source = await newFolder();
    old = await newFolder();
    const log = await openFolderLog(source, "raw");
    await grow(log, "a");
    oldNote = await readFile(join(source, "checkpoint"), "utf8");
    size = (await backUp({ dataDir: source, to: old })).size;
    await grow(log, "b");
    newNote = await readFile(join(source, "checkpoint"), "utf8");
    await log.close();
    const other = await openFolderLog(await newFolder(), "raw");
    await grow(other, "c");
    forkedNote = await other.publish();
    await other.close();
  });

  const options = async (note: string | undefined, more: Partial<RestoreOptions> = {}): Promise<RestoreOptions> => ({
    backup: old,
    to: join(await newFolder(), "data"),
    policy: parseWitnessPolicy("quorum none\n"),
    published: ["http://log.test"],
    fetch: () => Promise.resolve(note === undefined ? new Response("", { status: 404 }) : new Response(note)),
    timeoutMs: 1000,
    isForced: false,
    isDryRun: false,
    workers: 0,
    ...more,
  });

  it("makes a folder on which the log goes on, if nobody has seen more", async () => {
    for (const note of [oldNote, undefined]) {
      const chosen = await options(note);
      expect(await restore(chosen)).toMatchObject({ size });
      const log = await openFolderLog(chosen.to, "raw");
      expect(log.log.tree.size).toBe(size);
      await log.close();
    }
  });

  it("refuses an old backup, and one of another history", async () => {
    await expect(restore(await options(newNote))).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
    await expect(restore(await options(forkedNote))).rejects.toMatchObject({ code: "ERR_LOG_FORKED" });
    await expect(restore(await options(newNote, { isForced: true }))).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
  });

  it("refuses when somebody who may know more is silent, unless that is accepted", async () => {
    const silent: Partial<RestoreOptions> = { fetch: () => Promise.reject(new Error("down")) };
    await expect(restore(await options(oldNote, silent))).rejects.toMatchObject({ code: "ERR_LOG_UNREACHABLE" });
    await expect(restore(await options(oldNote, { published: [] }))).rejects.toMatchObject({
      code: "ERR_LOG_UNREACHABLE",
    });
    expect(await restore(await options(oldNote, { ...silent, isForced: true }))).toMatchObject({ size, seen: [] });
  });

  it("asks the witnesses of the policy where they show what they cosigned", async () => {
    const witness = await startFakeWitness(1);
    const asked: string[] = [];
    const chosen = await options(oldNote, {
      published: [],
      policy: parseWitnessPolicy(`${witness.policyLine}\nquorum none\n`),
      fetch: (input) => {
        asked.push(String(input));
        return Promise.resolve(new Response(newNote));
      },
    });
    await expect(restore(chosen)).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
    expect(asked[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{64}\/checkpoint$/);
    await witness.close();
  });

  it("makes nothing in a dry run, or from a damaged backup", async () => {
    const chosen = await options(oldNote, { isDryRun: true });
    expect(await restore(chosen)).toMatchObject({ size });
    await expect(filesOf(chosen.to)).rejects.toThrow();
    const damaged = await newFolder();
    await backUp({ dataDir: old, to: damaged });
    await writeFile(join(damaged, "tile-beside"), "x");
    await writeFile(join(damaged, "wal/unknown"), "x");
    await expect(restore(await options(oldNote, { backup: damaged }))).rejects.toMatchObject({
      code: "ERR_STORE_CONFLICT",
    });
  });
});

describe("a ledger that was started on an old backup without asking", () => {
  it("does not start when a witness has seen more, or halts once it says so", async () => {
    const witness = await startFakeWitness(2);
    const config = { witness_policy: `${witness.policyLine}\nquorum w2\n` };
    const first = await startTestLedger({ config });
    await first.post("/add", "one", SUBMIT);
    await eventually(async () => ((await first.get("/checkpoint")).ok ? true : undefined));
    const old = await newFolder();
    await backUp({ dataDir: first.dataDir, to: old });
    for (let i = 0; i < 5; i += 1) await first.post("/add", `more ${i}`, SUBMIT);
    await eventually(async () => (witness.size >= 7n ? true : undefined));
    await first.close();
    await expect(startTestLedger({ config, dataDir: old })).rejects.toMatchObject({ code: "ERR_WITNESS_AHEAD" });
    // A witness that does not answer at the start stops it at the first round with it.
    let isSilent = true;
    witness.behaviour = (submission, at) => {
      if (isSilent) return { status: 500 };
      return submission.old === at.size ? honest(submission, at) : conflict(at.size);
    };
    const second = await startTestLedger({ config, dataDir: old });
    isSilent = false;
    await eventually(async () => ((await second.get("/readyz")).status === 503 ? true : undefined));
    expect(await (await second.get("/readyz")).json()).toMatchObject({ fault: "ERR_WITNESS_AHEAD" });
    expect((await second.post("/add", "another history", SUBMIT)).status).toBe(503);
    await removeLedgers([second]);
    await removeFolder(first.dataDir);
    await witness.close();
  });
});

describe("countersign backup and restore", () => {
  it("copy and restore, and refuse what they cannot use", async () => {
    const source = await newFolder();
    const log = await openFolderLog(source, "raw");
    await grow(log, "a");
    await log.close();
    const [parent, policyFile] = [await newFolder(), join(await newFolder(), "policy")];
    await writeFile(policyFile, "quorum none\n");
    const copy = join(parent, "copy");
    expect(await runInProcess(backupCommand, [source, "--to", copy])).toMatchObject({ exit: 0 });
    expect((await runInProcess(backupCommand, [source, "--to", copy])).fault).toBe("ERR_FILE_WRITE");
    expect((await runInProcess(backupCommand, [source])).fault).toBe("usage");
    expect((await runInProcess(backupCommand, [join(parent, "none"), "--to", copy])).fault).toBe("ERR_FILE_READ");
    const args = [copy, "--to", join(parent, "data"), "--witness-policy", policyFile];
    expect((await runInProcess(restoreCommand, args)).fault).toBe("ERR_LOG_UNREACHABLE");
    expect((await runInProcess(restoreCommand, [copy, "--to", join(parent, "data")])).fault).toBe("usage");
    for (const command of [backupCommand, restoreCommand]) expect(command.help).toContain("--to");
  });
});
