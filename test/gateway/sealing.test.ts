/** Receipts that are sealed by a thread: the same chain as by the serving thread, and what becomes of those who wait when it fails. */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeRecorder, type Recorded, type Recorder } from "../../gateway/receipts/recorder.ts";
import { makeSealing } from "../../gateway/receipts/sealing.ts";
import type { SealingOrder } from "../../gateway/receipts/sealing-messages.ts";
import { serve } from "../../gateway/receipts/sealing-thread.ts";
import { StreamBook } from "../../gateway/receipts/stream-book.ts";
import { openStreamFolder, type StreamFolder, type StreamPlace } from "../../gateway/receipts/stream-folder.ts";
import { openStreamLog } from "../../gateway/receipts/stream-log.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { codeFrom } from "../support/code-of.ts";
import { readStream, readStreamFiles } from "../support/gateway-run.ts";
import { type InnerThread, startInnerThread } from "../support/inner-thread.ts";
import { seedOf } from "../support/log-keys.ts";
import { openingThenHeartbeats, receiptBodies } from "../support/receipts.ts";

let dataDir: string;
let folder: StreamFolder;
let place: StreamPlace;
let next: ReturnType<typeof openingThenHeartbeats>;
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "countersign-sealing-"));
  folder = await openStreamFolder(dataDir, (length) => crypto.getRandomValues(new Uint8Array(length)));
  place = await folder.create();
  next = openingThenHeartbeats({ instance: place.instanceSigner, receipt: place.receiptSigner });
});
afterEach(async () => {
  await folder.release();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Bench {
  readonly recorder: Recorder;
  readonly thread: InnerThread;
  readonly failures: readonly string[];
}

/** A recorder over a sealing thread that goes on where the files end. @param maxBytes  of a file */
async function open(maxBytes = Number.MAX_SAFE_INTEGER, changes: Partial<SealingOrder> = {}): Promise<Bench> {
  const { log, tip, book, fileBytes } = await openStreamLog({ folder: place.folder, isDurable: true, from: 0 });
  await log.close();
  const order = { folder: place.folder, isDurable: true, fileBytes, lastHash: tip.lastHash, ...changes };
  const thread = startInnerThread<SealingOrder>(serve, order);
  const failures: string[] = [];
  const recorder = makeRecorder({
    stream: place.stream,
    nextSeq: tip.nextSeq,
    sealer: makeSealing(thread.thread, ({ message }) => failures.push(message)),
    vault: { prepare: () => undefined, secret: (seq) => seedOf(seq & 0xff) },
    receiptKey: place.receiptSigner.publicKey,
    instanceKey: place.instanceSigner.publicKey,
    attestation: { state: "not_available", reason: "attestation.software" },
    nowMs: () => 1_700_000_000_000,
    files: { fileBytes, maxBytes, state: (nextSeq) => book.state(nextSeq) },
    onPlaced: (body) => book.apply(body),
    onWritten: ({ seq, hash }) => book.seal(seq, hash),
  });
  return { recorder, thread, failures };
}

const appendSome = (recorder: Recorder, count: number): Promise<readonly Recorded[]> =>
  Promise.all(Array.from({ length: count }, () => recorder.append(next)));

describe("the sealing thread", () => {
  it("numbers, links, signs and writes in order, and tells the hash of each durable receipt", async () => {
    const { recorder, thread } = await open();
    const recorded = await appendSome(recorder, 100);
    await recorder.append(next);
    await recorder.close();
    expect((await readStream(dataDir, place.stream)).length).toBe(101);
    const hashes = (await readStreamFiles(place.folder)).map((bytes) => formatHex(receiptHash(bytes)));
    expect(recorded.map(({ hash }) => hash)).toEqual(hashes.slice(0, 100));
    expect(recorded.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    // One message for what one turn drafts, and no more writes than messages.
    expect(thread.heard.length).toBe(3);
    expect(thread.told.length).toBe(3);
  });

  it("is never told a key, and goes on after a restart where the chain ends", async () => {
    for (let run = 0; run < 3; run += 1) {
      const { recorder, thread } = await open();
      await appendSome(recorder, 7);
      await recorder.close();
      expect(JSON.stringify(thread.heard)).not.toMatch(/secret|PRIVATE/u);
    }
    expect((await readStream(dataDir, place.stream)).length).toBe(21);
  });

  it("begins new files amid a batch, each with the hash before it", async () => {
    const { recorder } = await open(2_000);
    for (let i = 0; i < 4; i += 1) await appendSome(recorder, 10);
    await recorder.close();
    expect(readdirSync(place.folder).filter((name) => name.endsWith(".state")).length).toBeGreaterThan(3);
    expect((await readStream(dataDir, place.stream)).length).toBe(40);
    const again = await open(2_000);
    await appendSome(again.recorder, 1);
    await again.recorder.close();
    expect((await readStream(dataDir, place.stream)).length).toBe(41);
  });

  it("begins a new file also behind a receipt that could not be made", async () => {
    const { recorder } = await open(1);
    await recorder.append(next);
    const unmade = recorder.append(() => {
      throw new StoreError("ERR_NOT_FOUND", "nothing to say");
    });
    expect(await codeFrom(unmade)).toBe("ERR_NOT_FOUND");
    await recorder.append(next);
    await recorder.close();
    expect(readdirSync(place.folder).filter((name) => name.endsWith(".state")).length).toBe(1);
  });

  it("writes what was accepted before it closes", async () => {
    const { recorder } = await open();
    const accepted = appendSome(recorder, 5);
    await recorder.close();
    expect((await accepted).length).toBe(5);
    expect((await readStream(dataDir, place.stream)).length).toBe(5);
  });
});

describe("a sealing thread that fails", () => {
  const failed = async (bench: Bench, act: (thread: InnerThread) => void): Promise<readonly string[]> => {
    const { recorder, thread } = bench;
    const waiting = [1, 2, 3].map(() => codeFrom(recorder.append(next)));
    act(thread);
    const codes = [...(await Promise.all(waiting)), await codeFrom(recorder.append(next))];
    expect(recorder.isFailed()).toBe(true);
    expect(bench.failures.length).toBe(1);
    await recorder.close();
    return codes;
  };
  const allFailed = Array.from({ length: 4 }, () => "ERR_STREAM_FAILED");

  it("fails all who wait and all who come, once it ended", async () => {
    expect(await failed(await open(), ({ fail }) => fail(new Error("out of memory")))).toEqual(allFailed);
  });

  it("or cannot write", async () => {
    // The file's end is not where it is said to be: a directory stands in the place of the next file.
    const bench = await open(1, { folder: join(dataDir, "nowhere") });
    expect(await failed(bench, () => undefined)).toEqual(allFailed);
    expect(bench.failures).toEqual(["the receipt stream cannot be written"]);
  });

  it("also while it is closing: nobody waits for ever", async () => {
    for (const act of [
      ({ say }: InnerThread) => say({ type: "failed", why: "no space" }),
      ({ fail }: InnerThread) => fail(new Error("killed")),
    ]) {
      const { thread } = await open();
      const sealer = makeSealing(thread.thread, () => undefined);
      const waiting = [1, 2].map(() => codeFrom(sealer.seal({ seq: 0, draft: { length: 0 } as never })));
      const closed = sealer.close();
      act(thread);
      await closed;
      expect(await Promise.all(waiting)).toEqual(["ERR_STREAM_FAILED", "ERR_STREAM_FAILED"]);
      expect(await codeFrom(sealer.seal({ seq: 1, draft: { length: 0 } as never }))).toBe("ERR_STREAM_FAILED");
    }
  });

  it("or names receipts that it was not given, or by what is no hash", async () => {
    for (const hashes of [Array.from({ length: 9 }, () => "0".repeat(64)), ["0".repeat(63)], [`${"0".repeat(64)}\n`]]) {
      const bench = await open();
      expect(await failed(bench, ({ say }) => say({ type: "sealed", hashes }))).toEqual(allFailed);
      expect(bench.failures).toEqual(["the sealing thread names receipts that it cannot have"]);
    }
  });

  it("or is asked to continue another chain than its files'", async () => {
    const first = await open();
    await appendSome(first.recorder, 2);
    await first.recorder.close();
    const bench = await open(undefined, { lastHash: undefined });
    expect(await failed(bench, () => undefined)).toEqual(allFailed);
    expect((await readStream(dataDir, place.stream)).length).toBe(2);
  });
});

describe("the book of a stream", () => {
  it("gives no call whose decision is not sealed", () => {
    const book = new StreamBook();
    const { decision } = receiptBodies();
    const forwarded = { ...decision, ruling: { ...decision.ruling, action: "forward" as const } };
    book.apply(forwarded);
    expect(() => book.call(decision.call.id)).toThrow("not sealed");
    expect(book.callCount).toBe(1);
    book.seal(decision.seq, "ab".repeat(32));
    expect(book.call(decision.call.id)).toMatchObject({ hash: "ab".repeat(32) });
  });
});
