import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { issue } from "../support/certificates.ts";
import { codeFrom } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { checkChain, type GatewayBench, makeGatewayBench, OPERATOR_TOKEN, ofKind } from "../support/gateway-run.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { startTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const CALL = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"x"},${META}}}`;

const folder = mkdtempSync(join(tmpdir(), "countersign-identity-"));
const root = issue({ subject: ["CN=root"], isAuthority: true });
const leaf = issue({ subject: ["CN=gateway"], names: ["IP:127.0.0.1"] }, root);
let ledger: FakeLedger;
let server: CountingServer;
let issuer: TokenIssuer;
let bench: GatewayBench;
let gateway: RunningGateway;

beforeAll(async () => {
  [ledger, server, issuer] = [await startFakeLedger(), await startCountingServer("modern"), await startTokenIssuer()];
  writeFileSync(join(folder, "cert.pem"), leaf.cert);
  writeFileSync(join(folder, "key.pem"), leaf.key);
  writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [issuer.key.jwk] }));
  const rules = `
@id("by-group") permit (principal in Mcp::Group::"${issuer.issuer}|finance", action == Mcp::Action::"counting/echo", resource)
when { principal.outcome == "verified" };`;
  bench = makeGatewayBench(ledger.url, {
    policyFiles: bundleFiles(rules),
    config: {
      listen: { port: 0, tls: { cert_file: join(folder, "cert.pem"), key_file: join(folder, "key.pem") } },
      servers: [{ id: "counting", url: server.url }],
      auth: {
        tokens: [],
        oauth: {
          resource: "https://gateway.example",
          issuers: [{ issuer: issuer.issuer, jwks_file: join(folder, "jwks.json") }],
        },
      },
    },
  });
  const { world: _, ...options } = bench.gatewayOptions;
  gateway = await startGateway({ ...options, readFile: (path) => new Uint8Array(readFileSync(path)) });
});
afterAll(async () => {
  await gateway.close();
  bench.remove();
  await issuer.close();
  await server.close();
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Calls `echo`. @returns status and body */
function call(token: string): Promise<readonly [number, string]> {
  return new Promise((resolve, reject) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "echo",
    };
    const sent = request(`${gateway.url}/mcp`, { method: "POST", headers, ca: root.cert, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => resolve([answer.statusCode ?? 0, body]));
    });
    sent.on("error", reject);
    sent.end(CALL);
  });
}

function streamOf(status: unknown): string {
  return typeof status === "object" && status !== null && "stream" in status ? String(status.stream) : "";
}

describe("a gateway whose configuration names an issuer, certificates and a public address", () => {
  it("decides by the groups of the token, and its receipts tell the four cases apart", async () => {
    const token = (claims: Readonly<Record<string, unknown>>): Promise<string> =>
      issuer.token({ aud: "https://gateway.example/mcp", client_id: "agent-7", ...claims });
    const calls = (): number => server.calls.get("echo") ?? 0;
    expect((await call(await token({ groups: ["finance"] })))[0]).toBe(200);
    expect(calls()).toBe(1);
    expect((await call(await token({ groups: ["sales"] })))[1]).toContain("policy.default-deny");
    expect((await call(await token({ aud: `${gateway.url}/mcp` })))[0]).toBe(401);
    expect((await call(await token({ exp: 1 })))[0]).toBe(401);
    expect(calls()).toBe(1);
    const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
    const status: unknown = await (await fetch(`${gateway.operatorUrl}/status`, { headers })).json();
    await gateway.close();
    const decisions = ofKind(checkChain(ledger.receiptsOf(streamOf(status))), "decision");
    expect(decisions.map(({ ruling }) => ruling.reasons[0])).toEqual([
      "policy.permit",
      "policy.default-deny",
      "auth.audience",
      "auth.expired",
    ]);
    expect(decisions.map(({ actor }) => observedValue(actor)?.outcome)).toEqual([
      "verified",
      "verified",
      "wrong-audience",
      "expired",
    ]);
    const [first] = decisions;
    expect(observedValue(first?.subject ?? { state: "absent" })?.id).toBe(
      observedValue(first?.principal ?? { state: "absent" })?.id,
    );
    expect(observedValue(first?.actor ?? { state: "absent" })?.id).not.toBe(
      observedValue(first?.principal ?? { state: "absent" })?.id,
    );
    expect(JSON.stringify(decisions)).not.toMatch(/user-1|agent-7|finance"/u);
  });

  it("does not start with a certificate that is none, or with files that nobody reads", async () => {
    const { world: _, ...options } = bench.gatewayOptions;
    const nothing = startGateway({ ...options, readFile: () => new TextEncoder().encode("x") });
    expect(await codeFrom(nothing)).toBe("ERR_CERTIFICATE");
    expect(await codeFrom(startGateway(options))).toBe("ERR_CONFIG");
  });
});
