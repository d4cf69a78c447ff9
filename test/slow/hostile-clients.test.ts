/**
 * Clients that mean harm, against a ledger in a process of its own: what each gets is a code, the process's memory stays
 * bounded, and readiness stays green while they are at it (needs `npm run build`). Malformed requests one by one are in
 * test/ledger/bad-input.test.ts.
 */

import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { Agent, request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { errorCode, LEDGER_ORIGIN, NO_WITNESSES, READ, SUBMIT } from "../support/ledger-service.ts";
import { type SpawnedLedger, spawnLedger } from "../support/ledger-spawn.ts";
import { refusal, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { beginAnswered, beginRequest, EXPECT_CONTINUE, sendRaw, statusesOf } from "../support/raw-http.ts";
import { gatewayKeys, makeStream, receiptContents } from "../support/receipts.ts";

/** They hold the token: a stranger is refused before his body is read. */
const NDJSON = { "content-type": "application/x-ndjson", ...SUBMIT };
const TOKEN = `authorization: ${SUBMIT["authorization"]}`;
const MIB = 1024 * 1024;
/** What a flood may add to the process's memory, beyond the bodies that may be in work: 64 segments of 8 MiB. */
const MEMORY_BOUND = 700 * MIB;
/** A probe of readiness may wait for work that is under way, never for a client to go on; the machine may be busy. */
const READY_LIMIT_MS = 30_000;

let folder = "";
let ledger: SpawnedLedger;
let client: Submitter;
const stream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 200 });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-hostile-"));
  ledger = await spawnLedger(folder, "receipts", NO_WITNESSES);
  client = new Submitter(ledger.url);
  await client.open(stream);
  expect((await client.segment(segmentOf(stream, 0, 100))).status).toBe(200);
});
afterAll(async () => {
  await ledger.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Resident bytes of the ledger's process, as the kernel counts them. */
function residentBytes(): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${ledger.pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

/** Readiness, asked on connections of its own all the while. */
class Watch {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  slowestMs = 0;
  largestBytes = 0;
  probes = 0;

  constructor() {
    this.#done = this.#probe();
  }

  async #probe(): Promise<void> {
    const agent = new Agent({ keepAlive: false });
    while (!this.#stop.signal.aborted) {
      const started = performance.now();
      expect(await statusOf("/readyz", agent)).toBe(200);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - started);
      this.largestBytes = Math.max(this.largestBytes, residentBytes());
      this.probes += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

function statusOf(path: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(`${ledger.url}${path}`, { agent }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    call.on("error", reject);
    call.end();
  });
}

let watch: Watch;
let bytesBefore = 0;
let sockets: Socket[] = [];
beforeEach(() => {
  bytesBefore = residentBytes();
  watch = new Watch();
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await watch.end();
  expect(watch.probes).toBeGreaterThan(0);
  expect(watch.slowestMs).toBeLessThan(READY_LIMIT_MS);
  expect(watch.largestBytes - bytesBefore).toBeLessThan(MEMORY_BOUND);
  // Somebody who does it right is served as before.
  expect((await client.segment(segmentOf(stream, 0, 100))).status).toBe(200);
});

/** Opens `count` connections that each begin with `head` and never go on. */
async function holdOpen(count: number, head: string, begin = beginRequest): Promise<void> {
  for (let i = 0; i < count; i += 100) {
    const some = Array.from({ length: Math.min(100, count - i) }, () => begin(ledger.url, head));
    sockets.push(...(await Promise.all(some)));
  }
}

describe("connections that stay", () => {
  it("1,000 that say nothing cost little and keep nobody out", async () => {
    await holdOpen(1000, "");
    expect((await client.tip(stream.stream)).status).toBe(200);
    expect(residentBytes() - bytesBefore).toBeLessThan(100 * MIB);
  });

  it("1,000 that stop in the middle of a header", async () => {
    await holdOpen(1000, "POST /receipts HTTP/1.1\r\nhost: x\r\ncontent-le");
    expect((await client.tip(stream.stream)).status).toBe(200);
    expect(residentBytes() - bytesBefore).toBeLessThan(100 * MIB);
  });

  it("1,000 that announce a body and send one byte: the bound of each route holds and is told", async () => {
    const head = `POST /segments HTTP/1.1\r\nhost: x\r\n${TOKEN}\r\ncontent-type: application/x-ndjson\r\ncontent-length: 2000000\r\n${EXPECT_CONTINUE}\r\n{`;
    await holdOpen(1000, head, beginAnswered);
    expect(await client.segment(segmentOf(stream, 0, 2))).toMatchObject(refusal(429, "ERR_QUEUE_FULL"));
    // Single receipts have a way of their own.
    expect((await client.receipt(stream.receipts[1]?.bytes ?? new Uint8Array(0))).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    await settled();
  });

  it("1,000 that ask for a bundle and never read the answer", async () => {
    const head = `GET /tile/entries/000.p/32 HTTP/1.1\r\nhost: x\r\nauthorization: ${READ["authorization"]}\r\n\r\n`;
    await holdOpen(1000, head.repeat(3));
    for (const socket of sockets) socket.pause();
    expect((await client.tip(stream.stream)).status).toBe(200);
  });

  it("500 that wait for proofs, and go away", async () => {
    await holdOpen(500, "GET /log-proof/1?wait_ms=30000 HTTP/1.1\r\nhost: x\r\n\r\n");
    for (const socket of sockets.splice(0)) socket.destroy();
    expect((await client.tip(stream.stream)).status).toBe(200);
  });

  it("200 of which each closes its side in the middle of a body", async () => {
    await holdOpen(
      200,
      `POST /receipts HTTP/1.1\r\nhost: x\r\n${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{`,
    );
    for (const socket of sockets) socket.end();
    expect((await client.tip(stream.stream)).status).toBe(200);
  });
});

/** Until the places of requests that went away are free again. */
async function settled(): Promise<void> {
  const deadline = performance.now() + 20_000;
  // A connection that the ledger closed on us is no answer; the next one gets one.
  const status = (): Promise<number> =>
    client.segment(segmentOf(stream, 0, 2)).then(
      (answer) => answer.status,
      () => 0,
    );
  while ((await status()) !== 200) {
    if (performance.now() > deadline) throw new Error("the places of requests that are gone are not free again");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("bodies that are too much", () => {
  it("100 segments of 9 MiB at once are refused by size or by number, and none is held", async () => {
    const body = Buffer.alloc(9 * MIB, "x");
    const codes = await Promise.all(Array.from({ length: 100 }, () => codeOfPost("/segments", body, NDJSON)));
    const known = ["ERR_BODY_SIZE", "ERR_QUEUE_FULL", "cut"];
    expect(codes.filter((code) => !known.includes(code))).toEqual([]);
    expect(codes).toContain("ERR_BODY_SIZE");
    await settled();
  });

  it("a chunked body without an end is cut at the limit", async () => {
    const head = `POST /segments HTTP/1.1\r\nhost: x\r\n${TOKEN}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n`;
    const chunk = `100000\r\n${"x".repeat(0x10_0000)}\r\n`;
    let answer = "";
    // Whoever goes on sending may have the connection reset before the answer is read.
    for (let i = 0; i < 5 && answer === ""; i += 1) answer = await sendRaw(ledger.url, head + chunk.repeat(12), 2000);
    expect(statusesOf(answer)).toEqual([413]);
    expect(answer).toContain('"code":"ERR_BODY_SIZE"');
  });

  it("a compressed bomb is bytes like any others: it is never unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(256 * MIB));
    expect(bomb.length).toBeLessThan(MIB);
    for (const encoding of ["gzip", "deflate", "br", "zstd", "gzip, gzip"]) {
      const response = await fetch(`${ledger.url}/segments`, {
        method: "POST",
        body: bomb,
        headers: { ...NDJSON, "content-encoding": encoding },
      });
      expect(response.status).toBe(400);
      expect(await errorCode(response)).toMatch(/^ERR_(SEGMENT|UTF8)$/);
    }
    expect(watch.largestBytes - bytesBefore).toBeLessThan(200 * MIB);
  });

  it("a segment of a million lines is refused before they are looked at", async () => {
    expect(await codeOfPost("/segments", Buffer.from("{}\n".repeat(1_000_000)), NDJSON)).toMatch(
      /^ERR_(SEGMENT|SHAPE)$/,
    );
  });
});

/** Code of the refusal; `cut` if the connection ended before an answer could be read. */
async function codeOfPost(path: string, body: Uint8Array, headers: Record<string, string>): Promise<string> {
  try {
    const response = await fetch(`${ledger.url}${path}`, { method: "POST", body, headers });
    return (await errorCode(response)) ?? `status ${response.status}`;
  } catch {
    return "cut";
  }
}

describe("streams under attack", () => {
  it("a replay of everything, 40 times at once, changes nothing", async () => {
    const before = await size();
    const answers = await Promise.all(Array.from({ length: 40 }, () => client.segment(segmentOf(stream, 0, 100))));
    const accepted = answers.filter(({ status }) => status === 200);
    expect(accepted.length).toBeGreaterThan(0);
    expect(new Set(accepted.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer).toMatchObject(refusal(429, "ERR_QUEUE_FULL"));
    }
    expect(await size()).toBe(before);
  });

  it("100 forks at one number are refused, and the ledger keeps a bounded number of them", async () => {
    const { next } = makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, count: 5 });
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    const before = await size();
    for (let i = 0; i < 100; i += 1) {
      const rival = next({ ...heartbeat, open_calls: i });
      expect(await client.receipt(rival.bytes)).toMatchObject(refusal(409, "ERR_STREAM_FORK"));
    }
    expect(await size()).toBe(before);
    const wal = (await readdir(join(folder, "wal"))).map((name) => readFileSync(join(folder, "wal", name), "latin1"));
    const kept = wal.join("").split('"kind":"heartbeat"').length - 1;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThanOrEqual(16);
  });

  it("segments that arrive in any order are taken in theirs alone; each refusal tells the tip", async () => {
    const parts = [150, 130, 110, 140, 100, 120].map((first) => segmentOf(stream, first, first + 10));
    const answers = await Promise.all(parts.map((part) => client.segment(part)));
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer).toMatchObject(refusal(409, "ERR_STREAM_GAP"));
      expect(Object(answer.body).error.tip.next_seq).toBeGreaterThanOrEqual(100);
    }
    for (let first = 100; first < 160; first += 10) {
      expect((await client.segment(segmentOf(stream, first, first + 10))).status).toBe(200);
    }
    expect(await client.tip(stream.stream)).toMatchObject({ status: 200, body: { next_seq: 160 } });
  });
});

async function size(): Promise<number> {
  return Number(Object(await (await fetch(`${ledger.url}/readyz`)).json()).size);
}

describe("submission streams", () => {
  const head = `POST /stream HTTP/1.1\r\nhost: x\r\n${TOKEN}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n`;
  const chunkOf = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

  it("1,000 that are opened and say nothing: those above the bound are told, plain posts go on", async () => {
    await holdOpen(1000, head, beginAnswered);
    const answer = await sendRaw(ledger.url, head, 2000);
    expect(statusesOf(answer)).toEqual([429]);
    expect(answer).toContain('"code":"ERR_QUEUE_FULL"');
    expect((await client.segment(segmentOf(stream, 0, 100))).status).toBe(200);
    expect(residentBytes() - bytesBefore).toBeLessThan(200 * MIB);
  });

  it("40 that send without end and never read an acknowledgement: reading from them stops", async () => {
    const line = chunkOf(`${JSON.stringify({ kind: "decision" })}\n`).repeat(2000);
    await holdOpen(40, head);
    for (const socket of sockets) {
      socket.pause();
      // Whatever the ledger does not read stays in buffers of the system, and with us.
      for (let i = 0; i < 50 && socket.write(line); i += 1);
    }
    expect((await client.tip(stream.stream)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(residentBytes() - bytesBefore).toBeLessThan(300 * MIB);
  });

  it("a line of 100 MB ends its stream at the bound of a line", async () => {
    await holdOpen(1, head);
    const [socket] = sockets;
    if (socket === undefined) throw new Error("no connection");
    let received = "";
    socket.on("data", (chunk) => {
      received += String(chunk);
    });
    const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    const part = chunkOf("x".repeat(MIB));
    for (let i = 0; i < 100 && !socket.destroyed && !received.includes('"end"'); i += 1) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    socket.end();
    await ended;
    expect(received).toContain("ERR_");
    expect(watch.largestBytes - bytesBefore).toBeLessThan(200 * MIB);
  });
});

describe("floods", () => {
  it("1,500 requests at once of what costs most to refuse", async () => {
    const bodies = [`${"[".repeat(20_000)}`, '{"kind":"decision"}', "x".repeat(60_000)];
    const types = { "content-type": "application/json", ...SUBMIT };
    const codes = new Set<string>();
    const send = async (i: number): Promise<void> => {
      codes.add(await codeOfPost("/receipts", Buffer.from(bodies[i % bodies.length] ?? ""), types));
    };
    for (let i = 0; i < 1500; i += 500) await Promise.all(Array.from({ length: 500 }, (_, j) => send(i + j)));
    expect([...codes].filter((code) => !/^ERR_(JSON_\w+|SHAPE|QUEUE_FULL)$/.test(code))).toEqual([]);
  });

  it("2,000 requests behind each other on one connection are answered in order", async () => {
    const text = "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2000);
    const answer = await sendRaw(ledger.url, text, 2000);
    expect(statusesOf(answer)).toEqual(Array.from({ length: 2000 }, () => 200));
  });
});

describe("tile addresses", () => {
  it.each([
    "/tile/0/000.p/0",
    "/tile/0/000.p/256",
    "/tile/0/000.p/01",
    "/tile/00/000",
    "/tile/64/000",
    "/tile/0/0",
    "/tile/0/x000/001",
    "/tile/0/x001/1",
    "/tile/0/X001/000",
    "/tile/0//000",
    "/tile/0/000/",
    "/tile/entries/000.p/100/",
    "/tile/data/000",
    `/tile/0/${"x999/".repeat(20)}000`,
    "/tile/0/999999999999999999999",
    "/tile/0/%30%30%30",
    "/tile/0/000%2Ep/1",
    "/tile/0/000;p",
    "/tile/0/000?x=../../head",
    "/tile/0/000%0d%0ax: y",
  ])("%s is no tile", async (path) => {
    const answer = await sendRaw(
      ledger.url,
      `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${READ["authorization"]}\r\nconnection: close\r\n\r\n`,
    );
    const [status = 0] = statusesOf(answer);
    expect([400, 404, 414]).toContain(status);
    expect(answer).toMatch(/"code":"ERR_(TILE_PATH|NOT_FOUND|REQUEST)"/);
  });
});

describe("submission streams of lines that are refused", () => {
  it("of which nobody takes a line are not read from, however small what is sent", async () => {
    const chunk = "{}\n".repeat(20_000);
    const sent: number[] = [];
    const calls = Array.from({ length: 40 }, (_, i) => {
      const call = httpRequest(`${ledger.url}/stream`, { method: "POST", headers: NDJSON });
      call.on("error", () => undefined);
      // The answer is never read.
      call.on("response", (response) => response.on("error", () => undefined).pause());
      const pump = (): void => {
        sent[i] = (sent[i] ?? 0) + chunk.length;
        if (call.write(chunk)) pump();
      };
      call.on("drain", pump);
      pump();
      return call;
    });
    let before = -1;
    // Until nothing moves any more.
    while (before !== sent.reduce((sum, bytes) => sum + bytes, 0)) {
      before = sent.reduce((sum, bytes) => sum + bytes, 0);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
    for (const call of calls) call.destroy();
    expect(Math.max(...sent)).toBeLessThan(8 * MIB);
  }, 120_000);
});
