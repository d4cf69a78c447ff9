import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { policyCommand } from "../../cli/commands/policy.ts";
import { measurementsOf } from "../../cli/gateway-measurements.ts";
import { parseCatalog, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifact, parseArtifact, quarantineDigest } from "../../kernel/policy-artifact.ts";
import { checkNarrower, parseSessionArtifact, sessionHash } from "../../kernel/session-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { codeOf } from "../support/code-of.ts";
import { runInProcess } from "../support/command-io.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { configOf } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { ALICE } from "../support/signed-catalog.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-policy-"));
const path = (name: string): string => join(folder, name);

const CEDAR = `
@id("echo") permit (principal in Mcp::Group::"support", action == Mcp::Action::"s/echo", resource);
@id("etc") @reason("Not these files.") @control("DORA:9")
forbid (principal, action == Mcp::Action::"s/wipe", resource) when { context.input has path && context.input.path == "/etc" };
@id("wipe") permit (principal, action == Mcp::Action::"s/wipe", resource);
@id("ask") @decision("require-approval") forbid (principal, action == Mcp::Action::"s/wipe", resource)
when { context.session.taint.contains("phi") };
`;

const AGENT = { id: "local|a" };

async function policy(...args: readonly string[]): Promise<{ exit: unknown; out: string }> {
  const { exit, fault, out } = await runInProcess(policyCommand, args);
  return { exit: exit ?? fault, out };
}

function write(name: string, value: unknown): string {
  writeFileSync(path(name), JSON.stringify(value));
  return path(name);
}

beforeAll(async () => {
  mkdirSync(path("bundle"));
  for (const file of bundleFiles(CEDAR)) writeFileSync(join(path("bundle"), file.path), file.content);
  const { id, identity, attributes, listSurface } = makeFakeUpstream("s");
  const catalog = parseCatalog(pinFirstUse([{ id, identity, attributes, surface: await listSurface() }]));
  writeFileSync(path("catalog.json"), canonicalBytes(catalog));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("countersign policy check", () => {
  it("prints digest, version and what each policy obliges to", async () => {
    const { exit, out } = await policy("check", path("bundle"), "--catalog", path("catalog.json"));
    expect(exit).toBe(0);
    expect(out).toContain(parseBundle(bundleFiles(CEDAR)).digest);
    expect(out).toContain("version 1, 4 policies");
    expect(out).toContain("forbid ask (require-approval)");
    expect(out).not.toContain("not checked");
  });

  it("says without a catalog what it did not look at", async () => {
    expect((await policy("check", path("bundle"))).out).toContain("is not checked");
  });

  it("refuses a policy that the catalog's schema does not fit", async () => {
    mkdirSync(path("misfit"));
    const cedar = '@id("x") permit (principal, action == Mcp::Action::"s/nothing", resource);';
    for (const file of bundleFiles(cedar)) writeFileSync(join(path("misfit"), file.path), file.content);
    expect((await policy("check", path("misfit"))).exit).toBe(0);
    expect((await policy("check", path("misfit"), "--catalog", path("catalog.json"))).exit).toBe("ERR_POLICY_BUNDLE");
  });
});

describe("countersign policy test", () => {
  const cases = [
    {
      name: "support may echo",
      request: { principal: { ...AGENT, groups: ["support"] }, action: "s/echo", arguments: { message: "hi" } },
      expect: { allowed: true, policies: ["echo"] },
    },
    {
      name: "phi needs an approval",
      request: { principal: AGENT, action: "s/wipe", session: { taint: ["phi"] } },
      expect: { allowed: false, reason: "policy.forbid", approvable: true },
    },
  ];

  it("passes if every answer is as expected", async () => {
    const file = write("cases.json", { v: 1, cases });
    const { exit, out } = await policy("test", path("bundle"), file, "--catalog", path("catalog.json"));
    expect([exit, out]).toEqual([0, "ok   support may echo\nok   phi needs an approval\n2 of 2 as expected\n"]);
  });

  it("fails by name and says what differs", async () => {
    const [one] = cases;
    const wrong = { ...one, expect: { allowed: false, policies: ["other"] } };
    const file = write("wrong.json", { v: 1, cases: [wrong] });
    const { exit, out } = await policy("test", path("bundle"), file, "--catalog", path("catalog.json"));
    expect(exit).toBe(1);
    expect(out).toContain("FAIL support may echo");
    expect(out).toContain("allowed: want false, got true");
    expect(out).toContain('policies: want ["other"], got ["echo"]');
  });

  it("refuses a file that is no list of cases", async () => {
    const file = write("bad.json", { v: 1, cases: [{ name: "x" }] });
    expect((await policy("test", path("bundle"), file, "--catalog", path("catalog.json"))).exit).toBe("ERR_SHAPE");
  });
});

describe("countersign policy explain", () => {
  const explain = async (request: unknown): Promise<string> => {
    const file = write("request.json", request);
    const { exit, out } = await policy("explain", path("bundle"), file, "--catalog", path("catalog.json"));
    expect(exit).toBe(0);
    return out;
  };

  it("names the policies, their annotations and text, and the fact that decides", async () => {
    const out = await explain({ principal: AGENT, action: "s/wipe", arguments: { path: "/etc" } });
    expect(out).toContain("denied: policy.forbid");
    expect(out).toContain("determined by etc");
    expect(out).toContain("reason: Not these files.");
    expect(out).toContain("controls: DORA:9");
    expect(out).toContain("| forbid");
    expect(out).toContain('arguments.path: "/etc" -> "phi": allowed');
    expect(out).not.toContain("session.taint");
  });

  it("finds what would deny an allowed call", async () => {
    const out = await explain({ principal: AGENT, action: "s/wipe", arguments: { path: "/tmp" } });
    expect(out).toContain("allowed: policy.permit");
    expect(out).toContain('arguments.path: "/tmp" -> "/etc": denied');
    expect(out).toContain("session.taint: []");
  });

  it("says that no single fact would change a default deny that none changes", async () => {
    const out = await explain({ principal: AGENT, action: "s/echo", arguments: { message: "hi" } });
    expect(out).toContain("denied: policy.default-deny");
    expect(out).toContain("no single fact that was tried would change it");
  });
});

describe("countersign policy draft and seal", () => {
  /** A session artifact from the gateway's. */
  async function narrow(config: JsonObject, outer: PolicyArtifact): Promise<void> {
    const signers = [{ name: "one", key: formatPublicKey(ALICE.signer.publicKey) }];
    const own = { file: path("artifact.json"), gateway: "gateway", signers, threshold: 1 };
    const file = write("sealed.json", { ...config, catalog: { pin: "first-use" }, artifact: own });
    const draft = [
      "draft",
      "--config",
      file,
      "--days",
      "90",
      "--out",
      path("session.json"),
      "--session",
      "token-claim:s1",
    ];
    expect((await policy(...draft, "--agent", "local|nobody")).exit).toBe("ERR_CONFIG");
    expect((await policy(...draft, "--session", "host-key:s1", "--agent", "local|example-agent")).exit).toBe(
      "ERR_CONFIG",
    );
    expect((await policy(...draft, "--agent", "local|example-agent")).exit).toBe(0);
    for (const name of ["one.key", "two.key"]) {
      expect((await policy("seal", path("session.json"), "--key", path(name))).exit).toBe(0);
    }
    const session = parseSessionArtifact(new Uint8Array(readFileSync(path("session.json"))));
    checkNarrower(session, outer);
    expect(session).toMatchObject({
      subject: { principal: "local|example-agent" },
      session: { source: "token-claim", id: sessionHash("s1") },
      not_after: outer.not_after,
      tools: ["s/*"],
    });
    expect((await policy("reload", "--config", file, "--sessions")).exit).not.toBe(0);
  }

  it("measures the limits in the configuration's file as they are now, and nothing else of it", () => {
    const limits = { calls_per_minute: { tools: { "s/wipe": 2 } } };
    const file = write("measured.json", { servers: "unread", limits });
    const { limits: measured } = measurementsOf({}, file);
    expect(measured?.()).toEqual(limits);
    write("measured.json", {});
    expect(measured?.()).toEqual({});
    write("measured.json", { limits: { calls_per_minute: { tools: { "s/wipe": 0 } } } });
    expect(codeOf(() => measured?.())).toBe("ERR_SHAPE");
    rmSync(file);
    expect(codeOf(() => measured?.())).toBe("ERR_FILE_READ");
  });

  it("measures what the configuration's file says of quarantine as it is now, and nothing else of it", () => {
    const quarantine = { baseline: { denials: 2 } };
    const file = write("measured.json", { servers: "unread", limits: "unread", quarantine });
    const { quarantine: measured } = measurementsOf({}, file);
    expect(measured?.()).toEqual(quarantine);
    write("measured.json", {});
    expect(measured?.()).toBeUndefined();
    write("measured.json", { quarantine: { baseline: { denials: -1 } } });
    expect(codeOf(() => measured?.())).toBe("ERR_SHAPE");
    rmSync(file);
    expect(codeOf(() => measured?.())).toBe("ERR_FILE_READ");
  });

  it("drafts what the configuration has, and adds one signature after another", async () => {
    const config = configOf(folder, "http://127.0.0.1:9", [{ id: "s" }], {
      config: {
        policy: { dir: path("bundle") },
        limits: { calls_per_minute: { session: 7, tools: { "s/wipe": 2, "s/echo": 3 } } },
        quarantine: { baseline: { denials: 2 } },
      },
    });
    const file = write("gateway.json", { ...config, catalog: { pin: "first-use" } });
    expect((await policy("draft", "--config", file, "--out", path("artifact.json"), "--days", "7")).exit).toBe(0);
    for (const name of ["one.key", "two.key"]) {
      await runInProcess(keygenCommand, ["envelope", "--out", path(name)]);
      expect((await policy("seal", path("artifact.json"), "--key", path(name))).exit).toBe(0);
    }
    const artifact = parseArtifact(new Uint8Array(readFileSync(path("artifact.json"))));
    expect(artifact.signatures).toHaveLength(2);
    expect(artifact).toMatchObject({
      v: 2,
      version: 1,
      mode: "enforcing",
      policy: { digest: parseBundle(bundleFiles(CEDAR)).digest },
      subjects: [{ principal: "local|example-agent" }],
      tools: ["s/*"],
      upstreams: [{ server: "s", identity: { kind: "http", url: "http://s.example/mcp" } }],
      quarantine: quarantineDigest({ baseline: { denials: 2 } }),
    });
    const tools = [
      { tool: "s/echo", limit: 3 },
      { tool: "s/wipe", limit: 2 },
    ];
    expect(artifact.limits).toEqual({
      calls_per_minute: { principal: 600, session: 7, tools },
      calls_in_flight: { principal: 256, total: 1_024, tools: [] },
      sessions: { principal: 1_024 },
    });
    await narrow(config, artifact);
    expect((await policy("seal", path("artifact.json"), "--key", path("one.key"))).exit).toBe("ERR_SHAPE");
    writeFileSync(path("none.json"), formatUtf8("{}"));
    expect((await policy("seal", path("none.json"), "--key", path("one.key"))).exit).toBe("ERR_SHAPE");
  });
});
