/** Labels and value matches through the pipeline: what policy sees, what receipts say, what an agent cannot shake off. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Caller, InboundCall, SessionKey } from "../../gateway/pipeline/call.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  SESSION,
} from "../support/gateway-run.ts";
import { makeManualWorld } from "../support/manual-world.ts";
import { bundleFiles } from "../support/policy-request.ts";

const READ = { name: "read", inputSchema: { type: "object", properties: { id: { type: "string" } } } };
const UPLOAD = { name: "upload", inputSchema: { type: "object", properties: { text: { type: "string" } } } };

/** Everything of the two servers is permitted, but nothing may follow a reading of the clinic into advertising. */
const RULES = `
@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);
@id("boundary") @reason("Data of the clinic does not go to advertising.")
forbid (principal, action in Mcp::Action::"call_tool", resource)
when { context.system.domain == "advertising" && context.session.domains.contains("clinical") };
`;

const CALL_AD: Partial<InboundCall> = { serverId: "ads" };
const CALL_EHR: Partial<InboundCall> = { serverId: "ehr" };

let ledger: FakeLedger;
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

function makeBench(rules: string, options: BenchOptions = {}): GatewayBench {
  const bench = makeGatewayBench(ledger.url, {
    policyFiles: bundleFiles(rules),
    upstreams: [makeFakeUpstream("ehr", [READ]), makeFakeUpstream("ads", [UPLOAD])],
    config: { servers: SERVERS },
    world: makeManualWorld(undefined, `flow-${worlds++}`),
    ...options,
  });
  benches.push(bench);
  return bench;
}

let worlds = 0;

const SERVERS = [
  { id: "ehr", url: "http://ehr.example/mcp", data: { domain: "clinical", labels: ["phi"], subjects: ["/id"] } },
  {
    id: "ads",
    url: "http://ads.example/mcp",
    data: { domain: "advertising", tools: { upload: { sensitivity: 2 } } },
  },
];

async function openRun(bench: GatewayBench): Promise<GatewayRun> {
  const run = await bench.open();
  runs.push(run);
  return run;
}

/** Decides a call and ends it with a text. @returns what was decided */
async function call(
  run: GatewayRun,
  tool: string,
  argument: JsonObject,
  changes: Partial<InboundCall>,
  result = "done",
): Promise<string> {
  const decided = await run.pipeline.decide(callOf(tool, argument, changes));
  if (decided.action === "forward") await run.pipeline.finish(decided.ticket, outcomeWith(result));
  return decided.action;
}

const receipts = async (bench: GatewayBench, run: GatewayRun) => readStream(bench.folder, run.status().stream);

describe("a value of an answer", () => {
  const ANSWER = "Diagnosis 4711-0815-xyz";
  const PERMIT = '@id("all") permit (principal, action, resource);';
  const read = (run: GatewayRun): Promise<string> => call(run, "read", { id: "patient-0042" }, CALL_EHR, ANSWER);

  it("is found in the URI of a subscription, and in what an agent answers in a later round", async () => {
    const bench = makeBench(PERMIT);
    const run = await openRun(bench);
    await read(run);
    const name = "test://x/%34711-0815-xyz";
    const subscription = { ...CALL_AD, target: { kind: "subscribe", name }, params: { uri: name } } as const;
    await call(run, "upload", {}, subscription);
    const inputResponses = { who: { action: "accept", content: { number: "4711-0815-xyz" } } };
    const params = { name: "upload", arguments: { text: "nothing" }, inputResponses };
    await call(run, "upload", {}, { ...CALL_AD, params });
    const all = await receipts(bench, run);
    const [given] = ofKind(all, "outcome");
    const items = ofKind(all, "decision").map(({ matches }) => observedValue(matches)?.items);
    expect(items.slice(1)).toEqual([
      [{ source: given?.seq, pointer: "/params/arguments/*", kind: "encoded", count: 1 }],
      [{ source: given?.seq, pointer: "/params/inputResponses/*", kind: "exact", count: 1 }],
    ]);
  });

  it("is found in what an agent answers a server's question, and the agent's own words are not a server's", async () => {
    const bench = makeBench(PERMIT);
    const run = await openRun(bench);
    await read(run);
    const question = { ...CALL_AD, target: { kind: "elicit", name: "elicitation/create" }, params: {} } as const;
    const decided = await run.pipeline.decide(callOf("x", {}, question));
    if (decided.action !== "forward") throw new Error("want it permitted");
    const text = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      result: { content: { a: "4711-0815-xyz", b: "my-own-word-77" } },
    });
    const bytes = new TextEncoder().encode(text);
    await run.pipeline.finish(decided.ticket, { ...outcomeWith(""), received: bytes, returned: bytes });
    await call(run, "upload", { text: "my-own-word-77" }, CALL_AD);
    const all = await receipts(bench, run);
    const [given, answered] = ofKind(all, "outcome");
    expect(answered && observedValue(answered.matches)?.items).toEqual([
      { source: given?.seq, pointer: "/result/*", kind: "exact", count: 1 },
    ]);
    const last = ofKind(all, "decision").at(-1);
    expect(last && observedValue(last.matches)?.items).toEqual([]);
  });
});

describe("a boundary between domains", () => {
  it("denies the second of two calls that are each allowed alone, and the receipt names the first", async () => {
    const bench = makeBench(RULES);
    const run = await openRun(bench);
    expect(await call(run, "read", { id: "patient-0042" }, CALL_EHR, "Diagnosis 4711-0815-xyz")).toBe("forward");
    expect(await call(run, "upload", { text: "see 4711-0815-xyz" }, CALL_AD)).toBe("refuse");
    const all = await receipts(bench, run);
    const [given] = ofKind(all, "outcome");
    const denied = ofKind(all, "decision").at(-1);
    expect(denied).toMatchObject({ ruling: { judgement: "deny", policies: ["boundary"] } });
    const source = given?.seq;
    expect(denied && observedValue(denied.edges)).toEqual([
      { source, kind: "match", from: "clinical", to: "advertising" },
      { source, kind: "order", from: "clinical", to: "advertising" },
    ]);
    expect(denied && observedValue(denied.matches)).toEqual({
      items: [{ source, pointer: "/params/arguments/text", kind: "token", count: 1 }],
      bounded: false,
    });
  });

  it("lets both go in the other order", async () => {
    const run = await openRun(makeBench(RULES));
    expect(await call(run, "upload", { text: "anything" }, CALL_AD)).toBe("forward");
    expect(await call(run, "read", { id: "patient-0042" }, CALL_EHR)).toBe("forward");
  });

  it("is kept by an order alone, without an equal value", async () => {
    const run = await openRun(makeBench(RULES));
    await call(run, "read", { id: "1" }, CALL_EHR, "no");
    expect(await call(run, "upload", { text: "a summary in other words" }, CALL_AD)).toBe("refuse");
  });
});

describe("labels", () => {
  it("stand in the receipts with the receipt that brought them, before and after", async () => {
    const bench = makeBench(RULES);
    const run = await openRun(bench);
    await call(run, "read", { id: "1" }, CALL_EHR);
    const all = await receipts(bench, run);
    expect(ofKind(all, "session-open")[0]?.taint).toEqual({ state: "present", value: [] });
    const [outcome] = ofKind(all, "outcome");
    const seq = outcome?.seq;
    expect(outcome && observedValue(outcome.taint)).toEqual({
      before: [],
      after: ["in-clinical", "phi"],
      sources: [
        { label: "in-clinical", seq },
        { label: "phi", seq },
      ],
    });
  });

  it("of a policy's @taint come with the answer", async () => {
    const run = await openRun(
      makeBench(`@id("all") @taint("seen") permit (principal, action in Mcp::Action::"call_tool", resource);
        @id("once") forbid (principal, action in Mcp::Action::"call_tool", resource)
        when { context.session.taint.contains("seen") };`),
    );
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("refuse");
  });

  it("are not brought by a call that was refused, nor by an answer that the agent did not get", async () => {
    const run = await openRun(makeBench(RULES));
    const decided = await run.pipeline.decide(callOf("read", { id: "1" }, CALL_EHR));
    if (decided.action !== "forward") throw new Error("refused");
    const { returned: _, ...timedOut } = outcomeWith("late");
    await run.pipeline.finish(decided.ticket, { ...timedOut, status: "timeout", effect: "unknown" });
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
  });

  it("of a principal come into its next session, through a seal and a restart, and not into another's", async () => {
    const bench = makeBench(RULES);
    const first = await openRun(bench);
    await call(first, "read", { id: "1" }, CALL_EHR);
    await first.close();
    runs.pop();
    const run = await openRun(bench);
    const session: SessionKey = { ...SESSION, key: "another" };
    expect(await call(run, "upload", { text: "a" }, { ...CALL_AD, session })).toBe("refuse");
    const opened = ofKind(await receipts(bench, run), "session-open").at(-1);
    expect(opened && observedValue(opened.taint)).toEqual(["in-clinical", "phi"]);
    const caller: Caller = { ...CALLER, name: "somebody-else" };
    expect(await call(run, "upload", { text: "a" }, { ...CALL_AD, caller })).toBe("forward");
  });

  it("fall away after a day, and by an operator's reset, which seals the principal's sessions", async () => {
    const bench = makeBench(RULES);
    const run = await openRun(bench);
    await call(run, "read", { id: "1" }, CALL_EHR);
    expect(await run.resetLabels(CALLER)).toEqual({ labels: 2, sealed: 1 });
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
    await call(run, "read", { id: "1" }, CALL_EHR);
    await bench.world.advance(25 * 3_600_000, 3_600_000);
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
  });

  it("make a sensitivity that rises and never falls", async () => {
    const rules = `@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);
      @id("down") forbid (principal, action in Mcp::Action::"call_tool", resource)
      when { context.session.sensitivity > context.system.sensitivity };`;
    const run = await openRun(makeBench(rules));
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
    expect(await call(run, "read", { id: "1" }, CALL_EHR)).toBe("refuse");
    expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
  });
});

describe("data subjects", () => {
  it("are the same keyed hash in every call that names them, and never a text", async () => {
    const bench = makeBench(RULES);
    const run = await openRun(bench);
    for (const id of ["patient-0042", "patient-0042", "patient-0043"]) await call(run, "read", { id }, CALL_EHR);
    const all = await receipts(bench, run);
    const [a, b, c] = ofKind(all, "decision").map((decision) => observedValue(decision.data_subjects));
    expect(a).toHaveLength(1);
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);
    expect(JSON.stringify(all)).not.toContain("patient-004");
  });
});

it("without the flow stages the boundary would not hold", async () => {
  const run = await openRun(
    makeBench(RULES, { options: { wrapStages: (own) => ({ ...own, request: [], respond: [] }) } }),
  );
  await call(run, "read", { id: "1" }, CALL_EHR);
  expect(await call(run, "upload", { text: "a" }, CALL_AD)).toBe("forward");
});
