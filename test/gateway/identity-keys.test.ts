import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bearer, callWith as call, type OauthRig, startOauthRig } from "../support/oauth-gateway.ts";
import { makeKey } from "../support/token-issuer.ts";

let rig: OauthRig;
beforeAll(async () => {
  rig = await startOauthRig();
});
afterAll(() => rig.close());

describe("a token", () => {
  it.each(["ES256", "EdDSA", "RS256", "PS256"])(
    "signed with %s is taken, and the key says which it is",
    async (alg) => {
      const key = await makeKey(alg, `key-${alg}`);
      const one = await rig.start();
      rig.issuer.publish([key.jwk]);
      const aud = `${one.url}/mcp`;
      expect((await call(one, bearer(await rig.issuer.token({ aud }, { key })))).status).toBe(200);
      if (alg === "RS256") {
        // The same RSA key, used for an algorithm that the key does not serve.
        const mixed = { ...key, alg: "PS256", privateKey: (await makeKey("PS256", key.kid)).privateKey };
        expect((await call(one, bearer(await rig.issuer.token({ aud }, { key: mixed })))).status).toBe(401);
      }
      rig.issuer.publish([rig.issuer.key.jwk]);
    },
  );
});

describe("the keys of an issuer", () => {
  it("are fetched once, again for a key that is new, and not more often than the floor allows", async () => {
    const one = await rig.start({ jwks_floor_seconds: 30 });
    const aud = `${one.url}/mcp`;
    const fetched = rig.issuer.fetches();
    for (let i = 0; i < 3; i += 1) expect((await call(one, bearer(await rig.issuer.token({ aud })))).status).toBe(200);
    expect(rig.issuer.fetches()).toBe(fetched + 1);
    const next = await makeKey("EdDSA", "key-next");
    rig.issuer.publish([rig.issuer.key.jwk, next.jwk]);
    const token = await rig.issuer.token({ aud }, { key: next });
    expect((await call(one, bearer(token))).json?.error?.data.reason).toBe("identity.unknown-key");
    expect(rig.issuer.fetches()).toBe(fetched + 1);
    rig.nowMs = Date.now() + 31_000;
    expect((await call(one, bearer(token))).status).toBe(200);
    expect(rig.issuer.fetches()).toBe(fetched + 2);
    rig.nowMs = Date.now();
    rig.issuer.publish([rig.issuer.key.jwk]);
  });

  it("say each time whether a token that was taken before still holds", async () => {
    const one = await rig.start({ jwks_max_age_seconds: 40 });
    const taken = bearer(await rig.issuer.token({ aud: `${one.url}/mcp` }));
    const reasonNow = async (): Promise<unknown> => (await call(one, taken)).json?.error?.data.reason;
    for (let i = 0; i < 2; i += 1) expect((await call(one, taken)).status).toBe(200);
    // Loaded again, the same key takes it again.
    rig.nowMs = Date.now() + 41_000;
    for (let i = 0; i < 2; i += 1) expect((await call(one, taken)).status).toBe(200);
    // Another key of the same name does not.
    const other = await makeKey(rig.issuer.key.alg, rig.issuer.key.kid);
    rig.issuer.publish([other.jwk]);
    rig.nowMs = Date.now() + 82_000;
    expect(await reasonNow()).toBe("identity.bad-signature");
    rig.issuer.publish([]);
    rig.nowMs = Date.now() + 123_000;
    expect(await reasonNow()).toBe("identity.unknown-key");
    rig.issuer.publish([rig.issuer.key.jwk]);
    rig.nowMs = Date.now() + 164_000;
    expect((await call(one, taken)).status).toBe(200);
    rig.nowMs = Date.now() + 400_000;
    expect(await reasonNow()).toBe("auth.expired");
    rig.nowMs = Date.now();
  });

  it("that cannot be had refuse with 503, whatever the fault", async () => {
    for (const fault of ["status", "redirect", "long"] as const) {
      const one = await rig.start();
      rig.issuer.fault = fault;
      const answer = await call(one, bearer(await rig.issuer.token({ aud: `${one.url}/mcp` })));
      expect([answer.status, answer.json?.error?.data.reason, answer.headers["retry-after"]]).toEqual([
        503,
        "auth.keys-unavailable",
        "30",
      ]);
      rig.issuer.fault = undefined;
      expect((await call(one, bearer(await rig.issuer.token({ aud: `${one.url}/mcp` })))).status).toBe(200);
    }
  });

  it("that show a private key are not used", async () => {
    const one = await rig.start();
    rig.issuer.publish([{ ...rig.issuer.key.jwk, d: "AAAA" }]);
    const answer = await call(one, bearer(await rig.issuer.token({ aud: `${one.url}/mcp` })));
    expect(answer.json?.error?.data.reason).toBe("auth.keys-unavailable");
    rig.issuer.publish([rig.issuer.key.jwk]);
  });
});
