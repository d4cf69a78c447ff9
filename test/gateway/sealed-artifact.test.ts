/** A gateway bound by a sealed artifact: what it refuses to start with, what it denies, how it is renewed, when it halts. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseCatalog, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { type BundleFile, parseBundle } from "../../gateway/policy/bundle.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, sealArtifact, workflowDigest } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
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
  RULES,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";

const START_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const [alice, bob, mallory] = SEALERS;
const FILES = bundleFiles(RULES);
const OTHER_FILES = bundleFiles(
  `${RULES}\n@id("more") permit (principal, action == Mcp::Action::"s/wipe", resource);`,
  "2",
);

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

function bodyOf(changes: Partial<PolicyArtifactBody> = {}, files: readonly BundleFile[] = FILES): PolicyArtifactBody {
  const { digest, version } = parseBundle(files);
  const { code: _, sbom: __, baseline: ___, ...body } = artifactBody();
  return {
    ...body,
    not_before: formatTimestamp(START_MS - HOUR_MS),
    not_after: formatTimestamp(START_MS + HOUR_MS),
    policy: { digest, version },
    catalog,
    subjects: [{ principal: "local|example-agent" }],
    tools: ["s/echo"],
    ...changes,
  };
}

const seal = (body: PolicyArtifactBody): Uint8Array => sealArtifact(body, [alice.signer, bob.signer]);

function benchOf(artifactFile: Uint8Array, { options, config, ...given }: BenchOptions = {}): GatewayBench {
  const signers = SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) }));
  const artifact: JsonObject = { file: "unused", gateway: "support-eu", signers, threshold: 2, remeasure_seconds: 60 };
  const made = makeGatewayBench(ledger.url, {
    upstreams: [upstream],
    config: { artifact, catalog: { pin: "first-use" }, ...config },
    options: { artifactFile, ...options },
    policyFiles: FILES,
    ...given,
  });
  benches.push(made);
  return made;
}

async function open(
  artifactFile: Uint8Array,
  given: BenchOptions = {},
): Promise<{ bench: GatewayBench; run: GatewayRun }> {
  const bench = benchOf(artifactFile, given);
  const run = await bench.open();
  runs.push(run);
  return { bench, run };
}

function renewal(artifact: Uint8Array, files?: readonly BundleFile[]): Uint8Array {
  const list = files?.map(({ path, content }) => ({ path, content: formatBase64(content) }));
  return formatUtf8(
    JSON.stringify({ artifact: formatBase64(artifact), ...(list === undefined ? {} : { files: list }) }),
  );
}

const echo = (changes: Parameters<typeof callOf>[2] = {}): ReturnType<typeof callOf> =>
  callOf("echo", { message: "x" }, changes);

describe("a start", () => {
  it("is bound by the artifact: its mode holds, receipts name its digest, the status shows it", async () => {
    const bytes = seal(bodyOf({ mode: "silent" }));
    const config = { mode: "silent" };
    const { bench, run } = await open(bytes, { config });
    expect(run.status()).toMatchObject({
      ready: true,
      mode: "silent",
      artifact: { digest: digestFile(bytes), version: 1 },
    });
    expect(await runCall(run, echo())).toBe("forward");
    const receipts = await readStream(bench.folder, run.status().stream);
    const artifact = { state: "present", value: digestFile(bytes) };
    expect(ofKind(receipts, "policy-load")[0]).toMatchObject({ policy: { artifact }, mode: "silent" });
    expect(ofKind(receipts, "decision")[0]).toMatchObject({ policy: { value: { artifact } } });
  });

  it.each<readonly [string, () => Uint8Array, string]>([
    ["too few signatures", () => sealArtifact(bodyOf(), [alice.signer]), "ERR_ARTIFACT_THRESHOLD"],
    ["a signature of nobody's", () => sealArtifact(bodyOf(), [alice.signer, mallory.signer]), "ERR_ARTIFACT_UNSIGNED"],
    ["another gateway's artifact", () => seal(bodyOf({ gateway: "support-us" })), "ERR_ARTIFACT_MISMATCH"],
    ["another policy", () => seal(bodyOf({}, OTHER_FILES)), "ERR_ARTIFACT_MISMATCH"],
    ["another catalog", () => seal(bodyOf({ catalog: digestFile("other") })), "ERR_ARTIFACT_MISMATCH"],
    ["another mode", () => seal(bodyOf({ mode: "advisory" })), "ERR_ARTIFACT_MISMATCH"],
    ["code that nobody measured", () => seal(bodyOf({ code: digestFile("code") })), "ERR_ARTIFACT_MISMATCH"],
    [
      "an agent that nobody measured",
      () => seal(bodyOf({ subjects: [{ principal: "local|example-agent", code: digestFile("a") }] })),
      "ERR_ARTIFACT_MISMATCH",
    ],
    [
      "a server at another address",
      () => seal(bodyOf({ upstreams: [{ server: "s", identity: { kind: "http", url: "http://t.example/mcp" } }] })),
      "ERR_ARTIFACT_MISMATCH",
    ],
    [
      "a TLS key of a server without TLS",
      () =>
        seal(
          bodyOf({
            upstreams: [
              { server: "s", identity: { kind: "http", url: "http://s.example/mcp", spki: ["ab".repeat(32)] } },
            ],
          }),
        ),
      "ERR_ARTIFACT_MISMATCH",
    ],
    [
      "a server that is another one",
      () => seal(bodyOf({ upstreams: [{ server: "t", identity: { kind: "stdio", executable: digestFile("t") } }] })),
      "ERR_ARTIFACT_MISMATCH",
    ],
    [
      "operators that it does not have",
      () => seal(bodyOf({ operators: [{ name: "somebody", roles: [] }] })),
      "ERR_ARTIFACT_MISMATCH",
    ],
    [
      "approvers, where nobody has to approve a catalog",
      () => seal(bodyOf({ approvers: { kids: ["ab".repeat(32)], threshold: 1 } })),
      "ERR_ARTIFACT_MISMATCH",
    ],
    ["one that is over", () => seal(bodyOf({ not_after: formatTimestamp(START_MS) })), "ERR_ARTIFACT_TIME"],
    [
      "one that is not valid yet",
      () => seal(bodyOf({ not_before: formatTimestamp(START_MS + 1) })),
      "ERR_ARTIFACT_TIME",
    ],
  ])("is refused with %s", async (_, bytes, code) => {
    expect(await codeFrom(benchOf(bytes()).open())).toBe(code);
  });

  it("measures agents and code where it is told how", async () => {
    const subjects = [{ principal: "local|example-agent", code: digestFile("a"), metadata: digestFile("m") }];
    const bytes = seal(bodyOf({ subjects, code: digestFile("code") }));
    const agent = { code: digestFile("a"), metadata: digestFile("m") };
    const measurements = {
      code: () => digestFile("code"),
      agents: () => new Map([["local|example-agent", agent]]),
    };
    await open(bytes, { options: { measurements } });
    const others = {
      ...measurements,
      agents: () => new Map([["local|example-agent", { ...agent, code: digestFile("b") }]]),
    };
    expect(await codeFrom(benchOf(bytes, { options: { measurements: others } }).open())).toBe("ERR_ARTIFACT_MISMATCH");
  });
});

describe("what the artifact does not cover", () => {
  it.each(["enforcing", "advisory"] as const)("is denied by mode %s: a tool, a caller", async (mode) => {
    const files = bundleFiles('@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);');
    const { bench, run } = await open(seal(bodyOf({ mode }, files)), { mode, policyFiles: files });
    const done = mode === "enforcing" ? "refuse" : "forward";
    expect(await runCall(run, echo())).toBe("forward");
    expect(await runCall(run, callOf("wipe", {}))).toBe(done);
    expect(await runCall(run, echo({ caller: { ...CALLER, name: "stranger" } }))).toBe(done);
    const decisions = ofKind(await readStream(bench.folder, run.status().stream), "decision");
    const rulings = decisions.map(({ ruling }) => [ruling.judgement, ruling.reasons]);
    expect(rulings).toEqual([
      ["allow", ["policy.permit"]],
      ["deny", ["artifact.scope"]],
      ["deny", ["artifact.scope"]],
    ]);
  });

  it("is denied above its limits, in every mode", async () => {
    const limits = { calls_per_minute: { session: 2 } };
    const { run } = await open(seal(bodyOf({ mode: "silent", limits })), { mode: "silent" });
    const done = [await runCall(run, echo()), await runCall(run, echo()), await runCall(run, echo())];
    expect(done).toEqual(["forward", "forward", "refuse"]);
  });
});

describe("a sealed baseline", () => {
  const baseline = { calls: 2, denials: 1 };

  it("denies a session that leaves it in every mode, and its principal from then on, where phantoms are not allowed", async () => {
    const { bench, run } = await open(seal(bodyOf({ mode: "silent", baseline })), { mode: "silent" });
    const other = { session: { ...SESSION, key: "another" } };
    const done = [
      await runCall(run, echo()),
      await runCall(run, echo()),
      await runCall(run, echo()),
      await runCall(run, echo(other)),
    ];
    expect(done).toEqual(["forward", "forward", "refuse", "refuse"]);
    expect(await runCall(run, echo({ caller: { ...CALLER, name: "stranger" } }))).toBe("forward");
    await run.close();
    const receipts = await readStream(bench.folder, run.status().stream);
    const refused = ofKind(receipts, "decision").filter(({ ruling }) => ruling.action === "refuse");
    expect(refused.map(({ ruling }) => [ruling.step, ruling.reasons[0]])).toEqual([
      ["quarantine", "subject.drift"],
      ["quarantine", "subject.quarantined"],
    ]);
    expect(ofKind(receipts, "operator-action")).toMatchObject([{ action: "quarantine-on", reason: "subject.drift" }]);
    expect(upstream.requests).toEqual([]);
  });

  it("answers it with phantoms where the artifact allows them", async () => {
    const { run } = await open(seal(bodyOf({ baseline, phantom: true })), { config: { quarantine: {} } });
    const done = [await runCall(run, echo()), await runCall(run, echo()), await runCall(run, echo())];
    expect(done).toEqual(["forward", "forward", "phantom"]);
  });

  it("bounds a session's servers and denials; a renewal changes the bounds under it", async () => {
    const { run } = await open(seal(bodyOf({ baseline: { denials: 1 } })));
    expect(await runCall(run, callOf("wipe", {}))).toBe("refuse");
    expect(await runCall(run, echo())).toBe("forward");
    expect(await runCall(run, callOf("wipe", {}))).toBe("refuse");
    expect(await runCall(run, echo())).toBe("refuse");
    const { quarantine, parseTarget } = run.switches;
    const operator = { issuer: "operator", name: "local", evidence: "local-user", roles: [] } as const;
    await quarantine.off(parseTarget("principal:local|example-agent"), operator, "operator.incident");
    await run.reloadPolicy(renewal(seal(bodyOf({ version: 2, baseline: { denials: 9 } }))));
    expect(await runCall(run, echo())).toBe("forward");
  });
});

describe("operators and approvers in an artifact", () => {
  const operator = { name: "olga", token_file: "unused", roles: ["privacy"] };
  const local = { name: "local", roles: [] };

  it("are those of the configuration, or more", async () => {
    const operators = [local, { name: "olga", roles: ["incident", "privacy"] }];
    await open(seal(bodyOf({ operators })), { config: { operators: [operator] } });
  });

  it.each<readonly [string, NonNullable<PolicyArtifactBody["operators"]>]>([
    ["is missing", [local]],
    ["has a role that the artifact does not give", [local, { name: "olga", roles: ["incident"] }]],
  ])("refuse the start if one %s", async (_, operators) => {
    const bench = benchOf(seal(bodyOf({ operators })), { config: { operators: [operator] } });
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_MISMATCH");
  });
});

describe("a workflow", () => {
  const files = bundleFiles(`
    @id("reading") permit (principal, action == Mcp::Action::"s/echo", resource);
    @id("cleanup") permit (principal, action == Mcp::Action::"s/wipe", resource) when { context.system.workflow == "cleanup" };`);
  const workflows = [
    { id: "cleanup", tools: ["s/wipe"], resources: [] },
    { id: "reading", tools: ["s/echo"], resources: [] },
  ];
  const named = (id: string): Parameters<typeof callOf>[2] => ({
    caller: {
      ...CALLER,
      facts: {
        kind: "agent",
        groups: [],
        roles: [],
        scopes: [],
        actors: [],
        binding: "connection",
        workflow: { id, scope: digestFile(id) },
      },
    },
  });

  async function rulingOf(call: ReturnType<typeof callOf>) {
    const { bench, run } = await open(seal(bodyOf({ workflows, tools: ["s/echo", "s/wipe"] }, files)), {
      policyFiles: files,
    });
    const done = await runCall(run, call);
    const [decision] = ofKind(await readStream(bench.folder, run.status().stream), "decision");
    return { done, reasons: decision?.ruling.reasons, workflow: decision?.workflow };
  }

  it("may do what its signed scope has, and the receipt names it with the digest of that scope", async () => {
    expect(await rulingOf(callOf("wipe", {}, named("cleanup")))).toEqual({
      done: "forward",
      reasons: ["policy.permit"],
      workflow: {
        state: "present",
        value: {
          id: "cleanup",
          provenance: "workflow-token",
          scope: workflowDigest({ id: "cleanup", tools: ["s/wipe"], resources: [] }),
        },
      },
    });
  });

  it("may do nothing else, whatever the catalog has and policy permits", async () => {
    expect(await rulingOf(echo(named("cleanup")))).toMatchObject({ done: "refuse", reasons: ["workflow.scope"] });
    expect(await rulingOf(callOf("wipe", {}, named("reading")))).toMatchObject({
      done: "refuse",
      reasons: ["workflow.scope", "policy.default-deny"],
    });
  });

  it("that the artifact does not seal may do nothing", async () => {
    expect(await rulingOf(echo(named("unknown")))).toMatchObject({ done: "refuse", reasons: ["workflow.scope"] });
  });

  it("of the agent's own word widens nothing, and the receipt says that it was ignored", async () => {
    const call = callOf("wipe", {});
    const forged = { ...call, params: { ...call.params, _meta: { "com.example/workflowId": "cleanup" } } };
    expect(await rulingOf(forged)).toMatchObject({
      done: "refuse",
      reasons: ["policy.default-deny"],
      workflow: { state: "not_established", reason: "workflow.claim-ignored" },
    });
  });
});

describe("the end of an artifact", () => {
  it.each(["enforcing", "advisory", "silent"] as const)(
    "denies every call in mode %s, with one receipt of safe state",
    async (mode) => {
      const { bench, run } = await open(seal(bodyOf({ mode })), { mode });
      expect(await runCall(run, echo())).toBe("forward");
      await bench.world.advance(HOUR_MS, HOUR_MS / 4);
      expect(run.status()).toMatchObject({ ready: false, safe_state: "policy.expired" });
      expect(await runCall(run, echo())).toBe("refuse");
      expect(await runCall(run, echo())).toBe("refuse");
      await bench.world.advance(10_000);
      const receipts = await readStream(bench.folder, run.status().stream);
      expect(ofKind(receipts, "operator-action").map(({ action, reason }) => [action, reason])).toEqual([
        ["safe-state-on", "policy.expired"],
      ]);
      const refused = ofKind(receipts, "decision").filter(({ ruling }) => ruling.action === "refuse");
      expect(refused.map(({ ruling }) => [ruling.step, ruling.reasons])).toEqual([
        ["health", ["policy.expired"]],
        ["health", ["policy.expired"]],
      ]);
      expect(await run.metrics.text()).toContain('gateway_safe_state_total{reason="policy.expired"} 1');
    },
  );

  it("is lifted by a renewal, with a receipt of its own", async () => {
    const { bench, run } = await open(seal(bodyOf()));
    await bench.world.advance(HOUR_MS, HOUR_MS / 4);
    const next = bodyOf({ version: 2, not_after: formatTimestamp(START_MS + 3 * HOUR_MS) });
    await run.reloadPolicy(renewal(seal(next)));
    expect(run.status()).toMatchObject({ ready: true, artifact: { version: 2 } });
    expect(await runCall(run, echo())).toBe("forward");
    const receipts = await readStream(bench.folder, run.status().stream);
    expect(ofKind(receipts, "operator-action").map(({ action }) => action)).toEqual([
      "safe-state-on",
      "safe-state-off",
    ]);
  });
});

describe("a renewal", () => {
  it("puts another bundle and mode in force between two decisions; files on disk decide nothing", async () => {
    const { bench, run } = await open(seal(bodyOf()));
    expect(await runCall(run, callOf("wipe", {}))).toBe("refuse");
    const before = run.status().policy;
    const next = seal(bodyOf({ version: 2, tools: ["s/echo", "s/wipe"] }, OTHER_FILES));
    expect(await run.reloadPolicy(renewal(next, OTHER_FILES))).toMatchObject({
      artifact: digestFile(next),
      version: 2,
      signers: ["alice", "bob"],
    });
    // The forbid still stands in the bundle; the artifact covers the tool now.
    expect(await runCall(run, callOf("wipe", {}))).toBe("refuse");
    const receipts = await readStream(bench.folder, run.status().stream);
    const loads = ofKind(receipts, "policy-load");
    expect(loads.map(({ result }) => result)).toEqual(["loaded", "loaded"]);
    expect(loads[1]).toMatchObject({ policy: { version: "2" }, previous: { value: before.digest } });
    const [old, now] = ofKind(receipts, "decision");
    expect([old?.ruling.reasons, now?.ruling.reasons]).toEqual([
      ["artifact.scope", "policy.forbid"],
      ["policy.forbid"],
    ]);
    expect(now).toMatchObject({ policy: { value: { version: "2", artifact: { value: digestFile(next) } } } });
  });

  it("is refused with a receipt, and everything stays: unsigned, wrong signer, lower version, other digests, over", async () => {
    const { bench, run } = await open(seal(bodyOf({ version: 5 })));
    const status = run.status();
    const bad: readonly (readonly [Uint8Array, string, string])[] = [
      [renewal(sealArtifact(bodyOf({ version: 6 }), [alice.signer])), "ERR_ARTIFACT_THRESHOLD", "policy.unsigned"],
      [
        renewal(sealArtifact(bodyOf({ version: 6 }), [mallory.signer, bob.signer])),
        "ERR_ARTIFACT_UNSIGNED",
        "policy.unsigned",
      ],
      [renewal(seal(bodyOf({ version: 4 }))), "ERR_ARTIFACT_VERSION", "policy.lower-version"],
      [renewal(seal(bodyOf({ version: 5, phantom: true }))), "ERR_ARTIFACT_VERSION", "policy.lower-version"],
      [renewal(seal(bodyOf({ version: 6 }, OTHER_FILES))), "ERR_ARTIFACT_MISMATCH", "artifact.mismatch"],
      [renewal(seal(bodyOf({ version: 6 })), OTHER_FILES), "ERR_ARTIFACT_MISMATCH", "artifact.mismatch"],
      [
        renewal(seal(bodyOf({ version: 6, not_after: formatTimestamp(START_MS) }))),
        "ERR_ARTIFACT_TIME",
        "policy.expired",
      ],
      [renewal(formatUtf8("{}")), "ERR_SHAPE", "policy.invalid"],
    ];
    for (const [body, code] of bad) expect(await codeFrom(run.reloadPolicy(body))).toBe(code);
    expect(run.status()).toMatchObject({ policy: status.policy, artifact: status.artifact, mode: status.mode });
    const loads = ofKind(await readStream(bench.folder, run.status().stream), "policy-load").slice(1);
    expect(loads.map(({ result, reasons }) => [result, reasons])).toEqual(
      bad.map(([, , reason]) => ["refused", [reason]]),
    );
    expect(await runCall(run, echo())).toBe("forward");
  });

  it("is remembered: a start with the artifact before it is refused", async () => {
    const first = seal(bodyOf());
    const { bench, run } = await open(first);
    await run.reloadPolicy(renewal(seal(bodyOf({ version: 2 }))));
    await run.close();
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_VERSION");
  });

  it("is refused where no signers are configured", async () => {
    const bench = makeGatewayBench(ledger.url, { upstreams: [upstream] });
    benches.push(bench);
    const run = await bench.open();
    runs.push(run);
    expect(await codeFrom(run.reloadPolicy(renewal(seal(bodyOf()))))).toBe("ERR_ARTIFACT_UNSIGNED");
  });
});

describe("whoever holds something open", () => {
  it("is told when another policy is in force, an operator stops a target of its own, and safe state begins", async () => {
    const { bench, run } = await open(seal(bodyOf()));
    const told: boolean[] = [];
    run.rules.watch((concerns) => told.push(concerns(echo())));
    await run.reloadPolicy(renewal(seal(bodyOf({ version: 2 }))));
    const { killSwitch, parseTarget } = run.switches;
    const operator = { issuer: "operator", name: "local", evidence: "local-user", roles: [] } as const;
    await killSwitch.on(parseTarget("principal:local|somebody"), operator, "operator.incident");
    await killSwitch.on(parseTarget("principal:local|example-agent"), operator, "operator.incident");
    expect(told).toEqual([true, false, true]);
    await bench.world.advance(HOUR_MS);
    await expect.poll(() => told).toEqual([true, false, true, true]);
    expect(run.status().safe_state).toBe("policy.expired");
  });
});

describe("a measurement on the cycle", () => {
  it("that differs halts the gateway: one receipt, an alarm, every call denied", async () => {
    let files = FILES;
    const measurements = { policyFiles: () => files };
    const { bench, run } = await open(seal(bodyOf({ mode: "advisory" })), {
      mode: "advisory",
      options: { measurements },
    });
    await bench.world.advance(120_000);
    expect(await runCall(run, echo())).toBe("forward");
    files = OTHER_FILES;
    await bench.world.advance(60_000);
    await expect.poll(() => run.status().safe_state).toBe("measurement.mismatch");
    expect(await runCall(run, echo())).toBe("refuse");
    // What is swapped back does not mend it.
    files = FILES;
    await bench.world.advance(120_000);
    expect(run.status()).toMatchObject({ ready: false, safe_state: "measurement.mismatch" });
    expect(bench.log).toContain("error what runs is not what the sealed policy names");
    const receipts = await readStream(bench.folder, run.status().stream);
    expect(ofKind(receipts, "operator-action").map(({ reason }) => reason)).toEqual(["measurement.mismatch"]);
    expect(await run.metrics.text()).toContain('gateway_safe_state_total{reason="measurement.mismatch"} 1');
  });

  it("that cannot be made halts it as well, and a renewal that measures what it names ends that", async () => {
    let isBroken = false;
    const code = (): string => {
      if (isBroken) throw new Error("gone");
      return digestFile("code");
    };
    const { bench, run } = await open(seal(bodyOf({ code: digestFile("code") })), {
      options: { measurements: { code } },
    });
    isBroken = true;
    await bench.world.advance(60_000);
    await expect.poll(() => run.status().safe_state).toBe("measurement.mismatch");
    isBroken = false;
    await run.reloadPolicy(renewal(seal(bodyOf({ version: 3, code: digestFile("code") }))));
    expect(run.status().ready).toBe(true);
  });
});
