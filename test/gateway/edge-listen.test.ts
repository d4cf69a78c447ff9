import { Client, type McpSubscription, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, describe, expect, it } from "vitest";
import type { HttpEdgeOptions } from "../../gateway/edge/http-edge.ts";
import type { CancelSignal } from "../../gateway/upstream/cancellation.ts";
import type { Upstream, UpstreamRequest } from "../../gateway/upstream/upstream.ts";
import { type FixtureEras, type FixtureServer, startFixtureServer } from "../conformance/fixture-server.ts";
import { ALICE, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { DENIED } from "../support/mcp-pipeline.ts";
import { sendRaw } from "../support/mcp-raw.ts";

const WATCHED = "test://watched-resource";
const headers = { Authorization: `Bearer ${ALICE}` };
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(
  eras: FixtureEras,
  more: Partial<HttpEdgeOptions> = {},
): Promise<{ server: FixtureServer; gateway: TestGateway }> {
  const server = await startFixtureServer(eras);
  open.push(server.close);
  const gateway = await startTestGateway([httpServer("s", server.url)], more);
  open.push(gateway.close);
  return { server, gateway };
}

/** An agent that notes what it is told. */
async function agent(url: string, era: "modern" | "legacy"): Promise<{ client: Client; told: string[] }> {
  const modern = { versionNegotiation: { mode: "auto" } } as const;
  const client = new Client({ name: "agent", version: "1" }, era === "modern" ? modern : {});
  const told: string[] = [];
  client.setNotificationHandler("notifications/tools/list_changed", () => void told.push("tools"));
  client.setNotificationHandler("notifications/prompts/list_changed", () => void told.push("prompts"));
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void told.push(params.uri));
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
  open.push(() => client.close());
  return { client, told };
}

function listen(client: Client, filter: Parameters<Client["listen"]>[0]): Promise<McpSubscription> {
  return client.listen(filter);
}

describe.each(["modern", "legacy"] as const)("a modern agent of a %s server", (era) => {
  it("is told what it listens for and nothing else, each under a decision whose outcome is the stream's end", async () => {
    const { server, gateway } = await start(era);
    const { client, told } = await agent(gateway.url, "modern");
    expect(client.getServerCapabilities()).toMatchObject({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
    });
    const filter = { toolsListChanged: true, resourceSubscriptions: [WATCHED] };
    const subscription = await listen(client, filter);
    expect(subscription.honoredFilter).toEqual(filter);
    // The gateway's own stream at the server is there some time behind its start.
    await expect
      .poll(async () => {
        await client.callTool({ name: "test_trigger_prompt_change", arguments: {} });
        await client.callTool({ name: "test_trigger_tool_change", arguments: {} });
        server.touchWatched();
        return [...new Set(told)].sort();
      })
      .toEqual([WATCHED, "tools"]);
    const { calls, outcomes } = gateway.pipeline;
    const subscribed = calls.filter(({ target }) => target.kind === "subscribe");
    expect(subscribed.map(({ target, isAnsweredHere }) => [target.name, isAnsweredHere]).sort()).toEqual([
      ["", true],
      [WATCHED, undefined],
    ]);
    const before = outcomes.length;
    await subscription.close();
    await expect.poll(() => outcomes.length).toBe(before + 2);
    expect(outcomes.slice(before).map(({ status, effect }) => [status, effect])).toEqual([
      ["ok", "done"],
      ["ok", "done"],
    ]);
    // The gateway's own, and that of this agent's calls.
    await expect.poll(server.sessions).toBe(era === "legacy" ? 2 : 0);
  });

  it("is acknowledged only what exists, is announced and is permitted", async () => {
    const { gateway } = await start(era);
    gateway.pipeline.policy = ({ target }) => (target.name === WATCHED ? DENIED : undefined);
    const { client } = await agent(gateway.url, "modern");
    const subscription = await listen(client, {
      promptsListChanged: true,
      resourceSubscriptions: [WATCHED, "countersign://other/test"],
    });
    expect(subscription.honoredFilter).toEqual({ promptsListChanged: true });
    expect(gateway.pipeline.refusals.map(({ step, reason }) => [step, reason])).toEqual([
      ["route", "resource.unknown"],
    ]);
    gateway.pipeline.policy = () => DENIED;
    expect((await listen(client, { toolsListChanged: true })).honoredFilter).toEqual({});
  });
});

describe("a stream of one who listens", () => {
  it("ends with its result when the gateway stops", async () => {
    const { gateway } = await start("modern");
    const { client } = await agent(gateway.url, "modern");
    const subscription = await listen(client, { toolsListChanged: true });
    await gateway.close();
    expect(await subscription.closed).toBe("graceful");
    const [outcome] = gateway.pipeline.outcomes;
    expect(JSON.parse(Buffer.from(outcome?.returned ?? []).toString("utf8")).result.resultType).toBe("complete");
  });

  it("ends when the credential does", async () => {
    const facts = { kind: "agent", groups: [], roles: [], scopes: [], actors: [], binding: "none" } as const;
    const caller = { issuer: "local", name: "c", provenance: "connection-credential", outcome: "verified" } as const;
    const token = "c-token-0123456789-0123456789abcd";
    const ending = { ...caller, facts: { ...facts, expiresAtMs: Date.now() + 300 } };
    const { gateway } = await start("modern", { tokens: [{ token, caller: ending }] });
    const body = listenBody('{"toolsListChanged":true}');
    const answer = await sendRaw(gateway.url, { body, headers: { ...LISTEN, Authorization: `Bearer ${token}` } });
    expect(answer.body).toContain("notifications/subscriptions/acknowledged");
    expect(answer.body).toContain('"resultType":"complete"');
  });

  it("is bounded for each caller, and is told its fault", async () => {
    const { gateway } = await start("modern", { limits: { maxListensPerCaller: 2 } });
    const { client } = await agent(gateway.url, "modern");
    await listen(client, { toolsListChanged: true });
    await listen(client, { toolsListChanged: true });
    await expect(listen(client, { toolsListChanged: true })).rejects.toThrow();
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({
      reason: "limit.listen-streams",
      accounting: { limit: "listen-streams-principal", budget: 2 },
    });
    const wrong = ["[]", '{"toolsListChanged":1}', '{"resourceSubscriptions":[1]}', tooMany(), "null"];
    for (const filter of wrong) {
      const answer = await sendRaw(gateway.url, { body: listenBody(filter), headers: LISTEN });
      expect([answer.json?.error?.code, answer.json?.error?.data.reason]).toEqual([-31006, "limit.listen-streams"]);
    }
    await client.close();
    await expect
      .poll(async () => {
        const answers = wrong.map((filter) => sendRaw(gateway.url, { body: listenBody(filter), headers: LISTEN }));
        return (await Promise.all(answers)).map(({ json }) => json?.error?.code);
      })
      .toContain(-32602);
    for (const filter of wrong) {
      const answer = await sendRaw(gateway.url, { body: listenBody(filter), headers: LISTEN });
      expect([answer.json?.error?.code, answer.json?.error?.data.reason]).toEqual([-32602, "rpc.shape"]);
    }
  });

  it("is not flooded: what is said a thousand times at once is told twice, or a few times where it comes slowly", async () => {
    const { server, gateway } = await start("modern");
    const { client, told } = await agent(gateway.url, "modern");
    await listen(client, { resourceSubscriptions: [WATCHED] });
    for (let i = 0; i < 1000; i += 1) server.touchWatched();
    await expect.poll(() => told.length).toBeGreaterThanOrEqual(2);
    await client.callTool({ name: "test_simple_text", arguments: {} });
    expect(told.length).toBeLessThan(10);
    expect(new Set(told)).toEqual(new Set([WATCHED]));
  });
});

describe("a stream of one who listens, when rules change", () => {
  it("is decided anew: what still stands goes on under another decision, and nothing is sent for it again", async () => {
    const { server, gateway } = await start("modern");
    const { client, told } = await agent(gateway.url, "modern");
    const subscription = await listen(client, { toolsListChanged: true, resourceSubscriptions: [WATCHED] });
    const { calls, outcomes } = gateway.pipeline;
    expect(calls).toHaveLength(2);
    gateway.rules.tell();
    await expect.poll(() => outcomes.length).toBe(2);
    expect(
      calls
        .slice(2)
        .map(({ target, isAnsweredHere }) => [target.name, isAnsweredHere])
        .sort(),
    ).toEqual([
      ["", true],
      [WATCHED, true],
    ]);
    server.touchWatched();
    await expect.poll(() => told).toEqual([WATCHED]);
    await subscription.close();
    await expect.poll(() => outcomes.length).toBe(4);
  });

  it("tells nothing from the change on, and ends with its result when something is not permitted any more", async () => {
    const { server, gateway } = await start("modern");
    const { client, told } = await agent(gateway.url, "modern");
    const subscription = await listen(client, { toolsListChanged: true, resourceSubscriptions: [WATCHED] });
    gateway.pipeline.policy = ({ target }) => (target.name === WATCHED ? DENIED : undefined);
    gateway.rules.tell();
    server.touchWatched();
    expect(await subscription.closed).toBe("graceful");
    expect(told).toEqual([]);
    expect((await listen(client, { toolsListChanged: true, resourceSubscriptions: [WATCHED] })).honoredFilter).toEqual({
      toolsListChanged: true,
    });
  });

  it("is left alone by a change that is about other calls, and ends once by many that are about it", async () => {
    const { gateway } = await start("modern");
    const { client } = await agent(gateway.url, "modern");
    const subscription = await listen(client, { toolsListChanged: true });
    gateway.rules.tell(({ serverId }) => serverId === "another");
    const { calls, outcomes } = gateway.pipeline;
    await client.callTool({ name: "test_simple_text", arguments: {} });
    expect(calls.filter(({ target }) => target.kind === "subscribe")).toHaveLength(1);
    gateway.pipeline.policy = ({ target }) => (target.kind === "subscribe" ? DENIED : undefined);
    for (let i = 0; i < 1000; i += 1) gateway.rules.tell();
    expect(await subscription.closed).toBe("graceful");
    await expect.poll(() => outcomes.length).toBe(2);
    expect(calls.filter(({ target }) => target.kind === "subscribe")).toHaveLength(2);
  });

  it("ends with a fault if no receipt of the new decision can be kept", async () => {
    const { gateway } = await start("modern");
    const body = listenBody('{"toolsListChanged":true}');
    const answer = sendRaw(gateway.url, { body, headers: LISTEN });
    await expect.poll(() => gateway.pipeline.calls.length).toBe(1);
    gateway.pipeline.decideFails = true;
    gateway.rules.tell();
    expect((await answer).body).toContain('"reason":"receipt.unavailable"');
  });

  it("has every outcome, and its server is not asked on, where a server cannot be asked for a fault", async () => {
    const { server, gateway } = await start("modern");
    const { client, told } = await agent(gateway.url, "modern");
    const upstream = gateway.upstreams.get("s");
    if (upstream === undefined) throw new Error("no server");
    const fault = async (): Promise<never> => {
      throw new TypeError("a fault of the gateway's");
    };
    const { watchResource } = upstream;
    Object.assign(upstream, { watchResource: fault });
    const subscription = await listen(client, { toolsListChanged: true, resourceSubscriptions: [WATCHED] });
    expect(subscription.honoredFilter).toEqual({ toolsListChanged: true });
    Object.assign(upstream, { watchResource });
    server.touchWatched();
    await subscription.close();
    const { outcomes } = gateway.pipeline;
    await expect
      .poll(() => outcomes.map(({ status, effect }) => [status, effect]).sort())
      .toEqual([
        ["ok", "done"],
        ["upstream_error", "unknown"],
      ]);
    expect(told).toEqual([]);
  });

  it("has every outcome where it ends by a fault, and is told that it failed", async () => {
    const { gateway } = await start("modern");
    const { rules, pipeline } = gateway;
    Object.assign(rules, {
      watch: (): never => {
        throw new TypeError("a fault of the gateway's");
      },
    });
    const body = listenBody(`{"toolsListChanged":true,"resourceSubscriptions":["${WATCHED}"]}`);
    expect((await sendRaw(gateway.url, { body, headers: LISTEN })).body).toContain('"reason":"receipt.unavailable"');
    expect(pipeline.outcomes.map(({ status }) => status)).toEqual(["ok", "ok"]);
  });

  it("is decided anew if they changed while it was decided", async () => {
    const { gateway } = await start("modern");
    const { client } = await agent(gateway.url, "modern");
    gateway.pipeline.policy = (call) => {
      gateway.pipeline.policy = () => DENIED;
      gateway.rules.tell();
      return call.target.kind === "subscribe" ? undefined : DENIED;
    };
    const subscription = await listen(client, { toolsListChanged: true });
    expect(await subscription.closed).toBe("graceful");
  });
});

describe("a legacy agent", () => {
  it("of a modern server subscribes by a stream at the server, which ends with its unsubscription", async () => {
    const { server, gateway } = await start("modern");
    const { client, told } = await agent(gateway.url, "legacy");
    await client.subscribeResource({ uri: WATCHED });
    server.touchWatched();
    await expect.poll(() => told).toContain(WATCHED);
    const sent = gateway.pipeline.calls.map(({ toSend, isAnsweredHere }) => [
      JSON.parse(Buffer.from(toSend).toString("utf8")).method,
      isAnsweredHere,
    ]);
    expect(sent).toEqual([["subscriptions/listen", undefined]]);
    await client.unsubscribeResource({ uri: WATCHED });
    expect(gateway.pipeline.calls.at(-1)?.isAnsweredHere).toBe(true);
    const before = told.length;
    server.touchWatched();
    await client.callTool({ name: "test_simple_text", arguments: {} });
    expect(told).toHaveLength(before);
  });

  it.each(["modern", "legacy"] as const)(
    "of a %s server is told of a change under other rules only if those permit it, and no more once they do not",
    async (era) => {
      const { server, gateway } = await start(era);
      const { client, told } = await agent(gateway.url, "legacy");
      await client.subscribeResource({ uri: WATCHED });
      // The stream of a legacy server is there some time behind the handshake.
      await expect
        .poll(() => {
          server.touchWatched();
          return told.length;
        })
        .toBeGreaterThan(0);
      const subscribes = (): number =>
        gateway.pipeline.calls.filter(({ target }) => target.kind === "subscribe").length;
      expect(subscribes()).toBe(1);
      gateway.rules.tell();
      await expect
        .poll(() => {
          server.touchWatched();
          return subscribes();
        })
        .toBe(2);
      expect(gateway.pipeline.calls.at(-1)?.isAnsweredHere).toBe(true);
      gateway.pipeline.policy = ({ target }) => (target.kind === "subscribe" ? DENIED : undefined);
      gateway.rules.tell();
      await expect
        .poll(() => {
          server.touchWatched();
          return subscribes();
        })
        .toBe(3);
      gateway.pipeline.policy = () => undefined;
      gateway.rules.tell();
      server.touchWatched();
      await client.callTool({ name: "test_simple_text", arguments: {} });
      // It is over, and not decided again: the agent may subscribe anew.
      expect(subscribes()).toBe(3);
      await client.subscribeResource({ uri: WATCHED });
      expect(subscribes()).toBe(4);
    },
  );

  it.each([
    ["modern", "cannot be kept"],
    ["modern", "is a refusal"],
    ["modern", "is a fault"],
    ["legacy", "cannot be kept"],
    ["legacy", "is a refusal"],
    ["legacy", "is a fault"],
  ] as const)("of a %s server has no subscription whose outcome %s, there or here", async (era, how) => {
    const { server, gateway } = await start(era);
    const seen = spyOn(gateway);
    const { client, told } = await agent(gateway.url, "legacy");
    const { pipeline } = gateway;
    const { finish } = pipeline;
    if (how === "cannot be kept") pipeline.finishFails = true;
    const refuses: typeof finish = async (ticket, outcome) => {
      const { returned: _, ...kept } = await finish(ticket, outcome);
      return { ...kept, status: "blocked", refusal: DENIED };
    };
    const fault = (): never => {
      throw new TypeError("a fault of the gateway's");
    };
    if (how !== "cannot be kept") Object.assign(pipeline, { finish: how === "is a fault" ? fault : refuses });
    await expect(client.subscribeResource({ uri: WATCHED })).rejects.toThrow();
    if (era === "modern") await expect.poll(() => seen.watched.map(({ aborted }) => aborted)).toEqual([true]);
    else await expect.poll(() => seen.asked.at(-1)).toBe("resources/unsubscribe");
    Object.assign(pipeline, { finish, finishFails: false });
    server.touchWatched();
    await client.callTool({ name: "test_simple_text", arguments: {} });
    expect(told).toEqual([]);
  });

  it.each(["modern", "legacy"] as const)("of a %s server is told of changes of lists", async (era) => {
    const { gateway } = await start(era);
    const { client, told } = await agent(gateway.url, "legacy");
    await expect
      .poll(async () => {
        await client.callTool({ name: "test_trigger_prompt_change", arguments: {} });
        return told;
      })
      .toContain("prompts");
    expect(told).not.toContain("tools");
  });
});

/** What the gateway asks the server for an agent that comes from now on. */
function spyOn({ upstreams }: TestGateway): { readonly asked: string[]; readonly watched: CancelSignal[] } {
  const upstream = upstreams.get("s");
  if (upstream === undefined) throw new Error("no server");
  const { openLeg, watchResource } = upstream;
  const [asked, watched]: [string[], CancelSignal[]] = [[], []];
  const spied: Pick<Upstream, "openLeg" | "watchResource"> = {
    openLeg: (side) => {
      const leg = openLeg?.(side);
      if (leg === undefined) return undefined;
      const { request } = leg;
      return Object.assign(leg, {
        request: (sent: UpstreamRequest) => {
          asked.push(sent.method);
          return request.call(leg, sent);
        },
      });
    },
    watchResource: (request, uri, onUpdated) => {
      watched.push(request.signal);
      return watchResource(request, uri, onUpdated);
    },
  };
  Object.assign(upstream, spied);
  return { asked, watched };
}

const LISTEN = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen" };

function listenBody(filter: string): string {
  const claims =
    '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}';
  return `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"_meta":{${claims}},"notifications":${filter}}}`;
}

function tooMany(): string {
  return JSON.stringify({ resourceSubscriptions: Array.from({ length: 33 }, (_, i) => `test://${i}`) });
}
