/** Reading a stream's files on, behind whoever writes them. */

import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openFrameLog } from "../../gateway/receipts/frame-log.ts";
import { StreamTail } from "../../gateway/receipts/stream-tail.ts";
import type { WrittenReceipt } from "../../gateway/receipts/written-receipt.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";

let folder: string;
let tail: StreamTail;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "countersign-tail-"));
  tail = new StreamTail(folder);
});
afterEach(async () => {
  await tail.close();
  rmSync(folder, { recursive: true, force: true });
});

const FIRST = "receipts.log";
const SECOND = "receipts-0000000000000003.log";
const textOf = (seq: number): string => `receipt ${seq} ${"x".repeat(seq * 1000)}`;

/** Writes the receipts `from` to the one before `end`, each an append of its own. */
async function write(name: string, from: number, end: number): Promise<void> {
  const { log } = await openFrameLog(join(folder, name), { isDurable: false, writesOn: "pool" });
  for (let seq = from; seq < end; seq += 1) await log.append([formatUtf8(textOf(seq))]);
  await log.close();
}
const numbersOf = (receipts: readonly WrittenReceipt[]): readonly number[] =>
  receipts.map(({ seq, bytes }) => {
    expect(parseUtf8(bytes)).toBe(textOf(seq));
    return seq;
  });
const codeOf = (reading: Promise<unknown>): Promise<unknown> =>
  reading.then(
    () => "read",
    (error: unknown) => Reflect.get(Object(error), "code"),
  );

/** The code with which a reader of its own fails, and is closed. */
async function faultOf(from: number, end: number): Promise<unknown> {
  const reader = new StreamTail(folder);
  const code = await codeOf(reader.read(from, end));
  await reader.close();
  return code;
}

describe("the tail of a stream", () => {
  it("is read from any receipt on, over files, each receipt once", async () => {
    await write(FIRST, 0, 3);
    await write(SECOND, 3, 9);
    expect(numbersOf(await tail.read(0, 2))).toEqual([0, 1]);
    expect(numbersOf(await tail.read(2, 2))).toEqual([]);
    expect(numbersOf(await tail.read(2, 9))).toEqual([2, 3, 4, 5, 6, 7, 8]);
    for (const from of [0, 2, 3, 4, 8]) {
      const other = new StreamTail(folder);
      expect(numbersOf(await other.read(from, 9))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].slice(from));
      await other.close();
    }
  });

  it("reads receipts of every length, in whatever pieces it has to", async () => {
    const lengths = [1, 65_535, 40_000, 1, 16_376, 65_535, 65_535, 65_535, 65_535, 1, 1];
    const { log } = await openFrameLog(join(folder, FIRST), { isDurable: false, writesOn: "pool" });
    for (const length of lengths) await log.append([new Uint8Array(length).fill(0x61)]);
    await log.close();
    for (const step of [1, 2, lengths.length]) {
      const reader = new StreamTail(folder);
      const found: number[] = [];
      for (let from = 0; from < lengths.length; from += step) {
        const receipts = await reader.read(from, Math.min(from + step, lengths.length));
        found.push(...receipts.map(({ bytes }) => bytes.filter((byte) => byte === 0x61).length));
      }
      expect(found, `${step} at a time`).toEqual(lengths);
      await reader.close();
    }
  });

  it("names each receipt by the hash of its bytes", async () => {
    await write(FIRST, 0, 3);
    const hashes = (await tail.read(0, 3)).map(({ hash }) => hash);
    expect(hashes).toEqual([0, 1, 2].map((seq) => createHash("sha256").update(textOf(seq)).digest("hex")));
  });

  it("goes on while the files are written, and reads nothing that was not said to be written", async () => {
    for (let seq = 0; seq < 3; seq += 1) {
      await write(FIRST, seq, seq + 1);
      expect(numbersOf(await tail.read(seq, seq + 1))).toEqual([seq]);
    }
    await write(SECOND, 3, 5);
    expect(numbersOf(await tail.read(3, 4))).toEqual([3]);
    expect(numbersOf(await tail.read(4, 5))).toEqual([4]);
  });

  it("takes up a frame that was seen half written, once it is whole", async () => {
    await write(FIRST, 0, 2);
    const whole = readFileSync(join(folder, FIRST));
    truncateSync(join(folder, FIRST), whole.length - 500);
    expect(numbersOf(await tail.read(0, 1))).toEqual([0]);
    appendFileSync(join(folder, FIRST), whole.subarray(whole.length - 500));
    expect(numbersOf(await tail.read(1, 2))).toEqual([1]);
    // Zeros where the frame is to be: longer than what reached the file.
    await write(FIRST, 2, 3);
    const more = readFileSync(join(folder, FIRST));
    writeFileSync(join(folder, FIRST), Buffer.concat([whole, Buffer.alloc(more.length - whole.length)]));
    expect(await codeOf(tail.read(2, 3))).toBe("ERR_STREAM_FILE");
    writeFileSync(join(folder, FIRST), more);
    expect(numbersOf(await tail.read(2, 3))).toEqual([2]);
  });

  it("is damage where what was said to be written is not there, or is another thing", async () => {
    await write(FIRST, 0, 3);
    expect(await faultOf(0, 4)).toBe("ERR_STREAM_FILE");
    const path = join(folder, FIRST);
    const whole = readFileSync(path);
    for (const at of [0, 3, 5, 9, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      writeFileSync(path, changed);
      expect(await faultOf(0, 3), `byte ${at}`).toBe("ERR_STREAM_FILE");
    }
    for (const length of [0, 1, 8, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await faultOf(0, 3), `cut at ${length}`).toBe("ERR_STREAM_FILE");
    }
  });
});
