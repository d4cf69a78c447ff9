import { describe, expect, it } from "vitest";
import { proofFault, tokenHash } from "../../gateway/identity/dpop-proof.ts";
import { ReplayCache } from "../../gateway/identity/replay-cache.ts";
import { makeKey, proofBy, thumbprintOf } from "../support/token-issuer.ts";

describe("the memory of used proofs", () => {
  it("knows each until the last moment in which it would be taken", () => {
    const cache = new ReplayCache({ total: 10, own: 10 });
    expect(cache.use("a", "1", 1_000, 1_120)).toBe("fresh");
    expect(cache.use("a", "1", 1_119, 1_239)).toBe("replayed");
    expect(cache.use("a", "1", 1_120, 1_240)).toBe("replayed");
    expect(cache.use("b", "1", 1_121, 1_241)).toBe("fresh");
  });

  it("is bounded for each who uses them, so that nobody keeps others out, and has room again behind their time", () => {
    const cache = new ReplayCache({ total: 5, own: 2 });
    const use = (owner: string, id: string, nowMs = 0): string => cache.use(owner, id, nowMs, nowMs + 100);
    expect([use("a", "1"), use("a", "2"), use("a", "3"), use("b", "4")]).toEqual([
      "fresh",
      "fresh",
      "own-full",
      "fresh",
    ]);
    expect([use("c", "5"), use("d", "6"), use("e", "7")]).toEqual(["fresh", "fresh", "full"]);
    expect([use("a", "1"), use("a", "3", 101), use("e", "7", 101)]).toEqual(["replayed", "fresh", "fresh"]);
  });
});

describe("a proof of a caller of whom as many are remembered as may be", () => {
  it("is refused as one too many of its own, and another caller's is taken", async () => {
    const key = await makeKey("ES256", "client");
    const [url, accessToken] = ["https://gateway.example/mcp", "token"];
    const rules = {
      httpMethod: "POST",
      url,
      accessToken,
      thumbprint: await thumbprintOf(key),
      nowMs: Date.now(),
      windowMs: 60_000,
      nonces: undefined,
      replays: new ReplayCache({ total: 3, own: 1 }),
    };
    const faultOf = async (owner: string, jti: string): Promise<unknown> =>
      proofFault(await proofBy(key, { htm: "POST", htu: url, jti, ath: tokenHash(accessToken) }), { ...rules, owner });
    expect(await faultOf("a", "1")).toBeUndefined();
    expect(await faultOf("a", "2")).toBe("limit.per-principal");
    expect(await faultOf("b", "3")).toBeUndefined();
    expect(await faultOf("a", "1")).toBe("auth.replay");
  });
});
