import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  AGENT_TOKEN,
  type BenchOptions,
  checkChain,
  type GatewayBench,
  makeGatewayBench,
  OPERATOR_TOKEN,
  ofKind,
} from "../support/gateway-run.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";
import { bundleFiles } from "../support/policy-request.ts";

const RULES = `
@id("counting.use") permit (principal == Mcp::Agent::"local|example-agent",
  action in [Mcp::Action::"counting/echo", Mcp::Action::"counting/fail"], resource);
@id("counting.no-secrets") @reason("No secrets.") @control("DORA:9")
forbid (principal, action == Mcp::Action::"counting/echo", resource) when { context.input.message like "*secret*" };
`;

let ledger: FakeLedger;
let server: CountingServer;
let gateway: RunningGateway | undefined;
let bench: GatewayBench | undefined;
beforeEach(async () => {
  ledger = await startFakeLedger();
  server = await startCountingServer("modern");
});
afterEach(async () => {
  await gateway?.close();
  bench?.remove();
  [gateway, bench] = [undefined, undefined];
  await server.close();
  await ledger.close();
});

/** A gateway as the command starts it, before the counting server. */
async function start(given: BenchOptions = {}): Promise<RunningGateway> {
  const config: JsonObject = { servers: [{ id: "counting", url: server.url }], ...given.config };
  bench = makeGatewayBench(ledger.url, { policyFiles: bundleFiles(RULES), ...given, config });
  const { world: _, ...options } = bench.gatewayOptions;
  gateway = await startGateway(options);
  return gateway;
}

async function connect({ url }: RunningGateway, token = AGENT_TOKEN): Promise<Client> {
  const client = new Client({ name: "agent", version: "1" }, { versionNegotiation: { mode: "auto" } });
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  return client;
}

async function status({ operatorUrl }: RunningGateway): Promise<JsonObject> {
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
  const answer = await fetch(`${operatorUrl}/status`, { headers });
  const value = parseJson(new Uint8Array(await answer.arrayBuffer()));
  if (!isJsonObject(value)) throw new Error("no status");
  return value;
}

/** The stream as the ledger has it once the gateway has stopped, each link and signature checked. */
async function receiptsInLedger(running: RunningGateway): Promise<readonly StreamReceipt[]> {
  const { stream } = await status(running);
  await running.close();
  gateway = undefined;
  return checkChain(ledger.receiptsOf(String(stream)));
}

describe("an agent's call through the gateway", () => {
  it("that is allowed reaches the server; one that is denied does not, and both have receipts in the ledger", async () => {
    const running = await start();
    const client = await connect(running);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain("echo");
    expect(await client.callTool({ name: "echo", arguments: { message: "hello" } })).toMatchObject({
      content: [{ type: "text", text: "hello" }],
    });
    for (const call of [
      { name: "remove", arguments: {} },
      { name: "echo", arguments: { message: "a secret" } },
    ]) {
      expect(await client.callTool(call)).toMatchObject({ isError: true });
    }
    await client.close();
    expect(server.calls.get("echo")).toBe(1);
    expect(server.calls.get("remove")).toBeUndefined();
    const receipts = await receiptsInLedger(running);
    const decisions = ofKind(receipts, "decision");
    expect(decisions.map(({ ruling }) => [ruling.action, ruling.reasons[0], ruling.policies])).toEqual([
      ["forward", "policy.permit", ["counting.use"]],
      ["refuse", "policy.default-deny", []],
      ["refuse", "policy.forbid", ["counting.no-secrets"]],
    ]);
    expect(ofKind(receipts, "outcome").map(({ outcome }) => outcome.status)).toEqual(["ok"]);
    expect(ofKind(receipts, "session-seal").map(({ calls }) => [calls.allowed, calls.denied])).toEqual([[1, 2]]);
    for (const receipt of receipts) {
      expect(receipt.attestation).toEqual({ state: "not_available", reason: "attestation.software" });
    }
  });

  it("names in its denial the receipt that the ledger has", async () => {
    const running = await start();
    const client = await connect(running);
    const denied = await client.callTool({ name: "remove", arguments: {} });
    await client.close();
    const receipts = await receiptsInLedger(running);
    const [decision] = ofKind(receipts, "decision");
    expect(JSON.stringify(denied)).toContain(`${decision?.stream}/${decision?.seq}`);
  });

  it("in advisory mode is forwarded though policy denies it, and the receipt says would_deny", async () => {
    const running = await start({ mode: "advisory" });
    const client = await connect(running);
    await client.callTool({ name: "remove", arguments: {} });
    await client.close();
    expect(server.calls.get("remove")).toBe(1);
    const [decision] = ofKind(await receiptsInLedger(running), "decision");
    expect(decision?.ruling).toMatchObject({
      mode: "advisory",
      action: "forward",
      judgement: "deny",
      would_deny: true,
    });
  });

  it("200 at once: none lost, none refused, two receipts each, all of them proven", async () => {
    const running = await start();
    const client = await connect(running);
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.callTool({ name: "echo", arguments: { message: `call ${i}` } })),
    );
    expect(results.map(({ content }) => content[0])).toEqual(
      Array.from({ length: 200 }, (_, i) => ({ type: "text", text: `call ${i}` })),
    );
    await client.close();
    expect(server.calls.get("echo")).toBe(200);
    const deadline = performance.now() + 15_000;
    for (let pending = true; pending && performance.now() < deadline; ) {
      const { outbox } = await status(running);
      pending = outbox === undefined || !isJsonObject(outbox) || outbox["pending"] !== 0;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await status(running)).toMatchObject({ outbox: { pending: 0 } });
    const receipts = await receiptsInLedger(running);
    const decisions = ofKind(receipts, "decision");
    expect(decisions.length).toBe(200);
    expect(new Set(ofKind(receipts, "outcome").map(({ call }) => call.decision_seq)).size).toBe(200);
    expect(new Set(decisions.map(({ session }) => observedValue(session)?.id)).size).toBe(1);
  });

  it("with the operator's token, or with none, is refused with a receipt and reaches nothing", async () => {
    const running = await start();
    for (const token of [OPERATOR_TOKEN, "x".repeat(40)]) {
      await expect(connect(running, token)).rejects.toThrow();
    }
    expect((await fetch(`${running.url}/status`, { headers: { authorization: `Bearer ${AGENT_TOKEN}` } })).status).toBe(
      404,
    );
    const asAgent = await fetch(`${running.operatorUrl}/status`, {
      headers: { authorization: `Bearer ${AGENT_TOKEN}` },
    });
    expect(asAgent.status).toBe(401);
    const receipts = await receiptsInLedger(running);
    const reasons = ofKind(receipts, "decision").flatMap(({ ruling }) => ruling.reasons);
    expect(reasons.filter((reason) => reason === "auth.invalid").length).toBeGreaterThanOrEqual(3);
    expect(server.calls.size).toBe(0);
  });

  it("of a server that the agent stopped waiting for still has an outcome", async () => {
    const rules = `${RULES} @id("counting.wait") permit (principal, action == Mcp::Action::"counting/wait", resource);`;
    const running = await start({ policyFiles: bundleFiles(rules) });
    const client = await connect(running);
    const abort = new AbortController();
    const call = client.callTool({ name: "wait", arguments: {} }, { signal: abort.signal });
    await server.waiting();
    abort.abort();
    await expect(call).rejects.toThrow();
    await client.close();
    const receipts = await receiptsInLedger(running);
    expect(ofKind(receipts, "outcome").map(({ outcome }) => outcome)).toMatchObject([{ status: "cancelled" }]);
  });
});

describe("a gateway that is stopped", () => {
  it("is not ready once it stops, and begins where it ended", async () => {
    const running = await start();
    expect((await fetch(`${running.operatorUrl}/readyz`)).status).toBe(200);
    const { stream } = await status(running);
    await running.close();
    await expect(fetch(`${running.operatorUrl}/readyz`)).rejects.toThrow();
    if (bench === undefined) throw new Error("no bench");
    const { world: _, ...options } = bench.gatewayOptions;
    gateway = await startGateway(options);
    expect((await status(gateway))["stream"]).toBe(stream);
  });
});
