/** Tokens that only their issuer can judge: asked over a real endpoint, kept for a moment, and believed never without an answer. */

import { createServer, type IncomingHttpHeaders } from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { oauthShape } from "../../gateway/identity/oauth-config.ts";
import { codeOf } from "../support/code-of.ts";
import type { TestGateway } from "../support/mcp-gateway.ts";
import { bearer, callWith, type OauthRig, startOauthRig } from "../support/oauth-gateway.ts";

interface Asked {
  readonly headers: IncomingHttpHeaders;
  readonly form: URLSearchParams;
}

let rig: OauthRig;
let asked: Asked[];
/** Answer about a token; undefined: the endpoint fails. */
let answer: (token: string) => Readonly<Record<string, unknown>> | undefined;
let gate: Promise<void>;
let endpoint: string;
let close: () => Promise<void>;

beforeEach(async () => {
  rig = await startOauthRig();
  asked = [];
  gate = Promise.resolve();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
      asked.push({ headers: request.headers, form });
      void gate.then(() => {
        const value = answer(form.get("token") ?? "");
        if (value === undefined) response.writeHead(500).end();
        else response.end(JSON.stringify(value));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  endpoint = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/introspect`;
  close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
});
afterEach(async () => {
  await rig.close();
  await close();
});

function started(hasKeys = false, maxAge = 30): Promise<TestGateway> {
  const client = { client_id: "gateway", client_secret_file: "secret" };
  const keys = hasKeys ? { jwks_url: rig.issuer.jwksUrl } : {};
  const introspection = { endpoint, max_age_seconds: maxAge, ...client };
  return rig.start({ issuers: [{ issuer: rig.issuer.issuer, ...keys, introspection }] });
}

const OPAQUE = "opaque-token-without-any-dot";

function active(gateway: TestGateway, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const exp = Math.floor(rig.nowMs / 1000) + 300;
  return { active: true, sub: "user-1", client_id: "agent-7", scope: "mcp", aud: `${gateway.url}/mcp`, exp, ...more };
}

const statusOf = async (gateway: TestGateway, token = OPAQUE): Promise<unknown> => {
  const { status, json } = await callWith(gateway, bearer(token));
  return status === 200 ? 200 : [status, json?.error?.data.reason];
};

describe("an opaque token", () => {
  it("is asked about once for a moment, with the gateway's own credential, and names subject, actor and scopes", async () => {
    const gateway = await started();
    answer = () => active(gateway);
    expect(await statusOf(gateway)).toBe(200);
    expect(await statusOf(gateway)).toBe(200);
    expect(asked).toHaveLength(1);
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({ token: OPAQUE, token_type_hint: "access_token" });
    expect(asked[0]?.headers.authorization).toMatch(/^Basic /u);
    expect(gateway.pipeline.calls.at(-1)?.caller).toMatchObject({
      issuer: rig.issuer.issuer,
      name: "user-1",
      facts: { scopes: ["mcp"], clientId: "agent-7" },
    });
    expect(JSON.stringify(gateway.logged)).not.toContain(OPAQUE);
  });

  it("that is revoked is refused when the answer is old, and with an age of 0 at the next request", async () => {
    const gateway = await started();
    const strict = await started(false, 0);
    answer = () => active(gateway, { aud: [`${gateway.url}/mcp`, `${strict.url}/mcp`] });
    expect([await statusOf(gateway), await statusOf(strict)]).toEqual([200, 200]);
    answer = () => ({ active: false });
    expect([await statusOf(gateway), await statusOf(strict)]).toEqual([200, [401, "auth.inactive"]]);
    rig.nowMs += 31_000;
    expect(await statusOf(gateway)).toEqual([401, "auth.inactive"]);
  });

  it.each<readonly [string, Readonly<Record<string, unknown>>, string]>([
    ["another audience", { aud: "https://other.example/mcp" }, "auth.audience"],
    ["no audience", { aud: undefined }, "auth.audience"],
    ["an end that is over", { exp: 1 }, "auth.expired"],
    ["no end", { exp: undefined }, "auth.invalid"],
    ["no subject", { sub: undefined }, "auth.invalid"],
    ["another issuer", { iss: "https://other.example" }, "auth.issuer"],
  ])("about which the issuer says %s is refused", async (_, more, reason) => {
    const gateway = await started();
    answer = () => active(gateway, more);
    expect(await statusOf(gateway)).toEqual([401, reason]);
  });

  it("about which nobody answers is refused, and asked about again soon", async () => {
    const gateway = await started();
    answer = () => undefined;
    expect(await statusOf(gateway)).toEqual([503, "auth.introspection"]);
    expect(await statusOf(gateway)).toEqual([503, "auth.introspection"]);
    expect(asked).toHaveLength(1);
    answer = () => ({ active: "true" });
    rig.nowMs += 2_000;
    expect(await statusOf(gateway)).toEqual([503, "auth.introspection"]);
    answer = () => active(gateway);
    rig.nowMs += 2_000;
    expect(await statusOf(gateway)).toBe(200);
  });

  it("is asked about once for all who send it at once; above 64 tokens at a time nobody is asked", async () => {
    const gateway = await started();
    answer = () => active(gateway);
    let release = (): void => undefined;
    gate = new Promise<void>((resolve) => {
      release = () => resolve();
    });
    const waiting = Array.from({ length: 64 }, (_, i) => statusOf(gateway, `${OPAQUE}-${i}`));
    await vi.waitFor(() => expect(asked).toHaveLength(64), 10_000);
    expect(await statusOf(gateway)).toEqual([503, "auth.introspection"]);
    const same = Array.from({ length: 5 }, () => statusOf(gateway, `${OPAQUE}-0`));
    release();
    expect(new Set(await Promise.all([...waiting, ...same]))).toEqual(new Set([200]));
    expect(asked).toHaveLength(64);
    expect(await statusOf(gateway)).toBe(200);
  });

  it("is not taken, and nobody is asked, where no issuer is", async () => {
    const gateway = await rig.start();
    expect(await statusOf(gateway)).toEqual([401, "auth.invalid"]);
    expect(asked).toEqual([]);
  });
});

describe("a signed token of an issuer that is asked as well", () => {
  it("is refused once the issuer has taken it back, and one with a false signature is not asked about", async () => {
    const gateway = await started(true, 0);
    answer = () => active(gateway);
    const token = await rig.issuer.token({ aud: `${gateway.url}/mcp`, client_id: "agent-7" });
    expect(await statusOf(gateway, token)).toBe(200);
    answer = () => ({ active: false });
    expect(await statusOf(gateway, token)).toEqual([401, "auth.inactive"]);
    const before = asked.length;
    expect(await statusOf(gateway, `${token.slice(0, -4)}AAAA`)).toEqual([401, "identity.bad-signature"]);
    expect(asked).toHaveLength(before);
  });
});

describe("a configuration", () => {
  const client = { client_id: "gw", client_secret_file: "s" };
  const introspection = { endpoint: "https://as.example/introspect", ...client };

  it("may ask one issuer", () => {
    expect(
      oauthShape.read({ issuers: [{ issuer: "https://as.example", introspection }] }, "oauth").issuers,
    ).toHaveLength(1);
  });

  it.each<readonly [string, readonly object[]]>([
    [
      "two issuers that are asked",
      ["https://a.example", "https://b.example"].map((issuer) => ({ issuer, introspection })),
    ],
    [
      "an endpoint by plain HTTP",
      [{ issuer: "https://a.example", introspection: { ...introspection, endpoint: "http://a.example/i" } }],
    ],
    [
      "no credential",
      [{ issuer: "https://a.example", introspection: { endpoint: "https://a.example/i", client_id: "gw" } }],
    ],
    ["neither keys nor introspection", [{ issuer: "https://a.example" }]],
  ])("is refused with %s", (_, issuers) => {
    expect(codeOf(() => oauthShape.read(JSON.parse(JSON.stringify({ issuers })), "oauth"))).toBe("ERR_SHAPE");
  });
});
