import { UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestGateway } from "../support/mcp-gateway.ts";
import type { RawAnswer } from "../support/mcp-raw.ts";
import { bearer, callWith, type OauthRig, startOauthRig } from "../support/oauth-gateway.ts";
import { makeKey } from "../support/token-issuer.ts";

let rig: OauthRig;
let gateway: TestGateway;

beforeAll(async () => {
  rig = await startOauthRig();
  gateway = await rig.start({
    scopes: ["mcp"],
    tool_scopes: { "counting/fail": ["danger"], "counting/*": ["counting"] },
  });
});
afterAll(() => rig.close());

function call(headers: Record<string, string | undefined>): Promise<RawAnswer> {
  return callWith(gateway, headers);
}

/** A token that the gateway takes for `/mcp`. */
function good(claims: Readonly<Record<string, unknown>> = {}, form = {}): Promise<string> {
  return rig.issuer.token({ aud: `${gateway.url}/mcp`, scope: "mcp counting", client_id: "agent-7", ...claims }, form);
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The same bytes to a reader that passes over the lowest bits of the last letter, which carry nothing of 64 bytes. */
function respelled(token: string): string {
  return token.slice(0, -1) + LETTERS.charAt(LETTERS.indexOf(token.slice(-1)) ^ 1);
}

/** Expects a refusal before the body, and gives its challenge. */
async function expectRefusal(answer: RawAnswer, status: number, reason: string): Promise<string> {
  expect([answer.status, answer.json?.error?.data.reason]).toEqual([status, reason]);
  expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "authenticate", reason });
  return answer.headers["www-authenticate"] ?? "";
}

describe("the metadata of the resource", () => {
  it("stands at the well-known path, with each mount's path behind it, for everybody", async () => {
    const read = async (path: string): Promise<unknown> => (await fetch(`${gateway.url}${path}`)).json();
    const document = await read("/.well-known/oauth-protected-resource/mcp");
    expect(document).toEqual({
      resource: `${gateway.url}/mcp`,
      authorization_servers: [rig.issuer.issuer],
      bearer_methods_supported: ["header"],
      scopes_supported: ["mcp", "danger", "counting"],
      dpop_signing_alg_values_supported: ["ES256", "EdDSA", "RS256", "PS256"],
      dpop_bound_access_tokens_required: false,
      tls_client_certificate_bound_access_tokens: false,
      resource_name: "Countersign gateway",
    });
    expect(await read("/.well-known/oauth-protected-resource")).toEqual(document);
    expect(await read("/.well-known/oauth-protected-resource/s/counting/mcp")).toMatchObject({
      resource: `${gateway.url}/s/counting/mcp`,
    });
    expect((await fetch(`${gateway.url}/.well-known/oauth-protected-resource/s/none/mcp`)).status).toBe(404);
  });
});

describe("a token", () => {
  it("that is good names subject, actor, groups, roles, scopes, session and workflow", async () => {
    const token = await good({
      groups: ["finance"],
      roles: "reader",
      sid: "session-1",
      workflow: "invoices",
      act: { sub: "agent-9", act: { sub: "agent-8" } },
    });
    const before = rig.server.calls.get("echo") ?? 0;
    expect((await call(bearer(token))).status).toBe(200);
    expect(rig.server.calls.get("echo")).toBe(before + 1);
    const { caller, session } = gateway.pipeline.calls.at(-1) ?? {};
    expect(session).toEqual({ key: "session-1", source: "token-claim", trust: "authenticated" });
    expect(caller).toMatchObject({
      issuer: rig.issuer.issuer,
      name: "user-1",
      provenance: "connection-credential",
      outcome: "verified",
      facts: {
        kind: "user",
        clientId: "agent-7",
        groups: ["finance"],
        roles: ["reader"],
        scopes: ["mcp", "counting"],
        session: "session-1",
        workflow: { id: "invoices" },
        actors: [
          { issuer: rig.issuer.issuer, name: "agent-9" },
          { issuer: rig.issuer.issuer, name: "agent-8" },
        ],
        subject: { issuer: rig.issuer.issuer, name: "user-1" },
        binding: "none",
      },
    });
  });

  it("of a machine is an agent's, which acts for nobody", async () => {
    expect((await call(bearer(await good({ sub: "agent-7" })))).status).toBe(200);
    const { facts } = gateway.pipeline.calls.at(-1)?.caller ?? {};
    expect(facts).toMatchObject({ kind: "agent", actors: [] });
    expect(facts?.subject).toBeUndefined();
  });

  it("that is missing is challenged with the metadata's address and no error", async () => {
    const challenge = await expectRefusal(await call({ Authorization: undefined }), 401, "auth.missing");
    expect(challenge).toBe(
      `Bearer resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/mcp", scope="mcp", ` +
        'DPoP algs="ES256 EdDSA RS256 PS256"',
    );
  });

  it("is refused with a reason of its own for each fault, and nothing reaches the server", async () => {
    const before = rig.server.calls.get("echo") ?? 0;
    const other = await makeKey("ES256", "key-1");
    const unknown = await makeKey("ES256", "key-2");
    const past = Date.now() - 3_600_000;
    const faults: readonly (readonly [string, string])[] = [
      [await good({ aud: "https://other.example/mcp" }), "auth.audience"],
      [await good({ aud: `${gateway.url}/s/counting/mcp` }), "auth.audience"],
      [await good({ aud: gateway.url }), "auth.audience"],
      [await good({ aud: undefined }), "auth.audience"],
      [await good({}, { nowMs: past }), "auth.expired"],
      [await good({ nbf: Math.floor(Date.now() / 1000) + 600 }), "auth.not-yet-valid"],
      [await good({ iss: "https://other.example" }), "auth.issuer"],
      [await good({}, { key: unknown }), "identity.unknown-key"],
      [await good({}, { key: other }), "identity.bad-signature"],
      [`${(await good()).slice(0, -4)}AAAA`, "identity.bad-signature"],
      [respelled(await good()), "identity.bad-signature"],
      [await good({ exp: undefined }), "auth.invalid"],
      [await good({ sub: 7 }), "auth.invalid"],
      [await good({ act: { sub: "a", iss: "spaces are none" } }), "auth.invalid"],
      [await good({}, { header: { typ: "dpop+jwt" } }), "auth.invalid"],
      [await good({}, { header: { typ: "secevent+jwt" } }), "auth.invalid"],
      [await good({ cnf: { unheard: "of" } }), "auth.binding"],
      [await good({ cnf: { "x5t#S256": "AAAA" } }), "auth.binding"],
      [
        new UnsecuredJWT({ iss: rig.issuer.issuer, sub: "x", aud: `${gateway.url}/mcp` }).encode(),
        "identity.bad-signature",
      ],
      ["a.b.c", "auth.invalid"],
      ["opaque", "auth.invalid"],
    ];
    for (const [token, reason] of faults) {
      const challenge = await expectRefusal(await call(bearer(token)), 401, reason);
      expect(challenge).toContain('error="invalid_token"');
      expect(JSON.stringify(gateway.logged)).not.toContain(token);
    }
    expect(rig.server.calls.get("echo") ?? 0).toBe(before);
  });

  it("that is refused names its holder for the receipt, and never as the principal", async () => {
    await call(bearer(await good({ aud: "https://other.example" })));
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({
      claimed: { issuer: rig.issuer.issuer, name: "user-1", outcome: "wrong-audience" },
    });
    expect(gateway.pipeline.refusals.at(-1)?.caller).toBeUndefined();
    await call(bearer(await good({}, { key: await makeKey("ES256", "key-1") })));
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ claimed: { outcome: "bad-signature" } });
  });

  it("with two equal claims is refused, whatever signed it", async () => {
    const [header = "", , signature = ""] = (await good()).split(".");
    const twice = Buffer.from(`{"iss":"${rig.issuer.issuer}","iss":"${rig.issuer.issuer}"}`).toString("base64url");
    await expectRefusal(await call(bearer(`${header}.${twice}.${signature}`)), 401, "auth.invalid");
  });

  it("that expires in the middle of a session ends with the next call", async () => {
    const token = await good({ sid: "short" });
    expect((await call(bearer(token))).status).toBe(200);
    rig.nowMs = Date.now() + 3_600_000;
    await expectRefusal(await call(bearer(token)), 401, "auth.expired");
    rig.nowMs = Date.now();
  });

  it("without the scopes gets 403 and every scope that the call needs", async () => {
    const challenge = await expectRefusal(await call(bearer(await good({ scope: "other" }))), 403, "auth.scope");
    expect(challenge).toContain('error="insufficient_scope"');
    const answer = await callWith(gateway, bearer(await good()), "fail");
    expect(await expectRefusal(answer, 403, "auth.scope")).toContain('scope="mcp counting danger"');
    const wide = bearer(await good({ scope: "mcp counting danger" }));
    expect((await callWith(gateway, wide, "fail")).status).toBe(200);
  });

  it("never goes to a server", async () => {
    const token = await good({ canary: "canary-in-a-claim" });
    const before = rig.server.headers.length;
    expect((await call({ ...bearer(token), DPoP: token, "X-Token": token })).status).toBe(200);
    const sent = new TextDecoder().decode(gateway.pipeline.calls.at(-1)?.toSend);
    const seen = JSON.stringify(rig.server.headers.slice(before)) + sent;
    expect(rig.server.headers.length).toBeGreaterThan(before);
    for (const part of [token, ...token.split(".")]) expect(seen).not.toContain(part);
  });
});

describe("what a request says of itself", () => {
  const claiming = async (member: string, value: string, token: string): Promise<RawAnswer> => {
    const meta = `"${member}":${JSON.stringify(value)},`;
    return callWith(gateway, bearer(token), "echo", meta);
  };

  it("is refused where it differs from the credential, with a receipt", async () => {
    const token = await good({ act: { sub: "agent-9" } });
    for (const [member, value, isGood] of [
      ["countersign/subject", "user-1", true],
      ["countersign/subject", `${rig.issuer.issuer}|user-1`, true],
      ["countersign/actor", "agent-9", true],
      ["countersign/subject", "user-2", false],
      ["countersign/actor", "user-1", false],
      ["countersign/actor", "agent-7", false],
    ] as const) {
      const answer = await claiming(member, value, token);
      expect([member, value, answer.json?.error?.data.reason]).toEqual([
        member,
        value,
        isGood ? undefined : "identity.conflict",
      ]);
      if (isGood) continue;
      expect(answer.json?.error?.code).toBe(-32602);
      expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "identity", reason: "identity.conflict" });
    }
  });

  it("does not go to a server where it is a mandate", async () => {
    await claiming("countersign/mandates", "canary-mandate", await good());
    expect(new TextDecoder().decode(gateway.pipeline.calls.at(-1)?.toSend)).not.toContain("canary-mandate");
  });
});
