import { PassThrough } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { runStdioEdge } from "../../gateway/edge/stdio-edge.ts";
import type { CatalogReader } from "../../gateway/pipeline/call.ts";
import { httpServer, localCaller, makeWire, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";

let server: CountingServer;
let gateway: TestGateway;

beforeAll(async () => {
  server = await startCountingServer("sessions");
  gateway = await startTestGateway([httpServer("counting", server.url)]);
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});
beforeEach(() => {
  gateway.pipeline.policy = () => undefined;
  for (const list of [gateway.pipeline.calls, gateway.pipeline.refusals]) list.length = 0;
});

function initialize(revision: string): string {
  const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  return JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params });
}

async function session(revision: string): Promise<Record<string, string | undefined>> {
  const { headers } = await sendRaw(gateway.url, { body: initialize(revision) });
  return { "Mcp-Session-Id": headers["mcp-session-id"] };
}

function echo(id: unknown, message: string, name = "echo"): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: { message } } };
}

async function post(headers: Record<string, string | undefined>, batch: unknown): Promise<RawAnswer> {
  return sendRaw(gateway.url, { headers, body: typeof batch === "string" ? batch : JSON.stringify(batch) });
}

interface Answer {
  readonly id?: unknown;
  readonly result?: { readonly isError?: boolean; readonly content?: readonly { readonly text: string }[] };
  readonly error?: { readonly code: number; readonly data: { readonly reason: string } };
}

function answers({ body }: RawAnswer): readonly Answer[] {
  return JSON.parse(body);
}

describe("a batch in a session of 2025-03-26", () => {
  it("is answered in one array, each message decided by itself, with ids as they were", async () => {
    const headers = await session("2025-03-26");
    gateway.pipeline.policy = ({ target }) => (target.name === "remove" ? DENIED : undefined);
    const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 99 } };
    const batch = [
      echo(1, "a"),
      cancelled,
      echo("1", "b"),
      echo(2, "c", "remove"),
      { jsonrpc: "2.0", id: 3, method: "ping" },
    ];
    const answer = await post(headers, batch);
    expect(answer.status).toBe(200);
    expect(answers(answer).map(({ id, result }) => [id, result?.content?.[0]?.text ?? "", result?.isError])).toEqual([
      [1, "a", undefined],
      ["1", "b", undefined],
      [2, expect.stringContaining("Denied"), true],
      [3, "", undefined],
    ]);
    expect(gateway.pipeline.calls.map(({ target }) => target.name)).toEqual(["echo", "echo", "remove"]);
    expect(server.calls.get("remove") ?? 0).toBe(0);
    const [first] = gateway.pipeline.calls;
    expect(JSON.parse(Buffer.from(first?.received ?? []).toString("utf8")).id).toBe(1);
  });

  it("of notifications alone is accepted without a body", async () => {
    const headers = await session("2025-03-26");
    const answer = await post(headers, [{ jsonrpc: "2.0", method: "notifications/initialized" }]);
    expect([answer.status, answer.body]).toEqual([202, ""]);
  });

  it("holds faults to the messages that have them, and neither a batch nor initialize", async () => {
    const headers = await session("2025-03-26");
    const batch = [
      echo(1, "a"),
      { jsonrpc: "1.0", id: 2, method: "ping" },
      [echo(3, "b")],
      JSON.parse(initialize("2025-03-26")),
      7,
    ];
    const found = answers(await post(headers, batch));
    expect(found.map(({ id, error }) => [id, error?.data.reason])).toEqual([
      [1, undefined],
      [undefined, "rpc.version"],
      [undefined, "json.shape"],
      [0, "rpc.shape"],
      [undefined, "json.shape"],
    ]);
    expect(gateway.pipeline.refusals).toHaveLength(4);
  });

  it.each([
    ["empty", "[]", "rpc.shape"],
    [
      "too long",
      JSON.stringify(Array.from({ length: 65 }, (_, i) => ({ jsonrpc: "2.0", id: i, method: "ping" }))),
      "json.members",
    ],
    ["with equal keys in one message", '[{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}]', "json.duplicate-key"],
    ["cut off", '[{"jsonrpc":"2.0","id":1,"method":"ping"}', "json.syntax"],
    ["with something behind it", '[{"jsonrpc":"2.0","id":1,"method":"ping"}] x', "json.syntax"],
  ])("that is %s is refused whole", async (_what, body, reason) => {
    const answer = await post(await session("2025-03-26"), body);
    expect(answer.json?.error?.data.reason).toBe(reason);
    expect(gateway.pipeline.refusals.map((refusal) => refusal.reason)).toEqual([reason]);
  });

  it("is refused in every other revision, without a session, and under a header of another revision", async () => {
    const batch = [{ jsonrpc: "2.0", id: 1, method: "ping" }];
    const older = await session("2025-03-26");
    const cases = [
      await session("2025-06-18"),
      await session("2025-11-25"),
      {},
      { ...older, "MCP-Protocol-Version": "2026-07-28" },
    ];
    for (const headers of cases) {
      const answer = await post(headers, batch);
      expect([answer.status, answer.json?.error?.data.reason]).toEqual([400, "json.shape"]);
    }
  });
});

describe("a fault inside the gateway", () => {
  /** Nothing can be found of one tool. */
  const failingAt = (tool: string, catalog: CatalogReader): CatalogReader => ({
    ...catalog,
    has: (serverId, kind, name) => {
      if (name === tool) throw new Error("a bug");
      return catalog.has(serverId, kind, name);
    },
  });

  it("is answered under the request's own id, and the others of a batch have their answers", async () => {
    const catalog = failingAt("remove", gateway.catalog);
    const failing = await startTestGateway([httpServer("counting", server.url)], { catalog });
    const send = async (headers: Record<string, string | undefined>, body: unknown): Promise<RawAnswer> =>
      sendRaw(failing.url, { headers, body: JSON.stringify(body) });
    for (const revision of ["2025-03-26", "2025-11-25"]) {
      const opened = await sendRaw(failing.url, { body: initialize(revision) });
      const headers = { "Mcp-Session-Id": opened.headers["mcp-session-id"] };
      const alone = await send(headers, echo("own", "a", "remove"));
      expect([alone.status, JSON.parse(alone.body)]).toMatchObject([500, { id: "own", error: { code: -32_603 } }]);
      if (revision !== "2025-03-26") continue;
      const together = await send(headers, [echo(1, "a"), echo("2", "b", "remove"), echo(3, "c")]);
      expect(together.status).toBe(200);
      expect(answers(together).map(({ id, error }) => [id, error?.code])).toEqual([
        [1, undefined],
        ["2", -32_603],
        [3, undefined],
      ]);
    }
    expect(failing.logged).toContainEqual(expect.objectContaining({ message: "a request failed inside the gateway" }));
    await failing.close();
  });

  it("is answered on standard output, too", async () => {
    const wire = await makeWire([httpServer("counting", server.url)], []);
    const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
    const lines: string[] = [];
    output.on("data", (chunk: Buffer) => lines.push(...chunk.toString("utf8").trim().split("\n")));
    const catalog = failingAt("remove", wire.catalog);
    const caller = localCaller("1000");
    const running = runStdioEdge({ ...wire.options, catalog, input, output, caller, signal: stop.signal });
    input.write(`${initialize("2025-11-25")}\n${JSON.stringify(echo("own", "a", "remove"))}\n`);
    await expect.poll(() => lines.map((line) => JSON.parse(line))).toHaveLength(2);
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ id: "own", error: { code: -32_603 } });
    input.end();
    await running;
    await wire.close();
  });
});

describe("a batch on standard input", () => {
  it("is taken after initialize with 2025-03-26 and never else, each answer on a line of its own", async () => {
    const wire = await makeWire([httpServer("counting", server.url)], []);
    const [input, output, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
    let text = "";
    output.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
    });
    const running = runStdioEdge({ ...wire.options, input, output, caller: localCaller("1000"), signal: stop.signal });
    const batch = `${JSON.stringify([echo(1, "a"), JSON.parse(initialize("2025-11-25")), echo(2, "b")])}\n`;
    const ids = (): readonly unknown[] =>
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).id);
    input.write(batch);
    await expect.poll(() => text).toContain("json.shape");
    input.write(`${initialize("2025-03-26")}\n`);
    await expect.poll(() => text).toContain("protocolVersion");
    text = "";
    input.write(batch);
    await expect.poll(() => [...ids()].sort()).toEqual([0, 1, 2]);
    expect(text).toContain("initialize stands in no batch");
    input.end();
    await running;
    await wire.close();
  });
});
