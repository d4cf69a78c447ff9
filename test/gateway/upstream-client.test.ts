import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { connect, createServer as createSocketServer, type Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { chunksOf, type HttpAnswer } from "../../gateway/upstream/http-answer.ts";
import { httpFetch } from "../../gateway/upstream/http-client.ts";
import { HttpConnections } from "../../gateway/upstream/http-connections.ts";
import { connectFailure } from "../../gateway/upstream/http-exchange.ts";
import { ServerTls } from "../../gateway/upstream/server-tls.ts";
import { concatAll, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { listenOnLoopback, stopAtOnce } from "../support/loopback.ts";

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
  const port = await listenOnLoopback(server);
  stops.push(() => stopAtOnce(server));
  return { url: `http://127.0.0.1:${port}/mcp`, connections: () => connections };
}

/** A server of bare bytes. */
async function socketServerOf(take: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    take(socket);
  });
  const port = await listenOnLoopback(server);
  stops.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${port}/mcp`;
}

function post(url: string, body = "{}", signal = new AbortController().signal): Promise<HttpAnswer> {
  const headers = { "Content-Type": "application/json", "X-Own": "1" };
  return httpFetch(url, { method: "POST", headers, body: formatUtf8(body), signal });
}

async function textOf(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(answer)) chunks.push(chunk);
  return parseUtf8(concatAll(chunks));
}

/** Asks one server twice, the second time on the kept connection, and closes them. */
async function askTwice(connections: HttpConnections): Promise<void> {
  const { url } = await serverOf((_, response) => response.end("ok"));
  const { signal } = new AbortController();
  for (let i = 0; i < 2; i += 1) {
    expect(await textOf(await connections.fetch(url, { method: "GET", headers: {}, signal }))).toBe("ok");
  }
  connections.close();
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
      expect([answer.status, answer.ok, answer.header("x-none")]).toEqual([200, true, undefined]);
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
      (await post(url)).cancel();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connections()).toBe(1);
  });

  it("does not follow a redirect", async () => {
    const { url } = await serverOf((_, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    const answer = await post(url);
    expect([answer.status, answer.ok]).toEqual([302, false]);
    answer.cancel();
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
    const closed = createSocketServer();
    const port = await listenOnLoopback(closed);
    closed.close();
    await once(closed, "close");
    await expect(post(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it.each(["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "", "nonsense\r\n\r\n"])(
    "rejects what is no answer, and does not wait for one: %j",
    async (reply) => {
      const url = await socketServerOf((socket) => socket.once("data", () => socket.end(reply)));
      await expect(post(url)).rejects.toThrow();
    },
  );

  it.each([
    ["two lengths", "Content-Length: 2\r\nContent-Length: 3"],
    ["a length beside chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked"],
    ["a name before a space", "Content-Length : 2"],
    ["a header that goes on in the next line without a space", "Content-Length: 2\r\nbroken"],
    ["longer headers than Node takes", `X: ${"x".repeat(17_000)}`],
  ])("rejects an answer with %s", async (_, headers) => {
    const url = await socketServerOf((socket) =>
      socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n{}`)),
    );
    await expect(post(url).then(textOf)).rejects.toThrow();
  });

  it("writes its headers as they are given, with host and length, and none that breaks a line", async () => {
    let received = "";
    const url = await socketServerOf((socket) =>
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
        if (received.endsWith("{}")) socket.end("HTTP/1.1 204 No Content\r\n\r\n");
      }),
    );
    const { signal } = new AbortController();
    const headers = { "X-Own": "a\r\nX-Other: b" };
    await expect(httpFetch(url, { method: "POST", headers, body: formatUtf8("{}"), signal })).rejects.toThrow();
    expect((await post(url)).status).toBe(204);
    expect(received).toBe(
      `POST /mcp HTTP/1.1\r\nhost: ${new URL(url).host}\r\nconnection: keep-alive\r\n` +
        "Content-Type: application/json\r\nX-Own: 1\r\ncontent-length: 2\r\n\r\n{}",
    );
  });

  it("is answered by nothing that a server sent before it", async () => {
    let connections = 0;
    const url = await socketServerOf((socket) => {
      connections += 1;
      const answer = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      socket.once("data", () => socket.write(answer(`own ${connections}`) + answer("unasked")));
    });
    expect(await textOf(await post(url))).toBe("own 1");
    expect(await textOf(await post(url))).toBe("own 2");
  });

  it("goes out on a new connection where the server answered the last one without reading it", async () => {
    let connections = 0;
    const url = await socketServerOf((socket) => {
      connections += 1;
      socket.once("data", () => {
        // More than the system holds on both sides stays unread.
        if (connections === 1) socket.pause();
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
      });
    });
    expect(await textOf(await post(url, "x".repeat(64 * 1024 * 1024)))).toBe("{}");
    expect(await textOf(await post(url))).toBe("{}");
    expect(connections).toBe(2);
  });

  it("goes out on a new connection where the server has ended the old one, and is sent once", async () => {
    const requests: string[] = [];
    const ended: Promise<unknown>[] = [];
    const url = await socketServerOf((socket) => {
      ended.push(once(socket, "close"));
      socket.on("data", (chunk) => {
        requests.push(chunk.toString("latin1").slice(-7));
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    for (const n of [1, 2, 3]) {
      expect(await textOf(await post(url, `{"n":${n}}`))).toBe("ok");
      await ended[n - 1];
    }
    expect(requests).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
  });

  it.each(["Keep-Alive: timeout=1", "Connection: close"])(
    "goes out on a new connection where the server keeps the old one for no while: %s",
    async (header) => {
      const { url, connections } = await serverOf((_, response) => {
        const [name = "", value = ""] = header.split(": ");
        response.setHeader(name, value).end("ok");
      });
      for (let i = 0; i < 2; i += 1) expect(await textOf(await post(url))).toBe("ok");
      expect(connections()).toBe(2);
    },
  );

  it("keeps the process while it is under way, and its connection does not", async () => {
    const keeping: string[] = [];
    const connections = new HttpConnections({
      protocol: "http:",
      ready: "connect",
      open: (endpoint) => {
        const socket = connect(endpoint);
        for (const way of ["ref", "unref"] as const) {
          vi.spyOn(socket, way).mockImplementation(() => {
            keeping.push(way);
            return socket;
          });
        }
        return socket;
      },
    });
    await askTwice(connections);
    expect(keeping).toEqual(["ref", "unref", "ref", "unref"]);
  });

  it("goes by a connection whose other end is asked whether it is there, before anything is sent", async () => {
    const done: unknown[] = [];
    const connections = new HttpConnections({
      protocol: "http:",
      ready: "connect",
      open: (endpoint) => {
        const socket = connect(endpoint);
        const setKeepAlive = socket.setKeepAlive.bind(socket);
        vi.spyOn(socket, "setKeepAlive").mockImplementation((isOn, afterMs) => {
          done.push([isOn, afterMs, socket.connecting, socket.bytesWritten]);
          return setKeepAlive(isOn, afterMs);
        });
        return socket;
      },
    });
    await askTwice(connections);
    expect(done).toEqual([[true, 30_000, false, 0]]);
  });

  it("that is aborted before its turn on a kept connection is not sent", async () => {
    let requests = 0;
    const { url, connections } = await serverOf((_, response) => {
      requests += 1;
      response.end("ok");
    });
    expect(await textOf(await post(url))).toBe("ok");
    const stop = new AbortController();
    const aborted = post(url, "{}", stop.signal);
    stop.abort();
    await expect(aborted).rejects.toThrow();
    expect(await textOf(await post(url))).toBe("ok");
    expect([requests, connections()]).toEqual([2, 2]);
  });

  it("is not sent again when the connection breaks before its answer", async () => {
    let requests = 0;
    const { url } = await serverOf((_, response) => {
      requests += 1;
      if (requests === 1) response.end("ok");
      else response.destroy();
    });
    expect(await textOf(await post(url))).toBe("ok");
    await expect(post(url)).rejects.toThrow();
    await expect(post(url)).rejects.toThrow();
    expect(requests).toBe(3);
  });

  it.each(["EHOSTUNREACH", "ENETUNREACH", "ERR_CONNECT_TIMEOUT"])(
    "may have been executed when its connection breaks, whatever the system says of that: %s",
    async (code) => {
      const opened: Socket[] = [];
      const url = await socketServerOf((socket) =>
        socket.once("data", () => opened[0]?.destroy(Object.assign(new Error("broken"), { code }))),
      );
      const connections = new HttpConnections({
        protocol: "http:",
        ready: "connect",
        open: (endpoint) => {
          const socket = connect(endpoint);
          opened.push(socket);
          return socket;
        },
      });
      const { signal } = new AbortController();
      const sent = connections.fetch(url, { method: "POST", headers: {}, body: formatUtf8("{}"), signal });
      const error = await sent.catch((rejected: unknown) => rejected);
      expect(connectFailure(error)).toMatchObject({ effect: "unknown", reason: "upstream.closed" });
    },
  );

  it("takes interim answers for what they are", async () => {
    const url = await socketServerOf((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }),
    );
    const answer = await post(url);
    expect([answer.status, answer.header("link"), await textOf(answer)]).toEqual([200, undefined, "ok"]);
  });

  describe("whose answer nobody has read yet", () => {
    const bytes = randomBytes(2_000_000);
    /** Sends all of it, and says when the client has taken it. */
    const heldServer = async (
      head: string,
      last: (socket: Socket) => void,
    ): Promise<readonly [string, Promise<void>]> => {
      const tell: (() => void)[] = [];
      const closed = new Promise<void>((resolve) => tell.push(resolve));
      const url = await socketServerOf((socket) => {
        socket.once("close", () => tell[0]?.());
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
          socket.write(head.includes("gzip") ? gzipSync(bytes) : bytes, () => last(socket));
        });
      });
      return [url, closed];
    };

    it.each([`Content-Length: ${bytes.length}`, "Connection: close", "Connection: close\r\nContent-Encoding: gzip"])(
      "is whole though the connection has ended: %j",
      async (head) => {
        const [url, closed] = await heldServer(head, (socket) => socket.end());
        const answer = await post(url);
        await closed;
        const chunks: Uint8Array[] = [];
        for await (const chunk of chunksOf(answer)) chunks.push(chunk);
        expect(Buffer.compare(concatAll(chunks), bytes)).toBe(0);
      },
    );

    it.each(["Content-Length: 3000000", "Connection: close", "Connection: close\r\nContent-Encoding: gzip"])(
      "is lost if the connection was reset: %j",
      async (head) => {
        const [url, closed] = await heldServer(head, (socket) => socket.resetAndDestroy());
        const lost = post(url).then(async (answer) => {
          await closed;
          return textOf(answer);
        });
        await expect(lost).rejects.toThrow();
      },
    );
  });

  it("reads an answer in very many pieces", async () => {
    const text = "a".repeat(20_000);
    const url = await socketServerOf((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        socket.write(`${"1\r\na\r\n".repeat(text.length)}0\r\n\r\n`);
      }),
    );
    expect(await textOf(await post(url))).toBe(text);
  });

  it("gives a connection up that is being made when nobody waits for it any more", async () => {
    const arrived: ((socket: Socket) => void)[] = [];
    const arrival = new Promise<Socket>((resolve) => arrived.push(resolve));
    // It never shakes hands.
    const url = await socketServerOf((socket) => {
      socket.resume();
      for (const resolve of arrived) resolve(socket);
    });
    const tls = new ServerTls({}, { logger: { info: () => {}, warn: () => {}, error: () => {} } });
    const stop = new AbortController();
    const init = { method: "POST", headers: {}, body: formatUtf8("{}"), signal: stop.signal };
    const sent = tls.fetch(url.replace("http:", "https:"), init);
    const socket = await arrival;
    stop.abort();
    await expect(sent).rejects.toThrow();
    await once(socket, "close");
    tls.close();
  });

  it("is cut with all others, however many servers were asked since", async () => {
    const cut: string[] = [];
    // Nobody is answered.
    const url = await socketServerOf((socket) => socket.resume());
    const { port } = new URL(url);
    const connections = new HttpConnections({
      protocol: "http:",
      ready: "connect",
      open: (endpoint) => connect({ ...endpoint, host: "127.0.0.1", port: Number(port) }),
    });
    const sent = Array.from({ length: 300 }, (_, i) => {
      const { signal } = new AbortController();
      return connections.fetch(`http://server-${i}.example/mcp`, { method: "GET", headers: {}, signal }).catch(() => {
        cut.push(`server-${i}`);
      });
    });
    connections.close();
    await Promise.all(sent);
    expect(new Set(cut).size).toBe(300);
  });

  it("on a kept connection is cut while it waits for its turn, though its server is forgotten", async () => {
    const { url, connections: count } = await serverOf((_, response) => response.end("ok"));
    const connections = new HttpConnections({
      protocol: "http:",
      ready: "connect",
      open: (endpoint) => connect({ ...endpoint, host: "127.0.0.1", port: Number(new URL(url).port) }),
    });
    const ask = (host: string): Promise<HttpAnswer> => {
      const { signal } = new AbortController();
      return connections.fetch(`http://${host}.example/`, { method: "GET", headers: {}, signal });
    };
    expect(await textOf(await ask("first"))).toBe("ok");
    const waiting = ask("first");
    const others = Array.from({ length: 256 }, (_, i) => ask(`server-${i}`));
    connections.close();
    const ends = await Promise.allSettled([waiting, ...others]);
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect(count()).toBe(1);
  });

  it.each([
    ["204 No Content", "0\r\n\r\n"],
    ["304 Not Modified", "5\r\nhello\r\n0\r\n\r\n"],
  ])(
    "leaves the connection of an answer whose status has no body, and whose head says chunks: %s",
    async (status, body) => {
      const answered: number[] = [];
      const url = await socketServerOf((socket) => {
        answered.push(0);
        const own = answered.length - 1;
        socket.on("data", () => {
          answered[own] = (answered[own] ?? 0) + 1;
          socket.write(`HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n`);
          // What follows comes when the next request may be under way.
          if (answered.length === 2) socket.write(body);
        });
      });
      for (let i = 0; i < 3; i += 1) {
        const answer = await post(url);
        expect([answer.status, await textOf(answer)]).toEqual([Number(status.slice(0, 3)), ""]);
      }
      expect(answered).toEqual([1, 1, 1]);
    },
  );

  it("asks URLs of its own scheme alone", async () => {
    await expect(post("https://127.0.0.1:1/")).rejects.toThrow("want a URL of http:");
  });

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
