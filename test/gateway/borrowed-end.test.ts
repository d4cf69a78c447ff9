/** The end of a stream that goes from the sealing thread to the serving thread and back: one chain, one writer at a time. */

import { fstatSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FRAME_HEADER_BYTES } from "../../gateway/receipts/frame-log.ts";
import type { Recorded } from "../../gateway/receipts/recorder.ts";
import type { ToSealing } from "../../gateway/receipts/sealing-messages.ts";
import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { codeFrom } from "../support/code-of.ts";
import { until } from "../support/command.ts";
import { readStream, readStreamFiles } from "../support/gateway-run.ts";
import { type OpenSealing, oneCallAtATime, SealingBench } from "../support/sealing-bench.ts";

let bench: SealingBench;
beforeEach(async () => {
  bench = await SealingBench.make();
});
afterEach(() => bench.remove());

const countOf = async (): Promise<number> => (await readStream(bench.dataDir, bench.place.stream)).length;
const endsIn = ({ thread }: OpenSealing): readonly object[] =>
  thread.heard.flatMap((message) => (isWithEnd(message) ? [message.end] : []));

function isWithEnd(message: unknown): message is { readonly end: object } {
  return typeof message === "object" && message !== null && "end" in message;
}

describe("a lent end", () => {
  it("is written by both threads in turn: one chain, each told of what the other has sealed", async () => {
    const opened = await bench.open();
    const { recorder } = opened;
    let count = 0;
    for (let turn = 0; turn < 4; turn += 1) {
      count += await bench.appendUntilLent(opened);
      // What comes in one turn behind a receipt that is sealed here shares its write.
      const hashes = (await bench.appendSome(recorder, 5)).map(({ hash }) => hash);
      count += 5;
      const bytes = await readStreamFiles(bench.place.folder);
      expect(hashes).toEqual(bytes.slice(-5).map((each) => formatHex(receiptHash(each))));
      await bench.appendSome(recorder, 30);
      count += 30;
    }
    await recorder.close();
    expect(await countOf()).toBe(count);
    expect(endsIn(opened).length).toBeGreaterThan(1);
  });

  it("goes back at a close, after which the file ends behind its last frame", async () => {
    for (let run = 1; run <= 3; run += 1) {
      const opened = await bench.open();
      await bench.appendUntilLent(opened);
      const last = opened.recorder.append(bench.next);
      await opened.recorder.close();
      await last;
      const bytes = await readStreamFiles(bench.place.folder);
      const length = bytes.reduce((sum, each) => sum + FRAME_HEADER_BYTES + each.length, 0);
      expect(readFileSync(join(bench.place.folder, "receipts.log")).length).toBe(length);
    }
  });

  it("takes nothing while the stream is closed: it would be cut off", async () => {
    const opened = await bench.open();
    const count = await bench.appendUntilLent(opened);
    const last = opened.recorder.append(bench.next);
    const closed = opened.recorder.close();
    await last;
    expect(await codeFrom(opened.recorder.append(bench.next))).toBe("ERR_STREAM_CLOSED");
    await closed;
    expect(await codeFrom(opened.recorder.append(bench.next))).toBe("ERR_STREAM_FAILED");
    expect(await countOf()).toBe(count + 1);
  });

  it("goes back when its room is used up, and comes again", async () => {
    const opened = await bench.open();
    let count = await bench.appendUntilLent(opened);
    const before = endsIn(opened).length;
    for (; endsIn(opened).length <= before; count += 1) await opened.recorder.append(bench.next);
    count += await bench.appendUntilLent(opened);
    await opened.recorder.close();
    expect(await countOf()).toBe(count);
  });

  it("goes back where a file begins, and comes again in the next", async () => {
    const opened = await bench.open({ maxBytes: 200_000 });
    let count = 0;
    for (let file = 0; file < 3; file += 1) {
      count += await bench.appendUntilLent(opened);
      for (let rest = 250; rest > 0; rest -= 1, count += 1) await opened.recorder.append(bench.next);
    }
    await opened.recorder.close();
    expect(await countOf()).toBe(count);
    const again = await bench.open();
    await bench.appendUntilLent(again);
    await again.recorder.close();
  });

  it("stays unused while another call is open, and of a receipt that opens or ends one beside it", async () => {
    let openCalls = oneCallAtATime();
    const opened = await bench.open({ sealing: { openCalls: () => openCalls() } });
    await bench.appendUntilLent(opened);
    const asked = async (calls: number): Promise<boolean> => {
      const before = opened.thread.heard.length;
      openCalls = () => calls;
      await opened.recorder.append(bench.next);
      return opened.thread.heard.length > before;
    };
    const now = 1 - openCalls();
    expect([await asked(1 - now), await asked(now), await asked(1 - now)]).toEqual([false, false, false]);
    await asked(1);
    expect([await asked(0), await asked(1), await asked(0)]).toEqual([false, false, false]);
    expect([await asked(2), await asked(1)]).toEqual([true, true]);
    expect([await asked(0), await asked(1), await asked(2), await asked(3)]).toEqual([false, false, true, true]);
    await opened.recorder.close();
  });

  it("stays unused for receipts of no call: however many come in one turn, nobody waits for a write of each", async () => {
    let writes = 0;
    let openCalls = oneCallAtATime();
    const wrapLog = (log: StreamLog): StreamLog => ({
      ...log,
      append: (payloads) => {
        writes += 1;
        return log.append(payloads);
      },
    });
    const opened = await bench.open({ sealing: { openCalls: () => openCalls(), wrapLog } });
    const count = await bench.appendUntilLent(opened);
    writes = 0;
    const calls = 1 - openCalls();
    openCalls = () => calls;
    const heard = opened.thread.heard.length;
    const turn = Array.from({ length: 16 }, () => {
      return new Promise<Recorded>((resolve, reject) => {
        setImmediate(() => {
          opened.recorder.append(bench.next).then(resolve, reject);
        });
      });
    });
    await Promise.all(turn);
    expect([writes, opened.thread.heard.length - heard]).toEqual([0, 1]);
    await opened.recorder.close();
    expect(await countOf()).toBe(count + 16);
  });

  it("is left as it is by a thread whose serving thread is gone", async () => {
    const opened = await bench.open();
    const count = (await bench.appendUntilLent(opened)) + 3;
    for (let i = 0; i < 3; i += 1) await opened.recorder.append(bench.next);
    opened.thread.fail(new Error("gone"));
    await opened.recorder.close();
    const again = await bench.open();
    await again.recorder.append(bench.next);
    await again.recorder.close();
    expect(await countOf()).toBe(count + 1);
  });
});

describe("a stream that closes while its end is being lent", () => {
  const path = (): string => join(bench.place.folder, "receipts.log");
  /** Whether a descriptor of this process is of the file. */
  const isOpen = (): boolean => {
    const { dev, ino } = statSync(path());
    return Array.from({ length: 512 }, (_, fd) => fd).some((fd) => {
      try {
        const found = fstatSync(fd);
        return found.dev === dev && found.ino === ino;
      } catch {
        return false;
      }
    });
  };

  it("leaves no file open that was about to be opened", async () => {
    const opened = await bench.open();
    await bench.appendSome(opened.recorder, 2);
    opened.thread.fail(new Error("gone"));
    await opened.recorder.close();
    // The thread closes its own behind that.
    await until("the file is closed", async () => !isOpen());
  });

  it("leaves no file open, and none that is longer than its frames", async () => {
    for (const isWaitedFor of [false, true]) {
      const { recorder } = await bench.open();
      const last = bench.appendSome(recorder, 2);
      if (isWaitedFor) await last;
      await recorder.close();
      await last;
      const bytes = await readStreamFiles(bench.place.folder);
      const length = bytes.reduce((sum, each) => sum + FRAME_HEADER_BYTES + each.length, 0);
      expect([readFileSync(path()).length, isOpen()], `waited for: ${isWaitedFor}`).toEqual([length, false]);
    }
  });
});

describe("a lent end that fails", () => {
  const allFail = async ({ recorder, failures }: OpenSealing, message: string): Promise<void> => {
    expect(await codeFrom(recorder.append(bench.next))).toBe("ERR_STREAM_FAILED");
    expect(recorder.isFailed()).toBe(true);
    expect(failures).toEqual([message]);
    await recorder.close();
  };

  it("takes nothing more, here or there, once a write here has failed", async () => {
    let isFull = false;
    const wrapLog = (log: StreamLog): StreamLog => ({
      ...log,
      append: (payloads) => (isFull ? Promise.reject(new Error("ENOSPC")) : log.append(payloads)),
    });
    const opened = await bench.open({ sealing: { wrapLog } });
    const count = await bench.appendUntilLent(opened);
    isFull = true;
    const heard = opened.thread.heard.length;
    const waiting = Array.from({ length: 3 }, () => codeFrom(opened.recorder.append(bench.next)));
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => "ERR_STREAM_FAILED"));
    await allFail(opened, "the receipt stream cannot be written");
    expect(opened.thread.heard.length).toBe(heard);
    expect(await countOf()).toBe(count);
  });

  it("takes nothing more once the thread has ended", async () => {
    const opened = await bench.open();
    const count = await bench.appendUntilLent(opened);
    opened.thread.fail(new Error("out of memory"));
    await allFail(opened, "the sealing thread ended");
    expect(await countOf()).toBe(count);
  });

  it("is refused where the thread cannot lend it", async () => {
    const places = [
      { file: 0, from: 0 },
      { file: 0, from: -1 },
      { file: -1, from: 10_000_000 },
      { file: 0, from: 0.5 },
      { file: 0.5, from: 10_000_000 },
    ];
    for (const place of places) {
      let openCalls = oneCallAtATime();
      const opened = await bench.open({ sealing: { openCalls: () => openCalls() } });
      await bench.appendUntilLent(opened);
      openCalls = () => 2;
      const waits = codeFrom(opened.recorder.append(bench.next));
      // The draft is on its way, and with it what was lent.
      await new Promise((resolve) => setImmediate(resolve));
      opened.thread.say({ type: "sealed", hashes: ["00".repeat(32)], loan: { ...place, to: 20_000_000 } });
      expect(await waits).toBe("ERR_STREAM_FAILED");
      await allFail(opened, "the sealing thread lends a place that it cannot have");
    }
  });

  it("is not lent twice", async () => {
    const opened = await bench.open();
    await bench.appendUntilLent(opened);
    opened.thread.say({ type: "sealed", hashes: [], loan: { file: 0, from: 10_000_000, to: 20_000_000 } });
    await allFail(opened, "the sealing thread lends a place that it cannot have");
  });

  it("is not taken back with a place that was not lent", async () => {
    for (const fileBytes of [0, Number.MAX_SAFE_INTEGER]) {
      const opened = await bench.open();
      await bench.appendUntilLent(opened);
      const message: ToSealing = { type: "seal", drafts: [], end: { fileBytes, lastHash: "00".repeat(32) } };
      opened.thread.thread.tell(message);
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (opened.failures.length > 0) resolve();
          else setImmediate(look);
        };
        look();
      });
      await allFail(opened, "the receipt stream cannot be written");
    }
  });
});
