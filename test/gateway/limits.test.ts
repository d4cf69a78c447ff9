/** Limits of calls: named in the denial, counted in the receipt, refused in every mode, and a flood in few receipts. */

import { describe, expect, it } from "vitest";
import { type CallLimits, callLimitsOf, callLimitsShape } from "../../gateway/limits/call-limits.ts";
import { CounterSet } from "../../gateway/limits/counters.ts";
import { RateWindow } from "../../gateway/limits/rate-window.ts";
import type { CallOutcome, Decided, InboundCall } from "../../gateway/pipeline/call.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { codeOf } from "../support/code-of.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { CALLER, callOf, type GatewayBench, ofKind, outcomeWith, readStream, runCall } from "../support/gateway-run.ts";

const benches = gatewayBenches("limits");

async function start(limits: JsonObject, mode: "enforcing" | "advisory" | "silent" = "enforcing") {
  const bench = benches.make({ mode, config: { limits } });
  const run = await benches.open(bench);
  return { bench, run, receipts: async () => readStream(bench.folder, run.status().stream) };
}

const echo = (changes: Partial<InboundCall> = {}): InboundCall => callOf("echo", { message: "x" }, changes);

/** Lets the windows of the tally pass until the decision is there. */
async function afterWindows<T>(bench: GatewayBench, decided: Promise<T>): Promise<T> {
  let isThere = false;
  void decided.finally(() => {
    isThere = true;
  });
  while (!isThere) await bench.world.advance(250, 250);
  return decided;
}

describe("calls a minute", () => {
  it.each(["enforcing", "advisory", "silent"] as const)(
    "above the principal's are refused in %s mode",
    async (mode) => {
      const { run, bench, receipts } = await start({ calls_per_minute: { principal: 3 } }, mode);
      for (let n = 0; n < 3; n += 1) expect(await runCall(run, echo())).toBe("forward");
      const refused = await run.pipeline.decide(echo());
      expect(refused).toMatchObject({
        action: "refuse",
        refusal: {
          rpcCode: -31_006,
          reason: "limit.per-principal",
          data: { limit: "calls-per-minute-principal", budget: 3, consumed: 3, reserved: 0, retryAfterMs: 61_000 },
        },
      });
      const last = (await receipts()).at(-1);
      expect(last).toMatchObject({
        ruling: { mode, action: "refuse", step: "limits", reasons: ["limit.per-principal"], would_deny: false },
        principal: { state: "present" },
        accounting: {
          value: { limit: "calls-per-minute-principal", charge: "refused", budget: 3, consumed: 3, remaining: 0 },
        },
      });
      await bench.world.advance(61_000);
      expect(await runCall(run, echo())).toBe("forward");
    },
  );

  it("of one session leave the principal's other sessions alone, and a new session its principal's count", async () => {
    const { run } = await start({ calls_per_minute: { principal: 4, session: 2 } });
    const other = { key: "session-2", source: "mcp-session-id", trust: "authenticated" } as const;
    const actions = [];
    for (const session of [undefined, undefined, undefined, other, other, { ...other, key: "session-3" }]) {
      const decided = await run.pipeline.decide(echo(session === undefined ? {} : { session }));
      actions.push(decided.action === "refuse" ? decided.refusal.reason : decided.action);
    }
    expect(actions).toEqual(["forward", "forward", "limit.per-session", "forward", "forward", "limit.per-principal"]);
  });

  it("of a tool count all principals, and no other tool", async () => {
    const { run } = await start({ calls_per_minute: { tools: { "s/echo": 1 } } });
    expect((await run.pipeline.decide(echo())).action).toBe("forward");
    const second = await run.pipeline.decide(echo({ caller: { ...CALLER, name: "somebody-else" } }));
    expect(second).toMatchObject({ refusal: { reason: "limit.per-tool", data: { limit: "calls-per-minute-tool" } } });
    expect(await run.pipeline.decide(callOf("wipe", {}))).toMatchObject({ refusal: { reason: "policy.forbid" } });
  });

  it("count what policy denies, too", async () => {
    const { run, receipts } = await start({ calls_per_minute: { principal: 1 } });
    await run.pipeline.decide(callOf("wipe", {}));
    expect((await receipts()).at(-1)).toMatchObject({ accounting: { value: { charge: "charged", consumed: 1 } } });
    expect(await run.pipeline.decide(echo())).toMatchObject({ refusal: { reason: "limit.per-principal" } });
  });
});

describe("what the gateway decides unasked", () => {
  it("takes nothing of the agent's rate, and is not refused where that is used up", async () => {
    const { run, receipts } = await start({ calls_per_minute: { principal: 1, session: 1 } });
    const unasked = { isUnasked: true, isAnsweredHere: true } as const;
    for (let n = 0; n < 3; n += 1) {
      expect(await runCall(run, echo(unasked))).toBe("forward");
      expect(await run.pipeline.decide(callOf("wipe", {}, unasked))).toMatchObject({
        refusal: { reason: "policy.forbid" },
      });
    }
    expect((await receipts()).at(-1)).toMatchObject({ accounting: { state: "not_established" } });
    expect(await runCall(run, echo())).toBe("forward");
    expect(await run.pipeline.decide(echo())).toMatchObject({ refusal: { reason: "limit.per-session" } });
    expect(await runCall(run, echo(unasked))).toBe("forward");
  });

  it("is counted among the calls under way, also above their bound", async () => {
    const { run } = await start({ calls_in_flight: { session: 1 } });
    const stream = await run.pipeline.decide(echo());
    const again = await run.pipeline.decide(echo({ isUnasked: true, isAnsweredHere: true }));
    if (stream.action !== "forward" || again.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(stream.ticket, outcomeWith("done"));
    const full = { limit: "calls-in-flight-session", budget: 1, reserved: 1 };
    expect(await run.pipeline.decide(echo())).toMatchObject({ refusal: { data: full } });
    await run.pipeline.finish(again.ticket, outcomeWith("done"));
    expect(await runCall(run, echo())).toBe("forward");
  });
});

describe("the accounting of a call", () => {
  const lost: CallOutcome = { status: "timeout", effect: "unknown", upstreamUs: 1, uninspectedBytes: 0 };
  const unsent: CallOutcome = { ...lost, status: "cancelled", effect: "none" };
  it.each([
    ["charged by an answer", outcomeWith("done"), "charged", 1],
    ["charged by an outcome that nobody knows", lost, "charged", 1],
    ["released if nothing was sent", unsent, "released", 0],
  ] as const)("is reserved in the decision, and %s", async (_name, outcome, charge, consumed) => {
    const { run, receipts } = await start({ calls_per_minute: { session: 5 } });
    const decided = await run.pipeline.decide(echo());
    if (decided.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(decided.ticket, outcome);
    const lines = (await receipts()).flatMap((receipt) =>
      receipt.kind === "decision" || receipt.kind === "outcome" ? [observedValue(receipt.accounting)] : [],
    );
    const line = { limit: "calls-per-minute-session", budget: 5 };
    expect(lines).toEqual([
      { ...line, charge: "reserved", consumed: 0, reserved: 1, remaining: 4 },
      { ...line, charge, consumed, reserved: 0, remaining: 5 - consumed },
    ]);
  });
});

describe("calls of a tool that are under way", () => {
  it("are bounded; an end makes room", async () => {
    const { run } = await start({ calls_in_flight: { tools: { "s/echo": 1 } } });
    const first = await run.pipeline.decide(echo());
    expect(await run.pipeline.decide(echo())).toMatchObject({
      refusal: { reason: "limit.per-tool", data: { limit: "calls-in-flight-tool", budget: 1, reserved: 1 } },
    });
    if (first.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(first.ticket, outcomeWith("done"));
    expect((await run.pipeline.decide(echo())).action).toBe("forward");
  });
});

describe("calls of a session that are under way", () => {
  const other = { key: "session-2", source: "mcp-session-id", trust: "authenticated" } as const;

  it("are bounded; a denied one is under way no more, another session has room, and an end makes some", async () => {
    const { run } = await start({ calls_in_flight: { session: 2 } });
    const first = await run.pipeline.decide(echo());
    expect((await run.pipeline.decide(callOf("wipe", { path: "/tmp" }))).action).toBe("refuse");
    expect((await run.pipeline.decide(echo())).action).toBe("forward");
    expect(await run.pipeline.decide(echo())).toMatchObject({
      refusal: { reason: "limit.per-session", data: { limit: "calls-in-flight-session", budget: 2, reserved: 2 } },
    });
    expect((await run.pipeline.decide(echo({ session: other }))).action).toBe("forward");
    if (first.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(first.ticket, outcomeWith("done"));
    expect((await run.pipeline.decide(echo())).action).toBe("forward");
  });

  it("are named by the receipt of the refusal, and a limit of nought is refused at the start", async () => {
    const { run, receipts } = await start({ calls_in_flight: { session: 1 } });
    await run.pipeline.decide(echo());
    await run.pipeline.decide(echo());
    const refusals = ofKind(await receipts(), "decision").filter(({ ruling }) => ruling.action === "refuse");
    expect(refusals.map(({ ruling, accounting }) => [ruling.reasons, observedValue(accounting)])).toEqual([
      [
        ["limit.per-session"],
        { limit: "calls-in-flight-session", charge: "refused", budget: 1, consumed: 0, reserved: 1, remaining: 0 },
      ],
    ]);
    expect(codeOf(() => callLimitsShape.read({ calls_in_flight: { session: 0 } }, "limits"))).toBe("ERR_SHAPE");
  });
});

describe("a flood above a limit", () => {
  it("is counted to the call: single receipts first, then aggregates, and no number of the stream is missing", async () => {
    const { run, bench, receipts } = await start({ calls_per_minute: { principal: 2 } });
    await runCall(run, echo());
    await runCall(run, echo());
    const flood = Array.from({ length: 500 }, () => run.pipeline.decide(echo()));
    const decided: readonly Decided[] = await afterWindows(bench, Promise.all(flood));
    expect(decided.every(({ action }) => action === "refuse")).toBe(true);
    const stream = await receipts();
    expect(stream.map(({ seq }) => seq)).toEqual(stream.map((_, index) => index));
    const singles = ofKind(stream, "decision").filter(({ ruling }) => ruling.step === "limits");
    const counts = ofKind(stream, "refusals");
    expect(counts.every(({ step, reason }) => step === "limits" && reason === "limit.per-principal")).toBe(true);
    expect(singles.length + counts.reduce((sum, { count }) => sum + count, 0)).toBe(500);
    expect(stream.length).toBeLessThan(100);
    // Whoever got no receipt of his own was answered behind the receipt that counts him.
    expect(decided.filter(({ receipt }) => receipt === undefined).length).toBe(500 - singles.length);
  });
});

describe("a window of a minute", () => {
  it("never lets sixty seconds hold more than the budget", () => {
    const window = new RateWindow();
    const taken: number[] = [];
    for (let nowMs = 0; nowMs < 200_000; nowMs += 137) {
      const { consumed, reserved } = window.counts(nowMs);
      if (consumed + reserved >= 10) continue;
      window.reserve(nowMs).charge();
      taken.push(nowMs);
    }
    expect(taken.length).toBeGreaterThan(20);
    for (const from of taken) {
      expect(taken.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(10);
    }
  });
});

describe("the counters", () => {
  it("keep what was counted when a budget changes, and tell callers and sessions apart", () => {
    const set = new CounterSet(() => 0);
    const [wide, narrow] = [callLimitsOf({}), callLimitsOf({ calls_per_minute: { session: 2, principal: 3 } })];
    const session = (key: string): InboundCall["session"] => ({ key, source: "host-key", trust: "host-asserted" });
    const roomsOf = (key: string, limits: CallLimits, name = "one"): readonly number[] =>
      set.of(echo({ session: session(key), caller: { ...CALLER, name } }), limits).map((counter) => counter.room());
    for (const counter of set.of(echo({ session: session("a"), caller: { ...CALLER, name: "one" } }), wide)) {
      counter.take().charge();
    }
    expect(roomsOf("a", wide)).toEqual([299, 599]);
    expect(roomsOf("a", narrow)).toEqual([1, 2]);
    expect(roomsOf("b", narrow)).toEqual([2, 2]);
    expect(roomsOf("a", narrow, "other")).toEqual([2, 3]);
    expect(roomsOf("a", wide)).toEqual([299, 599]);
  });

  it("are forgotten when they are empty, and above their bound a new one has no room", () => {
    let nowMs = 0;
    const set = new CounterSet(() => nowMs);
    const limits = callLimitsOf({});
    const bySession = (key: string) =>
      set.of(echo({ session: { key, source: "host-key", trust: "host-asserted" } }), limits)[0];
    for (let n = 0; n < 70_000; n += 1) bySession(`s${n}`)?.take().charge();
    expect(bySession("one more")?.room()).toBe(0);
    expect(bySession("s1")?.room()).toBe(299);
    nowMs = 120_000;
    expect(bySession("one more")?.room()).toBe(300);
    expect(bySession("one more")?.line("reserved")).toMatchObject({ consumed: 0, remaining: 300 });
  });
});
