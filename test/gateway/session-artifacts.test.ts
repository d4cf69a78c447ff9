/** Artifacts of single agents and sessions: what they narrow, who needs one, how they end and are renewed, and whom that touches. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseCatalog, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { type SessionArtifactBody, sealSessionArtifact, sessionHash } from "../../kernel/session-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeFrom } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { type FakeUpstream, makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { artifactBody, SEAL_RULE, SEALERS, sessionArtifactBody } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";

const START_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const [alice, bob, mallory] = SEALERS;
const FILES = bundleFiles('@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);');

let ledger: FakeLedger;
let upstream: FakeUpstream;
let catalog: string;
const benches: GatewayBench[] = [];
const runs: GatewayRun[] = [];

beforeEach(async () => {
  ledger = await startFakeLedger();
  upstream = makeFakeUpstream("s");
  const { id, identity, attributes } = upstream;
  catalog = digestOf(parseCatalog(pinFirstUse([{ id, identity, attributes, surface: await upstream.listSurface() }])));
});
afterEach(async () => {
  for (const run of runs.splice(0)) await run.close();
  for (const each of benches.splice(0)) each.remove();
  await ledger.close();
});

/** The gateway's own: both agents, both tools, for an hour. */
function gatewayBody(changes: Partial<PolicyArtifactBody> = {}): PolicyArtifactBody {
  const { digest, version } = parseBundle(FILES);
  const { code: _, sbom: __, baseline: ___, ...body } = artifactBody();
  return {
    ...body,
    not_before: formatTimestamp(START_MS - HOUR_MS),
    not_after: formatTimestamp(START_MS + 10 * HOUR_MS),
    policy: { digest, version },
    catalog,
    subjects: [{ principal: "local|example-agent" }, { principal: "local|other-agent" }],
    tools: ["s/echo", "s/wipe"],
    workflows: [],
    limits: {},
    ...changes,
  };
}

/** Of the bench's agent: `echo` alone, for half an hour. */
function narrowBody(changes: Partial<SessionArtifactBody> = {}): SessionArtifactBody {
  const { policy, not_before: from, mode, upstreams } = gatewayBody();
  const { cedar: _, session: __, ...body } = sessionArtifactBody();
  return {
    ...body,
    not_before: from,
    not_after: formatTimestamp(START_MS + HOUR_MS / 2),
    policy,
    catalog,
    mode,
    upstreams,
    subject: { principal: "local|example-agent" },
    tools: ["s/echo"],
    limits: {},
    ...changes,
  };
}

const seal = (body: PolicyArtifactBody): Uint8Array => sealArtifact(body, [alice.signer, bob.signer]);
const sealNarrow = (changes: Partial<SessionArtifactBody> = {}): Uint8Array =>
  sealSessionArtifact(narrowBody(changes), [alice.signer, bob.signer]);

function benchOf(
  files: readonly Uint8Array[],
  { required = false, gateway = gatewayBody(), ...given }: BenchOptions & Setting = {},
): GatewayBench {
  const signers = SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) }));
  const artifact: JsonObject = {
    file: "unused",
    gateway: "support-eu",
    signers,
    threshold: 2,
    remeasure_seconds: 60,
    sessions: { files: ["unused"], required },
  };
  const made = makeGatewayBench(ledger.url, {
    upstreams: [upstream],
    config: { artifact, catalog: { pin: "first-use" } },
    policyFiles: FILES,
    ...given,
    options: { artifactFile: seal(gateway), sessionArtifactFiles: files, ...given.options },
  });
  benches.push(made);
  return made;
}

type Setting = { readonly required?: boolean; readonly gateway?: PolicyArtifactBody };

async function open(
  files: readonly Uint8Array[],
  given: BenchOptions & Setting = {},
): Promise<{ bench: GatewayBench; run: GatewayRun }> {
  const bench = benchOf(files, given);
  const run = await bench.open();
  runs.push(run);
  return { bench, run };
}

/** The body of `POST /policy`. */
function request(sessions: readonly Uint8Array[], artifact?: Uint8Array): Uint8Array {
  const own = artifact === undefined ? {} : { artifact: formatBase64(artifact) };
  const list = sessions.length === 0 ? {} : { sessions: sessions.map((one) => formatBase64(one)) };
  return formatUtf8(JSON.stringify({ ...own, ...list }));
}

const OTHER = { caller: { ...CALLER, name: "other-agent" } };
const echo = (changes: Parameters<typeof callOf>[2] = {}): ReturnType<typeof callOf> =>
  callOf("echo", { message: "x" }, changes);
const wipe = (changes: Parameters<typeof callOf>[2] = {}): ReturnType<typeof callOf> => callOf("wipe", {}, changes);
const inSession = (key: string): Parameters<typeof callOf>[2] => ({ session: { ...SESSION, key } });

async function receiptsOf(bench: GatewayBench, run: GatewayRun): Promise<readonly StreamReceipt[]> {
  return readStream(bench.folder, run.status().stream);
}

describe("an artifact of one agent", () => {
  it("narrows that agent alone, and the session, its decisions and the load name it", async () => {
    const narrow = sealNarrow();
    const { bench, run } = await open([narrow]);
    const done = [await runCall(run, echo()), await runCall(run, wipe()), await runCall(run, wipe(OTHER))];
    expect(done).toEqual(["forward", "refuse", "forward"]);
    const offered = [echo(), echo(OTHER)].map((call) => run.offers.readerFor(call).definitions("s", "tools"));
    expect(offered.map((tools) => tools.map(({ name }) => name))).toEqual([["echo"], ["echo", "wipe"]]);
    const receipts = await receiptsOf(bench, run);
    const digest = digestFile(narrow);
    expect(ofKind(receipts, "session-open").map((one) => one.session_artifact)).toEqual([digest, undefined]);
    const decisions = ofKind(receipts, "decision");
    expect(decisions.map(({ policy }) => policy.state === "present" && policy.value.session_artifact)).toEqual([
      digest,
      digest,
      undefined,
    ]);
    expect(decisions[1]?.ruling).toMatchObject({ judgement: "deny", reasons: ["artifact.scope"] });
    expect(ofKind(receipts, "policy-load").map(({ policy }) => policy.session_artifact)).toEqual([undefined, digest]);
    expect(decisions[0]?.policy).toMatchObject({ value: { artifact: { value: digestFile(seal(gatewayBody())) } } });
  });

  it("has its own mode, which is enforced where the gateway only records", async () => {
    const gateway = gatewayBody({ mode: "silent" });
    const { bench, run } = await open([sealNarrow({ mode: "enforcing" })], { gateway, mode: "silent" });
    expect([await runCall(run, wipe()), await runCall(run, callOf("unknown", {}))]).toEqual(["refuse", "refuse"]);
    const decisions = ofKind(await receiptsOf(bench, run), "decision");
    expect(decisions.map(({ ruling }) => ruling.mode)).toEqual(["enforcing", "enforcing"]);
  });

  it("has its own limits", async () => {
    const { run } = await open([sealNarrow({ limits: { calls_per_minute: { session: 1 } } })]);
    const done = [await runCall(run, echo()), await runCall(run, echo()), await runCall(run, wipe(OTHER))];
    expect(done).toEqual(["forward", "refuse", "forward"]);
    expect(await runCall(run, wipe(OTHER))).toBe("forward");
  });

  it("has Cedar policies that have to permit, too, and cannot permit what the gateway's do not", async () => {
    const own = `
      @id("own.all") permit (principal, action, resource);
      @id("own.no") @reason("Not today.") forbid (principal, action == Mcp::Action::"s/echo", resource) when { context.input.message == "no" };`;
    const files = bundleFiles('@id("echo") permit (principal, action == Mcp::Action::"s/echo", resource);');
    const { digest, version } = parseBundle(files);
    const policy = { digest, version };
    const narrow = sealNarrow({ policy, cedar: own, tools: ["s/echo", "s/wipe"] });
    const { bench, run } = await open([narrow], { gateway: gatewayBody({ policy }), policyFiles: files });
    const done = [
      await runCall(run, echo()),
      await runCall(run, callOf("echo", { message: "no" })),
      await runCall(run, wipe()),
    ];
    expect(done).toEqual(["forward", "refuse", "refuse"]);
    const rulings = ofKind(await receiptsOf(bench, run), "decision").map(({ ruling }) => ruling);
    expect(rulings.map(({ reasons, policies }) => [reasons, policies])).toEqual([
      [["policy.permit"], ["echo", "own.all"]],
      [["policy.forbid"], ["own.no"]],
      [["policy.default-deny"], []],
    ]);
  });

  it.each<readonly [string, string, string]>([
    ["the name of a policy of the gateway's", '@id("all") permit (principal, action, resource);', "ERR_POLICY_BUNDLE"],
    ["an obligation", '@id("o") @redact("pii.*") permit (principal, action, resource);', "ERR_POLICY_BUNDLE"],
    ["an unknown tool", '@id("o") permit (principal, action == Mcp::Action::"s/no", resource);', "ERR_POLICY_BUNDLE"],
    ["no Cedar at all", "x", "ERR_POLICY_BUNDLE"],
  ])("is refused with policies that have %s", async (_, cedar, code) => {
    expect(await codeFrom(benchOf([sealNarrow({ cedar })]).open())).toBe(code);
  });
});

describe("an artifact of one session", () => {
  const session = { source: "mcp-session-id", id: sessionHash("session-1") } as const;

  it("binds that session before the agent's own does, and no other", async () => {
    const { run } = await open([sealNarrow({ session, tools: ["s/wipe"] }), sealNarrow()]);
    expect([await runCall(run, echo()), await runCall(run, wipe())]).toEqual(["refuse", "forward"]);
    const second = inSession("session-2");
    expect([await runCall(run, echo(second)), await runCall(run, wipe(second))]).toEqual(["forward", "refuse"]);
    // The same id, of another agent.
    expect(await runCall(run, echo(OTHER))).toBe("forward");
  });

  it("binds no session whose id its agent chose", async () => {
    const { run } = await open([sealNarrow({ session: { ...session, source: "token-claim" }, tools: ["s/wipe"] })], {
      required: true,
    });
    const chosen = { session: { key: "session-1", source: "host-key", trust: "host-asserted" } } as const;
    expect(await runCall(run, wipe(chosen))).toBe("refuse");
    const claimed = { session: { key: "session-1", source: "token-claim", trust: "authenticated" } } as const;
    expect(await runCall(run, wipe(claimed))).toBe("forward");
  });
});

describe("an agent without an artifact", () => {
  it("is denied where one is required, in every mode, with a receipt", async () => {
    const gateway = gatewayBody({ mode: "silent" });
    const { bench, run } = await open([sealNarrow({ mode: "silent" })], { required: true, gateway, mode: "silent" });
    expect([await runCall(run, echo()), await runCall(run, echo(OTHER))]).toEqual(["forward", "refuse"]);
    const refused = ofKind(await receiptsOf(bench, run), "decision").at(-1);
    expect(refused?.ruling).toMatchObject({ action: "refuse", step: "health", reasons: ["artifact.missing"] });
  });
});

describe("a start", () => {
  it.each<readonly [string, () => Uint8Array, string]>([
    ["is wider", () => sealNarrow({ tools: ["s/*"] }), "ERR_ARTIFACT_WIDER"],
    ["has too few signatures", () => sealSessionArtifact(narrowBody(), [alice.signer]), "ERR_ARTIFACT_THRESHOLD"],
    [
      "has a signature of nobody's",
      () => sealSessionArtifact(narrowBody(), [alice.signer, mallory.signer]),
      "ERR_ARTIFACT_UNSIGNED",
    ],
    [
      "is for an agent that nobody measured",
      () => sealNarrow({ subject: { principal: "local|example-agent", code: digestFile("a") } }),
      "ERR_ARTIFACT_MISMATCH",
    ],
    ["is none", () => formatUtf8("{}"), "ERR_SHAPE"],
  ])("is refused if one of them %s", async (_, bytes, code) => {
    expect(await codeFrom(benchOf([bytes()]).open())).toBe(code);
  });

  it("is refused with two of one agent, and with one that is older than the last", async () => {
    expect(await codeFrom(benchOf([sealNarrow(), sealNarrow({ version: 2 })]).open())).toBe("ERR_ARTIFACT_VERSION");
    const { bench, run } = await open([sealNarrow()]);
    await run.reloadPolicy(request([sealNarrow({ version: 2 })]));
    await run.close();
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_VERSION");
  });

  it("takes one that is over: its agent is bound, and served nothing", async () => {
    const { run } = await open([sealNarrow({ not_after: formatTimestamp(START_MS - 1) })]);
    expect([await runCall(run, echo()), await runCall(run, wipe(OTHER))]).toEqual(["refuse", "forward"]);
  });
});

describe("the end of an artifact in the middle of a session", () => {
  it("is safe state of its sessions alone, with a receipt each, and a renewal goes on with them", async () => {
    // Before the session is idle.
    const first = sealNarrow({ not_after: formatTimestamp(START_MS + HOUR_MS / 6) });
    const { bench, run } = await open([first]);
    expect([await runCall(run, echo()), await runCall(run, wipe(OTHER))]).toEqual(["forward", "forward"]);
    const concerned: boolean[] = [];
    run.rules.watch((concerns) => concerned.push(concerns(echo()), concerns(wipe(OTHER))));
    await bench.world.advance(HOUR_MS / 6);
    expect([await runCall(run, echo()), await runCall(run, wipe(OTHER))]).toEqual(["refuse", "forward"]);
    await expect.poll(() => concerned).toEqual([true, false]);
    expect(run.status().ready).toBe(true);
    const narrow = sealNarrow({ version: 2, not_after: formatTimestamp(START_MS + HOUR_MS) });
    expect(await run.reloadPolicy(request([narrow]))).toMatchObject({ sessions: [digestFile(narrow)] });
    expect(await runCall(run, echo())).toBe("forward");
    const receipts = await receiptsOf(bench, run);
    const opened = ofKind(receipts, "session-open");
    expect(opened).toHaveLength(2);
    const key = opened[0]?.session.key;
    expect(ofKind(receipts, "operator-action").map(({ action, reason, target }) => [action, reason, target])).toEqual([
      ["safe-state-on", "policy.expired", { type: "session", key }],
      ["safe-state-off", "policy.expired", { type: "session", key }],
    ]);
    const decisions = ofKind(receipts, "decision");
    expect(decisions[2]).toMatchObject({
      ruling: { step: "health", reasons: ["policy.expired"] },
      policy: { value: { session_artifact: digestFile(first) } },
    });
    expect(decisions.at(-1)?.session).toMatchObject({ value: { id: opened[0]?.session.id, session_seq: 1 } });
    expect(decisions.at(-1)?.policy).toMatchObject({ value: { session_artifact: digestFile(narrow) } });
  });

  it("comes when the agent is measured to be another one", async () => {
    let code = digestFile("a");
    const agents = (): ReadonlyMap<string, { code: string; metadata: undefined }> =>
      new Map([["local|example-agent", { code, metadata: undefined }]]);
    const subject = { principal: "local|example-agent", code: digestFile("a") };
    const { bench, run } = await open([sealNarrow({ subject })], { options: { measurements: { agents } } });
    expect(await runCall(run, echo())).toBe("forward");
    code = digestFile("b");
    await bench.world.advance(60_000);
    await expect.poll(async () => runCall(run, echo())).toBe("refuse");
    expect(await runCall(run, wipe(OTHER))).toBe("forward");
    code = digestFile("a");
    await bench.world.advance(120_000);
    expect(await runCall(run, echo())).toBe("refuse");
  });
});

describe("a reload of session artifacts", () => {
  it("refuses what is wider, older, over or unsigned, with a receipt that names it, and changes nothing", async () => {
    const { bench, run } = await open([sealNarrow({ version: 5 })]);
    const bad: readonly (readonly [Uint8Array, string, string])[] = [
      [sealNarrow({ version: 6, tools: ["s/*"] }), "ERR_ARTIFACT_WIDER", "artifact.wider"],
      [
        sealNarrow({ version: 6, not_after: formatTimestamp(START_MS + 11 * HOUR_MS) }),
        "ERR_ARTIFACT_WIDER",
        "artifact.wider",
      ],
      [sealNarrow({ version: 4 }), "ERR_ARTIFACT_VERSION", "policy.lower-version"],
      [sealNarrow({ version: 5, tools: ["s/wipe"] }), "ERR_ARTIFACT_VERSION", "policy.lower-version"],
      [sealNarrow({ version: 6, not_after: formatTimestamp(START_MS) }), "ERR_ARTIFACT_TIME", "policy.expired"],
      [sealSessionArtifact(narrowBody({ version: 6 }), [bob.signer]), "ERR_ARTIFACT_THRESHOLD", "policy.unsigned"],
      [formatUtf8("{}"), "ERR_SHAPE", "policy.invalid"],
      [sealNarrow({ version: 6, cedar: "x" }), "ERR_POLICY_BUNDLE", "policy.invalid"],
    ];
    for (const [bytes, code] of bad) {
      // One that is good stands in front: none of a list is taken if one is refused.
      const list = [sealNarrow({ version: 7, subject: { principal: "local|other-agent" }, tools: [] }), bytes];
      expect(await codeFrom(run.reloadPolicy(request(list)))).toBe(code);
    }
    const loads = ofKind(await receiptsOf(bench, run), "policy-load").slice(2);
    expect(loads.map(({ reasons, policy }) => [reasons, policy.session_artifact])).toEqual(
      bad.map(([bytes, , reason]) => [[reason], digestFile(bytes)]),
    );
    expect([await runCall(run, echo()), await runCall(run, wipe(OTHER))]).toEqual(["forward", "forward"]);
  });

  it("binds an open session of an agent that had none from its next call on", async () => {
    const { run } = await open([]);
    expect(await runCall(run, wipe())).toBe("forward");
    await run.reloadPolicy(request([sealNarrow()]));
    expect(await runCall(run, wipe())).toBe("refuse");
  });

  it("is refused without an artifact of either kind, and beside files or a catalog of its own", async () => {
    const { run } = await open([]);
    const parts = JSON.parse(new TextDecoder().decode(request([sealNarrow()])));
    for (const body of [{}, { ...parts, files: [] }, { ...parts, catalog: "" }, { ...parts, sessions: [] }]) {
      expect(await codeFrom(run.reloadPolicy(formatUtf8(JSON.stringify(body))))).toBe("ERR_SHAPE");
    }
    const plain = makeGatewayBench(ledger.url, { upstreams: [upstream] });
    benches.push(plain);
    const unsealed = await plain.open();
    runs.push(unsealed);
    expect(await codeFrom(unsealed.reloadPolicy(request([sealNarrow()])))).toBe("ERR_ARTIFACT_UNSIGNED");
  });
});

describe("a renewal of the gateway's own artifact", () => {
  it("that is narrower than a session's puts that one out of service until it is renewed, alone or in the same step", async () => {
    const { bench, run } = await open([sealNarrow({ tools: ["s/echo", "s/wipe"] })]);
    expect(await runCall(run, wipe())).toBe("forward");
    const tools = ["s/echo"];
    await run.reloadPolicy(request([], seal(gatewayBody({ version: 2, tools }))));
    expect([await runCall(run, echo()), await runCall(run, echo(OTHER))]).toEqual(["refuse", "forward"]);
    await run.reloadPolicy(request([sealNarrow({ version: 2 })]));
    expect(await runCall(run, echo())).toBe("forward");
    const both = [sealNarrow({ version: 3, tools: [] })];
    await run.reloadPolicy(request(both, seal(gatewayBody({ version: 3, tools: [] }))));
    expect(await runCall(run, echo())).toBe("refuse");
    const receipts = await receiptsOf(bench, run);
    expect(ofKind(receipts, "operator-action").map(({ action, reason }) => [action, reason])).toEqual([
      ["safe-state-on", "artifact.wider"],
      ["safe-state-off", "artifact.wider"],
    ]);
    expect(ofKind(receipts, "decision").at(-1)?.ruling.reasons).toEqual(["artifact.scope"]);
  });

  it("is refused whole if a session artifact that comes with it is", async () => {
    const { run } = await open([]);
    const before = run.status().artifact;
    const narrow = sealNarrow({ tools: ["s/wipe"] });
    const code = await codeFrom(
      run.reloadPolicy(request([narrow], seal(gatewayBody({ version: 2, tools: ["s/echo"] })))),
    );
    expect(code).toBe("ERR_ARTIFACT_WIDER");
    expect(run.status().artifact).toEqual(before);
  });
});
