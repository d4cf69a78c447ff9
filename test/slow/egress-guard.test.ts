/** A real gateway process with a hostile module loaded before it: nothing leaves but what the configuration declares. */

import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProcess, until } from "../support/command.ts";
import { type FakeLedger, SUBMIT_TOKEN, startFakeLedger } from "../support/fake-ledger.ts";
import { AGENT_TOKEN, configOf, OPERATOR_TOKEN, ofKind, readStream } from "../support/gateway-run.ts";
import { answerAsModern, type ScriptedServer, startScriptedServer } from "../support/mcp-scripted.ts";
import { ROOT } from "../support/source-files.ts";

const MAIN = join(ROOT, "dist", "cli", "main.js");
const HOSTILE = join(ROOT, "test", "support", "hostile-preload.mjs");
const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");
/** A real add-on that the process has not loaded: of another C library. */
const ADDON = join(ROOT, "node_modules/classic-level/prebuilds/linux-x64/classic-level.musl.node");
const folder = mkdtempSync(join(tmpdir(), "countersign-egress-"));
const data = join(folder, "data");
const out = join(folder, "hostile.json");

let ledger: FakeLedger;
let declared: ScriptedServer;
let elsewhere: Server;
let gateway: ChildProcess;
let operatorUrl = "";
let log = "";
const reached: string[] = [];
const datagrams: Buffer[] = [];

const portOf = (url: string): number => Number(new URL(url).port);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function secret(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}

async function askOperator(path: string): Promise<string> {
  const answer = await fetch(`${operatorUrl}${path}`, { headers: { authorization: `Bearer ${OPERATOR_TOKEN}` } });
  return answer.text();
}

/** The servers' own listings are proof that declared connections and children go out. */
async function startGatewayProcess(): Promise<void> {
  const port = await freePort();
  operatorUrl = `http://127.0.0.1:${port}`;
  const base = configOf(data, ledger.url, [{ id: "s" }], { mode: "advisory" });
  const servers = [
    { id: "s", url: `http://localhost:${portOf(declared.url)}/mcp` },
    { id: "every", command: process.execPath, args: [EVERYTHING] },
  ];
  const { policy: _policy, ...rest } = base;
  const config = {
    ...rest,
    servers,
    operator_listen: { port },
    operator_token_file: secret("operator.token", OPERATOR_TOKEN),
    auth: { tokens: [{ principal: "example-agent", token_file: secret("agent.token", AGENT_TOKEN) }] },
    ledger: { ...Object(base["ledger"]), submit_token_file: secret("submit.token", SUBMIT_TOKEN) },
    egress: { telemetry: [{ url: "https://collector.example:4318/v1/traces", acknowledged: true }] },
  };
  const path = join(folder, "gateway.json");
  writeFileSync(path, JSON.stringify(config));
  const address = elsewhere.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const env = {
    ...process.env,
    HOSTILE_OUT: out,
    HOSTILE_ADDON: ADDON,
    HOSTILE_PORT: String(address.port),
    ALLOWED_PORT: String(portOf(declared.url)),
  };
  gateway = spawn(process.execPath, ["--import", HOSTILE, MAIN, "gateway", "--config", path], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  gateway.stderr?.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  await until("the gateway is ready", () =>
    fetch(`${operatorUrl}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${log}`);
  });
}

describe("the egress guard of a gateway process", () => {
  beforeAll(async () => {
    ledger = await startFakeLedger();
    declared = await startScriptedServer((message, response) => {
      if (!answerAsModern(message, response)) response.writeHead(404).end();
    });
    elsewhere = createServer((request, response) => {
      reached.push(request.url ?? "");
      response.end();
    });
    elsewhere.on("connection", () => reached.push("connection"));
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    const address = elsewhere.address();
    const socket = createSocket("udp4").on("message", (message) => datagrams.push(message));
    socket.unref();
    socket.bind(typeof address === "object" ? (address?.port ?? 0) : 0, "127.0.0.1");
    await startGatewayProcess();
  }, 60_000);
  afterAll(async () => {
    await endProcess(gateway);
    await ledger.close();
    await declared.close();
    elsewhere.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("refuses every way out, also through functions that were kept from before; what is declared goes on", async () => {
    expect(gateway.kill("SIGUSR2")).toBe(true);
    await until("the hostile module has tried everything", async () => {
      if (gateway.exitCode !== null) throw new Error(`the gateway ended: ${log.slice(-2_000)}`);
      return existsSync(out);
    });
    const results: Readonly<Record<string, string>> = JSON.parse(readFileSync(out, "utf8"));
    const { control, putBack, ...others } = results;
    expect(control).toBe("out");
    expect(putBack).toBe("TypeError");
    for (const [name, result] of Object.entries(others)) {
      expect(result, name).toMatch(/^(?:ERR_EGRESS|EACCES|EPERM|EFAIL|ENOENT|EAI_\w+)$/u);
    }
    expect(Object.keys(others).length).toBeGreaterThan(37);
    expect(reached).toEqual([]);
    expect(datagrams).toEqual([]);
  }, 180_000);

  it("leaves an alarm, a count and a receipt of each, with no destination in the receipt", async () => {
    expect(log).toContain('"code":"ERR_EGRESS"');
    const metrics = await askOperator("/metrics");
    for (const way of ["tcp", "udp", "dns", "process", "thread", "pipe", "binding"]) {
      expect(metrics, way).toMatch(new RegExp(`gateway_egress_refused_total\\{way="${way}"\\} [1-9]`, "u"));
    }
    const stream = readFileSync(join(data, "current"), "utf8").trim();
    await until("the refusals have receipts", async () => {
      const receipts = await readStream(data, stream);
      const single = ofKind(receipts, "decision").filter(({ ruling }) => ruling.reasons.includes("egress.undeclared"));
      return single.length > 0;
    });
    const text = readFileSync(join(data, "streams", stream, "receipts.log"), "latin1");
    expect(text).toContain("egress.undeclared");
    expect(text).not.toContain("exfiltration");
  });

  it("stands in the capture scope that every decision names, with each allowance for telemetry", async () => {
    const { statement } = JSON.parse(await askOperator("/boundary"));
    expect(statement.egress).toEqual({
      guard: "process",
      destinations: [
        `ledger 127.0.0.1:${portOf(ledger.url)}`,
        `server localhost:${portOf(declared.url)}`,
        "telemetry collector.example:4318",
      ],
      private_hosts: [],
      threads: { delivery: [`ledger 127.0.0.1:${portOf(ledger.url)}`], sealing: [] },
    });
    await until("receipts are proven", async () => {
      const { outbox } = JSON.parse(await askOperator("/status"));
      return outbox.proven > 0;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await askOperator("/status")}\n${log}`);
    });
  });
});
