import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestGateway } from "../support/mcp-gateway.ts";
import type { RawAnswer } from "../support/mcp-raw.ts";
import { bearer, callWith, type OauthRig, startOauthRig } from "../support/oauth-gateway.ts";
import { makeKey, proofBy, type TestKey, thumbprintOf } from "../support/token-issuer.ts";

let rig: OauthRig;
let gateway: TestGateway;
beforeAll(async () => {
  rig = await startOauthRig();
  gateway = await rig.start();
});
afterAll(() => rig.close());

/** A token that the gateway takes for `/mcp`. */
function good(claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return rig.issuer.token({ aud: `${gateway.url}/mcp`, ...claims });
}

function call(headers: Record<string, string | undefined>): Promise<RawAnswer> {
  return callWith(gateway, headers);
}

/** Expects a refusal, and gives its challenge. */
function expectRefusal(answer: RawAnswer, status: number, reason: string): string {
  expect([answer.status, answer.json?.error?.data.reason]).toEqual([status, reason]);
  return answer.headers["www-authenticate"] ?? "";
}

describe("a token that is bound to a key", () => {
  let key: TestKey;
  let token: string;
  let ath: string;

  beforeAll(async () => {
    key = await makeKey("ES256", "client");
    token = await good({ cnf: { jkt: await thumbprintOf(key) } });
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
    ath = Buffer.from(hash).toString("base64url");
  });

  let proofs = 0;
  const proof = (claims: Readonly<Record<string, unknown>> = {}, by = key, header = {}): Promise<string> => {
    proofs += 1;
    return proofBy(by, { htm: "POST", htu: `${gateway.url}/mcp`, jti: `proof-${proofs}`, ath, ...claims }, header);
  };
  const send = (dpop: string | undefined): Promise<RawAnswer> => call({ Authorization: `DPoP ${token}`, DPoP: dpop });

  it("is taken with a fresh proof, once, and the receipt's binding is the request", async () => {
    const once = await proof();
    expect((await send(once)).status).toBe(200);
    expect(gateway.pipeline.calls.at(-1)?.caller.facts?.binding).toBe("request");
    const challenge = expectRefusal(await send(once), 401, "auth.replay");
    expect(challenge).toContain('DPoP error="invalid_dpop_proof"');
  });

  it("is not taken as a bearer token, nor without a proof, nor an unbound one with a proof", async () => {
    expectRefusal(await call(bearer(token)), 401, "auth.binding");
    expectRefusal(await send(undefined), 401, "auth.dpop");
    const unbound = { Authorization: `DPoP ${await good()}`, DPoP: await proof() };
    expectRefusal(await call(unbound), 401, "auth.binding");
  });

  it("is refused with a proof for another method, address, token or time, by another key, or of another form", async () => {
    const now = Math.floor(Date.now() / 1000);
    const faults: readonly (readonly [string, string])[] = [
      [await proof({ htm: "GET" }), "auth.dpop"],
      [await proof({ htu: "https://other.example/mcp" }), "auth.dpop"],
      [await proof({ htu: `${gateway.url}/s/counting/mcp` }), "auth.dpop"],
      [await proof({ ath: "AAAA" }), "auth.dpop"],
      [await proof({ ath: undefined }), "auth.dpop"],
      [await proof({ iat: now - 600 }), "auth.dpop"],
      [await proof({ iat: now + 600 }), "auth.dpop"],
      [await proof({ jti: undefined }), "auth.dpop"],
      [await proof({}, await makeKey("ES256", "thief")), "auth.binding"],
      [await proof({}, key, { typ: "jwt" }), "auth.dpop"],
      [await proof({}, key, { jwk: { ...key.jwk, d: "AAAA" } }), "auth.dpop"],
      [await proof({}, await makeKey("ES256", "x"), { jwk: key.jwk }), "auth.dpop"],
      ["no.jwt.here", "auth.dpop"],
    ];
    for (const [dpop, reason] of faults) expectRefusal(await send(dpop), 401, reason);
    const query = await proof({ htu: `${gateway.url}/mcp?x=1#y` });
    expect((await send(query)).status).toBe(200);
  });

  it("needs a nonce of ours where one is asked for", async () => {
    const one = await rig.start({ dpop: { nonce: true, required: true } });
    const bound = await rig.issuer.token({ aud: `${one.url}/mcp`, cnf: { jkt: await thumbprintOf(key) } });
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(bound));
    const claims = { htm: "POST", htu: `${one.url}/mcp`, ath: Buffer.from(hash).toString("base64url") };
    const first = await callWith(one, {
      Authorization: `DPoP ${bound}`,
      DPoP: await proofBy(key, { ...claims, jti: "1" }),
    });
    expect([first.status, first.json?.error?.data.reason]).toEqual([401, "auth.nonce"]);
    expect(first.headers["www-authenticate"]).toContain('error="use_dpop_nonce"');
    const nonce = first.headers["dpop-nonce"];
    const second = await proofBy(key, { ...claims, jti: "2", nonce });
    expect((await callWith(one, { Authorization: `DPoP ${bound}`, DPoP: second })).status).toBe(200);
    const unbound = await callWith(one, bearer(await rig.issuer.token({ aud: `${one.url}/mcp` })));
    expect(unbound.json?.error?.data.reason).toBe("auth.binding");
  });
});
