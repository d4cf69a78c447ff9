/** T1: credentials that are missing, over, somebody else's or good; and what a request says of itself. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { makeKey, startTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const RESOURCE = "https://gateway.example";
const NOBODY = "x".repeat(40);

let issuer: TokenIssuer;
beforeAll(async () => {
  issuer = await startTokenIssuer();
});
afterAll(() => issuer.close());

const start = async (
  rules = PERMIT_ALL,
  nowMs: () => number = Date.now,
  ofIssuer: JsonObject = {},
  config: JsonObject = {},
): Promise<Scenario> =>
  open(
    startScenario({
      rules,
      nowMs,
      servers: { crm: { tools: [{ name: "find" }] } },
      config: {
        ...config,
        auth: {
          tokens: [],
          oauth: {
            resource: RESOURCE,
            issuers: [{ issuer: issuer.issuer, jwks_url: issuer.jwksUrl, ...ofIssuer }],
            allow_loopback_http: true,
            jwks_floor_seconds: 0,
          },
        },
      },
    }),
  );

const good = (claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  issuer.token({ aud: `${RESOURCE}/mcp`, client_id: "agent-7", ...claims });

describe("T1 authentication and identity", () => {
  it("no, an expired, a foreign and a good credential: four receipts, U is 0, 0, 0, 1", async () => {
    const scenario = await start();
    const counts: number[] = [];
    for (const token of ["", await good({ exp: 1 }), await good({ aud: "https://other.example/mcp" }), await good()]) {
      await scenario.call("find", {}, { token });
      counts.push(scenario.server("crm").count());
    }
    expect(counts).toEqual([0, 0, 0, 1]);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling }) => ruling.reasons[0])).toEqual([
      "auth.missing",
      "auth.expired",
      "auth.audience",
      "policy.permit",
    ]);
    expect(decisions.map(({ principal }) => principal.state === "present")).toEqual([false, false, false, true]);
    const [actor, subject] = [decisions[3]?.actor, decisions[3]?.subject].map((who) => who && observedValue(who));
    expect(actor).toMatchObject({ provenance: "connection-credential", outcome: "verified" });
    expect(subject).toMatchObject({ provenance: "connection-credential", outcome: "verified" });
    expect(actor).not.toEqual(subject);
    const judged = await scenario.evidence();
    expect(judged.words).toEqual({ "policy.files": "policy.not-disclosed" });
    expect(judged.hardware).toBe("attestation.software");
  });

  it("a key that nobody knows and a signature that does not hold have reasons of their own", async () => {
    const scenario = await start();
    const stranger = await makeKey("ES256", "key-9");
    const forger = await makeKey("ES256", "key-1");
    const claims = { aud: `${RESOURCE}/mcp` };
    await scenario.call("find", {}, { token: await issuer.token(claims, { key: stranger }) });
    await scenario.call("find", {}, { token: await issuer.token(claims, { key: forger }) });
    await scenario.call("find", {}, { token: NOBODY });
    expect(scenario.server("crm").count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => ruling.reasons[0])).toEqual([
      "identity.unknown-key",
      "identity.bad-signature",
      "auth.invalid",
    ]);
  });

  it("a _meta identity that differs from the credential is refused with a receipt: U is 0", async () => {
    const scenario = await start();
    const answer = await scenario.call(
      "find",
      {},
      { token: await good(), meta: { "countersign/subject": `${issuer.issuer}|somebody-else` } },
    );
    expect(answer.error).toMatchObject({ code: -32_602, data: { reason: "identity.conflict" } });
    expect(scenario.server("crm").count()).toBe(0);
    expect((await scenario.decisions())[0]?.ruling).toMatchObject({
      action: "refuse",
      step: "identity",
      reasons: ["identity.conflict"],
    });
  });

  it("so is a handshake that says it of a whole session, and no session is opened", async () => {
    const scenario = await start();
    const token = await good();
    const initialize = async (subject: string): Promise<Response> =>
      fetch(`${scenario.url}/mcp`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "initialize",
          params: {
            protocolVersion: "2025-11-25",
            capabilities: {},
            clientInfo: { name: "scenario", version: "1" },
            _meta: { "countersign/subject": subject },
          },
        }),
      });
    const conflicting = await initialize(`${issuer.issuer}|somebody-else`);
    expect(await conflicting.json()).toMatchObject({ error: { code: -32_602, data: { reason: "identity.conflict" } } });
    expect(conflicting.headers.get("mcp-session-id")).toBeNull();
    expect((await scenario.decisions()).map(({ ruling }) => [ruling.step, ruling.reasons])).toEqual([
      ["identity", ["identity.conflict"]],
    ]);
    expect((await initialize("user-1")).headers.get("mcp-session-id")).not.toBeNull();
  });

  it("an issuer speaks for its own: a party that acts under another issuer's name is believed only where that is configured", async () => {
    const named = "https://partner.example";
    const rules = `@id("planner") permit (principal, action, resource)
      when { context.system.actor == "local|planner" || context.system.actor == "${named}|planner" };`;
    const scenario = await start(rules, Date.now, { actor_issuers: [named] });
    const act = (iss: string): Promise<string> => good({ act: { sub: "user-1", act: { sub: "planner", iss } } });
    const acting = (iss: string): Promise<string> => good({ act: { sub: "planner", iss } });
    const others = ["local", "x509", "spiffe://example.org", "https://else.example", `${named}/`];
    for (const iss of others)
      for (const make of [act, acting]) await scenario.call("find", {}, { token: await make(iss) });
    expect(scenario.server("crm").count()).toBe(0);
    const refused = await scenario.decisions();
    expect(refused.map(({ ruling }) => [ruling.action, ruling.step, ...ruling.reasons])).toEqual(
      others.flatMap(() => [
        ["refuse", "authenticate", "auth.invalid"],
        ["refuse", "authenticate", "auth.invalid"],
      ]),
    );
    await scenario.call("find", {}, { token: await acting(named) });
    expect(scenario.server("crm").count()).toBe(1);
  });

  it("a subject of the caller's own word decides nothing, and its receipt says that nobody vouches for it", async () => {
    const rules = `@id("carol") permit (principal == Mcp::User::"${"carol"}", action, resource);
      @id("agents") permit (principal, action == Mcp::Action::"crm/find", resource) when { principal.name == "agent-7" };`;
    const scenario = await start(rules);
    const machine = { sub: "agent-7", client_id: "agent-7" };
    const claims: readonly Readonly<Record<string, string>>[] = [{}, { "countersign/subject": "carol" }];
    for (const meta of claims) await scenario.call("find", {}, { token: await good(machine), meta });
    await scenario.call(
      "find",
      {},
      { token: await good({ sub: "agent-8", client_id: "agent-8" }), meta: { "countersign/subject": "carol" } },
    );
    expect(scenario.server("crm").count()).toBe(2);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling }) => ruling.reasons[0])).toEqual([
      "policy.permit",
      "policy.permit",
      "policy.default-deny",
    ]);
    expect(decisions.map(({ subject }) => observedValue(subject))).toMatchObject([
      undefined,
      { provenance: "unsigned-request-claim", outcome: "unverified", binding: "none" },
      { provenance: "unsigned-request-claim", outcome: "unverified", binding: "none" },
    ]);
  });

  it("a credential that ends while its call waits lets nothing out: U is 0, and the receipt names it", async () => {
    let later = 0;
    const now = (): number => Date.now() + later;
    const scenario = await start(PERMIT_ALL, now, {}, { max_pin_age_seconds: 0 });
    const server = scenario.server("crm");
    const release = server.holdLists();
    const call = scenario.call("find", {}, { token: await good() });
    await expect.poll(server.held).toBe(1);
    later = 600_000;
    release();
    expect((await call).result).toMatchObject({ isError: true, _meta: { "countersign/reason": "auth.expired" } });
    expect(server.count()).toBe(0);
    expect((await scenario.decisions()).map(({ ruling }) => [ruling.action, ruling.step, ...ruling.reasons])).toEqual([
      ["refuse", "authenticate", "auth.expired"],
    ]);
  });

  it("a legacy session's stream ends with the credential that opened it, not with the session", async () => {
    const scenario = await start();
    const short = await good({ exp: Math.floor(Date.now() / 1000) + 2 });
    const headers = { accept: "application/json, text/event-stream", "content-type": "application/json" };
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "scenario", version: "1" } };
    const opened = await fetch(`${scenario.url}/mcp`, {
      method: "POST",
      headers: { ...headers, authorization: `Bearer ${short}` },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }),
    });
    const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    const listen = (token: string): Promise<Response> =>
      fetch(`${scenario.url}/mcp`, { headers: { ...headers, ...session, authorization: `Bearer ${token}` } });
    const stream = await listen(short);
    expect(stream.status).toBe(200);
    // Resolves with the end of the stream.
    await stream.text();
    expect((await listen(await good({ exp: 1 }))).status).toBe(401);
    const again = await listen(await good());
    expect(again.status).toBe(200);
    await again.body?.cancel();
  });

  it("a credential that ends in the middle of a session ends with the next call", async () => {
    let later = 0;
    const scenario = await start(PERMIT_ALL, () => Date.now() + later);
    const token = await good();
    await scenario.call("find", {}, { token });
    later = 600_000;
    await scenario.call("find", {}, { token });
    expect(scenario.server("crm").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)?.ruling.reasons).toEqual(["auth.expired"]);
  });
});
