/** Workflow tokens: which calls want one, what is wrong with each wrong one, and what a good one is good for. */

import { SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { WorkflowUses } from "../../gateway/identity/workflow-uses.ts";
import type { Decided, InboundCall } from "../../gateway/pipeline/call.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { requestToServer } from "../../gateway/wire/bridge.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { workflowDigest } from "../../kernel/policy-artifact.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { codeOf } from "../support/code-of.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { CALLER, callOf, configOf, type GatewayBench, ofKind, readStream, SESSION } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { makeKey, type TestKey } from "../support/token-issuer.ts";

const benches = gatewayBenches("workflow tokens");
const ISSUER = "https://orchestrator.example";
const AUDIENCE = "https://gateway.example";
const SCOPE: JsonObject = { id: "nightly", tools: ["s/echo"], resources: [] };
const RULES = `
@id("all") permit (principal, action, resource);
@id("night") forbid (principal, action == Mcp::Action::"s/wipe", resource)
unless { principal in Mcp::Workflow::"cleaning" && context.system.workflow == "cleaning" };
`;

let key: TestKey;
let other: TestKey;
beforeAll(async () => {
  key = await makeKey("ES256", "k1");
  other = await makeKey("ES256", "k1");
});

interface Bench extends GatewayBench {
  readonly run: GatewayRun;
}

const BASE: JsonObject = {
  issuers: [{ issuer: ISSUER, jwks_file: "orchestrator.jwks" }],
  audience: AUDIENCE,
  scopes: [
    { id: "cleaning", tools: ["s/wipe"], resources: [] },
    { id: "nightly", tools: ["s/*"], resources: [] },
  ],
  required: { all: true },
};

async function start(workflows: JsonObject = {}, mode: Mode = "enforcing"): Promise<Bench> {
  const auth = { tokens: [{ principal: "example-agent", token_file: "unused" }], workflows: { ...BASE, ...workflows } };
  const readFile = (): Uint8Array => formatUtf8(JSON.stringify({ keys: [key.jwk] }));
  const bench = benches.make({ mode, policyFiles: bundleFiles(RULES), config: { auth }, options: { readFile } });
  return { ...bench, run: await benches.open(bench) };
}

interface Changes {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: TestKey;
}

/** A good token of the bench's time, but for the changes. */
function token(bench: Bench, { claims = {}, header = {}, key: signer = key }: Changes = {}): Promise<string> {
  const now = Math.floor(bench.world.world.nowMs() / 1000);
  const whole = {
    iss: ISSUER,
    aud: AUDIENCE,
    jti: "run-1",
    iat: now,
    exp: now + 600,
    holder: { issuer: "local", name: "example-agent" },
    workflow: SCOPE,
    ...claims,
  };
  const given = JSON.parse(JSON.stringify(whole)) as Record<string, unknown>;
  return new SignJWT(given)
    .setProtectedHeader({ alg: "ES256", kid: "k1", typ: "countersign-workflow+jwt", ...header })
    .sign(signer.privateKey);
}

const WRONG: readonly (readonly [string, Changes])[] = [
  ["workflow.untrusted", { claims: { iss: "https://evil.example" } }],
  ["workflow.invalid", { header: { typ: "JWT" } }],
  ["workflow.invalid", { header: { typ: "at+jwt" } }],
  ["workflow.audience", { claims: { aud: "https://other.example" } }],
  ["workflow.audience", { claims: { aud: undefined } }],
  ["workflow.invalid", { claims: { jti: undefined } }],
  ["workflow.invalid", { claims: { exp: undefined } }],
  ["workflow.invalid", { claims: { workflow: "nightly" } }],
  ["workflow.invalid", { claims: { workflow: { ...SCOPE, tools: ["s/echo", "s/*"] } } }],
  ["workflow.invalid", { claims: { workflow: { ...SCOPE, more: 1 } } }],
  ["workflow.invalid", { claims: { holder: "example-agent" } }],
  ["workflow.expired", { claims: { iat: 1, exp: 2 } }],
  ["workflow.expired", { claims: { iat: 1_000, exp: 5_000 } }],
  ["workflow.expired", { claims: { nbf: 253_402_300_799 } }],
  ["workflow.holder", { claims: { holder: { issuer: "local", name: "bob" } } }],
  ["workflow.holder", { claims: { holder: { issuer: "https://idp.example", name: "example-agent" } } }],
  ["workflow.unknown", { claims: { workflow: { ...SCOPE, id: "weekly" } } }],
  ["workflow.wider", { claims: { workflow: { ...SCOPE, tools: ["t/echo"] } } }],
  ["workflow.wider", { claims: { workflow: { ...SCOPE, resources: ["file:///"] } } }],
  ["workflow.wider", { claims: { workflow: { id: "cleaning", tools: ["s/*"], resources: [] } } }],
];

function carrying(carried: string | undefined, tool = "echo", changes: Partial<InboundCall> = {}): InboundCall {
  const call = callOf(tool, tool === "wipe" ? { path: "/tmp" } : { message: "hello" }, { mount: "/mcp", ...changes });
  if (carried === undefined) return call;
  return { ...call, params: { ...call.params, _meta: { "countersign/workflow-token": carried } } };
}

const reasonOf = (decided: Decided): string => (decided.action === "refuse" ? decided.refusal.reason : decided.action);

describe("a call of a gateway that wants workflow tokens", () => {
  it("goes out with a good one, and its receipt names the workflow with the scope that was signed", async () => {
    const bench = await start();
    expect(reasonOf(await bench.run.pipeline.decide(carrying(await token(bench))))).toBe("forward");
    const [decision] = ofKind(await readStream(bench.folder, bench.run.status().stream), "decision");
    const scope = workflowDigest({ id: "nightly", tools: ["s/echo"], resources: [] });
    expect(decision?.workflow).toEqual({
      state: "present",
      value: { id: "nightly", provenance: "workflow-token", scope },
    });
  });

  it("is denied without one, with a receipt of its own reason; other modes forward and record it", async () => {
    const bench = await start();
    expect(reasonOf(await bench.run.pipeline.decide(carrying(undefined)))).toBe("workflow.missing");
    const [decision] = ofKind(await readStream(bench.folder, bench.run.status().stream), "decision");
    expect(decision?.ruling).toMatchObject({ action: "refuse", step: "identity", reasons: ["workflow.missing"] });
    const advisory = await start({}, "advisory");
    expect(await advisory.run.pipeline.decide(carrying(undefined))).toMatchObject({
      action: "forward",
      wouldDeny: true,
    });
  });

  it("is refused in every mode with a wrong one, each fault with a reason of its own", async () => {
    for (const mode of ["enforcing", "advisory"] as const) {
      const bench = await start({}, mode);
      for (const [reason, changes] of WRONG) {
        const decided = await bench.run.pipeline.decide(carrying(await token(bench, changes)));
        expect([changes, reasonOf(decided)]).toEqual([changes, reason]);
      }
    }
  });

  it("is refused with a token that another key signed, that is cut or changed, or that is no text", async () => {
    const bench = await start();
    const good = await token(bench);
    const [header = "", payload = "", signature = ""] = good.split(".");
    const swapped = (await token(bench, { claims: { workflow: { ...SCOPE, tools: ["s/*"] } } })).split(".")[1] ?? "";
    const bad = [
      [await token(bench, { key: other }), "workflow.untrusted"],
      [`${header}.${swapped}.${signature}`, "workflow.untrusted"],
      [`${header}.${payload}.`, "workflow.untrusted"],
      [`${header}.${payload}`, "workflow.invalid"],
      [`${good}.x`, "workflow.invalid"],
      ["", "workflow.invalid"],
    ] as const;
    for (const [text, reason] of bad) {
      expect(reasonOf(await bench.run.pipeline.decide(carrying(text)))).toBe(reason);
    }
    const listed = { ...carrying(good), params: { name: "echo", _meta: { "countersign/workflow-token": [good] } } };
    expect(reasonOf(await bench.run.pipeline.decide(listed))).toBe("workflow.invalid");
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("forward");
  });

  it("is denied what the token does not cover, and policies see the workflow of the token", async () => {
    const bench = await start();
    expect(reasonOf(await bench.run.pipeline.decide(carrying(await token(bench), "wipe")))).toBe("workflow.scope");
    const cleaning = { id: "cleaning", tools: ["s/wipe"], resources: [] };
    const good = await token(bench, { claims: { jti: "run-2", workflow: cleaning } });
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good, "wipe")))).toBe("forward");
    const wide = await token(bench, { claims: { jti: "run-3", workflow: { ...SCOPE, tools: ["s/*"] } } });
    expect(reasonOf(await bench.run.pipeline.decide(carrying(wide, "wipe")))).toBe("policy.forbid");
  });

  it("ends with the time of its token", async () => {
    const bench = await start();
    const good = await token(bench);
    await bench.world.advance(600_000, 60_000);
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("forward");
    await bench.world.advance(31_000, 31_000);
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("workflow.expired");
  });

  it("names no other workflow than its credential does; that one counts where the configuration says so", async () => {
    const facts = { kind: "agent", groups: [], roles: [], scopes: [], actors: [], binding: "connection" } as const;
    const scope = workflowDigest({ id: "x", tools: [], resources: [] });
    const caller = { ...CALLER, facts: { ...facts, workflow: { id: "nightly", scope } } };
    const bench = await start();
    expect(reasonOf(await bench.run.pipeline.decide(carrying(undefined, "echo", { caller })))).toBe("workflow.missing");
    expect(reasonOf(await bench.run.pipeline.decide(carrying(await token(bench), "echo", { caller })))).toBe("forward");
    const another = { ...caller, facts: { ...caller.facts, workflow: { id: "weekly", scope } } };
    const conflicting = carrying(await token(bench), "echo", { caller: another });
    expect(reasonOf(await bench.run.pipeline.decide(conflicting))).toBe("workflow.conflict");
    const lenient = await start({ accepts_credentials: true });
    expect(reasonOf(await lenient.run.pipeline.decide(carrying(undefined, "echo", { caller })))).toBe("forward");
    expect(reasonOf(await lenient.run.pipeline.decide(carrying(undefined)))).toBe("workflow.missing");
  });
});

describe("a token that comes again", () => {
  it("serves the session that used it first, and no other", async () => {
    const bench = await start();
    const good = await token(bench);
    for (const _ of [1, 2]) expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("forward");
    const elsewhere = { session: { ...SESSION, key: "another" } };
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good, "echo", elsewhere)))).toBe("workflow.replay");
    // The same id in other bytes is the same token.
    const again = await token(bench, { claims: { exp: Math.floor(bench.world.world.nowMs() / 1000) + 601 } });
    expect(reasonOf(await bench.run.pipeline.decide(carrying(again, "echo", elsewhere)))).toBe("workflow.replay");
  });

  it("serves one call where it may be used once: its rounds, and what it waits for, are the same call", async () => {
    const bench = await start({ reuse: "once" });
    const good = await token(bench);
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("forward");
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good)))).toBe("workflow.replay");
    const round = { round: { index: 1, firstSeq: 1 } };
    expect(reasonOf(await bench.run.pipeline.decide(carrying(good, "echo", round)))).toBe("forward");
    const moved = carrying(good, "echo", round);
    const changed = { ...moved, params: { ...moved.params, arguments: { message: "other" } } };
    expect(reasonOf(await bench.run.pipeline.decide(changed))).toBe("workflow.replay");
  });

  it("is remembered in bounds: what is over makes room, what is not is not forgotten", () => {
    const uses = new WorkflowUses();
    const used = Array.from({ length: 65_536 }, (_, i) => uses.use(`t${i}`, "a", 0, i === 0 ? 10 : 100));
    expect(used.every(Boolean)).toBe(true);
    expect(uses.use("one-more", "a", 5, 100)).toBe(false);
    expect(uses.use("one-more", "a", 10, 100)).toBe(true);
    expect(uses.use("t1", "b", 10, 100)).toBe(false);
  });
});

describe("the demand", () => {
  it("is of mounts, of tools on every mount, or of nothing", async () => {
    const ask = async (required: JsonObject, changes: Partial<InboundCall> = {}, tool = "echo"): Promise<string> => {
      const bench = await start({ required });
      return reasonOf(await bench.run.pipeline.decide(carrying(undefined, tool, changes)));
    };
    expect(await ask({})).toBe("forward");
    expect(await ask({ mounts: ["/mcp"] })).toBe("workflow.missing");
    expect(await ask({ mounts: ["/mcp"] }, { mount: "/s/s/mcp" })).toBe("forward");
    expect(await ask({ tools: ["s/echo"] })).toBe("workflow.missing");
    expect(await ask({ tools: ["s/other"] })).toBe("forward");
    expect(await ask({ tools: ["s/*"] })).toBe("workflow.missing");
    for (const kind of ["elicit", "sample", "roots", "task", "list"] as const) {
      expect(await ask({ all: true }, { target: { kind, name: "x" } })).not.toBe("workflow.missing");
    }
  });

  it("stands in a configuration that says whose tokens are taken, and how far they may reach", () => {
    const config = (workflows: JsonObject): string => {
      const auth = { tokens: [], workflows: { ...BASE, ...workflows } };
      return codeOf(() =>
        parseGatewayConfig(configOf("/tmp/x", "http://127.0.0.1:1", [{ id: "s" }], { config: { auth } })),
      );
    };
    expect(config({})).toBe("accepted");
    const { scopes: _, ...open } = BASE;
    const bare = { tokens: [], workflows: open };
    const whole = configOf("/tmp/x", "http://127.0.0.1:1", [{ id: "s" }], { config: { auth: bare } });
    expect(codeOf(() => parseGatewayConfig(whole))).toBe("ERR_CONFIG");
    const wrong: readonly JsonObject[] = [
      { issuers: [] },
      { issuers: [{ issuer: ISSUER }] },
      { issuers: [{ issuer: ISSUER, jwks_url: "http://idp.example/jwks" }] },
      { issuers: [{ issuer: ISSUER, jwks_url: "https://idp.example/jwks", jwks_file: "x" }] },
      { audience: "" },
      { required: { mounts: ["mcp"] } },
      { required: { tools: ["echo"] } },
      { reuse: "always" },
      { scopes: [SCOPE, SCOPE] },
    ];
    for (const one of wrong) expect([one, config(one)]).toEqual([one, "ERR_SHAPE"]);
  });
});

describe("what goes to the server", () => {
  it("has no workflow token in it", () => {
    const body =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"countersign/workflow-token":"x","a":1}}}';
    const message = readMessage(formatUtf8(body), "ingress", 10_000);
    if (message.type !== "request") throw new Error(message.type);
    for (const era of ["legacy", "modern"] as const) {
      const sent = Buffer.from(requestToServer(message, { id: 2, era, isLine: false })).toString("utf8");
      expect(sent).not.toContain("workflow-token");
      expect(sent).toContain('"a":1');
    }
  });
});
