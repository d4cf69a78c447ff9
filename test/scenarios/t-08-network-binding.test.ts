/** T8: where the gateway listens, whom it takes for its servers, and what goes around it. */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sha256 } from "#crypto";
import { routeTestCommand } from "../../cli/commands/route-test.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { issue, type TestCertificate } from "../support/certificates.ts";
import { codeFrom } from "../support/code-of.ts";
import { runInProcess } from "../support/command-io.ts";
import { wordOf } from "../support/evidence.ts";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { sendRaw } from "../support/mcp-raw.ts";
import { sendRaw as sendBytes } from "../support/raw-http.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { listeningSockets } from "./socket-table.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const ROOT = issue({ subject: ["CN=root"], isAuthority: true });
const NAMES = ["IP:127.0.0.1"];
const SERVER = issue({ subject: ["CN=server"], names: NAMES }, ROOT);
const OTHER = issue({ subject: ["CN=server"], names: NAMES }, ROOT);

const spkiOf = ({ cert }: TestCertificate): string =>
  formatHex(sha256(new Uint8Array(new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" }))));

const start = async (): Promise<Scenario> =>
  open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }));

/** A server over TLS of which one key is pinned. */
const startPinned = async (pinned: TestCertificate): Promise<Scenario> =>
  open(
    startScenario({
      rules: PERMIT_ALL,
      servers: {
        crm: {
          tools: [{ name: "find" }, { name: "wait", isSilent: true }],
          certificate: SERVER,
          config: { tls: { ca_file: "root", spki: [spkiOf(pinned)] } },
        },
      },
      bench: () => ({ options: { readFile: () => formatUtf8(ROOT.cert), edgeLimits: { closeMs: 200 } } }),
    }),
  );

describe("T8 the gateway's sockets", () => {
  it("are on the loopback unless the configuration says otherwise, by the system's own table", async () => {
    const scenario = await start();
    const ports = [scenario.url, scenario.operatorUrl].map((url) => Number(new URL(url).port));
    const own = listeningSockets().filter(({ port }) => ports.includes(port));
    expect(own.map(({ port }) => port).sort()).toEqual(ports.sort());
    expect(own.every(({ isLoopback }) => isLoopback)).toBe(true);
  });

  it.each([
    ["Host", "evil.example", 403, "http.host"],
    ["Origin", "https://evil.example", 403, "http.origin"],
    ["Origin", "null", 403, "http.origin"],
  ] as const)("answer %s: %s with %i and a receipt: U is 0", async (name, value, status, reason) => {
    const scenario = await start();
    const answer = await sendRaw(scenario.url, {
      body: "{}",
      headers: { Authorization: `Bearer ${AGENT_TOKEN}`, [name]: value },
    });
    expect(answer.status).toBe(status);
    expect(scenario.server("crm").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.reasons)).toEqual([[reason]]);
  });
});

describe("T8 a page of somebody else's", () => {
  it("may read no answer, not even that of a request which is refused before its Origin is looked at", async () => {
    const scenario = await start();
    const host = new URL(scenario.url).host;
    const ask = (...lines: readonly string[]): Promise<string> =>
      sendBytes(
        scenario.url,
        ["POST /mcp HTTP/1.1", "connection: close", "content-length: 0", ...lines, "", ""].join("\r\n"),
      );
    const origin = "origin: https://evil.example";
    for (const lines of [
      [origin, `host: ${host}`, "mcp-name: a", "mcp-name: b"],
      [origin, "host: evil.example"],
      [origin, `host: ${host}`],
    ]) {
      const answer = await ask(...lines);
      expect(answer).toMatch(/^HTTP\/1\.1 40[03] /u);
      expect(answer.toLowerCase()).not.toContain("access-control-allow-origin");
    }
  });
});

describe("T8 a server with another key", () => {
  it("than the pinned one keeps the gateway from starting, and gets no call: U is 0", async () => {
    expect(await codeFrom(startPinned(OTHER))).toBe("ERR_SERVICE_START");
  });

  it("on a later connection gets no byte of a call, and the receipts say so: U stays 1", async () => {
    const scenario = await startPinned(SERVER);
    const server = scenario.server("crm");
    await scenario.call("find");
    server.show(OTHER);
    // Calls that stay hold every connection that was checked, so that the next one needs a connection of its own.
    let turnedAway = 0;
    const held = Array.from({ length: 8 }, async () => {
      const answer = await scenario.call("wait").catch(() => undefined);
      if (answer?.error?.data?.["reason"] === "server.identity-changed") turnedAway += 1;
    });
    await expect.poll(() => server.count("wait") + turnedAway, { timeout: 30_000 }).toBe(8);
    const refused = await scenario.call("find");
    expect(refused.error?.data).toMatchObject({ reason: "server.identity-changed" });
    expect(server.count("find")).toBe(1);
    expect((await scenario.outcomes()).at(-1)).toMatchObject({ outcome: { status: "upstream_error", effect: "none" } });
    await scenario.finish();
    await Promise.all(held);
  });
});

describe("T8 a way around the gateway", () => {
  it("is there for whoever reaches the server: no receipt claims otherwise, and the scope excludes it by name", async () => {
    const scenario = await start();
    const server = scenario.server("crm");
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "find" } });
    await fetch(server.url, { method: "POST", body, headers: { "content-type": "application/json" } });
    expect(server.count()).toBe(1);
    expect(await scenario.decisions()).toEqual([]);
    const { body: boundary } = await scenario.operate("GET", "/boundary");
    expect(boundary).toMatchObject({
      statement: { excluded: expect.arrayContaining([expect.objectContaining({ path: "around-the-gateway" })]) },
    });
  });

  it("that a self-test finds leaves mediation not established; without a test it is no more", async () => {
    const scenario = await start();
    await scenario.call("find");
    const [boundary] = (await scenario.decisions()).map((decision) => observedValue(decision.boundary) ?? "");
    const out = join(scenario.folder, "routes.json");
    const { exit } = await runInProcess(routeTestCommand, [
      ...["--boundary", join(scenario.folder, "evidence", `${boundary?.replace(":", "-")}.json`)],
      ...["--server", `crm=${scenario.server("crm").url}`, "--from", "where the agent runs", "--out", out],
    ]);
    expect(exit).toBe(1);
    const trust = { require: ["route.mediation"] } as const;
    const routeTests = [new Uint8Array(readFileSync(out))];
    const { result } = await scenario.evidence({ trust, routeTests });
    expect(result.obligations.at(-1)).toMatchObject({
      id: "route.mediation",
      verdict: "not_established",
      reason: "route.direct",
      subject: boundary,
    });
    expect([result.exit, result.verified]).toEqual([2, false]);
    const untested = await scenario.evidence({ trust });
    expect([wordOf(untested.result, "route.mediation"), untested.exit]).toEqual(["route.untested", 2]);
  });
});
