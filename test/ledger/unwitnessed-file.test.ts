/** `checkpoint-unwitnessed`: readers have seen it, so backups keep it and fsck holds the log to it. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { backUp } from "../../ledger/backup/backup.ts";
import { restore } from "../../ledger/backup/restore.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { filesOf, makeFolder, openFolderLog, removeFolder } from "../support/data-folder.ts";

const NAME = "checkpoint-unwitnessed";
const folders: string[] = [];

async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  folders.push(folder);
  return folder;
}

async function faultsOf(dataDir: string): Promise<readonly string[]> {
  const { findings } = await checkDataFolder({ dataDir, workers: 0 });
  return findings.faults.map(({ path, code }) => `${path} ${code}`);
}

let source: string;
let note: Buffer;

beforeAll(async () => {
  source = await newFolder();
  const log = await openFolderLog(source, "raw");
  await log.addRaw(Array.from({ length: 20 }, (_, i) => `entry ${i}`));
  await log.publish();
  note = await readFile(join(source, "checkpoint"));
  await log.addRaw(["one more"]);
  await log.publish();
  await log.close();
  await writeFile(join(source, NAME), note);
});

afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

describe("a checkpoint that was published without a quorum", () => {
  it("is in a backup, in what is restored from it, and no fault in either", async () => {
    const [backup, restored] = [await newFolder(), await newFolder()];
    await backUp({ dataDir: source, to: backup });
    await restore({
      backup,
      to: restored,
      policy: parseWitnessPolicy("quorum none\n"),
      published: [],
      fetch,
      timeoutMs: 1000,
      isForced: true,
      isDryRun: false,
      workers: 0,
    });
    for (const folder of [source, backup, restored]) {
      expect(await filesOf(folder)).toContain(NAME);
      expect(await readFile(join(folder, NAME))).toEqual(note);
      expect(await faultsOf(folder)).toEqual([]);
    }
  });

  it("may be absent, and is no fault then", async () => {
    const copy = await newFolder();
    await backUp({ dataDir: source, to: copy });
    await rm(join(copy, NAME));
    expect(await faultsOf(copy)).toEqual([]);
  });

  it("is named by fsck with any byte of its text or of the log's lines changed, or cut", async () => {
    const copy = await newFolder();
    await backUp({ dataDir: source, to: copy });
    const places = Array.from({ length: 12 }, (_, i) => Math.floor((i * (note.length - 1)) / 11));
    for (const at of places) {
      const damaged = Buffer.from(note);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      await writeFile(join(copy, NAME), damaged);
      expect([at, (await faultsOf(copy)).some((fault) => fault.startsWith(`${NAME} ERR_`))]).toEqual([at, true]);
    }
    await writeFile(join(copy, NAME), note.subarray(0, -1));
    expect((await faultsOf(copy)).some((fault) => fault.startsWith(`${NAME} ERR_`))).toBe(true);
  });

  it("of another tree is named as a fork", async () => {
    const [other, copy] = [await newFolder(), await newFolder()];
    const log = await openFolderLog(other, "raw");
    await log.addRaw(["another history"]);
    await log.publish();
    await log.close();
    await backUp({ dataDir: source, to: copy });
    await writeFile(join(copy, NAME), await readFile(join(other, "checkpoint")));
    const faults = await faultsOf(copy);
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) expect(fault.startsWith(NAME)).toBe(true);
  });
});
