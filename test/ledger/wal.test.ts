import { describe, expect, it } from "vitest";
import { concat, concatAll, equalBytes, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import { Wal } from "../../ledger/storage/wal.ts";
import { FRAME_TYPES, formatFrame, readFrame, type WalBatch, type WalRecord } from "../../ledger/storage/wal-frame.ts";
import { formatSalt, parseSalt, SALT_PATH } from "../../ledger/storage/wal-salt.ts";
import { isTornBatch } from "../../ledger/storage/wal-scan.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { MemoryDisk } from "../support/ledger-memory.ts";

const OPTIONS = { fileBytes: 1024 };

function entry(text: string): WalRecord {
  return { kind: "entry", bytes: formatUtf8(text) };
}

async function openWal(disk: MemoryDisk, fileBytes = OPTIONS.fileBytes): Promise<{ wal: Wal; batches: WalBatch[] }> {
  const batches: WalBatch[] = [];
  const wal = await Wal.open(disk, { fileBytes }, (batch) => void batches.push(batch));
  return { wal, batches };
}

function textsOf(batches: readonly WalBatch[]): readonly string[] {
  return batches.flatMap(({ records }) => records.map(({ bytes }) => parseUtf8(bytes)));
}

/** A log of `count` batches "0", "1", ... in one file. */
async function filled(count: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { wal } = await openWal(disk, 65_536);
  for (let i = 0; i < count; i += 1) await wal.append([entry(`${i}`)]);
  return disk.crash("lose");
}

const FIRST_FILE = "wal/0000000000000001.wal";
const FRAME_BYTES = 9 + 24 + 5 + 1;
const SALT = 0x0102030405060708n;

function contentOf(disk: MemoryDisk, path = FIRST_FILE): Uint8Array {
  const bytes = disk.file(path);
  if (bytes === undefined) throw new Error(`no ${path}`);
  return bytes;
}

describe("a frame of the write-ahead log", () => {
  const batch: WalBatch = {
    batch: 7n,
    firstIndex: 300n,
    records: [entry("a"), { kind: "segment", bytes: formatUtf8("{}") }, { kind: "conflict", bytes: new Uint8Array(0) }],
  };

  it("reads back what it was made of", () => {
    const { bytes } = formatFrame(batch, SALT);
    expect(readFrame(bytes, 0, SALT)).toEqual({ ...batch, length: bytes.length });
    expect(readFrame(bytes, 0, SALT + 1n)).toBeUndefined();
  });

  it("has the layout that the module comment gives", () => {
    const { bytes } = formatFrame({ batch: 1n, firstIndex: 2n, records: [entry("hi")] }, SALT);
    expect(Buffer.from(bytes).toString("hex")).toBe(
      "0000001f088cf5a702" + "0102030405060708" + "0000000000000001" + "0000000000000002" + "01" + "00000002" + "6869",
    );
  });

  it("is read in the form of earlier versions too, whose checksum was CRC-32C, and the archive keeps to that form", () => {
    const old = "0000001ffd6eb45201" + "0102030405060708" + "0000000000000001" + "0000000000000002" + "01000000026869";
    const want = { batch: 1n, firstIndex: 2n, records: [entry("hi")] };
    const { length, ...read } = readFrame(parseHex(old), 0, SALT) ?? { length: 0 };
    expect(read).toEqual(want);
    expect(length).toBe(old.length / 2);
    expect(Buffer.from(formatFrame(want, SALT, FRAME_TYPES.crc32c).bytes).toString("hex")).toBe(old);
  });

  it.each(Object.entries(FRAME_TYPES))(
    "of type %s is refused after every one-bit change and every truncation",
    (_, type) => {
      const { bytes } = formatFrame(batch, SALT, type);
      for (let i = 0; i < bytes.length; i += 1) {
        for (let bit = 0; bit < 8; bit += 1) {
          const changed = bytes.slice();
          changed[i] = (changed[i] ?? 0) ^ (1 << bit);
          expect(readFrame(changed, 0, SALT)).toBeUndefined();
        }
        expect(readFrame(bytes.subarray(0, i), 0, SALT)).toBeUndefined();
      }
    },
  );
});

describe("the salt of the write-ahead log", () => {
  it("is made once, and every frame of the log carries it", async () => {
    const disk = await filled(1);
    const salt = parseSalt(contentOf(disk, SALT_PATH)) ?? 0n;
    expect(readFrame(contentOf(disk), 0, salt)?.batch).toBe(1n);
    const { wal } = await openWal(disk);
    await wal.append([entry("1")]);
    expect(contentOf(disk, SALT_PATH)).toEqual(formatSalt(salt));
    expect(contentOf(await filled(1), SALT_PATH)).not.toEqual(formatSalt(salt));
  });

  it("is durable before the first frame is written", async () => {
    const disk = new MemoryDisk();
    await (await openWal(disk)).wal.append([entry("0")]);
    const synced = disk.steps.indexOf("sync folder wal");
    expect(disk.steps.slice(0, synced)).toEqual([
      `write ${SALT_PATH}.tmp`,
      `sync ${SALT_PATH}.tmp`,
      `rename ${SALT_PATH}`,
    ]);
  });

  it("is refused after every one-byte change and every truncation, and the log with it", async () => {
    const bytes = formatSalt(SALT);
    for (const damaged of [...bytePrefixes(bytes), ...oneByteChanges(bytes)]) {
      expect(parseSalt(damaged)).toBeUndefined();
      const disk = await filled(1);
      disk.put(SALT_PATH, damaged);
      await expect(openWal(disk)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE", fatal: true });
    }
  });

  it("is missed: a log without it does not begin anew", async () => {
    const disk = await filled(1);
    disk.drop(SALT_PATH);
    await expect(openWal(disk)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE", fatal: true });
    expect(disk.steps).toEqual([]);
  });
});

describe("the write-ahead log", () => {
  it("gives back every batch after a power cut, over many files, in order", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, 256);
    const texts = Array.from({ length: 60 }, (_, i) => `entry ${i}`);
    for (const text of texts) await wal.append([entry(text)]);
    expect(wal.files.length).toBeGreaterThan(5);
    const { batches, wal: reopened } = await openWal(disk.crash("lose"), 256);
    expect(textsOf(batches)).toEqual(texts);
    expect(reopened.next).toEqual({ batch: 61n, index: 60n });
  });

  it("goes on behind the frames of an earlier version, and finds those that are newer than a bad one", async () => {
    const disk = await filled(3);
    const [bytes, frames] = [contentOf(disk).slice(), [0n, 1n]];
    const salt = parseSalt(contentOf(disk, SALT_PATH)) ?? 0n;
    for (const i of frames) {
      const batch = { batch: i + 1n, firstIndex: i, records: [entry(`${i}`)] };
      bytes.set(formatFrame(batch, salt, FRAME_TYPES.crc32c).bytes, Number(i) * FRAME_BYTES);
    }
    disk.put(FIRST_FILE, bytes);
    expect(textsOf((await openWal(disk)).batches)).toEqual(["0", "1", "2"]);
    for (const at of [0, FRAME_BYTES]) {
      const changed = bytes.slice();
      changed[at + 20] = (changed[at + 20] ?? 0) ^ 1;
      disk.put(FIRST_FILE, changed);
      await expect(openWal(disk)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
    }
  });

  it("cuts a last batch that was torn at any byte, and goes on behind the one before", async () => {
    for (let kept = 0; kept < FRAME_BYTES; kept += 1) {
      const disk = await filled(3);
      contentOf(disk).fill(0, 2 * FRAME_BYTES + kept, 3 * FRAME_BYTES);
      const { wal, batches } = await openWal(disk, 65_536);
      expect(textsOf(batches)).toEqual(["0", "1"]);
      await wal.append([entry("2b")]);
      expect(textsOf((await openWal(disk.crash("lose"), 65_536)).batches)).toEqual(["0", "1", "2b"]);
    }
  });

  it("takes a batch that was torn at any byte off the disk when it is told to, and nothing else", async () => {
    for (let kept = 0; kept <= FRAME_BYTES; kept += 1) {
      const disk = await filled(3);
      const salt = parseSalt(contentOf(disk, SALT_PATH)) ?? 0n;
      contentOf(disk).fill(0, 2 * FRAME_BYTES + kept, 3 * FRAME_BYTES);
      const before = contentOf(disk).slice();
      const { wal, batches } = await openWal(disk, 65_536);
      expect(equalBytes(contentOf(disk), before)).toBe(true);
      await wal.cutTorn();
      const [cut, end] = [contentOf(disk.crash("lose")), batches.length * FRAME_BYTES];
      expect(isTornBatch(cut, end, wal.next, salt)).toBe(false);
      expect(equalBytes(cut.subarray(0, end), before.subarray(0, end))).toBe(true);
      expect(cut.length).toBe(before.length);
      // From its number on it was the third batch.
      expect(isTornBatch(before, end, wal.next, salt)).toBe(batches.length === 2 && kept >= 25);
    }
  });

  it("cuts nothing once the next batch is written over what was torn, and fails for good where that cannot be written", async () => {
    const disk = await filled(3);
    contentOf(disk).fill(0, 3 * FRAME_BYTES - 1, 3 * FRAME_BYTES);
    const { wal } = await openWal(disk, 65_536);
    await wal.append([entry("2b")]);
    await wal.cutTorn();
    expect(textsOf((await openWal(disk.crash("lose"), 65_536)).batches)).toEqual(["0", "1", "2b"]);
    const other = await filled(3);
    contentOf(other).fill(0, 3 * FRAME_BYTES - 1, 3 * FRAME_BYTES);
    const failing = await openWal(other, 65_536);
    other.fault = { step: other.steps.length, mode: "failed" };
    await expect(failing.wal.cutTorn()).rejects.toMatchObject({ code: "ERR_STORE_WRITE", fatal: true });
    await expect(failing.wal.append([entry("2b")])).rejects.toMatchObject({ code: "ERR_STORE_WRITE" });
  });

  it("refuses a flipped bit in front of a newer batch, wherever it is", async () => {
    for (let at = 0; at < 2 * FRAME_BYTES; at += 1) {
      const disk = await filled(3);
      const bytes = contentOf(disk);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      await expect(openWal(disk)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE", fatal: true });
    }
  });

  it("refuses to run when a file in the middle is missing or cut", async () => {
    const make = async (): Promise<MemoryDisk> => {
      const disk = new MemoryDisk();
      const { wal } = await openWal(disk, 256);
      for (let i = 0; i < 40; i += 1) await wal.append([entry(`entry ${i}`)]);
      return disk.crash("lose");
    };
    const missing = await make();
    const middle = missing.paths().filter((path) => /\/\d/u.test(path))[1] ?? "";
    missing.drop(middle);
    await expect(openWal(missing, 256)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
    const cut = await make();
    contentOf(cut, middle).fill(0, 100);
    await expect(openWal(cut, 256)).rejects.toMatchObject({ code: "ERR_WAL_DAMAGE" });
  });

  it("does not mistake what an earlier use left in a file for its own", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, 256);
    for (let i = 0; i < 20; i += 1) {
      await wal.append([entry(`entry ${i}`)]);
      await wal.retireOldest();
    }
    const files = disk.paths();
    expect(files.length).toBeLessThanOrEqual(3);
    const { batches } = await openWal(disk.crash("lose"), 256);
    const texts = textsOf(batches);
    expect(texts).toEqual(Array.from({ length: texts.length }, (_, i) => `entry ${20 - texts.length + i}`));
  });

  it("takes no frame that an entry holds for one of its own, in what an earlier use left in a file", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, 512);
    const forged = formatFrame({ batch: 1000n, firstIndex: 1000n, records: [entry("forged")] }, 0n).bytes;
    for (let i = 0; i < 4; i += 1) {
      await wal.append([entry("honest")]);
      await wal.retireOldest();
      await wal.append([{ kind: "entry", bytes: concat(new Uint8Array(380), forged) }]);
    }
    await wal.append([entry("honest")]);
    const stale = contentOf(
      disk,
      disk.paths().findLast((path) => /wal\/\d/u.test(path)),
    );
    expect(Buffer.from(stale).includes(Buffer.from(forged))).toBe(true);
    const { wal: reopened } = await openWal(disk.crash("lose"), 512);
    expect(reopened.next).toEqual({ batch: 10n, index: 9n });
  });

  it("takes no frame that an entry holds for a newer batch, when the batch of that entry was torn", async () => {
    const disk = await filled(2);
    const forged = formatFrame({ batch: 4n, firstIndex: 3n, records: [entry("forged")] }, 0n).bytes;
    const { wal } = await openWal(disk, 65_536);
    await wal.append([{ kind: "entry", bytes: forged }]);
    contentOf(disk)[2 * FRAME_BYTES] = 0xff;
    const { batches } = await openWal(disk, 65_536);
    expect(textsOf(batches)).toEqual(["0", "1"]);
  });

  it("retires nothing while the file that is being written holds no batch", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, 100);
    for (const text of ["a", "b", "c"]) await wal.append([entry(text.repeat(60))]);
    // A crash between the begin of a file and its first batch.
    contentOf(disk, "wal/0000000000000003.wal").fill(0);
    const { wal: reopened } = await openWal(disk, 100);
    expect([reopened.files.length, reopened.oldestLeft]).toEqual([3, undefined]);
    await reopened.retireOldest();
    expect(reopened.files.length).toBe(3);
    await reopened.append([entry("d")]);
    expect(reopened.oldestLeft?.next).toEqual({ batch: 2n, index: 1n });
  });

  it("does not retire a file over the one that is being made for the next batch", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk, 100);
    await wal.append([entry("a")]);
    await wal.append([entry("b".repeat(60))]);
    await wal.retireOldest();
    await wal.append([entry("c".repeat(60))]);
    await wal.append([entry("d")]);
    const before = disk.steps.length;
    await Promise.all([wal.append([entry("e".repeat(60))]), wal.retireOldest()]);
    expect(disk.steps.slice(before)).not.toContain("rename wal/spare.wal");
    expect(textsOf((await openWal(disk.crash("lose"), 100)).batches).at(-1)).toBe("e".repeat(60));
  });

  it("gives the records of a file that are no entries, few from memory and many from the file", async () => {
    for (const bytes of [1000, 400_000]) {
      const disk = new MemoryDisk();
      const { wal } = await openWal(disk, 8 * 1024 * 1024);
      const others: readonly WalRecord[] = Array.from({ length: 5 }, (_, i) => ({
        kind: i === 2 ? "conflict" : "segment",
        bytes: new Uint8Array(bytes).fill(i),
      }));
      for (const other of others) await wal.append([entry("a"), other, entry("b")]);
      await wal.append([entry("c")]);
      const { wal: reopened } = await openWal(disk.crash("lose"), 8 * 1024 * 1024);
      for (const log of [wal, reopened]) {
        const [file] = log.files;
        if (file === undefined) throw new Error("no file");
        expect([file.others.isEmpty, file.others.records === undefined]).toEqual([false, bytes > 1000]);
        const read = await log.readOthers(file);
        expect(read.map(({ kind }) => kind)).toEqual(others.map(({ kind }) => kind));
        expect(equalBytes(concatAll(read.map((each) => each.bytes)), concatAll(others.map((each) => each.bytes)))).toBe(
          true,
        );
      }
    }
  });

  it("takes nothing after a failed sync", async () => {
    const disk = new MemoryDisk();
    const { wal } = await openWal(disk);
    await wal.append([entry("a")]);
    disk.fault = { step: disk.steps.length + 1, mode: "failed" };
    await expect(wal.append([entry("b")])).rejects.toMatchObject({ code: "ERR_STORE_WRITE", fatal: true });
    await expect(wal.append([entry("c")])).rejects.toMatchObject({ code: "ERR_STORE_WRITE", fatal: true });
    expect(disk.steps.at(-1)).toBe(`sync ${FIRST_FILE}`);
  });

  it("writes the last batch once more at start: its sync may have failed and its bytes may be in memory only", async () => {
    const disk = await filled(3);
    await openWal(disk, 65_536);
    expect(disk.steps).toEqual([`write ${FIRST_FILE}`, `sync ${FIRST_FILE}`, "sync folder wal"]);
  });
});
