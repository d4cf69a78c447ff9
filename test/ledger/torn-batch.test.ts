/** A batch that a kill cut in half is gone from the disk once a ledger has started, and not before everybody was asked who knows more. */

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { FRAME_OFFSETS, formatFrame } from "../../ledger/storage/wal-frame.ts";
import { readSalt, SALT_PATH } from "../../ledger/storage/wal-salt.ts";
import { firstPosition, scanWal, type WalScan } from "../../ledger/storage/wal-scan.ts";
import {
  eventually,
  LEDGER_KEYS,
  makeDataDir,
  NO_WITNESSES,
  SUBMIT,
  startTestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";
import { honest, startFakeWitness } from "../support/ledger-witness.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await makeDataDir();
  folders.push(folder);
  return folder;
}

/** Runs a ledger on a folder until it has published these entries too, and stops it. */
async function runOn(dataDir: string, entries: readonly string[], options: TestLedgerOptions = {}): Promise<void> {
  const ledger = await startTestLedger({ ...options, dataDir });
  for (const entry of entries) expect((await ledger.post("/add", entry, SUBMIT)).status).toBe(200);
  await eventually(async () => {
    const { size, published_size: published } = Object(await (await ledger.get("/readyz")).json());
    return size === published ? true : undefined;
  });
  await ledger.close();
}

interface LastFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly salt: bigint;
  readonly scan: WalScan;
}

async function lastFileOf(dataDir: string): Promise<LastFile> {
  const name = (await readdir(join(dataDir, "wal"))).filter((each) => /^\d{16}\.wal$/u.test(each)).at(-1) ?? "";
  const path = join(dataDir, "wal", name);
  const bytes = await readFile(path);
  const salt = readSalt(await readFile(join(dataDir, SALT_PATH)));
  const first = firstPosition(bytes, salt);
  if (first === undefined) throw new Error("no batch");
  return { path, bytes, salt, scan: scanWal(name, bytes, first, salt) };
}

/** What a process that is killed in the middle of a write leaves: the first half of the next batch. */
async function tearNext(dataDir: string): Promise<void> {
  const { path, bytes, salt, scan } = await lastFileOf(dataDir);
  const records = [{ kind: "entry", bytes: formatUtf8("never acknowledged ".repeat(9)) }] as const;
  const frame = formatFrame({ batch: scan.next.batch, firstIndex: scan.next.index, records }, salt).bytes;
  bytes.set(frame.subarray(0, frame.length >> 1), scan.end);
  await writeFile(path, bytes);
}

/** Damages a byte of the last whole batch: it looks torn, and was acknowledged. */
async function damageLast(dataDir: string): Promise<LastFile> {
  const { path, bytes, scan } = await lastFileOf(dataDir);
  const at = (scan.frames.at(-1)?.offset ?? 0) + FRAME_OFFSETS.checksum;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
  return lastFileOf(dataDir);
}

const faultsOf = async (dataDir: string): Promise<readonly string[]> =>
  (await checkDataFolder({ dataDir, workers: 0 })).findings.faults.map(({ code }) => code);

describe("a batch that a kill tore", () => {
  it("is off the disk once a ledger has started, also if nothing was added behind it", async () => {
    const dataDir = await newFolder();
    await runOn(dataDir, ["one", "two"]);
    await tearNext(dataDir);
    expect(await faultsOf(dataDir)).toEqual(["ERR_WAL_TORN"]);
    await runOn(dataDir, []);
    expect(await faultsOf(dataDir)).toEqual([]);
    const { scan } = await lastFileOf(dataDir);
    expect(scan.next.index).toBe(3n);
    await runOn(dataDir, ["three"]);
    expect((await lastFileOf(dataDir)).scan.next.index).toBe(4n);
    expect(await faultsOf(dataDir)).toEqual([]);
  });

  it("is left as it is where a head knows more entries: then it was damage", async () => {
    const dataDir = await newFolder();
    await runOn(dataDir, ["one", "two"]);
    const { path, bytes } = await damageLast(dataDir);
    await expect(startTestLedger({ dataDir })).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it("is left as it is where a witness knows more entries", async () => {
    const witness = await startFakeWitness(1, honest);
    try {
      const keys = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
      const config = { witness_policy: `${keys}${witness.policyLine}\nquorum w1\n` };
      const dataDir = await newFolder();
      await runOn(dataDir, ["one"], { config });
      const older = await newFolder();
      await cp(dataDir, older, { recursive: true });
      await runOn(dataDir, ["two"], { config });
      // As if the disk had lost the second half of the last batch, and all that came of it.
      await tearNext(older);
      const { path, bytes } = await lastFileOf(older);
      const start = startTestLedger({ dataDir: older, config });
      await expect(start).rejects.toMatchObject({ code: "ERR_WITNESS_AHEAD" });
      expect((await readFile(path)).equals(bytes)).toBe(true);
      // Where nobody is asked, nobody knows more.
      await runOn(older, [], { config: { witness_policy: NO_WITNESSES } });
      expect(await faultsOf(older)).toEqual([]);
    } finally {
      await witness.close();
    }
  });
});
