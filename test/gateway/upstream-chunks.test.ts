import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { httpFetch } from "../../gateway/upstream/http-client.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { listenOnLoopback } from "../support/loopback.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const WHOLE = Array.from({ length: 40 }, (_, i) => `data: ${i}\n\n`);
const BEGUN = "data: begun";
const REST = " and ended\n\n";

describe("an answer of more chunks than may wait for their reader", () => {
  it("gives them in order, and nothing where its server falls silent inside of one", async () => {
    const connected: Socket[] = [];
    const server = createServer((socket) => {
      connected.push(socket);
      const chunks = WHOLE.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`);
      const begun = `${(BEGUN.length + REST.length).toString(16)}\r\n${BEGUN}`;
      socket.once("data", () => socket.write(HEAD + chunks.join("") + begun));
    });
    const port = await listenOnLoopback(server);
    stops.push(() => {
      server.close();
      for (const socket of connected) socket.destroy();
    });
    const { signal } = new AbortController();
    const request = { method: "POST", headers: {}, body: formatUtf8("{}"), signal } as const;
    const answer = await httpFetch(`http://127.0.0.1:${port}/mcp`, request);
    const next = async (): Promise<string | undefined> => {
      const chunk = await answer.read();
      // Of those there would be no end.
      if (chunk?.length === 0) throw new Error("a chunk with nothing in it");
      return chunk === undefined ? undefined : parseUtf8(chunk);
    };
    let text = "";
    while (!text.endsWith(BEGUN)) text += await next();
    const after = next();
    for (const socket of connected) socket.write(`${REST}\r\n0\r\n\r\n`);
    text += await after;
    for (let rest = await next(); rest !== undefined; rest = await next()) text += rest;
    expect(text).toBe(WHOLE.join("") + BEGUN + REST);
  });
});
