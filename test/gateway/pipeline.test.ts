import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Stages } from "../../gateway/pipeline/stage.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { ECHO, makeFakeUpstream, WIPE } from "../support/fake-upstream.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { type ManualWorld, makeManualWorld } from "../support/manual-world.ts";
import { bundleFiles } from "../support/policy-request.ts";

let ledger: FakeLedger;
let benches: GatewayBench[] = [];
let runs: GatewayRun[] = [];
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  for (const run of runs) await run.close();
  for (const bench of benches) bench.remove();
  [runs, benches] = [[], []];
  await ledger.close();
});

async function start(options: BenchOptions = {}): Promise<{ readonly bench: GatewayBench; readonly run: GatewayRun }> {
  const bench = makeGatewayBench(ledger.url, options);
  benches.push(bench);
  const run = await bench.open();
  runs.push(run);
  return { bench, run };
}

async function stop(run: GatewayRun): Promise<void> {
  runs = runs.filter((other) => other !== run);
  await run.close();
}

const receiptsOf = (bench: GatewayBench, run: GatewayRun): Promise<readonly StreamReceipt[]> =>
  readStream(bench.folder, run.status().stream);

/** Every byte below a folder. */
function bytesBelow(folder: string): Buffer {
  const parts = readdirSync(folder).map((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? bytesBelow(path) : readFileSync(path);
  });
  return Buffer.concat(parts);
}

const FAULT = "a fault of the disk";
const KEEP: JsonObject = { vault: { keep_payloads: true } };
/** Of AES-GCM. */
const NONCE_BYTES = 12;

function withFailingFile(stages: Stages): Stages {
  const failing: Stages["obligations"][number] = {
    name: "approval",
    settle: (_turn, _answer, settlement) => ({ ...settlement, durable: Promise.reject(new Error(FAULT)) }),
  };
  return { ...stages, obligations: [...stages.obligations, failing] };
}

/** A world whose generator fails where a message that is kept wants a nonce. */
function worldWithoutNonces(): ManualWorld {
  const manual = makeManualWorld();
  const randomBytes = (length: number): Uint8Array => {
    if (length === NONCE_BYTES) throw new Error(FAULT);
    return manual.world.randomBytes(length);
  };
  return { ...manual, world: { ...manual.world, randomBytes } };
}

describe("a call", () => {
  it("has a decision receipt on disk before it may be sent, and an outcome receipt before its answer may go", async () => {
    const { bench, run } = await start({ config: { durability: "durable" } });
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (decided.action !== "forward") throw new Error("refused");
    const before = await receiptsOf(bench, run);
    const decision = before.at(-1);
    expect(decision).toMatchObject({
      kind: "decision",
      seq: decided.receipt.seq,
      ruling: {
        mode: "enforcing",
        action: "forward",
        judgement: "allow",
        reasons: ["policy.permit"],
        policies: ["echo"],
      },
      outcome: { state: "pending" },
    });
    await run.pipeline.finish(decided.ticket, outcomeWith("hi"));
    expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
      kind: "outcome",
      call: { decision_seq: decided.receipt.seq, id: decided.ticket.callId },
      outcome: { status: "ok", effect: "done" },
    });
  });

  it("says who called, in which session, what the definition was, and that no hardware speaks for the key", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "hi" }));
    await runCall(run, callOf("echo", { message: "again" }));
    const [first, second] = ofKind(await receiptsOf(bench, run), "decision");
    if (first === undefined || second === undefined) throw new Error("no decisions");
    expect(first.attestation).toEqual({ state: "not_available", reason: "attestation.software" });
    expect(observedValue(first.session)).toMatchObject({
      source: "mcp-session-id",
      trust: "authenticated",
      session_seq: 0,
    });
    expect(observedValue(second.session)?.session_seq).toBe(1);
    expect(observedValue(second.session)?.id).toBe(observedValue(first.session)?.id);
    expect(observedValue(first.definition)).toMatchObject({ state: "first-use" });
    expect(observedValue(first.catalog)).toMatchObject({ digest: run.status().catalog.digest, withheld: 0 });
    expect(observedValue(first.wire.mcp_name)).toEqual({ form: "name", name: "echo" });
    expect(observedValue(first.principal)?.issuer).toBe("local");
    expect(observedValue(first.boundary)).toBe(run.status().boundary);
  });

  it("that nobody finishes any more has an outcome that says so, and gives its places back", async () => {
    const limits = { calls_in_flight: { tools: { "s/echo": 1 } } };
    const { bench, run } = await start({ config: { limits } });
    for (let i = 0; i < 2; i += 1) {
      const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
      if (decided.action !== "forward") throw new Error("refused");
      const full = await run.pipeline.decide(callOf("echo", { message: "beside it" }));
      expect(full).toMatchObject({ action: "refuse", refusal: { reason: "limit.per-tool" } });
      await run.pipeline.abandon(decided.ticket);
      expect(run.pipeline.abandon(decided.ticket)).toBeUndefined();
      const unknown = { state: "not_established", reason: "receipt.unavailable" };
      expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
        kind: "outcome",
        call: { decision_seq: decided.receipt.seq },
        outcome: { status: "unknown", effect: "unknown" },
        response_received: unknown,
        response_returned: unknown,
      });
    }
    const finished = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (finished.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(finished.ticket, outcomeWith("hi"));
    expect(run.pipeline.abandon(finished.ticket)).toBeUndefined();
  });

  it("whose outcome cannot be made has one that says so", async () => {
    const { bench, run } = await start();
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (decided.action !== "forward") throw new Error("refused");
    // No code of JSON-RPC, so no receipt takes it.
    const unmade = run.pipeline.finish(decided.ticket, { ...outcomeWith("hi"), rpcCode: 0.5 });
    await expect(unmade).rejects.toMatchObject({ code: "ERR_SHAPE" });
    expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
      kind: "outcome",
      call: { decision_seq: decided.receipt.seq },
      outcome: { status: "unknown", effect: "unknown" },
      response_returned: { state: "not_established", reason: "receipt.unavailable" },
    });
    expect(run.status().open_calls).toBe(0);
  });

  it.each([
    ["what has to be durable beside its receipt", () => ({ options: { wrapStages: withFailingFile } })],
    ["what is kept of its messages", () => ({ config: KEEP, world: worldWithoutNonces() })],
  ] as const)("that is let through and not sent, since %s fails, has an outcome that says so", async (_, given) => {
    const fault: BenchOptions = given();
    const limits = { calls_in_flight: { tools: { "s/echo": 1 } } };
    const { bench, run } = await start({ ...fault, config: { ...fault.config, limits } });
    for (let i = 0; i < 2; i += 1) {
      await expect(run.pipeline.decide(callOf("echo", { message: "hi" }))).rejects.toThrow(FAULT);
      const [decision, outcome] = (await receiptsOf(bench, run)).slice(-2);
      expect(decision).toMatchObject({ kind: "decision", outcome: { state: "pending" } });
      expect(outcome).toMatchObject({
        kind: "outcome",
        call: { decision_seq: decision?.seq },
        outcome: { status: "cancelled", effect: "none", rpc_code: { state: "absent" } },
        response_received: { state: "absent" },
        response_returned: { state: "not_established", reason: "receipt.unavailable" },
      });
      expect(run.status().open_calls).toBe(0);
    }
  });

  it("that policy forbids is refused with the policy's own reason, and is not pending", async () => {
    const { bench, run } = await start();
    const decided = await run.pipeline.decide(callOf("wipe", { path: "/" }));
    expect(decided).toMatchObject({
      action: "refuse",
      refusal: {
        rpcCode: -31_001,
        reason: "policy.forbid",
        policies: ["wipe"],
        message: "Deleting is left to people.",
      },
    });
    expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
      kind: "decision",
      ruling: { action: "refuse", judgement: "deny", step: "policy", controls: ["DORA:9"] },
      outcome: { state: "absent" },
      request_sent: { state: "absent" },
    });
  });

  it("is denied when a policy errs, and the receipt names the policy", async () => {
    const cedar = `@id("allow") permit (principal, action == Mcp::Action::"s/echo", resource);
@id("errs") forbid (principal, action == Mcp::Action::"s/echo", resource) when { 9223372036854775807 + context.session.calls + 1 > 0 && context.input.message == "x" };`;
    const { bench, run } = await start({ policyFiles: bundleFiles(cedar) });
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({
      action: "refuse",
      refusal: { reason: "policy.error" },
    });
    expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
      ruling: { erring: ["errs"], reasons: ["policy.error"] },
    });
  });

  it("with an argument of another type than declared is denied: policy would not see what the server sees", async () => {
    const { bench, run } = await start();
    expect(await run.pipeline.decide(callOf("echo", { message: ["hi"] }))).toMatchObject({
      action: "refuse",
      refusal: { reason: "args.schema" },
    });
    const last = (await receiptsOf(bench, run)).at(-1);
    expect(last).toMatchObject({ ruling: { reasons: ["args.schema", "policy.request-unmappable"] } });
  });

  it("of a name that the catalog does not have is refused, and the name stays out of the receipt", async () => {
    const { bench, run } = await start();
    expect(await run.pipeline.decide(callOf("canary-tool-name", {}))).toMatchObject({
      action: "refuse",
      refusal: { rpcCode: -32_602, reason: "name.unknown" },
    });
    const last = (await receiptsOf(bench, run)).at(-1);
    expect(last).toMatchObject({ ruling: { step: "catalog" }, wire: { mcp_name: { value: { form: "commitment" } } } });
    expect(JSON.stringify(last)).not.toContain("canary-tool-name");
  });

  it("is asked about with the principal that the caller is: an agent over HTTP, a local user over stdio", async () => {
    const cedar = `@id("me") permit (principal == Mcp::LocalUser::"alice", action in Mcp::Action::"call_tool", resource);`;
    const { run } = await start({ policyFiles: bundleFiles(cedar) });
    const caller = { ...CALLER, name: "alice" };
    const overHttp = callOf("echo", { message: "hi" }, { caller });
    expect(await runCall(run, overHttp)).toBe("refuse");
    expect(await runCall(run, { ...overHttp, wire: { ...overHttp.wire, transport: "stdio" } })).toBe("forward");
  });

  it("without an action that policies could name is denied", async () => {
    const { run } = await start();
    const other = callOf("", {}, { target: { kind: "other", name: "" } });
    expect(await run.pipeline.decide(other)).toMatchObject({
      action: "refuse",
      refusal: { reason: "policy.default-deny" },
    });
  });

  it("leaves none of its values in any file, log line or metric", async () => {
    const { bench, run } = await start();
    const canary = "canary-5f1d9c-value";
    await runCall(run, callOf("echo", { message: canary }));
    await run.pipeline.decide(callOf("wipe", { path: canary, [canary]: canary }));
    await run.pipeline.refuse({
      step: "scan",
      reason: "json.syntax",
      wire: { transport: "http", method: canary, name: canary, id: canary },
      received: Buffer.from(canary),
    });
    const metrics = await run.metrics.text();
    await stop(run);
    expect(bytesBelow(bench.folder).includes(canary)).toBe(false);
    expect(`${bench.log.join("\n")}${metrics}`).not.toContain(canary);
    for (const { body } of ledger.requests) expect(Buffer.from(body).includes(canary)).toBe(false);
  });
});

describe("the modes", () => {
  it.each(["advisory", "silent"] as const)(
    "%s forwards what policy or catalog denies, and says would_deny",
    async (mode) => {
      const { bench, run } = await start({ mode });
      for (const [call, reason, step] of [
        [callOf("wipe", { path: "/" }), "policy.forbid", "policy"],
        [callOf("nothing", {}), "name.unknown", "catalog"],
      ] as const) {
        expect(await run.pipeline.decide(call)).toMatchObject({ action: "forward", wouldDeny: true });
        expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
          ruling: {
            mode,
            action: "forward",
            judgement: "deny",
            would_deny: true,
            step,
            reasons: expect.arrayContaining([reason]),
          },
        });
      }
      expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({ wouldDeny: false });
    },
  );

  it.each(["enforcing", "advisory", "silent"] as const)(
    "%s refuses a server that the catalog does not have",
    async (mode) => {
      const upstreams = [makeFakeUpstream("s")];
      const { run } = await start({ mode, upstreams });
      const call = callOf("echo", { message: "hi" }, { serverId: "drive-by" });
      expect(await run.pipeline.decide(call)).toMatchObject({
        action: "refuse",
        refusal: { reason: "server.unknown" },
      });
    },
  );

  it("a mode that does not exist refuses the start", () => {
    expect(() => makeGatewayBench(ledger.url, { config: { mode: "permissive" } })).toThrow(
      expect.objectContaining({ code: "ERR_SHAPE", message: expect.stringContaining("config.mode") }),
    );
  });

  it("no mode is advisory, and is said at start", async () => {
    const bench = makeGatewayBench(ledger.url);
    benches.push(bench);
    const { mode: _, ...config } = bench.config;
    const run = await (await import("../../gateway/run.ts")).openRun({ ...bench.gatewayOptions, config });
    runs.push(run);
    expect(run.status().mode).toBe("advisory");
    expect(bench.log.some((line) => line.startsWith("warn advisory: "))).toBe(true);
    expect(bench.log.some((line) => line.includes("software keys"))).toBe(true);
  });
});

describe("drift", () => {
  const changed = { ...ECHO, description: "Says it again, and reads ~/.ssh first." };

  it("after the pin is refused in enforcing mode, recorded at start, and the approved text stays on offer", async () => {
    const first = await start();
    await stop(first.run);
    first.bench.upstreams[0]?.setTools([changed, WIPE]);
    const run = await first.bench.open();
    runs.push(run);
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({
      action: "refuse",
      refusal: { rpcCode: -31_003, reason: "definition.changed" },
    });
    const drift = ofKind(await receiptsOf(first.bench, run), "drift");
    expect(drift).toMatchObject([{ trigger: "start", items: [{ change: "changed", members: ["description"] }] }]);
    expect(run.catalogReader.definitions("s", "tools").find(({ name }) => name === "echo")?.text).toBe(
      JSON.stringify(ECHO),
    );
  });

  it("that a server announces while the gateway runs is found, and so is one that it keeps to itself", async () => {
    const { bench, run } = await start({ config: { relist_seconds: 300 } });
    const [server] = bench.upstreams;
    server?.setTools([changed, WIPE]);
    server?.notify();
    await bench.world.advance(10);
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({ action: "refuse" });
    server?.setTools([ECHO, { ...WIPE, annotations: { destructiveHint: false } }]);
    await bench.world.advance(301_000, 60_000);
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({ action: "forward" });
    const drift = ofKind(await receiptsOf(bench, run), "drift");
    expect(drift.map(({ trigger }) => trigger)).toEqual(["list-changed", "interval"]);
    expect(drift[1]?.items[0]?.members).toEqual(["annotations"]);
  });

  it("that a server announces in a storm are listed ever more rarely, and the last one is not missed", async () => {
    const { bench, run } = await start();
    const [server] = bench.upstreams;
    for (let i = 0; i < 60; i += 1) {
      server?.setTools([i % 2 === 0 ? changed : ECHO, WIPE]);
      server?.notify();
      await bench.world.advance(1_000, 1_000);
    }
    const drift = ofKind(await receiptsOf(bench, run), "drift");
    expect(drift.length).toBeLessThanOrEqual(6);
    server?.setTools([changed, WIPE]);
    server?.notify();
    await bench.world.advance(64_000, 1_000);
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({ action: "refuse" });
  });

  it("of a new tool hides it; an unanswered list is a receipt, once", async () => {
    const { bench, run } = await start();
    const [server] = bench.upstreams;
    server?.setTools([ECHO, WIPE, { ...ECHO, name: "fresh" }]);
    server?.notify();
    await bench.world.advance(10);
    expect(run.catalogReader.has("s", "tools", "fresh")).toBe(false);
    expect(await run.pipeline.decide(callOf("fresh", { message: "hi" }))).toMatchObject({ action: "refuse" });
    server?.breakLists();
    await bench.world.advance(1_000_000, 60_000);
    const drift = ofKind(await receiptsOf(bench, run), "drift");
    expect(drift.map(({ listed }) => listed.state)).toEqual(["present", "not_established"]);
  });

  it("is forwarded in advisory mode, with would_deny", async () => {
    const first = await start({ mode: "advisory" });
    first.bench.upstreams[0]?.setTools([changed, WIPE]);
    first.bench.upstreams[0]?.notify();
    await first.bench.world.advance(10);
    expect(await first.run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({
      action: "forward",
      wouldDeny: true,
    });
  });
});

describe("many at once", () => {
  it("200 concurrent calls lose none: 200 decisions, 200 outcomes, one session, one chain", async () => {
    const { bench, run } = await start();
    const actions = await Promise.all(
      Array.from({ length: 200 }, (_, i) => runCall(run, callOf(i % 10 === 0 ? "wipe" : "echo", { message: `${i}` }))),
    );
    expect(actions.filter((action) => action === "forward").length).toBe(180);
    expect(await run.pipeline.sealAll("operator")).toBe(1);
    const receipts = await receiptsOf(bench, run);
    expect(ofKind(receipts, "session-open").length).toBe(1);
    expect(ofKind(receipts, "decision").length).toBe(200);
    expect(ofKind(receipts, "outcome").length).toBe(180);
    expect(ofKind(receipts, "decision").map(({ session }) => observedValue(session)?.session_seq)).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    );
    expect(ofKind(receipts, "session-seal")[0]?.calls).toEqual({
      total: 200,
      allowed: 180,
      denied: 20,
      faulted: 0,
      open: 0,
    });
  });

  it("a flood of refusals is counted exactly, with no gap, and no answer overtakes its count", async () => {
    const { bench, run } = await start();
    const refusal = { step: "authenticate", reason: "auth.invalid", wire: { transport: "http" } } as const;
    let answered = 0;
    const all = Array.from({ length: 1_000 }, (_, i) =>
      run.pipeline
        .refuse(i % 4 === 0 ? { ...refusal, step: "scan", reason: "json.syntax", caller: CALLER } : refusal)
        .then((receipt) => {
          answered += 1;
          return receipt;
        }),
    );
    while (answered < 64) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(answered).toBe(64);
    await bench.world.advance(250);
    const receipts = await Promise.all(all);
    expect(receipts.filter((receipt) => receipt !== undefined).length).toBe(64);
    const kept = await receiptsOf(bench, run);
    const counts = ofKind(kept, "refusals");
    expect(counts.length).toBe(2);
    const counted = counts.reduce((total, { count }) => total + count, 0);
    expect(ofKind(kept, "decision").length + counted).toBe(1_000);
    expect(new Set(counts.map(({ reason }) => reason))).toEqual(new Set(["auth.invalid", "json.syntax"]));
    // The next window begins anew.
    expect(await run.pipeline.refuse(refusal)).toBeDefined();
  });

  it("with a full outbox is denied in every mode, counted, and goes on when the ledger proves receipts", async () => {
    ledger.holdProofs();
    const { bench, run } = await start({ mode: "silent", config: { outbox: { max_receipts: 256 } } });
    let refused: unknown;
    let refusals = 0;
    for (let i = 0; i < 30 && refused === undefined; i += 1) {
      const calls = Array.from({ length: 40 }, () => runCall(run, callOf("echo", { message: "x" })));
      const faults = (await Promise.allSettled(calls)).filter((call) => call.status === "rejected");
      refusals += faults.length;
      refused = faults[0]?.reason;
    }
    expect(run.status().outbox.pending).toBeLessThanOrEqual(256);
    expect(refused).toMatchObject({ code: "ERR_OUTBOX_FULL" });
    await expect(run.pipeline.decide(callOf("echo", { message: "x" }))).rejects.toMatchObject({
      code: "ERR_OUTBOX_FULL",
    });
    ledger.releaseProofs();
    const deadline = performance.now() + 15_000;
    while (run.status().outbox.pending > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await runCall(run, callOf("echo", { message: "x" }))).toBe("forward");
    await bench.world.advance(250);
    expect(ofKind(await receiptsOf(bench, run), "refusals")).toMatchObject([
      { reason: "outbox.full", count: refusals + 1 },
    ]);
  });
});

describe("what a server asks of agents", () => {
  it("has a receipt that names the server and no caller", async () => {
    const { bench, run } = await start();
    bench.upstreams[0]?.ask("sampling/createMessage", Buffer.from("{}"));
    await bench.world.advance(10);
    expect((await receiptsOf(bench, run)).at(-1)).toMatchObject({
      kind: "decision",
      principal: { state: "not_established" },
      server: { value: { id: "s" } },
      wire: { mcp_method: { value: "sampling/createMessage" } },
      ruling: { action: "refuse", step: "classify", reasons: ["bridge.unsupported"] },
    });
  });
});

describe("the clock", () => {
  it("silence is broken by heartbeats before the declared interval is over", async () => {
    const { bench, run } = await start({ config: { heartbeat_seconds: 60 } });
    await bench.world.advance(600_000);
    const receipts = await receiptsOf(bench, run);
    expect(ofKind(receipts, "heartbeat").length).toBeGreaterThanOrEqual(10);
    const times = receipts.map(({ time }) => Date.parse(time));
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(60_000);
  });

  it("a session is sealed before its declared limit, and an idle one after half an hour", async () => {
    const { bench, run } = await start({ config: { session_ttl_seconds: 7_200 } });
    await runCall(run, callOf("echo", { message: "x" }));
    const decided = await run.pipeline.decide(
      callOf("echo", { message: "x" }, { session: { ...SESSION, key: "busy" } }),
    );
    await bench.world.advance(31 * 60_000, 60_000);
    expect(ofKind(await receiptsOf(bench, run), "session-seal")).toMatchObject([{ reason: "idle" }]);
    await bench.world.advance(85 * 60_000, 60_000);
    const seals = ofKind(await receiptsOf(bench, run), "session-seal");
    expect(seals[1]).toMatchObject({ reason: "max-age", calls: { total: 1, open: 1 } });
    if (decided.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(decided.ticket, outcomeWith("late"));
    expect((await receiptsOf(bench, run)).at(-1)?.kind).toBe("outcome");
  });

  it("a call that comes while its session is sealed opens the next one", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "x" }));
    const racing = [
      run.pipeline.sealSession(CALLER, SESSION, "ended"),
      ...Array.from({ length: 5 }, () => runCall(run, callOf("echo", { message: "y" }))),
    ];
    await Promise.all(racing);
    await run.pipeline.sealAll("operator");
    const receipts = await receiptsOf(bench, run);
    const seals = ofKind(receipts, "session-seal");
    expect(seals.map(({ calls }) => calls.total).reduce((a, b) => a + b)).toBe(6);
    for (const { seq, session } of ofKind(receipts, "decision")) {
      const id = observedValue(session)?.id;
      expect(seals.find((seal) => seal.session.id === id)?.seq).toBeGreaterThan(seq);
    }
  });
});

describe("what is decided on", () => {
  it("is kept in the data folder under its digest: capture scope, catalog, policy", async () => {
    const { bench, run } = await start();
    const { boundary, catalog, policy } = run.status();
    for (const digest of [boundary, catalog.digest, policy.digest]) {
      expect(existsSync(join(bench.folder, "evidence", `${digest.replace(":", "-")}.json`))).toBe(true);
    }
    const receipts = await receiptsOf(bench, run);
    expect(receipts.map(({ kind }) => kind)).toEqual(["stream-open", "policy-load", "catalog-load"]);
    expect(receipts[0]).toMatchObject({ key_protection: "software", boundary });
    expect(receipts[2]).toMatchObject({ servers: [{ id: "s", tools: 2, definition: "first-use" }] });
  });
});

describe("a stop", () => {
  it("leaves nothing unsaid that the log has counted", async () => {
    const { bench, run } = await start();
    for (let n = 0; n < 100; n += 1) run.paced.warn({ server: "s", n }, "a line that is no message was dropped");
    const said = (): number => bench.log.filter((line) => line.endsWith("was dropped")).length;
    expect(said()).toBe(8);
    await stop(run);
    expect(said()).toBe(9);
  });
});
