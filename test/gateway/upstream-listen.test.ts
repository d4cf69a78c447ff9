import { afterEach, describe, expect, it } from "vitest";
import { listenMessage, ownRequest, taskListenMessage } from "../../gateway/upstream/own-request.ts";
import { connectUpstream, type Upstream } from "../../gateway/upstream/upstream.ts";
import type { UpstreamConfig } from "../../gateway/upstream/upstream-config.ts";
import { httpServer, upstreamDeps } from "../support/mcp-gateway.ts";
import { type ScriptedMessage, scriptedChild, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";

const SOFTWARE = { name: "test", version: "1" };
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";
const open: { readonly close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const { close } of open.splice(0).reverse()) await close();
});

async function connected(config: UpstreamConfig): Promise<Upstream> {
  const upstream = await connectUpstream(
    config,
    upstreamDeps([], { relistenMs: 5, stopMs: 50, maxMessageBytes: 65_536 }),
  );
  open.push(upstream);
  return upstream;
}

/** Watches a resource; `told` counts. */
async function watch(upstream: Upstream, uri: string): Promise<{ told: () => number; stop: () => void; ok: boolean }> {
  const stop = new AbortController();
  const id = upstream.nextId();
  const isModern = upstream.facts().era === "modern";
  const modern = { ...listenMessage(id, uri, SOFTWARE), signal: stop.signal };
  const legacy = { ...ownRequest(id, "resources/subscribe", { uri }, "legacy", SOFTWARE), signal: stop.signal };
  let count = 0;
  const reply = await upstream.watchResource(isModern ? modern : legacy, uri, () => {
    count += 1;
  });
  const ok = reply.type === "answered" && reply.body["error"] === undefined;
  return { told: () => count, stop: () => stop.abort(), ok };
}

/** An event of a stream, as a server writes it. */
function event(message: object): string {
  return `data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`;
}

function tagged(id: unknown, method: string, params: object = {}): object {
  return { method, params: { ...params, _meta: { [SUBSCRIPTION]: id } } };
}

const MODERN = { supportedVersions: ["2026-07-28"], capabilities: { tools: { listChanged: true }, resources: {} } };

/** A modern server whose streams do as `onListen` says with what was asked. */
async function modernServer(
  onListen: (message: ScriptedMessage, send: (message: object) => void, end: () => void) => void,
  onClosed: (message: ScriptedMessage) => void = () => undefined,
): Promise<Upstream> {
  const server = await startScriptedServer((message, response) => {
    const { id, method } = message;
    if (method === "server/discover") return sendJson(response, { jsonrpc: "2.0", id, result: MODERN });
    if (method !== "subscriptions/listen")
      return sendJson(response, { jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }, 404);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.once("close", () => onClosed(message));
    onListen(
      message,
      (sent) => void response.write(event(sent)),
      () => response.destroy(),
    );
  });
  open.push(server);
  return connected(httpServer("s", server.url));
}

function isListStream({ params }: ScriptedMessage): boolean {
  return JSON.stringify(params?.["notifications"]) === '{"toolsListChanged":true}';
}

describe("a subscription at a modern server", () => {
  it("that breaks is made again under a new id, and what it may have missed is told", async () => {
    const ids: unknown[] = [];
    const upstream = await modernServer((message, send, end) => {
      const { id } = message;
      if (isListStream(message)) return;
      ids.push(id);
      send(
        tagged(id, "notifications/subscriptions/acknowledged", { notifications: { resourceSubscriptions: ["u:1"] } }),
      );
      if (ids.length === 1) setImmediate(end);
    });
    const watched = await watch(upstream, "u:1");
    await expect.poll(watched.told).toBe(1);
    expect(new Set(ids).size).toBe(2);
    watched.stop();
  });

  it.each<readonly [string, (id: unknown) => object]>([
    ["says that it is over", (id) => ({ id, result: {} })],
    ["sends more than a message may be", (id) => tagged(id, "x", { text: "x".repeat(300_000) })],
  ])("leaves no stream open whose server %s and does not close it", async (_, last) => {
    const closed: unknown[] = [];
    const asked: unknown[] = [];
    const upstream = await modernServer(
      (message, send) => {
        const { id } = message;
        if (isListStream(message)) return;
        asked.push(id);
        send(
          tagged(id, "notifications/subscriptions/acknowledged", { notifications: { resourceSubscriptions: ["u:1"] } }),
        );
        if (asked.length < 3) send(last(id));
      },
      ({ id }) => closed.push(id),
    );
    const watched = await watch(upstream, "u:1");
    // The third stream lasts; the two before it were over.
    await expect.poll(() => [asked.length, closed.length], { timeout: 10_000 }).toEqual([3, 2]);
    watched.stop();
  });

  it("counts only what names it, and only its own resource", async () => {
    let say: (message: object) => void = () => undefined;
    let own: unknown;
    const upstream = await modernServer((message, send) => {
      if (isListStream(message)) return;
      [say, own] = [send, message.id];
      send(
        tagged(99_999, "notifications/subscriptions/acknowledged", {
          notifications: { resourceSubscriptions: ["u:1"] },
        }),
      );
      send(
        tagged(own, "notifications/subscriptions/acknowledged", { notifications: { resourceSubscriptions: ["u:1"] } }),
      );
    });
    const watched = await watch(upstream, "u:1");
    say(tagged(99_999, "notifications/resources/updated", { uri: "u:1" }));
    say(tagged(own, "notifications/resources/updated", { uri: "u:2" }));
    say({ method: "notifications/resources/updated", params: { uri: "u:1" } });
    say(tagged(own, "notifications/resources/updated", { uri: "u:1" }));
    await expect.poll(watched.told).toBe(1);
    watched.stop();
  });

  it("is refused if the server takes nothing of it, answers an error, or has no streams, and is not asked for again", async () => {
    let asked = 0;
    const upstream = await modernServer((message, send) => {
      const { id, params } = message;
      if (isListStream(message)) return;
      asked += 1;
      const isEmpty = JSON.stringify(params).includes("u:empty");
      if (isEmpty) send(tagged(id, "notifications/subscriptions/acknowledged", { notifications: {} }));
      else send({ id, error: { code: -32601, message: "no" } });
    });
    expect((await watch(upstream, "u:empty")).ok).toBe(false);
    expect((await watch(upstream, "u:error")).ok).toBe(false);
    expect(asked).toBe(2);
  });

  it("to a task asks behind a break where it is, and what the server says unasked meanwhile is newer than that answer", async () => {
    let streams = 0;
    let say: (status: string) => void = () => undefined;
    const held: (() => void)[] = [];
    const server = await startScriptedServer((message, response) => {
      const { id, method } = message;
      const answer = (result: object): void => sendJson(response, { jsonrpc: "2.0", id, result });
      if (method === "server/discover") return answer({ ...MODERN, capabilities: {} });
      if (method === "tasks/get") {
        held.push(() => answer({ resultType: "complete", taskId: "one", status: "working" }));
        return;
      }
      if (method !== "subscriptions/listen") return answer({});
      streams += 1;
      const send = (sent: object): void => void response.write(event(sent));
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      send(tagged(id, "notifications/subscriptions/acknowledged", { notifications: { taskIds: ["one"] } }));
      say = (status) => send(tagged(id, "notifications/tasks", { taskId: "one", status }));
      if (streams < 3) setImmediate(() => response.destroy());
    });
    open.push(server);
    const upstream = await connected(httpServer("s", server.url));
    const stop = new AbortController();
    const said: unknown[] = [];
    const request = { ...taskListenMessage(upstream.nextId(), "one", SOFTWARE), signal: stop.signal };
    await upstream.watchTask?.(request, "one", ({ value }) => said.push(value["status"]));
    await expect.poll(() => held.length).toBe(2);
    held[1]?.();
    await expect.poll(() => said).toEqual(["working"]);
    say("completed");
    await expect.poll(() => said).toEqual(["working", "completed"]);
    held[0]?.();
    // A request that is answered later than the one that was held.
    await upstream.request(ownRequest(upstream.nextId(), "ping", {}, "modern", SOFTWARE));
    say("cancelled");
    await expect.poll(() => said).toContain("cancelled");
    expect(said).toEqual(["working", "completed", "cancelled"]);
    stop.abort();
  });

  it("to its lists is the gateway's own, told to whoever watches the server, with what a break may have hidden", async () => {
    let streams = 0;
    const lists: unknown[] = [];
    const upstream = await modernServer((message, send, end) => {
      streams += 1;
      const { id } = message;
      send(tagged(id, "notifications/subscriptions/acknowledged", { notifications: { toolsListChanged: true } }));
      if (streams === 1) setTimeout(end, 50).unref();
      else if (streams === 2) setTimeout(() => send(tagged(id, "notifications/tools/list_changed")), 20).unref();
    });
    upstream.watch({ onRefusedRequest: () => undefined, onChanged: (list) => lists.push(list) });
    await expect.poll(() => lists).toEqual([undefined, "tools"]);
  });
});

const TOLD = "notifications/resources/updated";

describe("a subscription at a child that agents share", () => {
  it("that is legacy is the server's until the last agent's ends, and is made again after a restart", async () => {
    const upstream = await connected(
      scriptedChild(
        "s",
        `if (message.method === "resources/subscribe") { subscribed += 1; send({ id: message.id, result: {} }); }
         else if (message.method === "resources/unsubscribe") { subscribed = 0; send({ id: message.id, result: {} }); }
         else if (message.params.name === "die") process.exit(3);
         else { if (subscribed > 0) send({ method: "${TOLD}", params: { uri: "u:1" } });
           send({ id: message.id, result: { subscribed } }); }`,
        "let subscribed = 0;",
      ),
    );
    const call = async (name: string): Promise<unknown> => {
      const id = upstream.nextId();
      const reply = await upstream.request(ownRequest(id, "tools/call", { name }, "legacy", SOFTWARE));
      return reply.type === "answered" ? reply.body["result"] : reply.reason;
    };
    const [first, second] = [await watch(upstream, "u:1"), await watch(upstream, "u:1")];
    expect(await call("t")).toEqual({ subscribed: 2 });
    expect([first.told(), second.told()]).toEqual([1, 1]);
    first.stop();
    expect(await call("t")).toEqual({ subscribed: 2 });
    expect([first.told(), second.told()]).toEqual([1, 2]);
    expect(await call("die")).toBe("upstream.closed");
    // The restart itself is told: something may have been missed.
    await expect.poll(() => call("t")).toEqual({ subscribed: 1 });
    expect(second.told()).toBeGreaterThanOrEqual(4);
    second.stop();
    await expect.poll(() => call("t")).toEqual({ subscribed: 0 });
  });

  it("that is never acknowledged is given up", async () => {
    const program = `require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
        const { id, method } = JSON.parse(line);
        if (method !== "server/discover") return;
        process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result: ${JSON.stringify(MODERN)} }) + "\\n");
      });`;
    const args = ["-c", 'exec "$0" "$@"', process.execPath, "-e", program];
    const config = { transport: "stdio", id: "s", command: "/bin/sh", args, env: {}, attributes: {} } as const;
    const upstream = await connectUpstream(config, upstreamDeps([], { firstByteMs: 50, stopMs: 50 }));
    open.push(upstream);
    expect((await watch(upstream, "u:1")).ok).toBe(false);
  });

  it("that is modern is one for each agent, ended by its cancellation", async () => {
    const program = `
      const send = (value) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...value }) + "\\n");
      const live = new Map();
      const tag = (id) => ({ _meta: { "${SUBSCRIPTION}": id } });
      require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
        const { id, method, params } = JSON.parse(line);
        if (method === "server/discover") return send({ id, result: ${JSON.stringify(MODERN)} });
        if (method === "notifications/cancelled") return live.delete(params.requestId);
        if (method === "subscriptions/listen") {
          live.set(id, params.notifications);
          return send({ method: "notifications/subscriptions/acknowledged", params: { notifications: params.notifications, ...tag(id) } });
        }
        for (const [listener, { toolsListChanged, taskIds }] of live)
          send(taskIds ? { method: "notifications/tasks", params: { taskId: taskIds[0], status: "working", ...tag(listener) } } : toolsListChanged ? { method: "notifications/tools/list_changed", params: tag(listener) }
            : { method: "${TOLD}", params: { uri: "u:1", ...tag(listener) } });
        send({ id, result: { resultType: "complete", live: live.size } });
      });`;
    const args = ["-c", 'exec "$0" "$@"', process.execPath, "-e", program];
    const upstream = await connected({
      transport: "stdio",
      id: "s",
      command: "/bin/sh",
      args,
      env: {},
      attributes: {},
    });
    const lists: unknown[] = [];
    upstream.watch({ onRefusedRequest: () => undefined, onChanged: (list) => lists.push(list) });
    const watched = await watch(upstream, "u:1");
    expect(watched.ok).toBe(true);
    const call = async (): Promise<unknown> => {
      const reply = await upstream.request(ownRequest(upstream.nextId(), "tools/call", {}, "modern", SOFTWARE));
      return reply.type === "answered" ? reply.body["result"] : reply.reason;
    };
    expect(await call()).toEqual({ resultType: "complete", live: 2 });
    expect([watched.told(), lists]).toEqual([1, ["tools"]]);
    watched.stop();
    expect(await call()).toEqual({ resultType: "complete", live: 1 });
    expect(watched.told()).toBe(1);
    const stop = new AbortController();
    const said: string[] = [];
    for (const taskId of ["one", "two"]) {
      const request = { ...taskListenMessage(upstream.nextId(), taskId, SOFTWARE), signal: stop.signal };
      await upstream.watchTask?.(request, taskId, ({ value }) => said.push(String(value["taskId"])));
    }
    expect(await call()).toEqual({ resultType: "complete", live: 3 });
    expect(said).toEqual(["one", "two"]);
    stop.abort();
    expect(await call()).toEqual({ resultType: "complete", live: 1 });
    expect(said).toHaveLength(2);
  });
});
