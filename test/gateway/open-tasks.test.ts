import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callerKey } from "../../gateway/edge/caller-key.ts";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { PendingAsks } from "../../gateway/edge/pending-asks.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import { statusToAgent } from "../../gateway/edge/task-notices.ts";
import { ownerOf, TaskTable } from "../../gateway/edge/task-table.ts";
import type { CallOutcome, DecisionTicket } from "../../gateway/pipeline/call.ts";
import { StreamBook } from "../../gateway/receipts/stream-book.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type ReceiptOf, receiptHash } from "../../kernel/receipt/receipt.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
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
import { bundleFiles } from "../support/policy-request.ts";

const MADE: CallOutcome = { ...outcomeWith("task"), status: "task_created", effect: "unknown" };
const ENDED: CallOutcome = { ...outcomeWith("done"), status: "task_completed", effect: "done" };

let ledger: FakeLedger;
let bench: GatewayBench;
let run: GatewayRun;
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  await run.close();
  bench.remove();
  await ledger.close();
});

async function start(config: JsonObject = {}, more: Pick<BenchOptions, "policyFiles"> = {}): Promise<void> {
  bench = makeGatewayBench(ledger.url, { config, ...more });
  run = await bench.open();
}

async function makeTask(): Promise<DecisionTicket> {
  const decided = await run.pipeline.decide(callOf("echo", { message: "m" }));
  if (decided.action !== "forward") throw new Error("refused");
  expect((await run.pipeline.finish(decided.ticket, MADE)).status).toBe("task_created");
  return decided.ticket;
}

async function outcomes(): Promise<readonly ReceiptOf<"outcome">[]> {
  return ofKind(await readStream(bench.folder, run.status().stream), "outcome");
}

const statuses = async (): Promise<readonly string[]> => (await outcomes()).map(({ outcome }) => outcome.status);

describe("a call that made a task", () => {
  it("ends once in the receipts, of two ends at once as well; what is fetched again has none", async () => {
    await start();
    const ticket = await makeTask();
    const both = [run.pipeline.finishTask(ticket, ENDED), run.pipeline.finishTask(ticket, ENDED)];
    const [first, second] = await Promise.all(both);
    expect(first?.returned).toEqual(second?.returned);
    await run.pipeline.finishTask(ticket, ENDED);
    await run.pipeline.dropTask(ticket);
    const [made, ended, ...more] = await outcomes();
    expect(more).toEqual([]);
    expect(ended?.outcome).toMatchObject({ status: "task_completed", effect: "done" });
    expect(observedValue(ended?.call.resolves ?? { state: "absent" })).toBe(made?.seq);
  });

  it("has an end that says so if its end cannot be made, and nothing of it is given any more", async () => {
    await start({ limits: { calls_in_flight: { tools: { "s/echo": 1 } } } });
    // No code of JSON-RPC, so no receipt takes it.
    const unmade: CallOutcome = { ...ENDED, rpcCode: 0.5 };
    const ticket = await makeTask();
    const both = [run.pipeline.finishTask(ticket, unmade), run.pipeline.finishTask(ticket, ENDED)];
    const [first, second] = await Promise.allSettled(both);
    expect(first).toMatchObject({ status: "rejected", reason: { code: "ERR_SHAPE" } });
    const gone = { status: "blocked", refusal: { reason: "task.unknown" } };
    expect(second).toMatchObject({ status: "fulfilled", value: gone });
    const late = await run.pipeline.finishTask(ticket, ENDED);
    expect(late).toMatchObject(gone);
    expect(late.returned).toBeUndefined();
    await run.pipeline.dropTask(ticket);
    const [made, ended, ...more] = await outcomes();
    expect(more).toEqual([]);
    expect(ended).toMatchObject({
      outcome: { status: "unknown", effect: "unknown" },
      call: { resolves: { value: made?.seq } },
      response_returned: { state: "not_established", reason: "receipt.unavailable" },
    });
    // Its place is free.
    await makeTask();
  });

  it("is unknown when it is let go of, and when the next run finds it open", async () => {
    await start();
    await run.pipeline.dropTask(await makeTask());
    expect(await statuses()).toEqual(["task_created", "unknown"]);
    const gone = await makeTask();
    await run.pipeline.dropTask(gone);
    const late = await run.pipeline.finishTask(gone, ENDED);
    expect([late.status, late.returned, late.refusal?.reason]).toEqual(["blocked", undefined, "task.unknown"]);
    await makeTask();
    const tag = run.tagTask(CALLER, "nonce");
    await run.close();
    run = await bench.open();
    // Whose task it was is still known, so that its agent is told.
    expect(run.tagTask(CALLER, "nonce")).toBe(tag);
    expect(await statuses()).toEqual(Array.from({ length: 3 }, () => ["task_created", "unknown"]).flat());
    const last = (await outcomes()).at(-1);
    expect(observedValue(last?.call.resolves ?? { state: "absent" })).toBe((await outcomes()).at(-2)?.seq);
  });

  it("is remembered in the state of its stream", async () => {
    await start();
    await makeTask();
    const written = (await readStream(bench.folder, run.status().stream)).map((body) => {
      const bytes = canonicalBytes(body);
      return { bytes, body, hash: formatHex(receiptHash(bytes)) };
    });
    const book = new StreamBook();
    for (const { body, hash } of written) book.apply(body, hash);
    const state = book.state(written.length);
    if (state === undefined) throw new Error("no state");
    const restored = await StreamBook.restore({ ...state, last_hash: written.at(-1)?.hash ?? "" }, async (seq) => {
      const found = written[seq];
      return Promise.resolve(found === undefined ? undefined : { seq, bytes: found.bytes, hash: found.hash });
    });
    expect(state.tasks).toHaveLength(1);
    expect(restored.openTasks().map(({ outcomeSeq, hash }) => [outcomeSeq, hash])).toEqual(
      book.openTasks().map(({ outcomeSeq, hash }) => [outcomeSeq, hash]),
    );
  });

  it("stays among the calls of its tool that are under way until it ends, and is charged to its rate at once", async () => {
    await start({ limits: { calls_in_flight: { tools: { "s/echo": 1 } } } });
    const ticket = await makeTask();
    expect(await run.pipeline.decide(callOf("echo", { message: "m" }))).toMatchObject({
      refusal: { reason: "limit.per-tool" },
    });
    await run.pipeline.finishTask(ticket, ENDED);
    await makeTask();
    const charges = (await outcomes()).map(({ accounting }) => observedValue(accounting)?.charge);
    expect(charges).toEqual(["charged", "charged", "charged"]);
  });

  it("has a decision before its agent is told of it unasked, and its end is the call's own", async () => {
    const rules = `@id("all") permit (principal, action in [Mcp::Action::"call_tool", Mcp::Action::"task"], resource);`;
    await start({}, { policyFiles: bundleFiles(rules) });
    const ticket = await makeTask();
    const { receipt } = ticket;
    const { logger } = bench.gatewayOptions;
    const { pipeline } = run;
    const tasks = new TaskTable({ ...DEFAULT_EDGE_LIMITS, logger, pipeline, nowMs: Date.now, randomBytes });
    const place = tasks.enter(CALLER, 0);
    if (place.type !== "taken") throw new Error("no place");
    const named = { id: "cst_mine", upstreamId: "theirs", serverId: "s", tool: "echo", era: "legacy" } as const;
    const whose = { owner: ownerOf({ caller: CALLER, session: SESSION }), caller: callerKey(CALLER) };
    const state = {
      status: "working",
      last: "{}",
      ttlMs: null,
      place,
      ticket,
      firstSeq: receipt.seq,
    } as const;
    const task = tasks.open({ ...named, ...whose, ...state });
    const params = { taskId: "theirs", status: "failed", createdAt: "", lastUpdatedAt: "", ttl: null };
    const text = JSON.stringify({ jsonrpc: "2.0", method: "notifications/tasks/status", params });
    const message = readMessage(formatUtf8(text), "egress", 100_000);
    if (message.type !== "notification") throw new Error("no notification");
    const deps = { tasks, rules: new RuleChanges(), pipeline, logger };
    const agent = { caller: CALLER, session: SESSION, transport: "http", revision: "2025-11-25" } as const;
    const asked = { ...agent, capabilities: {}, asks: new PendingAsks(() => undefined) };
    const upstream = { transport: "http", era: "legacy", auth: "none", revision: "2025-11-25" } as const;
    const told = await statusToAgent(deps, asked, { task, message, upstream });
    expect(JSON.parse(parseUtf8(told ?? new Uint8Array()))).toMatchObject({ params: { taskId: "cst_mine" } });
    const receipts = await readStream(bench.folder, run.status().stream);
    const [call, notice] = ofKind(receipts, "decision");
    expect(notice?.ruling.action).toBe("forward");
    expect([notice?.call.round, observedValue(notice?.call.first_round ?? { state: "absent" })]).toEqual([
      1,
      call?.seq,
    ]);
    expect(JSON.stringify(receipts)).not.toContain("theirs");
    expect(await statuses()).toEqual(["task_created", "ok", "task_failed"]);
    await tasks.close();
    expect(await statuses()).toHaveLength(3);
  });

  it("may end behind the seal of its session", async () => {
    await start();
    const ticket = await makeTask();
    await run.pipeline.sealSession(CALLER, SESSION, "ended");
    await run.pipeline.finishTask(ticket, ENDED);
    expect(await statuses()).toEqual(["task_created", "task_completed"]);
  });
});
