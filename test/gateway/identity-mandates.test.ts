import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Caller, InboundCall } from "../../gateway/pipeline/call.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { ReceiptOf } from "../../kernel/receipt/receipt.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  readStream,
  runCall,
} from "../support/gateway-run.ts";
import { firstMandate, MANDATE_ROOT, type MandateChanges, nextMandate } from "../support/mandates.ts";

const ROOT = { issuer: MANDATE_ROOT.issuer, name: MANDATE_ROOT.name, key: formatPublicKey(MANDATE_ROOT.key) };

let ledger: FakeLedger;
let bench: GatewayBench | undefined;
let run: GatewayRun | undefined;
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  await run?.close();
  bench?.remove();
  [run, bench] = [undefined, undefined];
  await ledger.close();
});

interface Started {
  readonly bench: GatewayBench;
  readonly run: GatewayRun;
  readonly nowMs: number;
}

async function start(mandates: JsonObject = { roots: [ROOT] }, more: BenchOptions = {}): Promise<Started> {
  const auth = { tokens: [], mandates };
  bench = makeGatewayBench(ledger.url, { ...more, config: { auth, ...more.config } });
  run = await bench.open();
  return { bench, run, nowMs: bench.world.world.nowMs() };
}

/** A chain of two that is valid at this time. */
function chainAt(nowMs: number, changes: MandateChanges = {}): readonly string[] {
  const times = { not_before: formatTimestamp(nowMs - 1_000), not_after: formatTimestamp(nowMs + 600_000) };
  const first = firstMandate(times);
  return [first, nextMandate(first, { ...times, ...changes })].map(parseUtf8);
}

function carrying(call: InboundCall, mandates: JsonObject[string]): InboundCall {
  return { ...call, params: { ...call.params, _meta: { "countersign/mandates": mandates } } };
}

async function lastDecision(started: Started): Promise<ReceiptOf<"decision">> {
  const found = ofKind(await readStream(started.bench.folder, started.run.status().stream), "decision").at(-1);
  if (found === undefined) throw new Error("no decision");
  return found;
}

describe("a call with mandates", () => {
  it("that cover it goes out, and its receipt has the whole chain in keyed names", async () => {
    const started = await start();
    const call = carrying(callOf("echo", { message: "hi" }), chainAt(started.nowMs));
    expect(await runCall(started.run, call)).toBe("forward");
    const decision = await lastDecision(started);
    const delegation = observedValue(decision.delegation);
    expect(delegation?.hops.map(({ scope }) => [scope.tools, scope.depth])).toEqual([
      [["s/*", "t/read"], 2],
      [["s/echo"], 1],
    ]);
    expect(delegation?.hops.at(-1)?.delegate).toBe(observedValue(decision.principal)?.id);
    expect(delegation?.hops[1]?.delegator).toBe(delegation?.hops[0]?.delegate);
    expect(JSON.stringify(decision)).not.toMatch(/planner|example-agent|alice|docs/u);
  });

  it("that do not cover it is denied, and in advisory mode recorded", async () => {
    const started = await start();
    expect(await runCall(started.run, carrying(callOf("wipe", {}), chainAt(started.nowMs)))).toBe("refuse");
    expect((await lastDecision(started)).ruling.reasons).toContain("delegation.scope");
    await started.run.close();
    bench?.remove();
    const advisory = await start(undefined, { mode: "advisory" });
    expect(await runCall(advisory.run, carrying(callOf("wipe", {}), chainAt(advisory.nowMs)))).toBe("forward");
    expect((await lastDecision(advisory)).ruling).toMatchObject({ would_deny: true });
  });

  it("that do not hold is refused in every mode, each fault with its reason", async () => {
    const started = await start(undefined, { mode: "silent" });
    const { nowMs } = started;
    const [first = "", second = ""] = chainAt(nowMs);
    const faults: readonly (readonly [JsonObject[string], string])[] = [
      [[second], "delegation.broken"],
      [[second, first], "delegation.broken"],
      [[first], "delegation.holder"],
      [chainAt(nowMs, { scope: { tools: ["t/*"], resources: [] } }), "delegation.wider"],
      [chainAt(nowMs, { depth: 2 }), "delegation.wider"],
      [chainAt(nowMs, { not_after: formatTimestamp(nowMs + 600_001) }), "delegation.wider"],
      [chainAt(nowMs, { not_after: formatTimestamp(nowMs) }), "delegation.expired"],
      [chainAt(nowMs, { holder: { issuer: "local", name: "other", key: null } }), "delegation.holder"],
      [[first, second.replace("s/echo", "s/wipe")], "delegation.broken"],
      [[first, ` ${second}`], "delegation.broken"],
      [[], "delegation.broken"],
      ["text", "delegation.broken"],
      [[1], "delegation.broken"],
    ];
    for (const [mandates, reason] of faults) {
      expect(await runCall(started.run, carrying(callOf("echo", { message: "hi" }), mandates))).toBe("refuse");
      const decision = await lastDecision(started);
      expect([decision.ruling.step, decision.ruling.reasons[0]]).toEqual(["identity", reason]);
      expect(decision.delegation).toEqual({ state: "not_established", reason });
    }
  });

  it("are the caller's word where nobody's are taken, and wanted where they are required", async () => {
    const none = await start({ roots: [{ ...ROOT, name: "nobody" }], required: true });
    expect(await runCall(none.run, callOf("echo", { message: "hi" }))).toBe("refuse");
    expect((await lastDecision(none)).ruling.reasons).toContain("delegation.missing");
    // Nothing is called by a list, nor by a question that a server asks inside a call.
    for (const kind of ["list", "elicit"] as const) {
      await runCall(none.run, callOf("echo", {}, { target: { kind, name: "x" } }));
      expect((await lastDecision(none)).ruling.reasons).not.toContain("delegation.missing");
    }
    await none.run.close();
    bench?.remove();
    bench = makeGatewayBench(ledger.url);
    run = await bench.open();
    const started = { bench, run, nowMs: bench.world.world.nowMs() };
    expect(await runCall(run, carrying(callOf("echo", { message: "hi" }), chainAt(started.nowMs)))).toBe("forward");
    expect((await lastDecision(started)).delegation).toEqual({
      state: "not_established",
      reason: "field.not-configured",
    });
  });
});

describe("who a receipt says to ask", () => {
  it("is actor and subject apart, from a token with a chain of actors", async () => {
    const started = await start();
    const caller: Caller = {
      issuer: "https://idp.example",
      name: "alice",
      provenance: "connection-credential",
      outcome: "verified",
      facts: {
        kind: "user",
        groups: ["finance"],
        roles: [],
        scopes: [],
        actors: [{ issuer: "https://idp.example", name: "agent-7" }],
        subject: { issuer: "https://idp.example", name: "alice" },
        workflow: { id: "invoices", scope: `sha256:${"a".repeat(64)}` },
        binding: "request",
      },
    };
    await runCall(started.run, callOf("echo", { message: "hi" }, { caller }));
    const { principal, actor, subject, workflow } = await lastDecision(started);
    const [who, acts, whose] = [observedValue(principal), observedValue(actor), observedValue(subject)];
    expect(whose?.id).toBe(who?.id);
    expect(acts?.id).not.toBe(who?.id);
    expect(acts).toMatchObject({ provenance: "connection-credential", outcome: "verified", binding: "request" });
    expect(observedValue(workflow)).toEqual({
      id: "invoices",
      provenance: "token-claim",
      scope: `sha256:${"a".repeat(64)}`,
    });
  });

  it("records a subject that nobody signed as the caller's word, and decides nothing by it", async () => {
    const started = await start();
    const call = callOf("echo", { message: "hi" });
    const params = { ...call.params, _meta: { "countersign/subject": "carol" } };
    expect(await runCall(started.run, { ...call, params })).toBe("forward");
    const { subject, principal } = await lastDecision(started);
    expect(observedValue(subject)).toMatchObject({
      provenance: "unsigned-request-claim",
      outcome: "unverified",
      binding: "none",
    });
    expect(observedValue(subject)?.id).not.toBe(observedValue(principal)?.id);
    await runCall(started.run, { ...call, caller: CALLER });
    expect((await lastDecision(started)).subject).toEqual({ state: "absent" });
  });

  it("names whom a refused token named as the actor, never as the principal", async () => {
    const started = await start();
    const claimed: Caller = { ...CALLER, issuer: "https://idp.example", outcome: "expired" };
    await started.run.pipeline.refuse({
      step: "authenticate",
      reason: "auth.expired",
      wire: { transport: "http" },
      claimed,
    });
    const { principal, actor } = await lastDecision(started);
    expect(principal).toEqual({ state: "not_established", reason: "field.not-reached" });
    expect(observedValue(actor)).toMatchObject({ issuer: "https://idp.example", outcome: "expired" });
  });
});
