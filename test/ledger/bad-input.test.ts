import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  eventually,
  LEDGER_ORIGIN,
  READ,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { refusal, registrationOf, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { beginAnswered, beginRequest, EXPECT_CONTINUE, sendRaw, statusesOf } from "../support/raw-http.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const BARE_JSON = { "content-type": "application/json" };
const JSON_TYPE = { ...SUBMIT, ...BARE_JSON };
const NDJSON_TYPE = { ...SUBMIT, "content-type": "application/x-ndjson" };
const stream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN });
const registration = registrationOf(stream.keys);
const MEGABYTES_10 = "x".repeat(10 * 1024 * 1024);

let ledger: TestLedger;
let client: Submitter;

beforeAll(async () => {
  ledger = await startWithStream();
  client = new Submitter(ledger.url);
});
afterAll(() => removeLedgers([ledger]));

async function startWithStream(): Promise<TestLedger> {
  const started = await startTestLedger({ config: { log_kind: "receipts" } });
  const submitter = new Submitter(started.url);
  await submitter.open(stream);
  await submitter.segment(segmentOf(stream, 0, 3));
  return started;
}

/** Ready, unchanged, and alive for those who do it right. */
async function expectHealthy({ url, get, lines }: TestLedger = ledger): Promise<void> {
  const response = await get("/readyz");
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ ready: true, size: 5 });
  expect((await new Submitter(url).receipt(stream.receipts[1]?.bytes ?? new Uint8Array(0))).status).toBe(200);
  expect(lines.filter(({ level }) => level === "error")).toEqual([]);
}

async function answerOf(response: Response): Promise<object> {
  return { status: response.status, body: await response.json().catch(() => undefined) };
}

const bodies: readonly (readonly [string, string, string | Uint8Array, Record<string, string>, number, string])[] = [
  ["malformed JSON", "/receipts", '{"kind":', JSON_TYPE, 400, "ERR_JSON_SYNTAX"],
  ["malformed JSON", "/register", "nonsense", JSON_TYPE, 400, "ERR_JSON_SYNTAX"],
  ["malformed JSON", "/segments", "{\n", NDJSON_TYPE, 400, "ERR_JSON_SYNTAX"],
  ["JSON of another kind", "/receipts", '{"kind":"cheque"}', JSON_TYPE, 400, "ERR_SHAPE"],
  ["an array", "/receipts", "[]", JSON_TYPE, 400, "ERR_SHAPE"],
  ["null", "/segments", "null\n", NDJSON_TYPE, 400, "ERR_SHAPE"],
  ["a key twice", "/receipts", '{"a":1,"a":2}', JSON_TYPE, 400, "ERR_JSON_DUPLICATE_KEY"],
  ["__proto__", "/receipts", '{"__proto__":{"kind":"heartbeat"}}', JSON_TYPE, 400, "ERR_SHAPE"],
  ["deep nesting", "/receipts", `${"[".repeat(30_000)}${"]".repeat(30_000)}`, JSON_TYPE, 400, "ERR_JSON_DEPTH"],
  ["bytes that are no UTF-8", "/receipts", new Uint8Array([0x22, 0xff, 0x22]), JSON_TYPE, 400, "ERR_UTF8"],
  ["a compressed body", "/segments", gzipSync(segmentOf(stream, 3, 5)), { ...NDJSON_TYPE, "content-encoding": "gzip" }, 400, "ERR_SEGMENT"],
  ["10 MB", "/receipts", MEGABYTES_10, JSON_TYPE, 413, "ERR_BODY_SIZE"],
  ["10 MB", "/register", MEGABYTES_10, JSON_TYPE, 413, "ERR_BODY_SIZE"],
  ["10 MB", "/segments", MEGABYTES_10, NDJSON_TYPE, 413, "ERR_BODY_SIZE"],
  ["another content type", "/receipts", "{}", { ...SUBMIT, "content-type": "text/plain" }, 415, "ERR_CONTENT_TYPE"],
  ["another content type", "/segments", "{}\n", JSON_TYPE, 415, "ERR_CONTENT_TYPE"],
  ["another content type", "/register", "{}", NDJSON_TYPE, 415, "ERR_CONTENT_TYPE"],
  ["a content type that is none", "/receipts", "{}", { ...SUBMIT, "content-type": ";;;" }, 415, "ERR_CONTENT_TYPE"],
  ["no token", "/register", registration, BARE_JSON, 401, "ERR_TOKEN"],
  ["no token", "/receipts", stream.receipts[0]?.bytes ?? "", BARE_JSON, 401, "ERR_TOKEN"],
  ["no token", "/segments", segmentOf(stream, 0, 3), { "content-type": "application/x-ndjson" }, 401, "ERR_TOKEN"],
  ["a reader's token", "/segments", segmentOf(stream, 0, 3), { ...NDJSON_TYPE, ...READ }, 401, "ERR_TOKEN"],
  ["a token in another case", "/register", registration, { ...BARE_JSON, authorization: `Bearer ${String(SUBMIT["authorization"]).slice(7).toUpperCase()}` }, 401, "ERR_TOKEN"],
  ["a raw entry", "/add", "entry", SUBMIT, 404, "ERR_LOG_KIND"],
]; // biome-ignore format: a table

describe("a ledger answers bad input with a code and stays well", () => {
  it.each(bodies)("%s to POST %s", async (_, path, body, headers, status, code) => {
    expect(await answerOf(await ledger.post(path, body, headers))).toMatchObject(refusal(status, code));
    await expectHealthy();
  });

  it.each([
    ["/tile/../../head", 404, "ERR_TILE_PATH"],
    ["/tile/0/../../../etc/passwd", 404, "ERR_TILE_PATH"],
    ["/tile/%2e%2e/%2e%2e/head", 404, "ERR_TILE_PATH"],
    ["/tile/..%2f..%2fhead", 404, "ERR_TILE_PATH"],
    ["/tile/0/000%00", 404, "ERR_TILE_PATH"],
    ["/tile/0/000.p/1%2f..", 404, "ERR_TILE_PATH"],
    ["/tile/entries/000.p/3#x", 404, "ERR_TILE_PATH"],
    ["/tile\\0\\000", 404, "ERR_NOT_FOUND"],
    ["/./tile/0/000", 404, "ERR_NOT_FOUND"],
    ["//127.0.0.1/tile/0/000.p/1", 404, "ERR_NOT_FOUND"],
    ["/%zz", 400, "ERR_REQUEST"],
    ["/streams/%zz", 400, "ERR_REQUEST"],
    ["/streams/..%2f..%2fhead", 400, "ERR_KID"],
    [`/streams/${"0".repeat(65)}`, 400, "ERR_KID"],
    [`/streams/${"0".repeat(200)}`, 414, "ERR_REQUEST"],
    ["/log-proof/1%00", 400, "ERR_DECIMAL"],
    ["/log-proof/%EF%BC%91", 400, "ERR_DECIMAL"],
    ["/log-proof?leaf[]=00&leaf[]=11", 400, "ERR_REQUEST"],
    ["/wal/0000000000000001.wal", 404, "ERR_NOT_FOUND"],
  ])("GET %s", async (path, status, code) => {
    const head = `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${READ["authorization"] ?? ""}\r\n`;
    const text = await sendRaw(ledger.url, `${head}connection: close\r\n\r\n`);
    expect(statusesOf(text)).toEqual([status]);
    expect(text).toContain(`{"error":{"code":"${code}"`);
    await expectHealthy();
  });

  const inner = "POST /register HTTP/1.1\r\nhost: x\r\n\r\n";
  const post = "POST /receipts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
  it.each([
    [
      "content-length and transfer-encoding",
      `${post}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    ],
    ["two content-lengths", `${post}content-length: 2\r\ncontent-length: ${inner.length}\r\n\r\n{}${inner}`],
    ["a list of content-lengths", `${post}content-length: 2, ${inner.length}\r\n\r\n{}${inner}`],
    ["a negative content-length", `${post}content-length: -2\r\n\r\n{}${inner}`],
    ["a signed content-length", `${post}content-length: +2\r\n\r\n{}${inner}`],
    ["a space before the colon", `${post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${inner}`],
    ["an unknown transfer-encoding", `${post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`],
    ["chunked twice", `${post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`],
    ["a header that is folded", `${post}x: a\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`],
    ["a chunk size that is none", `${post}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n${inner}`],
    ["a header with a line feed alone", `${post}x: a\nhost: y\r\ncontent-length: 2\r\n\r\n{}${inner}`],
    ["no host", "GET /readyz HTTP/1.1\r\n\r\n"],
    ["two hosts", "GET /readyz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"],
    ["a zero byte in a header", "GET /readyz HTTP/1.1\r\nhost: a\u0000b\r\n\r\n"],
    ["headers of 100 kB", `GET /readyz HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(100_000)}\r\n\r\n`],
    ["a protocol that is none", "GET /readyz HTTP/9.9\r\nhost: a\r\n\r\n"],
    ["a method that is none", "GIVE /readyz HTTP/1.1\r\nhost: a\r\n\r\n"],
    ["a TLS greeting", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n"],
  ])("a request with %s: one answer at most, and the connection ends", async (_, text) => {
    const answer = await sendRaw(ledger.url, text);
    const [status = 400, ...more] = statusesOf(answer);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(more).toEqual([]);
    if (answer.length > 0 && status !== 404) expect(answer).toMatch(/"code":"ERR_/);
    await expectHealthy();
  });

  it("tips without one of the two tokens", async () => {
    const path = `/streams/${stream.stream}`;
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "bearer" }]) {
      expect(await answerOf(await ledger.get(path, headers))).toMatchObject(refusal(401, "ERR_TOKEN"));
    }
    for (const headers of [SUBMIT, READ]) expect((await ledger.get(path, headers)).status).toBe(200);
  });

  it("methods that a route does not have", async () => {
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await fetch(`${ledger.url}/receipts`, { method });
      expect(await answerOf(response)).toMatchObject(refusal(404, "ERR_NOT_FOUND"));
    }
    await expectHealthy();
  });

  /** Resolves when the head of each has been handled. */
  const beginBodies = (url: string, length: number, token: string, count: number): Promise<readonly Socket[]> => {
    const type = "content-type: application/x-ndjson\r\n";
    const head = `POST /segments HTTP/1.1\r\nhost: x\r\n${token}${type}content-length: ${length}\r\n${EXPECT_CONTINUE}\r\n{"kind":`;
    return Promise.all(Array.from({ length: count }, () => beginAnswered(url, head)));
  };
  const token = `authorization: ${String(SUBMIT["authorization"])}\r\n`;

  it.each([
    ["small ones, above their number", 1000, 64, "{}\n"],
    ["large ones, above what their bodies may hold together", 8_000_000, 16, `{}${" ".repeat(7_900_000)}\n`],
  ])("bodies that never end, %s: everything else goes on", async (_, length, count, body) => {
    // Of its own: nobody else holds a place, so that all of them get one.
    const full = await startWithStream();
    const sockets = await beginBodies(full.url, length, token, count);
    const refused = await full.post("/segments", body, NDJSON_TYPE);
    expect(await answerOf(refused)).toMatchObject(refusal(429, "ERR_QUEUE_FULL"));
    expect(refused.headers.get("retry-after")).toBe("1");
    await expectHealthy(full);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => {
      const { status } = await new Submitter(full.url).segment(segmentOf(stream, 0, 3));
      return status === 200 ? true : undefined;
    });
    await expectHealthy(full);
    await removeLedgers([full]);
  });

  it("bodies of strangers, before they are read: they take no place", async () => {
    const sockets = await beginBodies(ledger.url, 8_000_000, "", 100);
    expect((await client.segment(segmentOf(stream, 0, 3))).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    await expectHealthy();
  });
});

describe("a ledger that is closed while a body is still on its way", () => {
  it("closes after a grace time and opens again", async () => {
    const other = await startTestLedger({ config: { log_kind: "receipts" }, closeGraceMs: 50 });
    const head = "POST /receipts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    const socket = await beginRequest(other.url, head);
    await eventually(async () => ((await other.get("/healthz")).status === 200 ? true : undefined));
    await other.close();
    socket.destroy();
    const again = await startTestLedger({ dataDir: other.dataDir, config: { log_kind: "receipts" } });
    await removeLedgers([again]);
  });

  it("says which address it could not take", async () => {
    const port = Number(new URL(ledger.url).port);
    const started = startTestLedger({ config: { listen: { port } } });
    await expect(started).rejects.toMatchObject({ code: "ERR_SERVICE_START" });
  });
});
