/** A request is its caller's by a configured token, however the header spells it, and whatever was shown before. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeConfigured } from "../../gateway/edge/bearer.ts";
import { makeAuthenticate } from "../../gateway/identity/authenticator.ts";
import type { Caller } from "../../gateway/pipeline/call.ts";

const callerNamed = (name: string): Caller => ({
  issuer: "local",
  name,
  provenance: "connection-credential",
  outcome: "verified",
});
const A = "a".repeat(40);
const B = `${"b".repeat(39)}=`;
const authenticate = makeAuthenticate({
  configured: makeConfigured([
    { token: A, caller: callerNamed("one") },
    { token: B, caller: callerNamed("two") },
  ]),
  server: undefined,
  certificates: { authorities: [], principals: [], spiffe: new Map() },
  clientAuth: "none",
  nowMs: () => 0,
});

/** Whose it is, or why nobody's. */
async function answer(authorization: string): Promise<string> {
  const presented = { authorization, dpop: undefined, httpMethod: "POST", path: "/mcp", certificate: undefined };
  const found = await authenticate(presented);
  return found.type === "caller" ? found.caller.name : found.reason;
}

describe("a configured token", () => {
  it("is known behind the scheme in any case and any number of spaces", async () => {
    for (const header of [`Bearer ${A}`, `bearer    ${A}`, `BEARER ${A}`]) expect(await answer(header)).toBe("one");
    expect(await answer(`Bearer ${B}`)).toBe("two");
  });

  it("is nothing under another scheme, with anything around it, or without one of its characters", async () => {
    const wrong = [A, "", " ", "Bearer", "Bearer ", `Basic ${A}`, `DPoP ${A}`, ` Bearer ${A}`, `Bearer\t${A}`];
    const around = [
      `Bearer ${A} `,
      `Bearer ${A},`,
      `Bearer "${A}"`,
      `Bearer ${A}=`,
      `Bearer =${A}`,
      `Bearer ${A} ${A}`,
    ];
    for (const header of [...wrong, ...around]) expect(await answer(header)).toBe("auth.invalid");
    for (let at = 0; at < B.length; at += 1) {
      expect(await answer(`Bearer ${B.slice(0, at)}${B.slice(at + 1)}`)).toBe("auth.invalid");
      expect(await answer(`Bearer ${B.slice(0, at)}c${B.slice(at + 1)}`)).toBe("auth.invalid");
    }
  });

  it("is known by the whole of it, after tokens of any length", async () => {
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,2000}$/u), async (token) => {
        fc.pre(token !== A);
        expect(await answer(`Bearer ${token}`)).toBe("auth.invalid");
        expect(await answer(`Bearer ${A}`)).toBe("one");
      }),
      { numRuns: 50 },
    );
  });
});
