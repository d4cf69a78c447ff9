/** Receipts that are sealed by a thread: the same chain as by the serving thread, and what becomes of those who wait when it fails. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Recorded } from "../../gateway/receipts/recorder.ts";
import { makeSealing } from "../../gateway/receipts/sealing.ts";
import { StreamBook } from "../../gateway/receipts/stream-book.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { codeFrom } from "../support/code-of.ts";
import { readStream, readStreamFiles } from "../support/gateway-run.ts";
import type { InnerThread } from "../support/inner-thread.ts";
import { receiptBodies } from "../support/receipts.ts";
import { type OpenSealing, SealingBench } from "../support/sealing-bench.ts";

let bench: SealingBench;
beforeEach(async () => {
  bench = await SealingBench.make();
});
afterEach(() => bench.remove());

describe("the sealing thread", () => {
  it("numbers, links, signs and writes in order, and tells the hash of each durable receipt", async () => {
    const { recorder, thread } = await bench.open();
    const recorded = await bench.appendSome(recorder, 100);
    await recorder.append(bench.next);
    await recorder.close();
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(101);
    const hashes = (await readStreamFiles(bench.place.folder)).map((bytes) => formatHex(receiptHash(bytes)));
    expect(recorded.map(({ hash }) => hash)).toEqual(hashes.slice(0, 100));
    expect(recorded.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    // One message for what one turn drafts, and no more writes than messages.
    expect(thread.heard.length).toBe(3);
    expect(thread.told.length).toBe(3);
  });

  it("is told in one message what one turn of the event loop drafts, whoever asks for it", async () => {
    const { recorder, thread } = await bench.open();
    await recorder.append(bench.next);
    const heard = thread.heard.length;
    const turn = Array.from({ length: 3 }, () => {
      return new Promise<Recorded>((resolve, reject) => {
        setImmediate(() => {
          recorder.append(bench.next).then(resolve, reject);
        });
      });
    });
    expect((await Promise.all(turn)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(thread.heard.length).toBe(heard + 1);
    await recorder.close();
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(4);
  });

  it("is never told a key, and goes on after a restart where the chain ends", async () => {
    for (let run = 0; run < 3; run += 1) {
      const { recorder, thread } = await bench.open();
      await bench.appendSome(recorder, 7);
      await recorder.close();
      expect(JSON.stringify(thread.heard)).not.toMatch(/secret|PRIVATE/u);
    }
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(21);
  });

  it("begins new files amid a batch, each with the hash before it", async () => {
    const { recorder } = await bench.open({ maxBytes: 2_000 });
    for (let i = 0; i < 4; i += 1) await bench.appendSome(recorder, 10);
    await recorder.close();
    expect(readdirSync(bench.place.folder).filter((name) => name.endsWith(".state")).length).toBeGreaterThan(3);
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(40);
    const again = await bench.open({ maxBytes: 2_000 });
    await bench.appendSome(again.recorder, 1);
    await again.recorder.close();
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(41);
  });

  it("begins a new file also behind a receipt that could not be made", async () => {
    const { recorder } = await bench.open({ maxBytes: 1 });
    await recorder.append(bench.next);
    const unmade = recorder.append(() => {
      throw new StoreError("ERR_NOT_FOUND", "nothing to say");
    });
    expect(await codeFrom(unmade)).toBe("ERR_NOT_FOUND");
    await recorder.append(bench.next);
    await recorder.close();
    expect(readdirSync(bench.place.folder).filter((name) => name.endsWith(".state")).length).toBe(1);
  });

  it("writes what was accepted before it closes", async () => {
    const { recorder } = await bench.open();
    const accepted = bench.appendSome(recorder, 5);
    await recorder.close();
    expect((await accepted).length).toBe(5);
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(5);
  });
});

describe("a sealing thread that fails", () => {
  const failed = async (opened: OpenSealing, act: (thread: InnerThread) => void): Promise<readonly string[]> => {
    const { recorder, thread } = opened;
    const waiting = [1, 2, 3].map(() => codeFrom(recorder.append(bench.next)));
    act(thread);
    const codes = [...(await Promise.all(waiting)), await codeFrom(recorder.append(bench.next))];
    expect(recorder.isFailed()).toBe(true);
    expect(opened.failures.length).toBe(1);
    await recorder.close();
    return codes;
  };
  const allFailed = Array.from({ length: 4 }, () => "ERR_STREAM_FAILED");

  it("fails all who wait and all who come, once it ended", async () => {
    expect(await failed(await bench.open(), ({ fail }) => fail(new Error("out of memory")))).toEqual(allFailed);
  });

  it("or cannot write", async () => {
    // The file's end is not where it is said to be: a directory stands in the place of the next file.
    const opened = await bench.open({ maxBytes: 1, order: { folder: join(bench.dataDir, "nowhere") } });
    expect(await failed(opened, () => undefined)).toEqual(allFailed);
    expect(opened.failures).toEqual(["the receipt stream cannot be written"]);
  });

  it("also while it is closing: nobody waits for ever", async () => {
    for (const act of [
      ({ say }: InnerThread) => say({ type: "failed", why: "no space" }),
      ({ fail }: InnerThread) => fail(new Error("killed")),
    ]) {
      const { thread } = await bench.open();
      const { folder } = bench.place;
      const sealer = makeSealing({
        thread: thread.thread,
        folder,
        signers: bench.place,
        openCalls: () => 0,
        onFailed: () => undefined,
      });
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
      const opened = await bench.open();
      expect(await failed(opened, ({ say }) => say({ type: "sealed", hashes }))).toEqual(allFailed);
      expect(opened.failures).toEqual(["the sealing thread names receipts that it cannot have"]);
    }
  });

  it("or is asked to continue another chain than its files'", async () => {
    const first = await bench.open();
    await bench.appendSome(first.recorder, 2);
    await first.recorder.close();
    const opened = await bench.open({ order: { lastHash: undefined } });
    expect(await failed(opened, () => undefined)).toEqual(allFailed);
    expect((await readStream(bench.dataDir, bench.place.stream)).length).toBe(2);
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
