import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { exportCommand } from "../../cli/commands/export.ts";
import { importCommand } from "../../cli/commands/import.ts";
import { concat } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseGenesis } from "../../kernel/genesis.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { type ExportRange, exportLog, openFolderSource } from "../../ledger/archive/export-log.ts";
import { importLog } from "../../ledger/archive/import-log.ts";
import { ByteReader } from "../../ledger/mirror/byte-reader.ts";
import { MirrorStore, type OpenNote } from "../../ledger/mirror/mirror-store.ts";
import { checkMirror } from "../../ledger/mirror/pull.ts";
import { makeUpstream } from "../../ledger/mirror/upstream.ts";
import { runInProcess } from "../support/command-io.ts";
import { FOLDER_POLICY, makeFolder, openFolderLog, removeFolder } from "../support/data-folder.ts";
import { MemoryDisk } from "../support/ledger-memory.ts";
import { policyText } from "../support/log-keys.ts";
import { LOG_URL, makeTiledLog } from "../support/tiled-log.ts";

const policy = parseWitnessPolicy(policyText(2));
const openNote: OpenNote = (note) => {
  const { checkpoint } = openWitnessedCheckpoint(note, policy);
  return { size: checkpoint.size, root: checkpoint.root, note };
};
const log = makeTiledLog(700);
const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  folders.push(folder);
  return folder;
}
afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

async function archiveOf(size: number, range: ExportRange = {}): Promise<Uint8Array> {
  log.size = size;
  const sleep = (): Promise<void> => Promise.resolve();
  const upstream = makeUpstream({ url: LOG_URL, fetch: log.fetch, timeoutMs: 1000, attempts: 1, sleep });
  const parts: Uint8Array[] = [];
  const source = { checkpoint: upstream.checkpoint, read: upstream.tile, close: () => Promise.resolve() };
  for await (const part of exportLog(source, range)) parts.push(part);
  return concat(...parts);
}

async function* inPieces(bytes: Uint8Array, step = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

async function importInto(disk: MemoryDisk, bytes: Uint8Array): Promise<MirrorStore> {
  const store = await MirrorStore.open(disk, openNote);
  await importLog({ reader: new ByteReader(inPieces(bytes), "ERR_LOG_ARCHIVE"), store, openNote });
  return store;
}

async function codeOfImport(bytes: Uint8Array): Promise<string> {
  const disk = new MemoryDisk();
  try {
    await importInto(disk, bytes);
    return "accepted";
  } catch (error) {
    if (!isCodedError(error)) throw error;
    expect(disk.paths()).not.toContain("checkpoint");
    return error.code;
  }
}

describe("a log archive", () => {
  it("gives back the log, of any size", async () => {
    for (const size of [0, 1, 256, 257, 512, 700]) {
      const store = await importInto(new MemoryDisk(), await archiveOf(size));
      expect(await checkMirror(store)).toBe(BigInt(size));
    }
  });

  it("has the same bytes each time, and tar reads it", async () => {
    const bytes = await archiveOf(700);
    expect(Buffer.from(await archiveOf(700)).equals(Buffer.from(bytes))).toBe(true);
    const path = join(await newFolder(), "log.tar");
    await writeFile(path, bytes);
    const names = execFileSync("tar", ["-tf", path], { encoding: "utf8" }).trim().split("\n");
    expect(names).toEqual([
      "archive.json",
      "checkpoint",
      "tile/1/000.p/2",
      "tile/0/002.p/188",
      "tile/0/000",
      "tile/entries/000",
      "tile/0/001",
      "tile/entries/001",
      "tile/entries/002.p/188",
    ]);
  });

  it("is refused after a change of any byte, wherever it is looked for", async () => {
    const bytes = await archiveOf(300);
    const places = new Set<number>();
    for (let at = 0; at < bytes.length; at += 211) places.add(at);
    for (let at = 0; at < 2048; at += 13) places.add(at);
    for (const at of places) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect([at, await codeOfImport(changed)]).not.toEqual([at, "accepted"]);
    }
  });

  it("is refused when it is cut anywhere, or when something follows", async () => {
    const bytes = await archiveOf(300);
    for (let length = 0; length < bytes.length; length += 509) {
      expect(await codeOfImport(bytes.subarray(0, length))).toBe("ERR_LOG_ARCHIVE");
    }
    expect(await codeOfImport(bytes.subarray(0, bytes.length - 1))).toBe("ERR_LOG_ARCHIVE");
    expect(await codeOfImport(concat(bytes, new Uint8Array(512)))).toBe("ERR_LOG_ARCHIVE");
  });

  it("goes on after an import that was cut, and refuses a folder of another checkpoint", async () => {
    const [bytes, disk] = [await archiveOf(700), new MemoryDisk()];
    await expect(importInto(disk, bytes.subarray(0, bytes.length / 2))).rejects.toMatchObject({
      code: "ERR_LOG_ARCHIVE",
    });
    expect(await checkMirror(await importInto(disk, bytes))).toBe(700n);
    await expect(importInto(disk, await archiveOf(300))).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT" });
  });

  it("may hold a range: its entries can be proven, the others are not there", async () => {
    const bytes = await archiveOf(700, { fromIndex: 300n, toIndex: 400n });
    const store = await importInto(new MemoryDisk(), bytes);
    expect(await store.read({ kind: "entries", index: 1n, width: 256 })).toBeDefined();
    expect(await store.read({ kind: "hash", level: 0, index: 1n, width: 256 })).toBeDefined();
    expect(await store.read({ kind: "entries", index: 0n, width: 256 })).toBeUndefined();
    await expect(archiveOf(700, { fromIndex: 5n, toIndex: 4n })).rejects.toMatchObject({ code: "ERR_INDEX_RANGE" });
    await expect(archiveOf(700, { toIndex: 701n })).rejects.toMatchObject({ code: "ERR_INDEX_RANGE" });
  });
});

describe("countersign export and import", () => {
  it("take a ledger's folder into a mirror's, and that into the same archive again", async () => {
    const folder = await newFolder();
    const ledger = await openFolderLog(join(folder, "data"), "raw").catch(async () => {
      await (await import("node:fs/promises")).mkdir(join(folder, "data"));
      return openFolderLog(join(folder, "data"), "raw");
    });
    await ledger.addRaw(Array.from({ length: 400 }, (_, i) => `entry ${i}`));
    await ledger.publish();
    const { keys } = parseGenesis(await ledger.log.tree.readEntry(0n));
    await ledger.close();
    const policyFile = join(folder, "policy");
    await writeFile(policyFile, `${keys.map((key) => `log ${key}\n`).join("")}${FOLDER_POLICY}`);
    const [first, second, to] = [join(folder, "a.tar"), join(folder, "b.tar"), join(folder, "mirror")];
    expect(await runInProcess(exportCommand, [join(folder, "data"), "--out", first])).toMatchObject({ exit: 0 });
    const done = await runInProcess(importCommand, [first, "--to", to, "--witness-policy", policyFile]);
    expect(done).toMatchObject({ exit: 0, out: "folder.example/log: a log of 401 entries\n" });
    expect(await runInProcess(exportCommand, [to, "--out", second])).toMatchObject({ exit: 0 });
    expect((await readFile(first)).equals(await readFile(second))).toBe(true);
    expect((await runInProcess(exportCommand, [to, "--out", second])).fault).toBe("ERR_FILE_WRITE");
    expect((await runInProcess(exportCommand, [to])).fault).toBe("usage");
    expect(
      (await runInProcess(importCommand, [join(folder, "none"), "--to", to, "--witness-policy", policyFile])).fault,
    ).toBe("ERR_FILE_READ");
    expect((await runInProcess(importCommand, [first, "--to", to])).fault).toBe("usage");
    const stranger = join(folder, "stranger");
    await writeFile(stranger, `log ${formatVerifierKey(policy.logs[0]?.key ?? failing())}\nquorum none\n`);
    expect(
      (await runInProcess(importCommand, [first, "--to", join(folder, "m2"), "--witness-policy", stranger])).fault,
    ).toBe("ERR_ORIGIN");
    await expect(openFolderSource(join(folder, "nowhere"))).rejects.toMatchObject({ code: "ERR_FILE_READ" });
    for (const command of [exportCommand, importCommand]) expect(command.help).toContain("Exit:");
  });
});

function failing(): never {
  throw new Error("the policy names no log");
}
