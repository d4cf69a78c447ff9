import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { childEnvironment } from "../../gateway/upstream/child.ts";
import { findExecutable } from "../../gateway/upstream/executable.ts";
import { LineReader } from "../../gateway/upstream/line-reader.ts";
import {
  connectUpstream,
  type Upstream,
  type UpstreamDeps,
  type UpstreamReply,
  type UpstreamRequest,
} from "../../gateway/upstream/upstream.ts";
import { type UpstreamConfig, upstreamConfigShape } from "../../gateway/upstream/upstream-config.ts";
import { WaitingRequests } from "../../gateway/upstream/waiting-requests.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { readShape } from "../../kernel/shape.ts";
import { codeOf } from "../support/code-of.ts";
import { everythingServer, upstreamDeps } from "../support/mcp-gateway.ts";
import { scriptedChild } from "../support/mcp-scripted.ts";

const open: Upstream[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((upstream) => upstream.close()));
});

async function connected(
  config: UpstreamConfig,
  logged: object[] = [],
  limits: UpstreamDeps["limits"] = {},
): Promise<Upstream> {
  const upstream = await connectUpstream(config, upstreamDeps(logged, limits));
  open.push(upstream);
  return upstream;
}

function call(
  upstream: Upstream,
  name = "t",
  signal = new AbortController().signal,
  args = "{}",
): Promise<UpstreamReply> {
  const id = upstream.nextId();
  const text = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
  return upstream.request({ id, method: "tools/call", headers: {}, bytes: formatUtf8(text), signal });
}

async function resultOf(reply: Promise<UpstreamReply>): Promise<unknown> {
  const found = await reply;
  return found.type === "answered" ? found.body["result"] : [found.status, found.effect, found.reason];
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
}

const ECHO = "send({ id: message.id, result: { got: message.params } });";

describe("a server over stdio", () => {
  it("is the published reference server: measured, listed, called", async () => {
    const upstream = await connected(everythingServer());
    const digest = createHash("sha256").update(readFileSync(process.execPath)).digest("hex");
    expect(upstream.identity).toMatchObject({ kind: "stdio", executable: `sha256:${digest}` });
    expect(upstream.facts()).toMatchObject({ transport: "stdio", era: "legacy", revision: "2025-11-25" });
    const surface = await upstream.listSurface();
    expect(surface.tools.map((text) => JSON.parse(text).name)).toContain("echo");
    expect(surface.prompts.length).toBeGreaterThan(0);
    expect(await resultOf(call(upstream, "echo", undefined, '{"message":"hi"}'))).toEqual({
      content: [{ type: "text", text: "Echo: hi" }],
    });
  });

  it("answers 200 calls at once, each its own", async () => {
    const upstream = await connected(scriptedChild("s", ECHO));
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, i) => resultOf(call(upstream, "t", undefined, String(i)))),
    );
    expect(replies).toEqual(Array.from({ length: 200 }, (_, i) => ({ got: { name: "t", arguments: i } })));
  });

  it("gets a few variables of the environment and its own", async () => {
    const config = scriptedChild("s", "send({ id: message.id, result: { env: process.env } });");
    if (config.transport !== "stdio") throw new Error("want stdio");
    const upstream = await connected({ ...config, env: { OWN: "yes" } });
    const result = JSON.stringify(await resultOf(call(upstream)));
    expect(result).toContain('"OWN":"yes"');
    expect(result).not.toContain("VITEST");
    expect(childEnvironment({ PATH: "/bin", LC_ALL: "C", SECRET: "x", HOME: undefined }, { A: "b" })).toEqual({
      PATH: "/bin",
      LC_ALL: "C",
      A: "b",
    });
  });

  it("ends a call whose answer cannot be trusted, and drops noise", async () => {
    const logged: object[] = [];
    const bad = `
      if (message.params.name === "dup") raw('{"jsonrpc":"2.0","id":' + message.id + ',"result":{"a":1,"a":2}}\\n');
      else if (message.params.name === "long") raw('{"jsonrpc":"2.0","id":' + message.id + ',"result":{"a":"' + "x".repeat(70000) + '"}}\\n');
      else { raw("hello, I am noise\\n"); raw("\\n"); send({ id: 12345, result: {} }); send({ id: message.id, result: {} }); }`;
    const upstream = await connected(scriptedChild("s", bad), logged, { maxMessageBytes: 65_536 });
    expect(await resultOf(call(upstream, "dup"))).toEqual(["upstream_error", "unknown", "json.duplicate-key"]);
    expect(await resultOf(call(upstream, "long"))).toEqual(["upstream_error", "unknown", "json.size"]);
    expect(await resultOf(call(upstream, "fine"))).toEqual({});
    expect(JSON.stringify(logged)).toContain("stdio.noise");
    expect(JSON.stringify(logged)).not.toContain("hello");
  });

  it("ends calls in flight as unknown when it dies, and is started anew for the next", async () => {
    const upstream = await connected(scriptedChild("s", `if (message.params.name === "die") process.exit(3); ${ECHO}`));
    const changed = new Promise<void>((resolve) =>
      upstream.watch({ onChanged: () => resolve(), onRefusedRequest: () => undefined }),
    );
    const both = await Promise.all([resultOf(call(upstream, "die")), resultOf(call(upstream, "die"))]);
    expect(both).toEqual([
      ["upstream_error", "unknown", "upstream.closed"],
      ["upstream_error", "unknown", "upstream.closed"],
    ]);
    expect(await resultOf(call(upstream))).toEqual({ got: { name: "t", arguments: {} } });
    await changed;
  });

  it("is started so many times a minute and no more", async () => {
    const upstream = await connected(scriptedChild("s", "process.exit(3);"), [], { startsPerMinute: 2 });
    expect(await resultOf(call(upstream))).toEqual(["upstream_error", "unknown", "upstream.closed"]);
    expect(await resultOf(call(upstream))).toEqual(["upstream_error", "unknown", "upstream.closed"]);
    expect(await resultOf(call(upstream))).toEqual(["upstream_error", "none", "server.unavailable"]);
  });

  it("is not started again if its executable is another one than was measured", async () => {
    const folder = mkdtempSync(join(tmpdir(), "countersign-wire-"));
    const executable = join(folder, "server.sh");
    writeFileSync(executable, '#!/bin/sh\nexec /bin/sh "$@"\n', { mode: 0o755 });
    const config = scriptedChild("s", "process.exit(3);");
    if (config.transport !== "stdio") throw new Error("want stdio");
    const upstream = await connected({ ...config, command: executable });
    writeFileSync(executable, '#!/bin/sh\n# other\nexec /bin/sh "$@"\n');
    await call(upstream);
    expect(await resultOf(call(upstream))).toEqual(["upstream_error", "none", "server.unavailable"]);
  });

  it("is told when nobody waits any more", async () => {
    const source = `
      if (message.method === "notifications/cancelled") return void (state.cancelled = message.params.requestId);
      if (message.params?.name === "ask") send({ id: message.id, result: state });
      if (message.params?.name === "wait") state.waiting = message.id;`;
    const upstream = await connected(scriptedChild("s", source, "const state = {};"));
    const controller = new AbortController();
    const waiting = resultOf(call(upstream, "wait", controller.signal));
    controller.abort();
    expect(await waiting).toEqual(["cancelled", "unknown", "client.cancelled"]);
    const state = await resultOf(call(upstream, "ask"));
    expect(state).toEqual({ waiting: expect.any(Number), cancelled: expect.any(Number) });
  });

  it("is refused what it asks of agents, answered a ping, and heard on changes", async () => {
    const source = `
      if (message.id === "mine") state.refused = message.error;
      else if (message.id === "ping") state.pong = message.result;
      else if (message.params?.name === "ask") { send({ id: "mine", method: "sampling/createMessage", params: {} }); send({ id: "ping", method: "ping" }); send({ method: "notifications/tools/list_changed" }); send({ id: message.id, result: {} }); }
      else if (message.params?.name === "state") send({ id: message.id, result: state });`;
    const upstream = await connected(scriptedChild("s", source, "const state = {};"));
    const seen: string[] = [];
    upstream.watch({ onChanged: () => seen.push("changed"), onRefusedRequest: (method) => seen.push(method) });
    await call(upstream, "ask");
    expect(await resultOf(call(upstream, "state"))).toEqual({
      refused: { code: -32601, message: expect.any(String), data: { reason: "bridge.unsupported" } },
      pong: {},
    });
    expect(seen).toEqual(["sampling/createMessage", "changed"]);
  });

  it("that hangs on the probe is started again for the legacy handshake", async () => {
    const config = scriptedChild("s", ECHO);
    if (config.transport !== "stdio") throw new Error("want stdio");
    const program = config.args.at(-1) ?? "";
    const hanging = program.replace(
      'if (message.method === "server/discover")',
      'if (message.method === "server/discover") return; if (false)',
    );
    const upstream = await connected({ ...config, args: config.args.with(-1, hanging) }, [], { probeMs: 100 });
    expect(upstream.facts().era).toBe("legacy");
  });

  it("that answers as modern is modern", async () => {
    const config = scriptedChild("s", ECHO);
    if (config.transport !== "stdio") throw new Error("want stdio");
    const program = config.args.at(-1) ?? "";
    const answer =
      '"server/discover": { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }, "tools/list":';
    const upstream = await connected({
      ...config,
      args: config.args.with(-1, program.replace('"tools/list":', answer)),
    });
    expect(upstream.facts()).toMatchObject({ era: "modern", revision: "2026-07-28" });
    expect((await upstream.listSurface()).tools).toHaveLength(1);
  });

  it("that is no MCP server, or is not there, is an error", async () => {
    const config = {
      transport: "stdio",
      id: "s",
      args: ["-e", "console.error('I am broken'); process.exit(1)"],
      env: {},
      attributes: {},
    } as const;
    const failing = connectUpstream({ ...config, command: process.execPath }, upstreamDeps([]));
    await expect(failing).rejects.toMatchObject({
      code: "ERR_UPSTREAM",
      message: expect.stringContaining("I am broken"),
    });
    expect(await rejection(connectUpstream({ ...config, command: "no-such-command-anywhere" }, upstreamDeps([])))).toBe(
      "ERR_UPSTREAM",
    );
  });

  it("and its process group are gone after close, also if it ignores its input and SIGTERM", async () => {
    const stubborn = 'process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1000);';
    const pid = "if (message.params.name) send({ id: message.id, result: { pid: process.pid } });";
    const upstream = await connected(scriptedChild("s", pid, stubborn), [], { stopMs: 50, killMs: 50 });
    const result = await resultOf(call(upstream));
    const found = typeof result === "object" && result !== null && "pid" in result ? Number(result.pid) : 0;
    expect(found).toBeGreaterThan(0);
    await upstream.close();
    expect(() => process.kill(found, 0)).toThrow();
    expect(await resultOf(call(upstream))).toEqual(["upstream_error", "none", "server.unavailable"]);
  });
});

describe("requests that wait", () => {
  const request = (id: number): UpstreamRequest => ({
    id,
    method: "m",
    headers: {},
    bytes: new Uint8Array(),
    signal: new AbortController().signal,
  });

  it.each([
    ["silence", { idleMs: 20, totalMs: 10_000 }],
    ["the whole call", { idleMs: 10_000, totalMs: 20 }],
  ])("end by the limit of %s, and the server is told", async (_what, limits) => {
    const abandoned: number[] = [];
    const waiting = new WaitingRequests(limits);
    const reply = waiting.wait(request(1), () => abandoned.push(1));
    expect(await resultOf(reply)).toEqual(["timeout", "unknown", "upstream.timeout"]);
    expect(abandoned).toEqual([1]);
  });

  it("end all when their channel is gone, and each by its own id", async () => {
    const waiting = new WaitingRequests({ idleMs: 10_000, totalMs: 10_000 });
    const replies = [1, 2, 3].map((id) => waiting.wait(request(id), () => undefined));
    const response = { type: "response", id: 2, text: "", value: { result: { two: true } } } as const;
    expect(waiting.answer(response, new Uint8Array())).toBe(true);
    expect(waiting.answer(response, new Uint8Array())).toBe(false);
    expect(waiting.answer({ ...response, id: "2" }, new Uint8Array())).toBe(false);
    waiting.failAll("upstream.closed");
    const closed = ["upstream_error", "unknown", "upstream.closed"];
    expect(await Promise.all(replies.map(resultOf))).toEqual([closed, { two: true }, closed]);
  });
});

describe("an executable", () => {
  it("is found in PATH, in the first folder that has it, or by its path", async () => {
    const [first, second] = [mkdtempSync(join(tmpdir(), "cs-a-")), mkdtempSync(join(tmpdir(), "cs-b-"))];
    writeFileSync(join(second, "tool"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(join(first, "tool"), "not executable", { mode: 0o644 });
    expect(await findExecutable("tool", `relative:${first}:${second}`, "/")).toBe(join(second, "tool"));
    expect(await findExecutable("./tool", "", second)).toBe(join(second, "tool"));
    copyFileSync(join(second, "tool"), join(first, "other"));
    expect(await rejection(findExecutable("../other", first, "/"))).toBe("ERR_UPSTREAM");
  });
});

describe("lines", () => {
  it("are split the same whatever the chunks, and cut above the bound", () => {
    const text = Buffer.from(`a\n\nbé\n${"x".repeat(2000)}\nc\n`);
    for (const size of [1, 2, 3, 7, 5000]) {
      const lines: string[] = [];
      const reader = new LineReader(1500, {
        onLine: (line) => lines.push(parseUtf8(line)),
        onOversize: (ends) => lines.push(`oversize ${ends.length}`),
      });
      for (let at = 0; at < text.length; at += size) reader.push(text.subarray(at, at + size));
      expect(lines).toEqual(["a", "bé", "oversize 1024", "c"]);
    }
  });
});

describe("a configured server", () => {
  const read = (value: object): UpstreamConfig =>
    readShape(upstreamConfigShape, JSON.parse(JSON.stringify(value)), "config.servers[0]");

  it("is told apart by command and url", () => {
    expect(read({ id: "a", command: "x" })).toEqual({
      transport: "stdio",
      id: "a",
      command: "x",
      args: [],
      env: {},
      attributes: {},
    });
    expect(read({ id: "b", url: "https://x.example/mcp", attributes: { region: "eu" } })).toEqual({
      transport: "http",
      id: "b",
      url: "https://x.example/mcp",
      attributes: { region: "eu" },
    });
  });

  it.each([
    { id: "a" },
    { id: "A", command: "x" },
    { id: "a_b", command: "x" },
    { id: "a", command: "" },
    { id: "a", command: "x", url: "https://x.example/" },
    { id: "a", command: "x", shell: true },
    { id: "a", command: "x", args: ["\0"] },
    { id: "a", command: "x", env: { "A B": "c" } },
    { id: "a", url: "ftp://x.example/" },
    { id: "a", url: "https://user:pass@x.example/" },
    { id: "a", url: "x" },
    { id: "a", url: "https://x.example/", args: [] },
  ])("%j is refused", (value) => {
    expect(codeOf(() => read(value))).toBe("ERR_SHAPE");
  });
});
