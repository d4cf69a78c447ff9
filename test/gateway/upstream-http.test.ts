import { afterEach, describe, expect, it } from "vitest";
import { httpFetch } from "../../gateway/upstream/http-client.ts";
import { postRequest } from "../../gateway/upstream/http-exchange.ts";
import {
  connectUpstream,
  type Upstream,
  type UpstreamDeps,
  type UpstreamLeg,
  type UpstreamReply,
} from "../../gateway/upstream/upstream.ts";
import { DEFAULT_UPSTREAM_LIMITS, type UpstreamLimits } from "../../gateway/upstream/upstream-limits.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import { httpServer, upstreamDeps } from "../support/mcp-gateway.ts";
import {
  answerAsModern,
  type Script,
  type ScriptedServer,
  sendJson,
  sendText,
  startScriptedServer,
} from "../support/mcp-scripted.ts";

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

async function connected(
  script: Script,
  limits: UpstreamDeps["limits"] = {},
): Promise<{ upstream: Upstream; server: ScriptedServer }> {
  const server = await startScriptedServer(script);
  open.push(server);
  const upstream = await connectUpstream(httpServer("s", server.url), upstreamDeps([], limits));
  open.push(upstream);
  return { upstream, server };
}

function call(
  upstream: Upstream,
  signal = new AbortController().signal,
  onProgress?: (text: string) => void,
): Promise<UpstreamReply> {
  const id = upstream.nextId();
  const bytes = formatUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`);
  const headers = { "Mcp-Method": "tools/call", "Mcp-Name": "t" };
  return upstream.request({
    id,
    method: "tools/call",
    headers,
    bytes,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

/** A modern server whose tool calls the test answers. */
function onCall(answer: Script): Script {
  return (message, response, request) => {
    if (!answerAsModern(message, response)) answer(message, response, request);
  };
}

/** Status, effect and reason of a failed reply. */
async function failureOf(reply: Promise<UpstreamReply>): Promise<unknown> {
  const { type, ...rest } = await reply;
  return type === "failed" && "status" in rest ? [rest.status, rest.effect, rest.reason] : type;
}

async function codeOfRejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

describe("the era of a server", () => {
  const legacy: Script = ({ id, method }, response) => {
    if (method === "initialize")
      sendJson(response, {
        jsonrpc: "2.0",
        id,
        result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "l", version: "1" } },
      });
    else if (id === undefined) response.writeHead(202).end();
    else sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } });
  };

  it("is modern if discovery names the modern revision", async () => {
    const { upstream } = await connected(onCall(() => undefined));
    expect(upstream.facts()).toEqual({ transport: "http", era: "modern", revision: "2026-07-28", auth: "none" });
  });

  it("is legacy if discovery is unknown, or answered without the modern revision", async () => {
    expect((await connected(legacy)).upstream.facts()).toMatchObject({ era: "legacy", revision: "2025-06-18" });
    const lists: Script = (message, response, request) => {
      if (message.method !== "server/discover") return legacy(message, response, request);
      sendJson(response, { jsonrpc: "2.0", id: message.id, result: { supportedVersions: ["2025-11-25"] } });
    };
    expect((await connected(lists)).upstream.facts().era).toBe("legacy");
    const refuses: Script = (message, response, request) => {
      if (message.method !== "server/discover") return legacy(message, response, request);
      sendText(response, "no", "text/plain", 404);
    };
    expect((await connected(refuses)).upstream.facts().era).toBe("legacy");
  });

  it.each([401, 403, 429, 500, 503])("is not guessed from %i", async (status) => {
    const server = await startScriptedServer((_message, response) => void response.writeHead(status).end());
    open.push(server);
    expect(await codeOfRejection(connectUpstream(httpServer("s", server.url), upstreamDeps([])))).toBe("ERR_UPSTREAM");
    expect(server.messages.map(({ method }) => method)).toEqual(["server/discover"]);
  });

  it("is refused if no revision of ours is spoken, and if nobody is there", async () => {
    const old: Script = ({ id, method }, response) => {
      if (method === "initialize")
        sendJson(response, { jsonrpc: "2.0", id, result: { protocolVersion: "1999-01-01", capabilities: {} } });
      else sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } });
    };
    expect(await codeOfRejection(connected(old))).toBe("ERR_UPSTREAM");
    const gone = connectUpstream(httpServer("s", "http://127.0.0.1:9/mcp"), upstreamDeps([]));
    expect(await codeOfRejection(gone)).toBe("ERR_UPSTREAM");
  });
});

describe("a request over HTTP", () => {
  it("carries the mirrored headers, and its bytes as they are", async () => {
    const { upstream, server } = await connected(
      onCall(({ id }, response, request) => sendJson(response, { jsonrpc: "2.0", id, result: { h: request.headers } })),
    );
    const reply = await call(upstream);
    if (reply.type !== "answered") throw new Error("want an answer");
    expect(reply.body["result"]).toMatchObject({
      h: {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "t",
        accept: "application/json, text/event-stream",
      },
    });
    expect(server.messages.at(-1)).toEqual({ jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "t" } });
  });

  it("is answered on an event stream, after its progress, whatever the chunks", async () => {
    const { upstream } = await connected(
      onCall(({ id }, response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
        const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${id},"progress":1,"message":"é"}}`;
        const other = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":9}}';
        const log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}';
        const result = `{"jsonrpc":"2.0",\ndata: "id":${id},"result":{}}`;
        const text = `: hello\r\n\r\nid: 1\ndata: ${progress}\n\ndata:${other}\r\n\r\ndata: ${log}\n\nevent: message\ndata: ${result}\n\n`;
        for (const byte of Buffer.from(text)) response.write(Buffer.of(byte));
        response.end();
      }),
    );
    const seen: string[] = [];
    const reply = await call(upstream, undefined, (text) => seen.push(text));
    expect(reply.type).toBe("answered");
    expect(seen.map((text) => JSON.parse(text).params.progress)).toEqual([1]);
  });

  it.each<[string, Script, unknown]>([
    ["a redirect", (_m, r) => void r.writeHead(307, { Location: "http://127.0.0.1:1/" }).end(), "upstream.redirect"],
    ["a status", (_m, r) => void r.writeHead(500).end("no"), "upstream.status"],
    ["another id", (_m, r) => sendJson(r, { jsonrpc: "2.0", id: 99, result: {} }), "upstream.id-unknown"],
    ["another content type", (_m, r) => sendText(r, "hello", "text/html"), "upstream.invalid"],
    ["broken JSON", (_m, r) => sendText(r, "{"), "json.syntax"],
    [
      "equal keys",
      ({ id }, r) => sendText(r, `{"jsonrpc":"2.0","id":${id},"result":{"a":1,"a":2}}`),
      "json.duplicate-key",
    ],
    [
      "a lone surrogate",
      ({ id }, r) => sendText(r, `{"jsonrpc":"2.0","id":${id},"result":{"a":"\\ud800"}}`),
      "json.surrogate",
    ],
    [
      "too long an answer",
      ({ id }, r) => sendJson(r, { jsonrpc: "2.0", id, result: { a: "x".repeat(70_000) } }),
      "json.size",
    ],
    [
      "too long an event",
      ({ id }, r) => sendText(r, `data: {"id":${id},"a":"${"x".repeat(70_000)}`, "text/event-stream"),
      "json.size",
    ],
    ["a stream that ends early", (_m, r) => sendText(r, ": nothing\n\n", "text/event-stream"), "upstream.closed"],
    ["a stream of broken JSON", (_m, r) => sendText(r, "data: {\n\n", "text/event-stream"), "json.syntax"],
    ["a connection that breaks", (_m, r) => r.destroy(), "upstream.closed"],
  ])("fails with unknown effect on %s", async (_what, script, reason) => {
    const { upstream } = await connected(onCall(script), { maxMessageBytes: 65_536 });
    expect(await failureOf(call(upstream))).toEqual(["upstream_error", "unknown", reason]);
  });

  it("keeps the error that a server answers with an HTTP status", async () => {
    const { upstream } = await connected(
      onCall(({ id }, response) =>
        sendJson(response, { jsonrpc: "2.0", id, error: { code: -32602, message: "no" } }, 400),
      ),
    );
    expect((await call(upstream)).type).toBe("answered");
  });

  it("ends by its time limits: to the first byte, of silence, in all", async () => {
    const server = await startScriptedServer((message, response) => {
      // The first is never answered, the others hang behind a comment.
      if (message.id !== 1) response.writeHead(200, { "Content-Type": "text/event-stream" }).write(": hello\n\n");
    });
    open.push(server);
    const post = async (id: number, limits: Partial<UpstreamLimits>): Promise<unknown> => {
      const site = {
        url: server.url,
        fetch: httpFetch,
        limits: { ...DEFAULT_UPSTREAM_LIMITS, ...limits },
        closing: new AbortController().signal,
        onMessage: () => Promise.resolve(),
        resumeHeaders: () => undefined,
      };
      const request = {
        id,
        method: "m",
        headers: {},
        bytes: formatUtf8(`{"id":${id}}`),
        signal: new AbortController().signal,
      };
      return failureOf(postRequest(site, request, {}).then(({ reply }) => reply));
    };
    const late = ["timeout", "unknown", "upstream.timeout"];
    expect(await post(1, { firstByteMs: 30 })).toEqual(late);
    expect(await post(2, { idleMs: 30 })).toEqual(late);
    expect(await post(3, { totalMs: 40 })).toEqual(late);
  });

  it("ends when it is cancelled, and has had no effect if the server could not be reached", async () => {
    const controller = new AbortController();
    const { upstream, server } = await connected(onCall(() => controller.abort()));
    expect(await failureOf(call(upstream, controller.signal))).toEqual(["cancelled", "unknown", "client.cancelled"]);
    await server.close();
    // The first one may still find the old connection.
    await call(upstream);
    expect(await failureOf(call(upstream))).toEqual(["upstream_error", "none", "upstream.connect"]);
  });
});

describe("a legacy session at a server", () => {
  it("is opened anew, once for all, when the server has forgotten it, and the server is told of cancellations", async () => {
    const state = { session: 0, forgotten: "" };
    const cancelled: (() => void)[] = [];
    const told = new Promise<void>((resolve) => cancelled.push(resolve));
    const { upstream, server } = await connected((message, response, request) => {
      const { id, method } = message;
      if (method === "server/discover")
        return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }, 400);
      if (method === "initialize") {
        state.session += 1;
        response.setHeader("Mcp-Session-Id", `s${state.session}`);
        const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "l", version: "1" } };
        return sendJson(response, { jsonrpc: "2.0", id, result });
      }
      if (method === "notifications/cancelled") for (const resolve of cancelled) resolve();
      if (id === undefined) return void response.writeHead(202).end();
      if (request.headers["mcp-session-id"] === state.forgotten) return void response.writeHead(404).end();
      if (message.params?.["name"] !== "wait")
        sendJson(response, { jsonrpc: "2.0", id, result: { session: request.headers["mcp-session-id"] } });
    });
    state.forgotten = "s1";
    const replies = await Promise.all([call(upstream), call(upstream), call(upstream)]);
    expect(replies.map((reply) => (reply.type === "answered" ? reply.body["result"] : reply.reason))).toEqual(
      Array.from({ length: 3 }, () => ({ session: "s2" })),
    );
    const id = upstream.nextId();
    const controller = new AbortController();
    const bytes = formatUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"wait"}}`);
    const waiting = upstream.request({ id, method: "tools/call", headers: {}, bytes, signal: controller.signal });
    controller.abort();
    expect(await failureOf(waiting)).toEqual(["cancelled", "unknown", "client.cancelled"]);
    await told;
    expect(server.messages.at(-1)).toMatchObject({ method: "notifications/cancelled", params: { requestId: id } });
  });
});

describe("a legacy session of an agent that is ended", () => {
  /** A server that takes the handshake of its second session, and then answers nothing that needs no answer. */
  async function opening(): Promise<{ readonly leg: UpstreamLeg; readonly server: ScriptedServer }> {
    let sessions = 0;
    const { upstream, server } = await connected(({ id, method }, response) => {
      if (method === "server/discover")
        return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }, 400);
      if (method === "initialize") {
        sessions += 1;
        const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "l", version: "1" } };
        response.setHeader("Mcp-Session-Id", `s${sessions}`);
        return sendJson(response, { jsonrpc: "2.0", id, result });
      }
      if (id === undefined && sessions < 2) response.writeHead(202).end();
    });
    const leg = upstream.openLeg?.({
      revision: "2025-11-25",
      capabilities: "{}",
      onRequest: () => Promise.resolve(formatUtf8("{}")),
      onNotification: () => undefined,
      onGap: () => undefined,
    });
    if (leg === undefined) throw new Error("want a leg");
    return { leg, server };
  }

  it("waits for no server that takes a notification and does not answer", async () => {
    const { leg, server } = await opening();
    leg.listen();
    const begins = (): number => server.messages.filter(({ method }) => method === "notifications/initialized").length;
    await expect.poll(begins).toBe(2);
    const begun = performance.now();
    await leg.close();
    expect(performance.now() - begun).toBeLessThan(DEFAULT_UPSTREAM_LIMITS.firstByteMs / 2);
  });

  it("tells its server nothing more", async () => {
    const { leg, server } = await opening();
    await leg.close();
    const before = server.messages.length;
    await leg.notify(formatUtf8('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'));
    expect(server.messages.length).toBe(before);
  });
});

describe("a surface", () => {
  const pages = (next: (page: number) => string | undefined, definition: object = { name: "t" }): Script => {
    let page = 0;
    return (message, response) => {
      if (message.method !== "tools/list") return void answerAsModern(message, response);
      page += 1;
      const tools = [{ ...definition, n: page }];
      sendJson(response, { jsonrpc: "2.0", id: message.id, result: { tools, nextCursor: next(page) } });
    };
  };

  it("is listed over all pages, in the bytes of the server", async () => {
    const { upstream, server } = await connected(pages((page) => (page < 3 ? `c${page}` : undefined)));
    expect((await upstream.listSurface()).tools).toEqual([
      '{"name":"t","n":1}',
      '{"name":"t","n":2}',
      '{"name":"t","n":3}',
    ]);
    expect(server.messages.map(({ params }) => params?.["cursor"]).slice(-3)).toEqual([undefined, "c1", "c2"]);
  });

  it("is refused on a cursor that comes twice, on too many pages, and above the bounds", async () => {
    const codeOf = async (script: Script, limits: UpstreamDeps["limits"]): Promise<unknown> =>
      codeOfRejection((await connected(script, limits)).upstream.listSurface());
    expect(
      await codeOf(
        pages(() => "again"),
        {},
      ),
    ).toBe("ERR_UPSTREAM_SURFACE");
    expect(
      await codeOf(
        pages((page) => `c${page}`),
        { maxPages: 5 },
      ),
    ).toBe("ERR_UPSTREAM_SURFACE");
    expect(
      await codeOf(
        pages((page) => `c${page}`),
        { maxDefinitions: 5 },
      ),
    ).toBe("ERR_UPSTREAM_SURFACE");
    const long = pages(() => undefined, { name: "t", description: "x".repeat(200) });
    expect(await codeOf(long, { maxDefinitionBytes: 200 })).toBe("ERR_UPSTREAM_SURFACE");
  });

  it("is refused above a bound of all its definitions together, of its cursors, and of the time that its pages take", async () => {
    const bound = { maxSurfaceLength: 1_000 };
    const listed = async (script: Script, limits: UpstreamDeps["limits"]): Promise<unknown> => {
      const { upstream } = await connected(script, limits);
      return upstream.listSurface().then(
        ({ tools }) => tools.length,
        (error: unknown) => errorCode(error),
      );
    };
    const three = (page: number): string | undefined => (page < 3 ? `c${page}` : undefined);
    expect(await listed(pages(three, { name: "t", description: "x".repeat(290) }), bound)).toBe(3);
    expect(await listed(pages(three, { name: "t", description: "x".repeat(330) }), bound)).toBe("ERR_UPSTREAM_SURFACE");
    const longCursors = pages((page) => (page < 3 ? String(page).repeat(500) : undefined));
    expect(await listed(longCursors, bound)).toBe("ERR_UPSTREAM_SURFACE");
    const slow = pages((page) => `c${page}`);
    const slowly: Script = (message, response, request) => void setTimeout(slow, 30, message, response, request);
    expect(await listed(slowly, { totalMs: 1_000, maxPages: 1_000_000 })).toBe("ERR_UPSTREAM_SURFACE");
  });
});
