/**
 * What an agent says to a server, and a server to an agent, beside what the method is about: in members that nothing of the gateway
 * has a use for, under names that MCP reserves, beside params. It leaves like everything else, so it is looked at like everything else.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { leavesOf } from "../../gateway/flow/leaves.ts";
import { partOfNotification } from "../../gateway/inspection/stream-parts.ts";
import type { InboundCall } from "../../gateway/pipeline/call.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { requestToServer, responseToAgent } from "../../gateway/wire/bridge.ts";
import { META, OUR_META } from "../../gateway/wire/meta-keys.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  outcomeWith,
  readStream,
} from "../support/gateway-run.ts";
import { makeManualWorld } from "../support/manual-world.ts";
import { MODERN_REWRITE } from "../support/modern-rewrite.ts";
import { bundleFiles } from "../support/policy-request.ts";

const SSN = "407-54-1197";
const TOOL = { name: "t", inputSchema: { type: "object", properties: { text: { type: "string" } } } };
const RULES = `@id("all") permit (principal, action, resource);
@id("no-ssn") forbid (principal, action, resource)
when { context has system && context.system has findings && context.system.findings.contains("pii.us_ssn") };`;

let ledger: FakeLedger;
let runsMade = 0;
const benches: GatewayBench[] = [];
const runs: GatewayRun[] = [];
beforeAll(async () => {
  ledger = await startFakeLedger();
});
afterAll(() => ledger.close());
afterEach(async () => {
  for (const run of runs.splice(0)) await run.close();
  for (const bench of benches.splice(0)) bench.remove();
});

async function start(rules: string): Promise<{ readonly bench: GatewayBench; readonly run: GatewayRun }> {
  runsMade += 1;
  const bench = makeGatewayBench(ledger.url, {
    world: makeManualWorld(undefined, `beside ${runsMade}`),
    policyFiles: bundleFiles(rules),
    upstreams: [makeFakeUpstream("s", [TOOL])],
  });
  benches.push(bench);
  const run = await bench.open();
  runs.push(run);
  return { bench, run };
}

function callWith(params: JsonObject, changes: Partial<InboundCall> = {}): InboundCall {
  return callOf("t", {}, { params: { name: "t", arguments: { text: "hello" }, ...params }, ...changes });
}

const COMPLETION = { target: { kind: "completion", name: "test://x/{id}" } } as const;

const PLACES: readonly (readonly [place: string, params: JsonObject, changes?: Partial<InboundCall>])[] = [
  ["a member of params that nobody knows", { note: SSN }],
  ["a member of params of other methods", { cursor: SSN, taskId: SSN }],
  ["the options of a task", { task: { ttl: 1, note: SSN } }],
  [
    "a completion, beside what it is about",
    { ref: { type: "ref/resource", uri: "test://x/{id}", note: SSN } },
    COMPLETION,
  ],
  ["a state with a request about a task", { requestState: SSN }, { target: { kind: "task", name: "1" } }],
  ["_meta, under MCP's prefix", { _meta: { "io.modelcontextprotocol/note": SSN } }],
  ["what the agent's host calls itself", { _meta: { [META.clientInfo]: { name: SSN, version: "1" } } }],
  ["the version of the agent's host", { _meta: { [META.clientInfo]: { name: "host", version: SSN } } }],
  ["declared capabilities", { _meta: { [META.clientCapabilities]: { elicitation: { note: SSN } } } }],
  ["the level of log messages", { _meta: { [META.logLevel]: { note: SSN } } }],
  ["the name of a trace", { _meta: { traceparent: SSN } }],
  ["what goes with a trace", { _meta: { tracestate: `a=${SSN}`, baggage: "a=b" } }],
  ["baggage", { _meta: { baggage: `id=${SSN}` } }],
];

describe("a number that policy keeps from servers", () => {
  it.each(PLACES.map(([place, params, changes = {}]) => [place, params, changes] as const))(
    "is kept from them in %s",
    async (_place, params, changes) => {
      const { bench, run } = await start(RULES);
      expect(await run.pipeline.decide(callWith(params, changes))).toMatchObject({ action: "refuse" });
      const decision = ofKind(await readStream(bench.folder, run.status().stream), "decision").at(-1);
      expect(decision).toMatchObject({ ruling: { policies: ["no-ssn"] }, request_sent: { state: "absent" } });
    },
  );

  it("is found in nothing that the gateway writes itself, or keeps", async () => {
    const { bench, run } = await start(RULES);
    const meta = {
      [META.protocolVersion]: "2026-07-28",
      [META.clientCapabilities]: { elicitation: { form: {} }, extensions: {} },
      [META.clientInfo]: { name: "host", version: "10.20.30.40" },
      [META.logLevel]: "debug",
      [OUR_META.workflow]: SSN,
      progressToken: SSN,
      traceparent: `00-${"4".repeat(32)}-4111111111111111-01`,
    };
    const decided = await run.pipeline.decide(callWith({ requestState: SSN, _meta: meta }));
    expect(decided).toMatchObject({ action: "forward" });
    const decision = ofKind(await readStream(bench.folder, run.status().stream), "decision").at(-1);
    expect(decision && observedValue(decision.inspection)?.findings).toEqual([]);
  });
});

describe("a value of an answer", () => {
  it("is found where an agent sends it to a server beside arguments", async () => {
    const { bench, run } = await start('@id("all") permit (principal, action, resource);');
    const first = await run.pipeline.decide(callWith({}));
    if (first.action !== "forward") throw new Error("want it permitted");
    await run.pipeline.finish(first.ticket, outcomeWith("Diagnosis 4711-0815-xyz"));
    const value = "4711-0815-xyz";
    const argument = { ref: { type: "ref/resource", uri: "test://x/{id}" }, argument: { name: "id", value } };
    for (const call of [
      callWith({ note: value }),
      callWith({ _meta: { baggage: value } }),
      callWith(argument, COMPLETION),
    ]) {
      const decided = await run.pipeline.decide(call);
      if (decided.action === "forward") await run.pipeline.finish(decided.ticket, outcomeWith("done"));
    }
    const all = await readStream(bench.folder, run.status().stream);
    const [given] = ofKind(all, "outcome");
    const items = ofKind(all, "decision").map(({ matches }) => observedValue(matches)?.items);
    const match = { source: given?.seq, pointer: "/params/*", kind: "exact", count: 1 };
    expect(items.slice(1)).toEqual([[match], [match], [match]]);
  });
});

/** Letters of an invisible alphabet, which a rule blocks wherever a server writes them. */
const HIDDEN = String.fromCodePoint(...[..."ignore"].map((letter) => 0xe0000 + (letter.codePointAt(0) ?? 0)));

describe("what stands beside params, result and error", () => {
  it("does not go to a server", () => {
    const text = `{"jsonrpc":"2.0","note":"${SSN}","id":"a","method":"tools/call","params":{"name":"t"},"x":{"y":1}}`;
    const message = readMessage(formatUtf8(text), "ingress", 1_000);
    if (message.type !== "request") throw new Error("want a request");
    const sent = parseUtf8(requestToServer(message, { id: 7, era: "legacy", isLine: false }));
    expect(sent).toBe('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t"}}');
  });

  it("is looked at in an answer", async () => {
    const { run } = await start('@id("all") permit (principal, action, resource);');
    const decided = await run.pipeline.decide(callWith({}));
    if (decided.action !== "forward") throw new Error("want it permitted");
    const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id: 7, note: HIDDEN, result: { content: [] } }));
    const kept = await run.pipeline.finish(decided.ticket, { ...outcomeWith(""), received: bytes, returned: bytes });
    expect(kept.status).toBe("blocked");
  });

  it.each<readonly [string, JsonObject]>([
    ["beside params", { method: "notifications/progress", params: { progressToken: 1, progress: 1 }, note: HIDDEN }],
    ["in a level that is none", { method: "notifications/message", params: { level: HIDDEN, data: "" } }],
    ["in a token that names nothing", { method: "notifications/message", params: { progressToken: HIDDEN, data: "" } }],
    ["in a number that is none", { method: "notifications/progress", params: { progressToken: 1, progress: HIDDEN } }],
  ])("is looked at in what a server says during a call: %s", (_place, members) => {
    const part = partOfNotification(formatUtf8(JSON.stringify({ jsonrpc: "2.0", ...members })));
    expect(leavesOf(part?.value ?? null).map(({ text }) => text)).toContain(HIDDEN);
  });
});

describe("what a server says in the gateway's name", () => {
  const given = (meta: string): string => {
    const text = `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","_meta":${meta},"content":[]}}`;
    return parseUtf8(responseToAgent(text, MODERN_REWRITE));
  };

  it("does not reach the agent, however it is spelled, and what else it says does", () => {
    const own = '"com.example/x":{"countersign/receipt":1}';
    for (const forged of ['"countersign/receipt":"a/1"', '"\\u0063ountersign\\/reason":{}', '"countersign/new":[1]']) {
      for (const meta of [`{${forged},${own}}`, `{${own},${forged}}`])
        expect(given(meta)).toContain(`"_meta":{${own}}`);
      expect(given(`{${forged}}`)).toContain('"_meta":{}');
    }
    expect(given(`{${own}}`)).toContain(`"_meta":{${own}}`);
    expect(given("7")).toContain('"_meta":7');
  });

  it("does not reach an agent of the other era either", () => {
    const text = '{"jsonrpc":"2.0","id":7,"result":{"_meta":{"countersign/receipt":"a/1"},"content":[]}}';
    const bytes = responseToAgent(text, { ...MODERN_REWRITE, serverEra: "legacy" });
    expect(JSON.parse(parseUtf8(bytes))).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: { resultType: "complete", _meta: {}, content: [] },
    });
  });
});
