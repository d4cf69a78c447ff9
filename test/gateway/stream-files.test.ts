import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  borrowFrameLog,
  FRAME_HEADER_BYTES,
  type FrameLog,
  type FrameRoom,
  openFrameLog,
} from "../../gateway/receipts/frame-log.ts";
import { openStreamLog, resumeStreamLog } from "../../gateway/receipts/stream-log.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { codeOf } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { callOf, type GatewayBench, makeGatewayBench, ofKind, readStream, runCall } from "../support/gateway-run.ts";

let folder: string;
let ledger: FakeLedger;
let bench: GatewayBench | undefined;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-stream-"));
  ledger = await startFakeLedger();
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  bench?.remove();
  bench = undefined;
  await ledger.close();
});

const SMALL = { options: { streamFileBytes: 20_000 } };

/** A run that wrote several files and was killed in the middle of a call. @returns a copy of its data folder */
async function killedRun(): Promise<{ readonly data: string; readonly stream: string; readonly streamFolder: string }> {
  bench = makeGatewayBench(ledger.url, SMALL);
  const run = await bench.open();
  for (let i = 0; i < 10; i += 1) await runCall(run, callOf("echo", { message: `call ${i}` }));
  await run.pipeline.decide(callOf("echo", { message: "cut off" }));
  for (let i = 0; i < 10; i += 1) await runCall(run, callOf("echo", { message: `later ${i}` }));
  const { stream } = run.status();
  const data = join(folder, "killed");
  cpSync(bench.folder, data, { recursive: true });
  await run.close();
  return { data, stream, streamFolder: join(data, "streams", stream) };
}

function logsOf(streamFolder: string): readonly string[] {
  return readdirSync(streamFolder).filter((name) => /^receipts-.*\.log$/u.test(name));
}

describe("the files of a stream", () => {
  it("grow to a bound, and a restart ends what an older file left open", async () => {
    const { data, stream, streamFolder } = await killedRun();
    expect(logsOf(streamFolder).length).toBeGreaterThan(2);
    ledger.rewriteStream(stream, []);
    const again = await over(data);
    expect(again.status().stream).toBe(stream);
    await runCall(again, callOf("echo", { message: "after" }));
    await again.close();
    const receipts = await readStream(data, stream);
    const outcomes = ofKind(receipts, "outcome");
    expect(outcomes.filter(({ outcome }) => outcome.status === "unknown").length).toBe(1);
    const [seal] = ofKind(receipts, "session-seal");
    expect(seal?.calls).toMatchObject({ total: 21, allowed: 21, denied: 0, faulted: 1, open: 0 });
  });

  it("give the same book, tip and receipts with their states, without them, and from any receipt on", async () => {
    const { streamFolder } = await killedRun();
    const whole = await opened(streamFolder, 0);
    const from = whole.written.length - 30;
    const part = await opened(streamFolder, from);
    expect(part.written.map(({ seq }) => seq)).toEqual(Array.from({ length: 30 }, (_, i) => from + i));
    for (const name of readdirSync(streamFolder)) if (name.endsWith(".state")) rmSync(join(streamFolder, name));
    const stateless = await opened(streamFolder, 0);
    expect(stateless.written).toEqual(whole.written);
    for (const other of [part, stateless]) {
      expect(other.tip).toEqual(whole.tip);
      expect(other.book.state(other.tip.nextSeq)).toEqual(whole.book.state(whole.tip.nextSeq));
    }
    expect(await part.receiptAt(3)).toEqual(whole.written[3]);
    expect(await part.receiptAt(whole.written.length)).toBeUndefined();
  });

  it("refuse a state that is damaged or of another stream, and a file that lost its end", async () => {
    const { streamFolder } = await killedRun();
    const states = readdirSync(streamFolder).filter((name) => name.endsWith(".state"));
    const last = join(streamFolder, states.at(-1) ?? "");
    const good = readFileSync(last, "utf8");
    for (const bad of [
      "",
      good.slice(0, -9),
      good.replace(/"calls":\[/u, '"calls":[0,'),
      good.replace(/_seq":/u, '_seq":1'),
    ]) {
      writeFileSync(last, bad);
      await expect(opened(streamFolder, 0), bad.slice(0, 60)).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
    }
    writeFileSync(last, good);
    const first = join(streamFolder, "receipts.log");
    truncateSync(first, readFileSync(first).length - 5);
    await expect(opened(streamFolder, 0)).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
  });

  it("refuse a file whose last receipt is whole and is not the one before the next file", async () => {
    const { streamFolder } = await killedRun();
    const first = join(streamFolder, "receipts.log");
    const { log, payloads } = await openFrameLog(first, { isDurable: false, writesOn: "pool" });
    await log.close();
    const lost = (payloads.at(-1)?.length ?? 0) + FRAME_HEADER_BYTES;
    truncateSync(first, readFileSync(first).length - lost);
    await expect(opened(streamFolder, 0)).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
  });

  it("are begun again where a crash left a state without its file", async () => {
    const { data, stream, streamFolder } = await killedRun();
    const last = logsOf(streamFolder).at(-1) ?? "";
    rmSync(join(streamFolder, last));
    ledger.rewriteStream(stream, []);
    const again = await over(data);
    for (let i = 0; i < 10; i += 1) await runCall(again, callOf("echo", { message: `again ${i}` }));
    await again.close();
    expect(existsSync(join(streamFolder, last))).toBe(true);
    expect((await readStream(data, stream)).length).toBeGreaterThan(40);
  });
});

describe("a torn append of several frames", () => {
  it("is cut off from its first torn frame on, whichever of its parts reached the disk", async () => {
    const path = join(folder, "a.log");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    await log.append(["one", "two"].map(formatUtf8));
    await log.append(["three", "four", "five"].map(formatUtf8));
    await log.close();
    const good = new Uint8Array(readFileSync(path));
    const begin = 2 * FRAME_HEADER_BYTES + 6;
    for (let from = begin; from < good.length; from += 1) {
      for (const to of [from + 1, from + 7, good.length]) {
        writeFileSync(path, Uint8Array.from(good).fill(0, from, to));
        const kept = await contentOf(path);
        expect(["one", "two", "three", "four", "five"].slice(0, kept.length)).toEqual(kept);
        expect(kept.length).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it("is damage as soon as a later append is whole behind it", async () => {
    const path = join(folder, "a.log");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    await log.append(["one", "two", "three"].map(formatUtf8));
    await log.append(["four"].map(formatUtf8));
    await log.close();
    const good = new Uint8Array(readFileSync(path));
    const end = good.length - FRAME_HEADER_BYTES - 4;
    for (let at = 0; at < end; at += 1) {
      writeFileSync(path, Uint8Array.from(good).fill(0, at, end));
      if (good.subarray(at, end).every((byte) => byte === 0)) continue;
      await expect(contentOf(path)).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
    }
  });
});

describe("the end of a file that is lent", () => {
  const appending = { isDurable: true, writesOn: "caller" } as const;
  /** Lends the end as soon as there are zeros behind it. */
  const roomOf = async (log: FrameLog): Promise<FrameRoom> => {
    for (let room = log.lend(); ; room = log.lend()) {
      if (room.to > room.from) return room;
      log.takeBack(undefined);
      await setImmediate();
    }
  };
  const lent = async (path: string) => {
    const { log } = await openFrameLog(path, appending);
    await log.append([formatUtf8("mine")]);
    const { from } = await roomOf(log);
    const borrowed = await borrowFrameLog(path, appending);
    borrowed.takeBack(from);
    return { log, borrowed };
  };

  it("is written by the one who has it, and by him alone", async () => {
    const path = join(folder, "a.log");
    const { log, borrowed } = await lent(path);
    await expect(log.append([formatUtf8("no")])).rejects.toMatchObject({ code: "ERR_BUG" });
    await borrowed.append([formatUtf8("theirs")]);
    log.takeBack(borrowed.lend().from);
    await expect(borrowed.append([formatUtf8("no")])).rejects.toMatchObject({ code: "ERR_BUG" });
    await log.append([formatUtf8("mine again")]);
    await borrowed.close();
    await log.close();
    expect(await contentOf(path)).toEqual(["mine", "theirs", "mine again"]);
  });

  it("is cut off by neither as long as the other has it", async () => {
    const path = join(folder, "a.log");
    const { log, borrowed } = await lent(path);
    await borrowed.append([formatUtf8("theirs")]);
    await log.close();
    expect(await contentOf(path)).toEqual(["mine", "theirs"]);
    await borrowed.close();
    const again = await lent(path);
    again.log.takeBack(again.borrowed.lend().from);
    await again.log.append([formatUtf8("last")]);
    await again.borrowed.close();
    await again.log.close();
    expect(await contentOf(path)).toEqual(["mine", "theirs", "mine", "last"]);
  });

  it("is given back at a place that it may have, or not at all", async () => {
    const path = join(folder, "a.log");
    const { log, borrowed } = await lent(path);
    for (const end of [0, Number.MAX_SAFE_INTEGER]) expect(codeOf(() => log.takeBack(end))).toBe("ERR_BUG");
    borrowed.lend();
    log.takeBack(undefined);
    expect(codeOf(() => log.takeBack(100))).toBe("ERR_BUG");
    await log.append([formatUtf8("mine again")]);
    await borrowed.close();
    await log.close();
    expect(await contentOf(path)).toEqual(["mine", "mine again"]);
  });
});

describe("the files of a stream on a thread of their own", () => {
  it("are written by the calls of that thread, in the first file as in those after it", async () => {
    const log = await resumeStreamLog({ folder: await emptyStream(), isDurable: true, fileBytes: 0 });
    const isWrittenAtOnce = (name: string, text: string): boolean => {
      const written = log.append([formatUtf8(text)]);
      written.catch(() => undefined);
      return readFileSync(join(folder, name)).includes(text);
    };
    expect(isWrittenAtOnce("receipts.log", "one")).toBe(true);
    await log.rotate({ next_seq: 1, last_hash: "00".repeat(32), calls: [], sessions: [] });
    expect(isWrittenAtOnce("receipts-0000000000000001.log", "two")).toBe(true);
    await log.close();
  });
});

async function emptyStream(): Promise<string> {
  const { log } = await openStreamLog({ folder, isDurable: true, from: 0 });
  await log.close();
  return folder;
}

async function over(dataDir: string): Promise<GatewayRun> {
  if (bench === undefined) throw new Error("no bench");
  const { gatewayOptions, config } = bench;
  return openRun({ ...gatewayOptions, config: { ...config, data_dir: dataDir } });
}

async function opened(streamFolder: string, from: number) {
  const found = await openStreamLog({ folder: streamFolder, isDurable: false, from });
  await found.log.close();
  return found;
}

async function contentOf(path: string): Promise<readonly string[]> {
  const { log, payloads } = await openFrameLog(path, { isDurable: false, writesOn: "pool" });
  await log.close();
  return payloads.map(parseUtf8);
}

describe("a stream that is closed at a stop", () => {
  const closing = { config: { close_stream: true } };

  it("takes nothing behind its close", async () => {
    bench = makeGatewayBench(ledger.url, closing);
    const run = await bench.open();
    const whole = await run.pipeline.decide(callOf("echo", { message: "out" }));
    await run.close();
    const receipts = await readStream(bench.folder, run.status().stream);
    // The call has no outcome yet: the stream stays open for the next run to end it.
    expect(receipts.at(-1)?.kind).toBe("session-seal");
    expect(whole.action).toBe("forward");
    const second = await bench.open();
    await second.close();
    const ended = await readStream(bench.folder, run.status().stream);
    expect(ofKind(ended, "outcome").map(({ outcome }) => outcome.status)).toEqual(["unknown"]);
    expect(ended.at(-1)?.kind).toBe("stream-close");
  });
});
