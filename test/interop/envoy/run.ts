/**
 * The gateway's service for Envoy, asked by a real Envoy under the example of docs/examples/envoy. `scripts/interop-envoy.sh`
 * installs that and runs this:
 *
 *     node dist/test/interop/envoy/run.js <the program envoy>
 *
 * One line a check; the last line is `N passed, N failed`; exit 1 if one failed.
 */

import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { type RunningGateway, startGateway } from "../../../gateway/start.ts";
import { endProcess, until } from "../../support/command.ts";
import { ENVOY_TOKEN } from "../../support/envoy-check.ts";
import { startFakeLedger } from "../../support/fake-ledger.ts";
import { freePort } from "../../support/free-port.ts";
import { AGENT_TOKEN, makeGatewayBench } from "../../support/gateway-run.ts";
import { connectOldClient } from "../../support/mcp-old-client.ts";
import { type CountingServer, startCountingServer } from "../../support/mcp-server.ts";
import { bundleFiles } from "../../support/policy-request.ts";
import { ROOT } from "../../support/source-files.ts";

const RULES = `
@id("use") permit (principal, action == Mcp::Action::"files/echo", resource);
@id("no-secrets") @reason("No secrets.")
forbid (principal, action == Mcp::Action::"files/echo", resource) when { context.input.message like "*secret*" };
`;

/** An Envoy before one server, which asks one gateway. */
interface Rig {
  readonly url: string;
  readonly server: CountingServer;
  readonly gateway: RunningGateway;
}

const program = process.argv[2] ?? "";
const folder = mkdtempSync(join(tmpdir(), "countersign-envoy-"));
const closers: (() => Promise<unknown>)[] = [];

async function openRig(era: "modern" | "sessions"): Promise<Rig> {
  const [ledger, server] = [await startFakeLedger(), await startCountingServer(era)];
  closers.push(ledger.close, server.close);
  const config = {
    servers: [{ id: "files", url: server.url }],
    envoy: { listen: { port: 0 }, token_file: "unused" },
  };
  const bench = makeGatewayBench(ledger.url, { policyFiles: bundleFiles(RULES), config });
  const { world: _, ...options } = bench.gatewayOptions;
  const gateway = await startGateway({ ...options, secrets: { ...options.secrets, envoyToken: ENVOY_TOKEN } });
  closers.push(async () => {
    await gateway.close();
    bench.remove();
  });
  const url = await startEnvoy(gateway.envoyAddress ?? "", server.url);
  return { url, server, gateway };
}

/** The example, with the ports of this run and a route that names no server. */
async function startEnvoy(address: string, serverUrl: string): Promise<string> {
  const [port, admin] = [await freePort(), await freePort()];
  const ports = new Map([
    ["4180", String(port)],
    ["9901", String(admin)],
    ["4102", String(address.split(":")[1])],
    ["3000", new URL(serverUrl).port],
  ]);
  const text = readFileSync(join(ROOT, "docs", "examples", "envoy", "envoy.yaml"), "utf8")
    .replaceAll(/\$\{COUNTERSIGN_ENVOY_TOKEN\}/gu, ENVOY_TOKEN)
    // In one pass: what one port is replaced by may begin like another.
    .replace(/port_value: (\d+)\b/gu, (_, named: string) => `port_value: ${ports.get(named) ?? named}`);
  const bootstrap: object = parse(text);
  addBareRoute(bootstrap);
  const path = join(folder, `envoy-${port}.json`);
  writeFileSync(path, JSON.stringify(bootstrap));
  const child = spawn(program, ["-c", path, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  closers.push(() => endProcess(child, "SIGTERM"));
  await until("Envoy is ready", () => isReady(child, `http://127.0.0.1:${admin}/ready`), 60_000);
  return `http://127.0.0.1:${port}`;
}

interface RouteTable {
  readonly routes: object[];
}

function addBareRoute(bootstrap: object): void {
  const tables: RouteTable[] = [];
  JSON.stringify(bootstrap, (_key, value: unknown) => {
    if (typeof value === "object" && value !== null && "routes" in value) tables.push(Object(value));
    return value;
  });
  for (const { routes } of tables) routes.push({ match: { path: "/bare/mcp" }, route: { cluster: "files" } });
}

async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}`);
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

function post(rig: Rig, path: string, message: string, method = "tools/call", name = "echo"): Promise<Response> {
  return fetch(`${rig.url}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${AGENT_TOKEN}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(name === "" ? {} : { "mcp-name": name }),
    },
    body: message,
  });
}

function request(method: string, params: object): string {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  return JSON.stringify({ jsonrpc: "2.0", id: 3, method, params: { ...params, _meta } });
}

const call = (text: string): string => request("tools/call", { name: "echo", arguments: { message: text } });

const modern = await openRig("modern");
const checks: readonly (readonly [string, () => Promise<void>])[] = [
  [
    "a permitted call reaches the server without the agent's credential, and its answer names the receipt",
    async () => {
      const answer = await post(modern, "/files/mcp", call("hello"));
      ok((await answer.text()).includes("hello"));
      ok(/^[0-9a-f]{64}\/\d+$/u.test(answer.headers.get("countersign-receipt") ?? ""));
      equal(modern.server.calls.get("echo"), 1);
      equal(modern.server.headers.at(-1)?.authorization, undefined);
    },
  ],
  [
    "a forbidden call is answered as a result that says so, and reaches nobody",
    async () => {
      const answer = await post(modern, "/files/mcp", call("a secret"));
      equal(answer.status, 200);
      ok((await answer.text()).includes("policy.forbid"));
      equal(modern.server.calls.get("echo"), 1);
    },
  ],
  [
    "a list is answered from the approved catalog, and does not reach the server",
    async () => {
      const before = modern.server.headers.length;
      const answer = await post(modern, "/files/mcp", request("tools/list", {}), "tools/list", "");
      ok((await answer.text()).includes('"name":"echo"'));
      equal(modern.server.headers.length, before);
    },
  ],
  [
    "a client's own word about a partial body changes nothing",
    async () => {
      const answer = await fetch(`${modern.url}/files/mcp`, {
        method: "POST",
        headers: { "x-envoy-auth-partial-body": "false", authorization: `Bearer ${AGENT_TOKEN}` },
        body: "{",
      });
      ok(answer.status >= 400);
      await answer.text();
    },
  ],
  [
    "a body above the limit is refused by Envoy",
    async () => {
      const answer = await post(modern, "/files/mcp", call("x".repeat(5 * 1024 * 1024)));
      equal(answer.status, 413);
      await answer.text();
    },
  ],
  [
    "a route that names no server is denied",
    async () => {
      const answer = await post(modern, "/bare/mcp", call("hello"));
      equal(answer.status, 404);
      ok((await answer.text()).includes("http.path"));
      equal(modern.server.calls.get("echo"), 1);
    },
  ],
  [
    "a GET, whose stream nobody would decide, is denied",
    async () => {
      const answer = await fetch(`${modern.url}/files/mcp`, { headers: { authorization: `Bearer ${AGENT_TOKEN}` } });
      equal(answer.status, 405);
      await answer.text();
    },
  ],
  [
    "the published 1.x client works through Envoy, with the session of its server",
    async () => {
      const legacy = await openRig("sessions");
      const client = await connectOldClient(`${legacy.url}/files/mcp`, { Authorization: `Bearer ${AGENT_TOKEN}` });
      ok((await client.toolNames()).includes("echo"));
      equal(await client.call("echo", { message: "hi" }), { content: [{ type: "text", text: "hi" }] });
      equal((await client.call("echo", { message: "a secret" }))["isError"], true);
      equal(legacy.server.calls.get("echo"), 1);
      await client.terminate();
      await client.close();
    },
  ],
  [
    "without the gateway nothing goes on",
    async () => {
      await modern.gateway.close();
      const answer = await post(modern, "/files/mcp", call("hello"));
      equal(answer.status, 503);
      await answer.text();
      equal(modern.server.calls.get("echo"), 1);
    },
  ],
];

let [passed, failed] = [0, 0];
for (const [what, check] of checks) {
  try {
    await check();
    passed += 1;
    console.log(`pass  ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${what}\n${error instanceof Error ? error.stack : String(error)}`);
  }
}
for (const close of closers.reverse()) await close();
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
