/** What a server says before its answer brings the labels of the answer: nothing reaches the agent before they bind its session. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { StreamGate, type StreamGateOptions } from "../../gateway/edge/stream-gate.ts";
import { startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { AGENT_TOKEN, callOf, makeGatewayBench, ofKind, outcomeWith, readStream } from "../support/gateway-run.ts";
import { makeManualWorld } from "../support/manual-world.ts";
import { ALICE, httpServer, startTestGateway } from "../support/mcp-gateway.ts";
import { type RawAnswer, sendRaw } from "../support/mcp-raw.ts";
import { answerAsModern, startScriptedServer } from "../support/mcp-scripted.ts";
import { bundleFiles } from "../support/policy-request.ts";

/** Nothing may follow a reading of the clinic into advertising. */
const RULES = `
@id("all") permit (principal, action, resource);
@id("boundary") forbid (principal, action in Mcp::Action::"call_tool", resource)
when { context.system.domain == "advertising" && context.session.taint.contains("phi") };
`;
const CLINIC = { domain: "clinical", labels: ["phi"] };
const ADVERTISING = { domain: "advertising" };

let ledger: FakeLedger;
const open: (() => Promise<void>)[] = [];
beforeAll(async () => {
  ledger = await startFakeLedger();
});
afterAll(() => ledger.close());
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A promise, and what resolves it. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}

let worlds = 0;

async function call(url: string, name: string): Promise<RawAnswer> {
  const params = `{"name":"${name}","arguments":{},"_meta":{"threadId":"one","progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}`;
  return sendRaw(url, {
    headers: {
      Authorization: `Bearer ${AGENT_TOKEN}`,
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": name,
    },
    body: `{"jsonrpc":"2.0","id":"c","method":"tools/call","params":${params}}`,
  });
}

/** A server that says something during a call, and answers once `answer` resolves. */
async function startTalker(answer: Promise<void>): Promise<string> {
  const server = await startScriptedServer((message, response) => {
    if (answerAsModern(message, response)) return;
    const send = (value: object): void =>
      void response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", ...value })}\n\n`);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const progress of [1, 2]) {
      const params = { progressToken: message.id, progress, message: `said ${progress}` };
      send({ method: "notifications/progress", params });
    }
    void answer.then(() => {
      send({ id: message.id, result: { resultType: "complete", content: [] } });
      response.end();
    });
  });
  open.push(server.close);
  return server.url;
}

describe("a call that is made while another one streams", () => {
  it("is decided on the labels of what the agent was told by then", async () => {
    const { promise, resolve } = deferred();
    const [clinic, ads] = [await startTalker(promise), await startTalker(Promise.resolve())];
    const bench = makeGatewayBench(ledger.url, {
      policyFiles: bundleFiles(RULES),
      config: {
        servers: [
          { id: "ehr", url: clinic, data: CLINIC },
          { id: "ads", url: ads, data: ADVERTISING },
        ],
      },
    });
    const { world: _, ...options } = bench.gatewayOptions;
    const gateway = await startGateway(options);
    open.push(async () => {
      await gateway.close();
      bench.remove();
    });
    expect((await call(gateway.url, "ads__t")).body).not.toContain("policy.forbid");
    const reading = call(gateway.url, "ehr__t");
    await expect.poll(async () => (await call(gateway.url, "ads__t")).body).toContain("policy.forbid");
    resolve();
    expect((await reading).body).toContain("said 2");
  });
});

describe("what a server says before its answer", () => {
  async function started(taint = ""): Promise<{
    readonly bench: ReturnType<typeof makeGatewayBench>;
    readonly run: Awaited<ReturnType<ReturnType<typeof makeGatewayBench>["open"]>>;
  }> {
    const bench = makeGatewayBench(ledger.url, {
      policyFiles: bundleFiles(RULES.replace('@id("all")', `@id("all") ${taint}`)),
      upstreams: [
        makeFakeUpstream("ehr", [{ name: "read", inputSchema: { type: "object" } }]),
        makeFakeUpstream("ads", [{ name: "upload", inputSchema: { type: "object" } }]),
      ],
      config: {
        servers: [
          { id: "ehr", url: "http://ehr.example/mcp", data: taint === "" ? CLINIC : {} },
          { id: "ads", url: "http://ads.example/mcp", data: ADVERTISING },
        ],
      },
      world: makeManualWorld(undefined, `stream-labels-${worlds++}`),
    });
    const run = await bench.open();
    open.push(async () => {
      await run.close();
      bench.remove();
    });
    return { bench, run };
  }

  it.each(["", '@taint("phi")'])("brings the labels of its server, or of policy: %s", async (taint) => {
    const { run } = await started(taint);
    const upload = async (): Promise<string> =>
      (await run.pipeline.decide(callOf("upload", {}, { serverId: "ads" }))).action;
    if (taint === "") expect(await upload()).toBe("forward");
    const decided = await run.pipeline.decide(callOf("read", {}, { serverId: "ehr" }));
    if (decided.action !== "forward") throw new Error("want it permitted");
    await run.pipeline.bringLabels(decided.ticket);
    expect(await upload()).toBe("refuse");
  });

  it("stands in the receipts under the call's decision, and stays when the call is broken off", async () => {
    const { bench, run } = await started();
    const decided = await run.pipeline.decide(callOf("read", {}, { serverId: "ehr" }));
    if (decided.action !== "forward") throw new Error("want it permitted");
    await run.pipeline.bringLabels(decided.ticket);
    await run.pipeline.decide(callOf("upload", {}, { serverId: "ads" }));
    const { returned: _, ...cut } = outcomeWith("");
    await run.pipeline.finish(decided.ticket, { ...cut, status: "cancelled", effect: "unknown" });
    const session = { key: "another", source: "mcp-session-id", trust: "authenticated" } as const;
    const later = await run.pipeline.decide(callOf("upload", {}, { serverId: "ads", session }));
    expect(later.action).toBe("refuse");
    const receipts = await readStream(bench.folder, run.status().stream);
    const [read, upload] = ofKind(receipts, "decision");
    const seq = read?.seq;
    expect(read && observedValue(read.taint)).toEqual({ before: [], after: [], sources: [] });
    const held = ["in-clinical", "phi"];
    const sources = held.map((label) => ({ label, seq }));
    expect(upload && observedValue(upload.taint)).toEqual({ before: held, after: held, sources });
    expect(upload && observedValue(upload.edges)).toEqual([
      { source: seq, kind: "order", from: "clinical", to: "advertising" },
    ]);
    const [outcome] = ofKind(receipts, "outcome");
    expect(outcome && observedValue(outcome.taint)).toEqual({ before: held, after: held, sources });
  });

  it("brings nothing of a call that is over, and nothing where nothing is declared", async () => {
    const { run } = await started();
    const decided = await run.pipeline.decide(callOf("read", {}, { serverId: "ehr" }));
    if (decided.action !== "forward") throw new Error("want it permitted");
    const { returned: _, ...late } = outcomeWith("");
    await run.pipeline.finish(decided.ticket, { ...late, status: "timeout", effect: "unknown" });
    expect(run.pipeline.bringLabels(decided.ticket)).toBeUndefined();
  });
});

interface Gated {
  readonly gate: StreamGate;
  readonly got: string[];
  readonly cuts: () => number;
}

function gated(given: Partial<StreamGateOptions>): Gated {
  const got: string[] = [];
  let cuts = 0;
  const gate = new StreamGate({
    notify: (part) => void got.push(Buffer.from(part).toString("utf8")),
    watch: () => undefined,
    bring: () => undefined,
    cut: () => {
      cuts += 1;
    },
    ...given,
  });
  return { gate, got, cuts: () => cuts };
}

function pass(gate: StreamGate, ...texts: readonly string[]): void {
  for (const text of texts) gate.pass(Buffer.from(text));
}

const BLOCKED = { rpcCode: -31005, reason: "inspect.block", policies: [], message: "no" } as const;

describe("the gate of a stream", () => {
  it("lets parts go in their order, and none before what the first brings is durable", async () => {
    const { promise, resolve } = deferred();
    let asked = 0;
    const bring = (): Promise<void> => {
      asked += 1;
      return promise;
    };
    const { gate, got } = gated({ bring });
    pass(gate, "a", "b");
    expect([got, asked]).toEqual([[], 1]);
    const settled = gate.settled();
    resolve();
    await settled;
    expect(got).toEqual(["a", "b"]);
    pass(gate, "c");
    expect([got, asked, gate.settled()]).toEqual([["a", "b", "c"], 1, undefined]);
  });

  it("lets nothing go if it cannot be kept, and ends the call", async () => {
    const { gate, got, cuts } = gated({ bring: () => Promise.reject(new Error("the disk is full")) });
    pass(gate, "a", "b");
    await gate.settled();
    pass(gate, "c");
    expect([got, cuts(), gate.forwarded]).toEqual([[], 1, 0]);
    expect(gate.cut).toMatchObject({ refusal: { rpcCode: -32603, reason: "receipt.unavailable" } });
    expect(Buffer.from(gate.cut?.part ?? []).toString("utf8")).toBe("a");
  });

  it("gives what came before a part that is blocked, and counts it", async () => {
    const { promise, resolve } = deferred();
    const look = (part: Uint8Array) =>
      part[0] === 0x21 ? ({ type: "cut", refusal: BLOCKED } as const) : ({ type: "pass" } as const);
    const { gate, got } = gated({ bring: () => promise, watch: () => ({ isBuffered: false, look }) });
    pass(gate, "a", "!", "b");
    const settled = gate.settled();
    resolve();
    await settled;
    expect([got, gate.forwarded, gate.cut?.refusal.reason]).toEqual([["a"], 1, "inspect.block"]);
  });

  it("lets no more wait than a bound", () => {
    const { gate, cuts } = gated({ bring: () => new Promise(() => undefined) });
    pass(gate, ...Array.from({ length: 1_025 }, () => "x"));
    expect([gate.cut?.refusal.reason, cuts()]).toEqual(["inspect.budget", 1]);
  });

  it("brings nothing while parts wait for the answer, which brings it", () => {
    let asked = 0;
    const bring = (): undefined => {
      asked += 1;
      return undefined;
    };
    const { gate, got } = gated({
      bring,
      watch: () => ({ isBuffered: true, look: () => ({ type: "pass" }) }),
    });
    pass(gate, "a");
    gate.release();
    expect([got, asked]).toEqual([["a"], 0]);
  });
});

describe("the edge", () => {
  const errorIn = (body: string): JsonObject => JSON.parse(body.slice(body.indexOf("{"))).error;

  it("gives nothing of a stream whose labels cannot be kept, and says so in the outcome", async () => {
    const gateway = await startTestGateway([httpServer("s", await startTalker(Promise.resolve()))]);
    open.push(gateway.close);
    gateway.pipeline.bringLabels = () => Promise.reject(new Error("the disk is full"));
    const answer = await sendRaw(gateway.url, {
      headers: {
        Authorization: `Bearer ${ALICE}`,
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "t",
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{},"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}',
    });
    expect(answer.body).not.toContain("said 1");
    expect(errorIn(answer.body)).toMatchObject({ code: -32603, data: { reason: "receipt.unavailable" } });
    const [outcome] = gateway.pipeline.outcomes;
    expect(outcome).toMatchObject({ status: "blocked", effect: "unknown" });
    expect(outcome?.isPartlyGiven).toBeUndefined();
  });
});
