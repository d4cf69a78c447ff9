import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { removeLedgers, SUBMIT, startTestLedger, type TestLedger } from "../support/ledger-service.ts";

describe("POST /add on one connection", () => {
  let ledger: TestLedger;
  let socket: Socket;
  beforeAll(async () => {
    ledger = await startTestLedger();
  });
  afterAll(async () => {
    await removeLedgers([ledger]);
  });

  async function open(): Promise<void> {
    socket = connect(Number(new URL(ledger.url).port), "127.0.0.1");
    await once(socket, "connect");
  }

  /** Sends raw text and reads until a whole answer with a content length is there. */
  async function ask(text: string): Promise<{ status: number; body: string }> {
    socket.write(text);
    let answer = "";
    for (;;) {
      const [chunk]: Buffer[] = await once(socket, "data");
      answer += chunk?.toString() ?? "";
      const end = answer.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? Number.NaN);
      if (end >= 0 && answer.length >= end + 4 + length) {
        return { status: Number(answer.slice(9, 12)), body: answer.slice(end + 4) };
      }
    }
  }

  const add = (body: string, headers: Readonly<Record<string, string>> = SUBMIT, length = body.length): string =>
    `POST /add HTTP/1.1\r\nhost: l\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("")}content-length: ${length}\r\n\r\n${body}`;

  it("takes one entry after the other, and the same index for the same bytes", async () => {
    await open();
    const first = await ask(add("one"));
    const second = await ask(add("two"));
    expect([first.status, second.status]).toEqual([200, 200]);
    expect((await ask(add("one"))).body).toBe(first.body);
    expect(Number(second.body)).toBe(Number(first.body) + 1);
  });

  it("does not take another token because one held before", async () => {
    expect((await ask(add("three", { authorization: "Bearer nope" }))).status).toBe(401);
    await open();
    expect((await ask(add("three"))).status).toBe(200);
    expect((await ask(add("four", {}))).status).toBe(401);
  });

  it("takes bodies that come in pieces, and nothing of one that is cut off", async () => {
    await open();
    const size = (await (await ledger.get("/metadata")).json()) as { size: number };
    socket.write(add("first half, ", SUBMIT, 23));
    const whole = await ask("second half");
    expect(whole.status).toBe(200);
    socket.write(add("only a part", SUBMIT, 100));
    socket.destroy();
    await once(socket, "close");
    await open();
    expect(Number((await ask(add("afterwards"))).body)).toBe(Number(whole.body) + 1);
    expect(Number(whole.body)).toBe(size.size);
  });

  it("gives everything unusual the ordinary answer", async () => {
    await open();
    const chunked = `POST /add HTTP/1.1\r\nhost: l\r\nauthorization: ${SUBMIT["authorization"]}\r\ntransfer-encoding: chunked\r\n\r\n`;
    expect((await ask(`${chunked}5\r\nchunk\r\n0\r\n\r\n`)).status).toBe(200);
    expect((await ask(add(""))).body).toContain("ERR_ENTRY_LENGTH");
    expect((await ask(`GET /add HTTP/1.1\r\nhost: l\r\n\r\n`)).status).toBe(404);
  });
});
