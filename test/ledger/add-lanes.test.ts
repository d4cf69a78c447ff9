import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseAddHead } from "../../ledger/http/add-head.ts";
import { eventually, removeLedgers, SUBMIT, startTestLedger, type TestLedger } from "../support/ledger-service.ts";

const TOKEN = `authorization: ${SUBMIT["authorization"]}\r\n`;

function request(body: string, headers = TOKEN, length = body.length): string {
  return `POST /add HTTP/1.1\r\nhost: l\r\n${headers}content-length: ${length}\r\n\r\n${body}`;
}

async function sizeOf(ledger: TestLedger): Promise<number> {
  const { size }: { readonly size: number } = Object(await (await ledger.get("/readyz")).json());
  return size;
}

describe("the head of a plain addition", () => {
  const plain = request("12345", "Accept: */*\r\nConnection: keep-alive\r\n");
  const chunkOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

  it("is read with its lengths and its token", () => {
    expect(parseAddHead(formatUtf8(request("abc")))).toEqual({
      url: "/add",
      headBytes: request("").length,
      bodyBytes: 3,
      headers: { authorization: SUBMIT["authorization"] },
    });
    expect(parseAddHead(formatUtf8(plain))?.bodyBytes).toBe(5);
  });

  it("is left to the HTTP server at every truncation, and where any byte of it could mean something else", () => {
    const end = plain.indexOf("\r\n\r\n") + 4;
    for (let kept = 0; kept < end; kept += 1) expect(parseAddHead(formatUtf8(plain.slice(0, kept)))).toBeUndefined();
    // Another byte than the grammar's in the place of each: bare line ends, tabulators, controls, bytes above ASCII.
    for (const byte of ["\0", "\t", "\n", "\r", "\x7f", "\x80", "\xff"]) {
      for (let at = 0; at < end - 4; at += 1) {
        const changed = plain.slice(0, at) + byte + plain.slice(at + 1);
        // In place of the same byte nothing is changed.
        const want = changed === plain ? parseAddHead(chunkOf(plain)) : undefined;
        expect([at, byte, parseAddHead(chunkOf(changed))]).toEqual([at, byte, want]);
      }
    }
  });

  it.each([
    ["another method", plain.replace("POST", "PUT")],
    ["HTTP/1.0", plain.replace("HTTP/1.1", "HTTP/1.0")],
    ["a query", plain.replace("/add", "/add?promise=1")],
    ["an absolute address", plain.replace("/add", "http://l/add")],
    ["no host", plain.replace("host: l\r\n", "")],
    ["two hosts", plain.replace("host: l", "host: l\r\nhost: m")],
    ["two lengths", plain.replace("content-length: 5", "content-length: 5\r\nContent-Length: 5")],
    ["a list of lengths", plain.replace("content-length: 5", "content-length: 5, 5")],
    ["a signed length", plain.replace("content-length: 5", "content-length: +5")],
    ["a length with a zero in front", plain.replace("content-length: 5", "content-length: 05")],
    ["a length above an entry's", plain.replace("content-length: 5", "content-length: 65536")],
    ["two tokens", plain.replace("host: l", `host: l\r\n${TOKEN}${TOKEN.trim()}`)],
    ["a transfer encoding", plain.replace("host: l", "host: l\r\ntransfer-encoding: chunked")],
    ["an expectation", plain.replace("host: l", "host: l\r\nexpect: 100-continue")],
    ["an upgrade", plain.replace("host: l", "host: l\r\nupgrade: h2c")],
    ["a last request", plain.replace("keep-alive", "close")],
    ["a folded line", plain.replace("host: l", "host: l\r\n m")],
    ["a blank in front of a colon", plain.replace("host: l", "host : l")],
    ["an empty value", plain.replace("host: l", "host: ")],
    ["a head above its bound", plain.replace("host: l", `host: l\r\nuser-agent: ${"a".repeat(2048)}`)],
  ])("with %s is left to the HTTP server", (_, text) => {
    expect(text).not.toBe(plain);
    expect(parseAddHead(formatUtf8(text))).toBeUndefined();
  });
});

describe("a connection of additions", () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await startTestLedger();
  });
  afterAll(async () => {
    await removeLedgers([ledger]);
  });

  async function open(): Promise<Socket> {
    const socket = connect(Number(new URL(ledger.url).port), "127.0.0.1");
    await once(socket, "connect");
    return socket;
  }

  /** Reads until `count` whole answers came. */
  async function answers(
    socket: Socket,
    count: number,
  ): Promise<readonly { readonly status: number; readonly body: string }[]> {
    const found: { status: number; body: string }[] = [];
    let text = "";
    while (found.length < count) {
      const [chunk]: Buffer[] = await once(socket, "data");
      text += chunk?.toString("latin1") ?? "";
      for (;;) {
        const end = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
        if (end < 0 || text.length < end + 4 + length) break;
        found.push({ status: Number(text.slice(9, 12)), body: text.slice(end + 4, end + 4 + length) });
        text = text.slice(end + 4 + length);
      }
    }
    return found;
  }

  it("is answered with the headers that the HTTP server gives", async () => {
    const socket = await open();
    const ask = async (text: string): Promise<readonly string[]> => {
      socket.write(text);
      const [chunk]: Buffer[] = await once(socket, "data");
      const lines = (chunk?.toString("latin1") ?? "").split("\r\n\r\n")[0]?.toLowerCase().split("\r\n") ?? [];
      return lines.map((line) => line.replace(/^date: .*$/, "date")).toSorted();
    };
    const lane = await ask(request("a lane's"));
    // The same entry, so that the length of the answer is the same; a header that lanes do not know.
    expect(await ask(request("a lane's", `${TOKEN}x-other: 1\r\n`))).toEqual(lane);
    socket.destroy();
  });

  it("gets its answers in order, however many requests are sent before the first is answered", async () => {
    const socket = await open();
    const count = 300;
    for (let i = 0; i < count; i += 1) socket.write(request(`ahead ${i}`));
    const found = await answers(socket, count);
    const first = Number(found[0]?.body);
    expect(found).toEqual(Array.from({ length: count }, (_, i) => ({ status: 200, body: String(first + i) })));
    socket.destroy();
  });

  it("goes over to the HTTP server with every byte, wherever its requests are cut", async () => {
    const text = request("cut into two") + request("and another");
    const whole = await open();
    whole.write(text);
    const want = await answers(whole, 2);
    whole.destroy();
    for (let at = 1; at < text.length; at += 7) {
      const socket = await open();
      socket.setNoDelay(true);
      socket.write(text.slice(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(text.slice(at));
      expect([at, await answers(socket, 2)]).toEqual([at, want]);
      socket.destroy();
    }
  });

  it("is refused by the HTTP server, and answered by it from then on", async () => {
    const socket = await open();
    socket.write(request("good"));
    const [good] = await answers(socket, 1);
    socket.write(request("bad", "authorization: Bearer nope\r\n"));
    expect(await answers(socket, 1)).toMatchObject([{ status: 401 }]);
    socket.write(request("good"));
    expect(await answers(socket, 1)).toEqual([good]);
    socket.write(`GET /healthz HTTP/1.1\r\nhost: l\r\n\r\n`);
    expect(await answers(socket, 1)).toMatchObject([{ status: 200, body: '{"status":"ok"}' }]);
    socket.destroy();
  });

  it("ends with its last answer when the sender has ended, and leaves nothing of a part", async () => {
    const socket = await open();
    socket.end(request("the last"));
    expect(await answers(socket, 1)).toMatchObject([{ status: 200 }]);
    await once(socket, "close");
    const part = await open();
    part.end(request("a part", TOKEN, 100));
    await once(part.resume(), "close");
    expect((await (await ledger.post("/add", "the last", SUBMIT)).text()).length).toBeGreaterThan(0);
  });

  it("does not hold up a stop, idle or with a request in work, which is answered", async () => {
    const stopped = await startTestLedger();
    const port = Number(new URL(stopped.url).port);
    const [idle, busy] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
    await Promise.all([once(idle, "connect"), once(busy, "connect")]);
    // A connection that is closed while the other end writes is reset.
    for (const socket of [idle, busy]) socket.on("error", () => undefined);
    idle.write(request("before"));
    expect(await answers(idle, 1)).toMatchObject([{ status: 200 }]);
    const closed = Promise.all([idle, busy].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
    idle.resume();
    const answered = answers(busy, 1);
    busy.write(request("meanwhile"));
    // Genesis, the first and this one: it is in work, or answered, when the stop begins.
    await eventually(async () => ((await sizeOf(stopped)) >= 3 ? true : undefined));
    await removeLedgers([stopped]);
    expect(await answered).toMatchObject([{ status: 200 }]);
    await closed;
  });
});
