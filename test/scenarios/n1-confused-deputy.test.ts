/**
 * N1, the confused deputy (mcp-gateway.md §11, §18; cmcp-runtime.md P1.3): an agent that may do something is led to do it for somebody
 * who may not, by another party's data, or with a credential that was meant for somebody else.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { firstMandate, MANDATE_ROOT, nextMandate } from "../support/mandates.ts";
import { startTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";
import { textResult } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const RESOURCE = "https://gateway.example";
const ROOT = { issuer: MANDATE_ROOT.issuer, name: MANDATE_ROOT.name, key: formatPublicKey(MANDATE_ROOT.key) };
/** What every person may do, and what the agent alone may do for itself. */
const OWN_AUTHORITY = `@id("people") permit (principal is Mcp::User, action == Mcp::Action::"crm/find", resource);
  @id("own") permit (principal is Mcp::Agent, action in Mcp::Action::"call_tool", resource);`;

let issuer: TokenIssuer;
beforeAll(async () => {
  issuer = await startTokenIssuer();
});
afterAll(() => issuer.close());

const token = (claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  issuer.token({ aud: `${RESOURCE}/mcp`, client_id: "agent-7", ...claims });

const withTokens = async (): Promise<Scenario> =>
  open(
    startScenario({
      rules: OWN_AUTHORITY,
      servers: { crm: { tools: [{ name: "find" }, { name: "purge" }] } },
      config: {
        auth: {
          tokens: [],
          oauth: {
            resource: RESOURCE,
            issuers: [{ issuer: issuer.issuer, jwks_url: issuer.jwksUrl }],
            allow_loopback_http: true,
          },
        },
      },
    }),
  );

describe("N1 confused deputy: an agent that may, for a person who may not", () => {
  it("is judged as that person, and the receipt has both: U is 0; for itself it may, U is 1", async () => {
    const scenario = await withTokens();
    const purge = (): number => scenario.server("crm").count("purge");
    await scenario.call("find", {}, { token: await token() });
    await scenario.call("purge", {}, { token: await token() });
    expect([scenario.server("crm").count("find"), purge()]).toEqual([1, 0]);
    await scenario.call("purge", {}, { token: await token({ sub: "agent-7" }) });
    expect(purge()).toBe(1);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling }) => [ruling.action, ruling.reasons[0], ruling.policies])).toEqual([
      ["forward", "policy.permit", ["people"]],
      ["refuse", "policy.default-deny", []],
      ["forward", "policy.permit", ["own"]],
    ]);
    const parties = decisions.map(({ actor, subject }) => [observedValue(actor), observedValue(subject)]);
    const [led, own] = [parties[1] ?? [], parties[2] ?? []];
    for (const who of led) expect(who).toMatchObject({ provenance: "connection-credential", outcome: "verified" });
    expect(led[0]).not.toEqual(led[1]);
    expect(own[0]).toEqual(led[0]);
    expect((await scenario.outcomes()).map(({ call }) => call.decision_seq)).toEqual([
      decisions[0]?.seq,
      decisions[2]?.seq,
    ]);
  });

  it("has no more than the mandate that it shows, whatever it may by itself: U is 0, then 1", async () => {
    const scenario = await open(
      startScenario({
        rules: PERMIT_ALL,
        config: {
          auth: { tokens: [{ principal: "example-agent", token_file: "unused" }], mandates: { roots: [ROOT] } },
        },
        servers: { s: { tools: [{ name: "echo" }, { name: "wipe" }] } },
      }),
    );
    const now = Date.now();
    const times = { not_before: formatTimestamp(now - 60_000), not_after: formatTimestamp(now + 600_000) };
    const first = firstMandate(times);
    const meta: JsonObject = { "countersign/mandates": [first, nextMandate(first, times)].map(parseUtf8) };
    await scenario.call("wipe", {}, { meta });
    expect(scenario.server("s").count()).toBe(0);
    await scenario.call("wipe");
    expect(scenario.server("s").count()).toBe(1);
    const [led, own] = await scenario.decisions();
    expect(led?.ruling).toMatchObject({ action: "refuse", step: "identity", reasons: ["delegation.scope"] });
    expect(own?.ruling).toMatchObject({ action: "forward", reasons: ["policy.permit"] });
  });
});

describe("N1 confused deputy: an agent that another party's data leads", () => {
  const ACCOUNT = "4711-0815-xyz";
  const start = async (mode: Mode, condition: string): Promise<Scenario> =>
    open(
      startScenario({
        mode,
        rules: `${PERMIT_ALL}
          @id("deputy") forbid (principal, action == Mcp::Action::"crm/purge", resource) when { ${condition} };`,
        servers: {
          web: {
            tools: [{ name: "fetch", answer: () => textResult(`Account ${ACCOUNT} is closed.`) }],
            config: { data: { domain: "public", labels: ["untrusted"] } },
          },
          crm: { tools: [{ name: "purge" }], config: { data: { domain: "covered" } } },
        },
      }),
    );
  const TAINTED = 'context.session.taint.contains("untrusted")';

  it.each<readonly [string, string]>([
    ["in a tainted session", TAINTED],
    ["across a boundary of domains", 'context.session.domains.contains("public")'],
  ])("%s is denied, and the receipt names the answer that led: U is 1 and 0", async (_, condition) => {
    const scenario = await start("enforcing", condition);
    await scenario.call("web__fetch");
    const denied = await scenario.call("crm__purge", { account: ACCOUNT });
    expect(denied.text).toContain("policy.forbid");
    expect([scenario.server("web").count(), scenario.server("crm").count()]).toEqual([1, 0]);
    const source = (await scenario.outcomes())[0]?.seq;
    expect(await scenario.outcomes()).toHaveLength(1);
    const decision = (await scenario.decisions()).at(-1);
    expect(decision?.ruling).toMatchObject({
      action: "refuse",
      judgement: "deny",
      reasons: ["policy.forbid"],
      policies: ["deputy"],
    });
    expect(decision && observedValue(decision.taint)).toMatchObject({
      before: ["in-public", "untrusted"],
      sources: [
        { label: "in-public", seq: source },
        { label: "untrusted", seq: source },
      ],
    });
    expect(decision && observedValue(decision.edges)).toEqual([
      { source, kind: "match", from: "public", to: "covered" },
      { source, kind: "order", from: "public", to: "covered" },
    ]);
    expect((await scenario.evidence()).words).toEqual({ "policy.files": "policy.not-disclosed" });
  });

  it("may do the same of its own accord: U is 1", async () => {
    const scenario = await start("enforcing", TAINTED);
    await scenario.call("crm__purge", { account: ACCOUNT });
    expect(scenario.server("crm").count()).toBe(1);
  });

  it("in advisory mode goes through, and the receipt holds the denial: U is 1", async () => {
    const scenario = await start("advisory", TAINTED);
    await scenario.call("web__fetch");
    await scenario.call("crm__purge", { account: ACCOUNT });
    expect(scenario.server("crm").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)).toMatchObject({
      ruling: { mode: "advisory", action: "forward", judgement: "deny", would_deny: true, policies: ["deputy"] },
    });
  });
});

describe("N1 confused deputy: a token of one audience at another", () => {
  it("calls nothing, also when it is the server's own, and no token is handed on: U is 0, 0, 1", async () => {
    const scenario = await withTokens();
    const server = scenario.server("crm");
    const foreign = [await token({ aud: server.url }), await token({ aud: "https://other.example/mcp" })];
    const counts: number[] = [];
    for (const shown of foreign) {
      await scenario.call("find", {}, { token: shown });
      counts.push(server.count());
    }
    const good = await token();
    await scenario.call("find", {}, { token: good });
    expect([...counts, server.count()]).toEqual([0, 0, 1]);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling, principal }) => [ruling.step, ruling.reasons[0], principal.state])).toEqual([
      ["authenticate", "auth.audience", "not_established"],
      ["authenticate", "auth.audience", "not_established"],
      ["policy", "policy.permit", "present"],
    ]);
    const arrived = `${server.headers()}\n${server.bytes()}`;
    expect(arrived).toContain("find");
    expect(arrived).not.toMatch(/^authorization$/imu);
    for (const shown of [...foreign, good]) {
      for (const part of shown.split(".")) expect(arrived).not.toContain(part);
    }
  });
});
