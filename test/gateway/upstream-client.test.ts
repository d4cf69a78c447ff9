import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { type HttpAnswer, httpFetch } from "../../gateway/upstream/http-client.ts";
import { chunksOf } from "../../gateway/upstream/http-exchange.ts";
import { concatAll, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function serverOf(listener: RequestListener): Promise<{ url: string; connections: () => number }> {
  const server = createServer(listener);
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/mcp`, connections: () => connections };
}

function post(url: string, body = "{}", signal = new AbortController().signal): Promise<HttpAnswer> {
  const headers = { "Content-Type": "application/json", "X-Own": "1" };
  return httpFetch(url, { method: "POST", headers, body: formatUtf8(body), redirect: "manual", signal });
}

async function textOf(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(answer)) chunks.push(chunk);
  return parseUtf8(concatAll(chunks));
}

describe("a request to a server", () => {
  it("carries method, headers and body, and keeps its connection for the next one", async () => {
    const { url, connections } = await serverOf((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => {
        const { method, headers } = request;
        response.end(JSON.stringify([method, headers["x-own"], headers["content-length"], body]));
      });
    });
    for (let i = 0; i < 3; i += 1) {
      const answer = await post(url, `{"n":${i}}`);
      expect([answer.status, answer.ok, answer.headers.get("x-none")]).toEqual([200, true, null]);
      expect(await textOf(answer)).toBe(`["POST","1","7","{\\"n\\":${i}}"]`);
    }
    expect(connections()).toBe(1);
  });

  it.each([0, 1, 16_383, 16_384, 16_385, 70_000])("carries every byte of a body of %i", async (length) => {
    const { url } = await serverOf((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => response.end(Buffer.concat(chunks)));
    });
    const body = Uint8Array.from({ length }, (_, i) => (i * 7) % 256);
    const { signal } = new AbortController();
    // A query is a part of the address.
    const answer = await httpFetch(`${url}?a=%C3%A9&b`, {
      method: "POST",
      headers: {},
      body,
      redirect: "manual",
      signal,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(answer)) chunks.push(chunk);
    expect(Buffer.compare(concatAll(chunks), body)).toBe(0);
  });

  it("keeps the connection of an answer whose body nobody wants, if it came whole", async () => {
    const { url, connections } = await serverOf((_, response) =>
      response.writeHead(202, { "content-length": 0 }).end(),
    );
    for (let i = 0; i < 3; i += 1) {
      await (await post(url)).body?.cancel();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connections()).toBe(1);
  });

  it("does not follow a redirect", async () => {
    const { url } = await serverOf((_, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    const answer = await post(url);
    expect([answer.status, answer.ok]).toEqual([302, false]);
    await answer.body?.cancel();
  });

  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ] as const)("reads an answer that a server has compressed unasked: %s", async (encoding, compress) => {
    const { url } = await serverOf((_, response) => {
      response.writeHead(200, { "content-encoding": encoding }).end(compress("x".repeat(100_000)));
    });
    expect(await textOf(await post(url))).toBe("x".repeat(100_000));
  });

  it("reads a long answer slowly without holding all of it, and to its end", async () => {
    const { url } = await serverOf((_, response) => response.end("y".repeat(4_000_000)));
    let length = 0;
    for await (const chunk of chunksOf(await post(url))) {
      length += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(length).toBe(4_000_000);
  });

  it("rejects with the system's code where nothing listens", async () => {
    const closed = createSocketServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, "close");
    await expect(post(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it.each(["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "", "nonsense\r\n\r\n"])(
    "rejects what is no answer, and does not wait for one: %j",
    async (reply) => {
      const server = createSocketServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => socket.end(reply));
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      stops.push(() => server.close());
      const { port } = server.address() as AddressInfo;
      await expect(post(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    },
  );

  it.each(["length", "chunks", "gzip"])("rejects an answer that is cut off, by %s", async (how) => {
    const { url } = await serverOf((_, response) => {
      if (how === "length") response.setHeader("content-length", "100");
      if (how === "gzip") response.setHeader("content-encoding", "gzip");
      response.write(how === "gzip" ? gzipSync("z".repeat(1000)).subarray(0, 20) : "half");
      setImmediate(() => response.destroy());
    });
    await expect(post(url).then(textOf)).rejects.toThrow();
  });

  it("ends when it is aborted: before it is sent, while it waits, while it is read", async () => {
    const { url } = await serverOf((request, response) => {
      if (request.headers["content-length"] === "2") response.write("first");
    });
    await expect(post(url, "{}", AbortSignal.abort())).rejects.toThrow();
    const waiting = new AbortController();
    const sent = post(url, "{ }", waiting.signal);
    waiting.abort();
    await expect(sent).rejects.toThrow();
    const reading = new AbortController();
    const answer = await post(url, "{}", reading.signal);
    const read = textOf(answer);
    reading.abort();
    await expect(read).rejects.toThrow();
  });
});
