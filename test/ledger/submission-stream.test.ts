import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { makeLedgerClient } from "../../gateway/receipts/ledger-client.ts";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { type Frame, FrameReader } from "../../ledger/http/frame-reader.ts";
import { type FrameDesk, runSubmissionStream, type StreamLimits } from "../../ledger/http/submission-stream.ts";
import { codeOf } from "../support/code-of.ts";
import {
  LEDGER_ORIGIN,
  removeLedgers,
  SUBMIT,
  SUBMIT_TOKEN,
  startTestLedger,
  type TestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";
import { registrationOf, Submitter, segmentOf, tipOf } from "../support/ledger-submitter.ts";
import { openStream } from "../support/long-request.ts";
import { gatewayKeys, type MadeStream, makeStream } from "../support/receipts.ts";

const stream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 20 });
const COUNT = stream.receipts.length;
const LINE = formatUtf8("\n");
/** Genesis and registration stand in front of the stream. */
const BEFORE = 2;
const NDJSON_CHUNKED = ["content-type: application/x-ndjson", "transfer-encoding: chunked"];

const ledgers: TestLedger[] = [];
afterAll(() => removeLedgers(ledgers));

async function start(options: TestLedgerOptions = {}): Promise<TestLedger> {
  const ledger = await startTestLedger({ ...options, config: { log_kind: "receipts", ...options.config } });
  ledgers.push(ledger);
  await new Submitter(ledger.url).register(registrationOf(stream.keys));
  return ledger;
}

function receiptLine({ receipts }: MadeStream, seq: number): Uint8Array {
  return concat(receipts[seq]?.bytes ?? new Uint8Array(0), LINE);
}

const admitted = (first: number, count: number): object => ({
  first_index: BEFORE + first,
  count,
  tip: tipOf(stream, first + count),
});
const gap = (at: number): object => ({ error: { code: "ERR_STREAM_GAP", tip: tipOf(stream, at) } });

describe("a streaming submission", () => {
  it("acknowledges segments and single receipts in their order while the request is open", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(ledger.url);
    // All at once: the second continues what the first only opens.
    send(concat(segmentOf(stream, 0, 3), segmentOf(stream, 3, 10), receiptLine(stream, 10), receiptLine(stream, 11)));
    expect(await line()).toEqual(admitted(0, 3));
    expect(await line()).toMatchObject({ first_index: BEFORE + 3, count: 7 });
    expect(await line()).toMatchObject({ first_index: BEFORE + 10, count: 1 });
    expect(await line()).toEqual(admitted(11, 1));
    // Byte by byte, and known ones again.
    for (const byte of concat(segmentOf(stream, 9, 13), segmentOf(stream, 13, 14))) send(Uint8Array.of(byte));
    expect(await line()).toMatchObject({ first_index: BEFORE + 9, count: 4 });
    expect(await line()).toEqual(admitted(13, 1));
    request.end(segmentOf(stream, 14, COUNT));
    expect(await line()).toEqual(admitted(14, COUNT - 14));
    expect(await line()).toEqual({ end: { reason: "done" } });
    expect(await line()).toBeUndefined();
  });

  it("answers refusals in their place and goes on", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(ledger.url);
    const other = makeStream({ keys: gatewayKeys(20), log: LEDGER_ORIGIN, calls: 1 });
    const damaged = segmentOf(stream, 5, 9);
    damaged[damaged.length - 10] = 0x78;
    const parts = [segmentOf(stream, 0, 5), damaged, segmentOf(other, 0, 2), segmentOf(stream, 6, 9)];
    send(concat(...parts, receiptLine(stream, 8), formatUtf8("{}\n")));
    expect(await line()).toEqual(admitted(0, 5));
    expect(await line()).toMatchObject({ error: { code: "ERR_SEGMENT_ROOT" } });
    expect(await line()).toMatchObject({ error: { code: "ERR_STREAM_UNKNOWN" } });
    expect(await line()).toMatchObject(gap(5));
    expect(await line()).toMatchObject(gap(5));
    expect(await line()).toMatchObject({ error: { code: "ERR_SHAPE" } });
    send(concat(receiptLine(stream, 5), segmentOf(stream, 6, 9)));
    expect(await line()).toEqual(admitted(5, 1));
    expect(await line()).toEqual(admitted(6, 3));
    request.destroy();
  });

  it("keeps what it acknowledged when the request is cut in the middle of a line, and nothing of the rest", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(ledger.url);
    send(concat(segmentOf(stream, 0, 6), segmentOf(stream, 6, 12).subarray(0, -20)));
    expect(await line()).toEqual(admitted(0, 6));
    request.destroy();
    const client = new Submitter(ledger.url);
    expect((await client.tip(stream.stream)).body).toMatchObject(tipOf(stream, 6));
    const next = await openStream(ledger.url);
    next.request.end(segmentOf(stream, 6, 12).subarray(0, -20));
    expect(await next.line()).toMatchObject({ end: { reason: "fault" }, error: { code: "ERR_SEGMENT" } });
    const last = await openStream(ledger.url);
    last.request.end(segmentOf(stream, 6, 12));
    expect(await last.line()).toEqual(admitted(6, 6));
  });

  it("ends with a last line when the ledger stops, and what was in work is acknowledged", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(ledger.url);
    send(segmentOf(stream, 0, 6));
    expect(await line()).toEqual(admitted(0, 6));
    const closed = ledger.close();
    expect(await line()).toEqual({ end: { reason: "shutdown" } });
    request.end();
    expect(await line()).toBeUndefined();
    await closed;
  });

  it("of nobody, a connection that never sent a byte, does not hold up a stop", async () => {
    const ledger = await startTestLedger({ config: { log_kind: "receipts" }, closeGraceMs: 600_000 });
    ledgers.push(ledger);
    const silent = connect(Number(new URL(ledger.url).port), "127.0.0.1");
    const gone = once(silent, "close");
    await once(silent, "connect");
    // The server has it too once it answers somebody who came later.
    await ledger.get("/healthz");
    await ledger.close();
    await gone;
  });

  it("asks for the submit token, and ends where no frame can begin", async () => {
    const ledger = await start();
    const stranger = await openStream(ledger.url, {});
    expect(stranger.response.statusCode).toBe(401);
    stranger.request.destroy();
    for (const bytes of ['{"count":0}\n', `{"count":${"1".repeat(70_000)}`, '{"count":5000}\n']) {
      const { send, line, request } = await openStream(ledger.url);
      send(bytes);
      expect(await line()).toMatchObject({ end: { reason: "fault" }, error: {} });
      expect(await line()).toBeUndefined();
      request.destroy();
    }
  });

  it("tells one who sends on without reading why it ended: what comes behind the last line is read away", async () => {
    const ledger = await start();
    const { port, hostname } = new URL(ledger.url);
    const socket = connect(Number(port), hostname);
    let received = "";
    socket.on("data", (chunk) => {
      received += String(chunk);
    });
    const head = [
      `POST /stream HTTP/1.1`,
      "host: x",
      `authorization: Bearer ${SUBMIT_TOKEN}`,
      ...NDJSON_CHUNKED,
      "",
      "",
    ];
    socket.write(head.join("\r\n"));
    await once(socket, "data");
    socket.pause();
    const part = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    for (let i = 0; i < 100; i += 1) if (!socket.write(part)) await once(socket, "drain");
    socket.resume();
    socket.end("0\r\n\r\n");
    await once(socket, "close");
    expect(received).toContain('{"end":{"reason":"fault"},"error":{"code":"ERR_');
  });

  it("is slowed down by quotas, which name their limit", async () => {
    const ledger = await start({
      config: { quota: { stream: { receipts_per_second: 20 } } },
      clock: { nowMs: () => 1_700_000_000_000 },
    });
    const { send, line, request } = await openStream(ledger.url);
    send(concat(segmentOf(stream, 0, 12), segmentOf(stream, 12, 30)));
    expect(await line()).toEqual(admitted(0, 12));
    const refused = { code: "ERR_QUOTA", limit: "stream.receipts_per_second", retry_after_seconds: 1 };
    expect(await line()).toMatchObject({ error: refused });
    const answer = await ledger.post("/segments", segmentOf(stream, 12, 30), {
      "content-type": "application/x-ndjson",
      ...SUBMIT,
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
    request.destroy();
  });

  it("or a raw entry is bounded by the log's quota as well", async () => {
    const ledger = await startTestLedger({
      config: { quota: { log: { receipts_per_second: 2 } } },
      clock: { nowMs: () => 1_700_000_000_000 },
    });
    ledgers.push(ledger);
    const answers: Response[] = [];
    for (const path of ["/add", "/add?promise=1", "/add", "/add?promise=1"]) {
      answers.push(await ledger.post(path, `entry ${answers.length}`, SUBMIT));
    }
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429, 429]);
    for (const answer of answers.slice(2)) {
      expect(answer.headers.get("retry-after")).toBe("1");
      const refused = { code: "ERR_QUOTA", limit: "log.receipts_per_second", retry_after_seconds: 1 };
      expect(await answer.json()).toMatchObject({ error: refused });
    }
  });

  it("is what a gateway's client uses, also after it ended", async () => {
    const ledger = await start();
    const client = makeLedgerClient({ url: ledger.url, submitToken: SUBMIT_TOKEN, fetch });
    expect(await client.submit(segmentOf(stream, 0, 6))).toMatchObject({ type: "admitted", firstIndex: 2n });
    expect(await client.submit(segmentOf(stream, 7, 9))).toMatchObject({ type: "gap", tip: { nextSeq: 6 } });
    expect(await client.submit(segmentOf(stream, 6, 9))).toMatchObject({ type: "admitted", firstIndex: 8n });
    await ledger.close();
    const again = await start({
      dataDir: ledger.dataDir,
      config: { listen: { port: Number(new URL(ledger.url).port) } },
    });
    expect(await client.submit(segmentOf(stream, 9, 12))).toMatchObject({ type: "admitted", firstIndex: 11n });
    client.close();
    const metrics = await (await again.get("/metrics")).text();
    expect(metrics).not.toContain('route="/segments"');
  });
});

describe("a stream's bounds", () => {
  const LIMITS: StreamLimits = { maxFrames: 4, maxBytes: 1000, takeMs: 20_000, idleMs: 20_000, lifeMs: 20_000 };
  const desk: FrameDesk = {
    segment: () => Promise.reject(new Error("no segment is sent")),
    receipts: async (receipts) => (lines) => {
      for (const [i, line] of lines.entries()) {
        line.answer({ first_index: receipts[i]?.length ?? 0, count: 1, tip: {} });
      }
    },
  };
  const noCut = (): void => undefined;
  const never = new AbortController().signal;

  /** A source of one line a chunk that counts what was read of it. */
  function countedSource(count: number): { readonly source: AsyncIterable<Uint8Array>; readonly read: () => number } {
    let read = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      for (; read < count; ) {
        read += 1;
        yield formatUtf8("receipt\n");
      }
    }
    return { source: chunks(), read: () => read };
  }

  it("stop reading from one who does not take acknowledgements, and go on with one who does", async () => {
    const { source, read } = countedSource(50);
    const lines: string[] = [];
    let open = (): void => undefined;
    const taken = new Promise<void>((resolve) => {
      open = resolve;
    });
    const sink = { write: (text: string) => taken.then(() => void lines.push(...text.split("\n"))), cut: noCut };
    const done = runSubmissionStream({ source, sink, desk, limits: LIMITS, stopping: never });
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(read()).toBeLessThanOrEqual(LIMITS.maxFrames + 1);
    expect(lines).toEqual([]);
    open();
    await done;
    expect(read()).toBe(50);
    expect(lines.length).toBe(51);
    expect(lines.at(-1)).toBe('{"end":{"reason":"done"}}');
  });

  it("give up one who takes no line for long", async () => {
    const { source, read } = countedSource(50);
    let cut = (): void => undefined;
    const gone = new Promise<void>((_, reject) => {
      cut = () => reject(new Error("cut"));
    });
    const sink = { write: () => gone, cut };
    const limits = { ...LIMITS, takeMs: 1 };
    await expect(runSubmissionStream({ source, sink, desk, limits, stopping: never })).rejects.toThrow("cut");
    expect(read()).toBeLessThanOrEqual(LIMITS.maxFrames + 1);
  });

  it("end quiet streams and old ones, and give up with a sink that fails", async () => {
    const silent: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    };
    const endOf = async (limits: Partial<StreamLimits>): Promise<string | undefined> => {
      const lines: string[] = [];
      const sink = { write: async (text: string) => void lines.push(...text.split("\n")), cut: noCut };
      const all = { ...LIMITS, ...limits };
      await runSubmissionStream({ source: silent, sink, desk, limits: all, stopping: never });
      return lines.at(-1);
    };
    expect(await endOf({ idleMs: 1 })).toBe('{"end":{"reason":"idle"}}');
    expect(await endOf({ lifeMs: 1 })).toBe('{"end":{"reason":"renew"}}');
    const { source, read } = countedSource(50);
    const sink = { write: () => Promise.reject(new Error("gone")), cut: noCut };
    await expect(runSubmissionStream({ source, sink, desk, limits: LIMITS, stopping: never })).rejects.toThrow("gone");
    expect(read()).toBeLessThan(50);
  });
});

describe("frames", () => {
  it("are the same however the bytes are cut", () => {
    const wire = concat(
      segmentOf(stream, 0, 3),
      receiptLine(stream, 3),
      segmentOf(stream, 4, 5),
      receiptLine(stream, 5),
    );
    const read = (size: number): readonly Frame[] => {
      const reader = new FrameReader();
      const frames: Frame[] = [];
      for (let at = 0; at < wire.length; at += size) {
        reader.push(wire.slice(at, at + size));
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
      }
      expect(reader.pendingBytes).toBe(0);
      return frames;
    };
    const whole = read(wire.length);
    expect(whole.map(({ kind }) => kind)).toEqual(["segment", "receipt", "segment", "receipt"]);
    for (const size of [1, 7, 1000, 65_536]) {
      const cut = read(size);
      expect(cut.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(
        whole.map(({ bytes }) => Buffer.from(bytes).toString()),
      );
    }
  });

  it("are bounded in the length of a line and of a segment", () => {
    const long = new FrameReader();
    long.push(new Uint8Array(65_536).fill(0x61));
    expect(codeOf(() => long.next())).toBe("ERR_SEGMENT");
    const large = new FrameReader();
    large.push(formatUtf8('{"count":1024}\n'));
    const line = concat(new Uint8Array(65_000).fill(0x61), LINE);
    const feed = (): void => {
      for (let i = 0; i < 200; i += 1) {
        large.push(line);
        large.next();
      }
    };
    expect(codeOf(feed)).toBe("ERR_SEGMENT");
  });
});
