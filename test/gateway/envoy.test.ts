import { status as grpcStatus } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { codeOf } from "../support/code-of.ts";
import { connectEnvoyClient, ENVOY_TOKEN, type EnvoyClient } from "../support/envoy-check.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  type BenchOptions,
  configOf,
  type GatewayBench,
  makeGatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  readStream,
} from "../support/gateway-run.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";
import { bundleFiles } from "../support/policy-request.ts";

const RULES = `
@id("use") permit (principal == Mcp::Agent::"local|example-agent", action == Mcp::Action::"counting/echo", resource);
@id("no-secrets") @reason("No secrets.")
forbid (principal, action == Mcp::Action::"counting/echo", resource) when { context.input.message like "*secret*" };
`;

let ledger: FakeLedger;
let server: CountingServer;
let gateway: RunningGateway | undefined;
let bench: GatewayBench | undefined;
let client: EnvoyClient | undefined;
beforeEach(async () => {
  ledger = await startFakeLedger();
  server = await startCountingServer("modern");
});
afterEach(async () => {
  client?.close();
  await gateway?.close();
  bench?.remove();
  [gateway, bench, client] = [undefined, undefined, undefined];
  await server.close();
  await ledger.close();
});

async function start(rules = RULES, more: JsonObject = {}): Promise<EnvoyClient> {
  const config: JsonObject = {
    servers: [{ id: "counting", url: server.url }],
    envoy: { listen: { port: 0 }, token_file: "unused" },
    ...more,
  };
  const given: BenchOptions = { policyFiles: bundleFiles(rules), config };
  bench = makeGatewayBench(ledger.url, given);
  const { world: _, ...options } = bench.gatewayOptions;
  gateway = await startGateway({ ...options, secrets: { ...options.secrets, envoyToken: ENVOY_TOKEN } });
  client = connectEnvoyClient(gateway.envoyAddress ?? "");
  return client;
}

async function receipts(): Promise<readonly StreamReceipt[]> {
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
  const answer = await fetch(`${gateway?.operatorUrl}/status`, { headers });
  const { stream }: { readonly stream: string } = JSON.parse(await answer.text());
  return readStream(bench?.folder ?? "", stream);
}

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};

function modern(method: string, params: JsonObject): string {
  return JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { ...params, _meta: META } });
}

function headersOf(method: string, name?: string): Record<string, string> {
  const named = name === undefined ? {} : { "mcp-name": name };
  return { "mcp-protocol-version": "2026-07-28", "mcp-method": method, ...named };
}

const CALL = modern("tools/call", { name: "echo", arguments: { message: "hello" } });
const SECRET = modern("tools/call", { name: "echo", arguments: { message: "a secret" } });
const CALL_HEADERS = { headers: headersOf("tools/call", "echo") };

describe("a call that Envoy asks about", () => {
  it("goes on without the agent's credential if policy permits it, and its outcome is recorded as unknown", async () => {
    const envoy = await start();
    const checked = await envoy.check(CALL, CALL_HEADERS);
    expect(checked).toMatchObject({ code: 0, removed: ["authorization", "dpop"] });
    const all = await receipts();
    const [decision] = ofKind(all, "decision");
    expect(checked.headers["countersign-receipt"]).toBe(`${decision?.stream}/${decision?.seq}`);
    expect(decision?.ruling).toMatchObject({ action: "forward", policies: ["use"] });
    expect(decision?.upstream_auth).toEqual({ state: "not_established", reason: "upstream.unseen" });
    expect(decision?.request_sent).toMatchObject({ state: "present" });
    const [outcome] = ofKind(all, "outcome");
    expect(outcome?.outcome).toMatchObject({ status: "unknown", effect: "unknown" });
    for (const field of [outcome?.response_received, outcome?.response_returned, outcome?.latency]) {
      expect(field).toEqual({ state: "not_established", reason: "upstream.unseen" });
    }
    expect(server.calls.size).toBe(0);
  });

  it("is answered with the denial as the gateway's own endpoint answers it, if policy forbids it", async () => {
    const envoy = await start();
    const checked = await envoy.check(SECRET, CALL_HEADERS);
    expect(checked).toMatchObject({ code: grpcStatus.PERMISSION_DENIED, httpStatus: 200 });
    expect(checked.body?.result).toMatchObject({ isError: true });
    const all = await receipts();
    expect(ofKind(all, "decision").map(({ ruling }) => ruling.reasons[0])).toEqual(["policy.forbid"]);
    expect(ofKind(all, "outcome")).toHaveLength(0);
  });

  it("does not go on if policy wants something taken out of it, since Envoy sends the body that it has", async () => {
    const envoy = await start(
      '@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);\n' +
        '@id("mail") @redact("pii.email") permit (principal, action in Mcp::Action::"call_tool", resource);',
    );
    const mail = modern("tools/call", { name: "echo", arguments: { message: "write to ann@example.com" } });
    const checked = await envoy.check(mail, CALL_HEADERS);
    expect(checked.body?.error?.data.reason).toBe("inspect.redact-failed");
    const [outcome] = ofKind(await receipts(), "outcome");
    expect(outcome?.outcome).toMatchObject({ status: "cancelled", effect: "none" });
  });

  it("does not go on if policy speaks of its result, which nobody would see", async () => {
    const envoy = await start(
      '@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);\n' +
        '@id("answers") permit (principal, action == Mcp::Action::"respond:counting/echo", resource);\n' +
        '@id("results") forbid (principal, action == Mcp::Action::"respond:counting/echo", resource) when { context.system.resultBytes > 9 };',
    );
    const checked = await envoy.check(CALL, CALL_HEADERS);
    expect(checked.code).toBe(grpcStatus.PERMISSION_DENIED);
    expect(ofKind(await receipts(), "outcome").map(({ outcome }) => outcome.status)).toEqual(["blocked"]);
  });

  it("of a legacy agent has the session that the server gave, as the client's word", async () => {
    const envoy = await start();
    const headers = { "mcp-protocol-version": "2025-11-25", "mcp-session-id": "s-1" };
    const legacy = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "echo", arguments: { message: "hi" } },
    });
    expect((await envoy.check(legacy, { headers })).code).toBe(0);
    const [decision] = ofKind(await receipts(), "decision");
    const session = decision === undefined ? undefined : observedValue(decision.session);
    expect(session).toMatchObject({ source: "mcp-session-id", trust: "host-asserted" });
  });
});

describe("what calls nothing", () => {
  it("is answered from the approved catalog, where the gateway answers it", async () => {
    const envoy = await start();
    const listed = await envoy.check(modern("tools/list", {}), { headers: headersOf("tools/list") });
    expect(listed).toMatchObject({ code: grpcStatus.PERMISSION_DENIED, httpStatus: 200 });
    expect(JSON.stringify(listed.body?.result)).toContain('"name":"echo"');
    const found = await envoy.check(modern("server/discover", {}), { headers: headersOf("server/discover") });
    expect(found.body?.result).toMatchObject({ supportedVersions: ["2026-07-28"] });
  });

  it("goes on where it makes, keeps or ends the session of a legacy agent with its server", async () => {
    const envoy = await start();
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "a", version: "1" } };
    const initialize = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    const session = { "mcp-session-id": "s-1", "mcp-protocol-version": "2025-11-25" };
    expect((await envoy.check(initialize)).code).toBe(0);
    const initialized = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
    expect((await envoy.check(initialized, { headers: session })).code).toBe(0);
    expect((await envoy.check(undefined, { method: "DELETE", headers: session })).code).toBe(0);
  });
});

describe("a check is refused", () => {
  it.each([
    ["a body that was cut off", { headers: { "x-envoy-auth-partial-body": "true" } }, "http.body"],
    ["a body that is shorter than its length", { headers: { "content-length": "9999" } }, "http.body"],
    ["a body that is shorter than Envoy counted", { size: 9_999 }, "http.body"],
    ["a body as text", { rawBody: new Uint8Array(), body: CALL, size: -1 }, "http.body"],
    ["no body", { rawBody: new Uint8Array(), size: 0 }, "http.body"],
    ["a compressed body", { headers: { "content-encoding": "gzip" } }, "http.content-type"],
    ["a route without a server", { extensions: {} }, "http.path"],
    ["a server that nobody approved", { extensions: { server: "other" } }, "http.path"],
    ["a server id that is a path", { extensions: { server: "../mcp" } }, "http.path"],
    ["another method", { method: "GET" }, "http.method"],
    ["another media type", { headers: { "content-type": "text/plain" } }, "http.content-type"],
    ["an origin that is not allowed", { headers: { origin: "https://evil.example" } }, "http.origin"],
    ["no credential of the agent", { headers: { authorization: undefined } }, "auth.missing"],
    ["two credentials of the agent", { headers: { authorization: "Bearer aaaa,Bearer bbbb" } }, "auth.invalid"],
    ["a certificate that is none", { certificate: "nonsense" }, "auth.certificate"],
    ["headers that contradict the body", { headers: { "mcp-name": "wipe" } }, "http.header-mismatch"],
    ["two keys of one name", { rawBody: Buffer.from('{"jsonrpc":"2.0","id":1,"id":2}') }, "json.duplicate-key"],
  ] as const)("for %s, with a receipt", async (_what, changes, reason) => {
    const envoy = await start();
    const raw: Uint8Array = "rawBody" in changes ? changes.rawBody : Buffer.from(CALL);
    const headers = { ...CALL_HEADERS.headers, "content-length": String(raw.length) };
    const given = "headers" in changes ? { ...headers, ...changes.headers } : headers;
    const checked = await envoy.check(CALL, { ...changes, headers: given });
    expect(checked.code).toBe(grpcStatus.PERMISSION_DENIED);
    expect(checked.body?.error?.data.reason).toBe(reason);
    expect(ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons)).toEqual([[reason]]);
  });

  it.each([
    ["no token", undefined, "auth.missing"],
    ["another token", "f".repeat(40), "auth.invalid"],
  ])("for %s of Envoy, with an error of gRPC and a receipt", async (_what, token, reason) => {
    const envoy = await start();
    await expect(envoy.check(CALL, { ...CALL_HEADERS, token })).rejects.toMatchObject({
      code: grpcStatus.UNAUTHENTICATED,
    });
    expect(ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons)).toEqual([[reason]]);
  });

  it("for an answer to a question that no server could ask", async () => {
    const envoy = await start();
    const checked = await envoy.check(JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} }));
    expect(checked.body?.error?.data.reason).toBe("rpc.shape");
  });

  it("with an error of gRPC if it is larger than a body may be", async () => {
    const envoy = await start();
    const rawBody = new Uint8Array(6 * 1024 * 1024);
    await expect(envoy.check(undefined, { rawBody })).rejects.toMatchObject({ code: grpcStatus.RESOURCE_EXHAUSTED });
  });
});

describe("the configuration", () => {
  it("takes no address but the loopback's", () => {
    const config = (host: string): JsonObject =>
      configOf("/tmp/x", "http://127.0.0.1:1", [{ id: "s" }], {
        config: { envoy: { listen: { host }, token_file: "t" } },
      });
    expect(codeOf(() => parseGatewayConfig(config("0.0.0.0")))).toBe("ERR_CONFIG");
    expect(parseGatewayConfig(config("127.0.0.1")).envoy?.token_file).toBe("t");
  });
});
