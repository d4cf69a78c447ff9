/** Limits under a sealed artifact: those that it seals are in force, and a configuration that says others is refused or halted. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseCatalog, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { makeInFlight } from "../../gateway/edge/in-flight.ts";
import type { CallLimitsConfig } from "../../gateway/limits/call-limits.ts";
import type { InboundCall } from "../../gateway/pipeline/call.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { startGateway } from "../../gateway/start.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, quarantineDigest, sealArtifact } from "../../kernel/policy-artifact.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import { type SessionArtifactBody, sealSessionArtifact } from "../../kernel/session-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeFrom } from "../support/code-of.ts";
import { type FakeUpstream, makeFakeUpstream } from "../support/fake-upstream.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { callTool } from "../support/modern-call.ts";
import { ALL_LIMITS, artifactBody, SEAL_RULE, SEALERS, sessionArtifactBody } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";

const START_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const [alice, bob] = SEALERS;
const FILES = bundleFiles('@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);');
/** As a configuration would write what `ALL_LIMITS` seals. */
const SAME = {
  calls_per_minute: { principal: 100, session: 50, tools: { "s/wipe": 1, "s/echo": 20 } },
  calls_in_flight: { principal: 10, session: 5, total: 20, tools: { "s/wipe": 1 } },
  sessions: { principal: 4 },
};

const benches = gatewayBenches("sealed limits");
let upstream: FakeUpstream;
let catalog: string;
beforeEach(async () => {
  upstream = makeFakeUpstream("s");
  const { id, identity, attributes } = upstream;
  catalog = digestOf(parseCatalog(pinFirstUse([{ id, identity, attributes, surface: await upstream.listSurface() }])));
});

function bodyOf(changes: Partial<PolicyArtifactBody> = {}): PolicyArtifactBody {
  const { digest, version } = parseBundle(FILES);
  const { code: _, sbom: __, baseline: ___, ...body } = artifactBody();
  return {
    ...body,
    v: 2,
    not_before: formatTimestamp(START_MS - HOUR_MS),
    not_after: formatTimestamp(START_MS + HOUR_MS),
    policy: { digest, version },
    catalog,
    subjects: [{ principal: "local|example-agent" }, { principal: "local|other-agent" }],
    limits: ALL_LIMITS,
    ...changes,
  };
}

/** Changes of what is sealed, each group by itself. */
const limitsWith = (changes: SealedLimits): SealedLimits => ({
  calls_per_minute: { ...ALL_LIMITS.calls_per_minute, ...changes.calls_per_minute },
  calls_in_flight: { ...ALL_LIMITS.calls_in_flight, ...changes.calls_in_flight },
  sessions: { ...ALL_LIMITS.sessions, ...changes.sessions },
});

const seal = (body: PolicyArtifactBody): Uint8Array => sealArtifact(body, [alice.signer, bob.signer]);

/** Of the bench's agent. */
function sealNarrow(changes: Partial<SessionArtifactBody>): Uint8Array {
  const { policy, not_before: from, not_after: to, mode, upstreams } = bodyOf();
  const { cedar: _, session: __, ...body } = sessionArtifactBody();
  const subject = { principal: "local|example-agent" };
  const own = { ...body, v: 2, not_before: from, not_after: to, policy, catalog, mode, upstreams, subject } as const;
  return sealSessionArtifact({ ...own, tools: ["s/echo", "s/wipe"], limits: {}, ...changes }, [
    alice.signer,
    bob.signer,
  ]);
}

function benchOf(
  body: PolicyArtifactBody,
  limits: JsonObject | undefined,
  { options, config, ...given }: BenchOptions = {},
): GatewayBench {
  const signers = SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) }));
  const artifact: JsonObject = { file: "unused", gateway: "support-eu", signers, threshold: 2, remeasure_seconds: 60 };
  return benches.make({
    upstreams: [upstream],
    config: { artifact, ...(limits === undefined ? {} : { limits }), ...config },
    options: { artifactFile: seal(body), ...options },
    policyFiles: FILES,
    ...given,
  });
}

async function open(body: PolicyArtifactBody, limits?: JsonObject, given?: BenchOptions) {
  const bench = benchOf(body, limits, given);
  const run = await benches.open(bench);
  return { bench, run, receipts: async () => readStream(bench.folder, run.status().stream) };
}

const renewal = (body: PolicyArtifactBody): Uint8Array =>
  formatUtf8(JSON.stringify({ artifact: formatBase64(seal(body)) }));

const echo = (changes: Partial<InboundCall> = {}): InboundCall => callOf("echo", { message: "x" }, changes);
const wipe = (changes: Partial<InboundCall> = {}): InboundCall => callOf("wipe", {}, changes);
const inSession = (key: string): Partial<InboundCall> => ({ session: { ...SESSION, key } });
const byOther: Partial<InboundCall> = { caller: { ...CALLER, name: "other-agent" } };

/** Why a call is refused, or what else is done. */
async function reasonOf(run: GatewayRun, call: InboundCall): Promise<string> {
  const decided = await run.pipeline.decide(call);
  return decided.action === "refuse" ? decided.refusal.reason : decided.action;
}

describe("limits of version 2", () => {
  it("are in force where the configuration says nothing, or the same", async () => {
    for (const limits of [undefined, SAME]) {
      const { run } = await open(bodyOf(), limits);
      const { perMinute, inFlight, sessions } = run.limits(echo());
      expect({ ...perMinute, tools: [...perMinute.tools] }).toEqual({
        principal: 100,
        session: 50,
        tools: [
          ["s/echo", 20],
          ["s/wipe", 1],
        ],
      });
      expect({ ...inFlight, tools: [...inFlight.tools] }).toEqual({
        principal: 10,
        session: 5,
        total: 20,
        tools: [["s/wipe", 1]],
      });
      expect(sessions).toEqual({ principal: 4 });
      await run.close();
    }
  });

  it("bound a tool's calls a minute, of all callers, in a mode that only records", async () => {
    const { run } = await open(bodyOf({ mode: "silent" }), undefined, { mode: "silent" });
    expect([await runCall(run, wipe()), await runCall(run, echo())]).toEqual(["forward", "forward"]);
    expect(await reasonOf(run, wipe(byOther))).toBe("limit.per-tool");
  });

  it("bound a tool's and a session's calls under way", async () => {
    const limits = limitsWith({ calls_per_minute: { tools: [] }, calls_in_flight: { session: 2 } });
    const { run } = await open(bodyOf({ limits }));
    const held = await run.pipeline.decide(wipe());
    expect(await reasonOf(run, wipe(byOther))).toBe("limit.per-tool");
    const other = await run.pipeline.decide(echo());
    expect(await reasonOf(run, echo())).toBe("limit.per-session");
    expect(await reasonOf(run, echo(inSession("another")))).toBe("forward");
    for (const one of [held, other]) {
      if (one.action === "forward") await run.pipeline.finish(one.ticket, outcomeWith("done"));
    }
    expect(await reasonOf(run, echo())).toBe("forward");
  });

  it("bound the open sessions of a principal", async () => {
    const { bench, run } = await open(bodyOf({ limits: limitsWith({ sessions: { principal: 2 } }) }));
    for (const key of ["a", "b", "c"]) {
      expect(await runCall(run, echo(inSession(key)))).toBe("forward");
      await bench.world.advance(2_000);
    }
    expect(run.status().sessions).toBe(2);
  });

  it.each<readonly [string, JsonObject]>([
    ["a higher rate of principals", { calls_per_minute: { principal: 101 } }],
    ["a lower rate of principals", { calls_per_minute: { principal: 99 } }],
    ["a higher rate of sessions", { calls_per_minute: { session: 51 } }],
    ["a higher rate of a tool", { calls_per_minute: { tools: { "s/wipe": 2 } } }],
    ["the rate of a tool that has none", { calls_per_minute: { tools: { "s/other": 1 } } }],
    ["more under way of a principal", { calls_in_flight: { principal: 11 } }],
    ["more under way of a session", { calls_in_flight: { session: 6 } }],
    ["more under way in all", { calls_in_flight: { total: 21 } }],
    ["more under way of a tool", { calls_in_flight: { tools: { "s/wipe": 2 } } }],
    ["fewer under way of a tool that has no bound", { calls_in_flight: { tools: { "s/echo": 1 } } }],
    ["more open sessions", { sessions: { principal: 5 } }],
  ])("refuse the start of a configuration that says others: %s", async (_, limits) => {
    expect(await codeFrom(benchOf(bodyOf(), limits).open())).toBe("ERR_ARTIFACT_MISMATCH");
  });

  it("refuse a bound of sessions' calls where none is sealed", async () => {
    const { session: _, ...inFlight } = ALL_LIMITS.calls_in_flight;
    const body = bodyOf({ limits: { ...ALL_LIMITS, calls_in_flight: inFlight } });
    expect(await codeFrom(benchOf(body, { calls_in_flight: { session: 5 } }).open())).toBe("ERR_ARTIFACT_MISMATCH");
    expect((await open(body)).run.limits(echo()).inFlight.session).toBeUndefined();
  });
});

describe("limits of version 1", () => {
  const first = (): PolicyArtifactBody =>
    bodyOf({ v: 1, limits: { calls_per_minute: { session: 2 }, calls_in_flight: { principal: 3 } } });

  it.each<readonly [string, JsonObject]>([
    ["a rate of a tool", { calls_per_minute: { tools: { "s/wipe": 1 } } }],
    ["calls of a tool under way", { calls_in_flight: { tools: { "s/wipe": 1 } } }],
    ["calls of a session under way", { calls_in_flight: { session: 1 } }],
    ["open sessions", { sessions: { principal: 1 } }],
  ])("refuse a configuration that sets what they cannot have: %s", async (_, limits) => {
    expect(await codeFrom(benchOf(first(), limits).open())).toBe("ERR_ARTIFACT_MISMATCH");
  });

  it("lower the configured ones, also those that edges hold", async () => {
    const { run } = await open(first(), { calls_per_minute: { session: 9 }, calls_in_flight: { principal: 9 } });
    const { perMinute, inFlight } = run.limits(echo());
    expect([perMinute.session, perMinute.principal, inFlight.principal, inFlight.total]).toEqual([2, 600, 3, 1_024]);
    expect([await runCall(run, echo()), await runCall(run, echo())]).toEqual(["forward", "forward"]);
    expect(await reasonOf(run, echo())).toBe("limit.per-session");
  });
});

describe("a renewal", () => {
  it("with other limits holds from the next call on, higher or lower", async () => {
    const { run } = await open(bodyOf());
    expect(await runCall(run, wipe())).toBe("forward");
    expect(await reasonOf(run, wipe())).toBe("limit.per-tool");
    const tools = [{ tool: "s/wipe", limit: 2 }];
    const higher = limitsWith({ calls_per_minute: { tools }, calls_in_flight: { total: 30 } });
    await run.reloadPolicy(renewal(bodyOf({ version: 2, limits: higher })));
    expect(run.limits(echo()).inFlight.total).toBe(30);
    expect([await runCall(run, wipe()), await reasonOf(run, wipe())]).toEqual(["forward", "limit.per-tool"]);
    const lower = limitsWith({ calls_per_minute: { session: 1 } });
    await run.reloadPolicy(renewal(bodyOf({ version: 3, limits: lower })));
    expect(await reasonOf(run, echo())).toBe("limit.per-session");
  });

  it("with others than the configuration says is refused with a receipt, and everything stays", async () => {
    const { run, receipts } = await open(bodyOf(), SAME);
    const other = bodyOf({ version: 2, limits: limitsWith({ calls_per_minute: { session: 51 } }) });
    expect(await codeFrom(run.reloadPolicy(renewal(other)))).toBe("ERR_ARTIFACT_MISMATCH");
    expect([run.status().artifact?.version, run.limits(echo()).perMinute.session]).toEqual([1, 50]);
    const loads = ofKind(await receipts(), "policy-load").map(({ result, reasons }) => [result, reasons]);
    expect(loads.slice(1)).toEqual([["refused", ["artifact.mismatch"]]]);
  });

  it("is held to the configuration's file, if that is measured", async () => {
    let limits: CallLimitsConfig = SAME;
    const { run } = await open(bodyOf(), SAME, { options: { measurements: { limits: () => limits } } });
    limits = { ...SAME, sessions: { principal: 5 } };
    const next = bodyOf({ version: 2, limits: limitsWith({ sessions: { principal: 5 } }) });
    await run.reloadPolicy(renewal(next));
    expect(run.limits(echo()).sessions.principal).toBe(5);
  });

  it("that is narrower than a session artifact leaves that one's agent denied", async () => {
    const limits = { calls_in_flight: { tools: [{ tool: "s/echo", limit: 7 }] } };
    const { run } = await open(bodyOf(), undefined, { options: { sessionArtifactFiles: [sealNarrow({ limits })] } });
    expect(await runCall(run, echo())).toBe("forward");
    const tools = [
      { tool: "s/echo", limit: 6 },
      { tool: "s/wipe", limit: 1 },
    ];
    await run.reloadPolicy(renewal(bodyOf({ version: 2, limits: limitsWith({ calls_in_flight: { tools } }) })));
    expect(await reasonOf(run, echo())).toBe("artifact.wider");
    expect(await reasonOf(run, echo(byOther))).toBe("forward");
  });
});

describe("a measurement on the cycle", () => {
  it.each<readonly [string, () => CallLimitsConfig]>([
    ["says a higher rate of a tool", () => ({ calls_per_minute: { tools: { "s/wipe": 1_000 } } })],
    ["says more calls of a session under way", () => ({ calls_in_flight: { session: 6 } })],
    [
      "cannot be read any more",
      () => {
        throw new Error("gone");
      },
    ],
  ])("of a configuration that %s halts the gateway: one receipt, an alarm, every call denied", async (_, changed) => {
    let limits = (): CallLimitsConfig => SAME;
    const measurements = { limits: () => limits() };
    const { bench, run, receipts } = await open(bodyOf(), SAME, { options: { measurements } });
    await bench.world.advance(120_000);
    expect(await runCall(run, echo())).toBe("forward");
    limits = changed;
    await bench.world.advance(60_000);
    await expect.poll(() => run.status().safe_state).toBe("measurement.mismatch");
    expect(await reasonOf(run, echo())).toBe("measurement.mismatch");
    expect(bench.log).toContain("error what runs is not what the sealed policy names");
    const actions = ofKind(await receipts(), "operator-action").map(({ action, reason }) => [action, reason]);
    expect(actions).toEqual([["safe-state-on", "measurement.mismatch"]]);
  });
});

describe("what the configuration says of quarantine", () => {
  const QUARANTINE = { baseline: { denials: 5, tools: ["s/echo"] }, answers: { "s/echo": { content: [] } } };
  const sealing = (config: JsonObject | undefined): PolicyArtifactBody =>
    bodyOf({ quarantine: quarantineDigest(config) });
  const given = (quarantine: JsonObject | undefined, options: BenchOptions["options"] = {}): BenchOptions => {
    const config = quarantine === undefined ? {} : { quarantine };
    return { config, options };
  };

  it("starts if it is what is sealed, and wherever nothing of it is", async () => {
    const pairs = [
      [sealing(QUARANTINE), QUARANTINE],
      [sealing(undefined), undefined],
      [bodyOf(), QUARANTINE],
      [bodyOf(), undefined],
    ] as const;
    for (const [body, quarantine] of pairs) {
      const { run } = await open(body, undefined, given(quarantine));
      expect(await runCall(run, echo())).toBe("forward");
    }
  });

  it.each([
    ["has none", undefined],
    ["has another baseline", { ...QUARANTINE, baseline: { denials: 6, tools: ["s/echo"] } }],
    ["has no baseline", { answers: QUARANTINE.answers }],
    ["has other answers", { ...QUARANTINE, answers: {} }],
    ["puts others there", { ...QUARANTINE, subject: "session" }],
  ])("does not start under another's digest if it %s", async (_, quarantine) => {
    const started = open(sealing(QUARANTINE), undefined, given(quarantine));
    await expect(started).rejects.toMatchObject({ code: "ERR_ARTIFACT_MISMATCH" });
  });

  it("does not start with one where none is sealed", async () => {
    const started = open(sealing(undefined), undefined, given({}));
    await expect(started).rejects.toMatchObject({ code: "ERR_ARTIFACT_MISMATCH" });
  });

  it("refuses a renewal for another, with a receipt, and everything stays", async () => {
    const { run, receipts } = await open(sealing(QUARANTINE), undefined, given(QUARANTINE));
    const other = renewal({ ...sealing({}), version: 2 });
    expect(await codeFrom(run.reloadPolicy(other))).toBe("ERR_ARTIFACT_MISMATCH");
    const loads = ofKind(await receipts(), "policy-load").map(({ result }) => result);
    expect(loads).toEqual(["loaded", "refused"]);
    expect(await runCall(run, echo())).toBe("forward");
    await run.reloadPolicy(renewal({ ...sealing(QUARANTINE), version: 2 }));
    expect(await runCall(run, echo())).toBe("forward");
  });

  it("refuses a renewal for what lies in the file and does not run", async () => {
    const measurements = { quarantine: () => ({}) };
    const { run } = await open(bodyOf(), undefined, given(QUARANTINE, { measurements, artifactFile: seal(bodyOf()) }));
    for (const config of [{}, QUARANTINE]) {
      const other = renewal({ ...sealing(config), version: 2 });
      expect(await codeFrom(run.reloadPolicy(other))).toBe("ERR_ARTIFACT_MISMATCH");
    }
  });

  it("is not read again where none is sealed", async () => {
    const quarantine = (): never => {
      throw new Error("gone");
    };
    const given = { options: { measurements: { quarantine }, artifactFile: seal(bodyOf()) } };
    const { bench, run } = await open(bodyOf(), undefined, given);
    await bench.world.advance(120_000);
    expect(await runCall(run, echo())).toBe("forward");
  });

  it.each([
    ["says another one", () => ({ baseline: {} })],
    ["says none any more", () => undefined],
    [
      "cannot be read any more",
      () => {
        throw new Error("gone");
      },
    ],
  ])("halts the gateway when the configuration's file %s", async (_, changed) => {
    let quarantine = (): JsonObject | undefined => QUARANTINE;
    const measurements = { quarantine: () => quarantine() };
    const body = sealing(QUARANTINE);
    const { bench, run } = await open(body, undefined, given(QUARANTINE, { measurements, artifactFile: seal(body) }));
    await bench.world.advance(120_000);
    expect(await runCall(run, echo())).toBe("forward");
    quarantine = changed;
    await bench.world.advance(60_000);
    await expect.poll(() => run.status().safe_state).toBe("measurement.mismatch");
    expect(await reasonOf(run, echo())).toBe("measurement.mismatch");
  });
});

describe("a session artifact", () => {
  it("has its own limits of tools, calls under way and sessions, for its agent alone", async () => {
    const limits: SealedLimits = {
      calls_per_minute: { tools: [{ tool: "s/echo", limit: 2 }] },
      calls_in_flight: { session: 1, principal: 1 },
      sessions: { principal: 1 },
    };
    const { run } = await open(bodyOf(), undefined, { options: { sessionArtifactFiles: [sealNarrow({ limits })] } });
    const [own, other] = [run.limits(echo()), run.limits(echo(byOther))];
    expect([own.inFlight.principal, own.sessions.principal, own.perMinute.tools.get("s/wipe")]).toEqual([1, 1, 1]);
    expect([other.inFlight.principal, other.sessions.principal, other.inFlight.session]).toEqual([10, 4, 5]);
    expect(run.limits(echo())).toBe(own);
    const held = await run.pipeline.decide(echo());
    expect(await reasonOf(run, echo())).toBe("limit.per-session");
    if (held.action === "forward") await run.pipeline.finish(held.ticket, outcomeWith("done"));
    expect([await runCall(run, echo()), await reasonOf(run, echo())]).toEqual(["forward", "limit.per-tool"]);
    expect(await reasonOf(run, echo(byOther))).toBe("forward");
  });

  it("that is wider is refused at the start", async () => {
    const limits = { calls_per_minute: { tools: [{ tool: "s/wipe", limit: 2 }] } };
    const bench = benchOf(bodyOf(), undefined, { options: { sessionArtifactFiles: [sealNarrow({ limits })] } });
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_WIDER");
  });
});

describe("calls under way at an edge", () => {
  let release: (() => void) | undefined;
  afterEach(() => release?.());

  it("are bounded by what is sealed, whatever the configuration says or leaves out", async () => {
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { request } = upstream;
    upstream = {
      ...upstream,
      request: async (...given) => {
        const answer = request(...given);
        await held;
        return answer;
      },
    };
    const limits = limitsWith({ calls_in_flight: { principal: 1 } });
    const gateway = await startGateway(benchOf(bodyOf({ limits }), {}).gatewayOptions);
    benches.later(gateway.close);
    const first = askEcho(gateway.url);
    await expect.poll(() => upstream.requests.length).toBe(1);
    const refused = { reason: "limit.in-flight", limit: "calls-in-flight-principal", budget: 1, reserved: 1 };
    expect(await askEcho(gateway.url)).toMatchObject({ error: { code: -31006, data: refused } });
    release?.();
    expect(await first).toMatchObject({ result: {} });
  });

  it("may be bounded otherwise for one caller, and count for all", () => {
    const inFlight = makeInFlight(3, 2);
    const [one, two] = [CALLER, { ...CALLER, name: "two" }];
    expect(inFlight.enter(one, { total: 3, principal: 1 }).type).toBe("taken");
    expect(inFlight.enter(one, { total: 3, principal: 1 })).toMatchObject({ type: "full", accounting: { budget: 1 } });
    expect(inFlight.enter(two, { total: 1, principal: 1 })).toMatchObject({ type: "full", reason: "limit.total" });
    expect([inFlight.enter(one).type, inFlight.enter(two).type, inFlight.enter(two).type]).toEqual([
      "taken",
      "taken",
      "full",
    ]);
  });
});

async function askEcho(url: string): Promise<unknown> {
  return (await callTool(url, "echo", { message: "x" })).json();
}
