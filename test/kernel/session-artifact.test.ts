/** Session artifacts: read as they were sealed, refused with any damage, and never wider than the gateway's own. */

import { describe, expect, it } from "vitest";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { checkArtifact, sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import {
  addSessionSeal,
  checkNarrower,
  checkSessionArtifact,
  lineOf,
  parseSessionArtifact,
  type SessionArtifactBody,
  sealSessionArtifact,
} from "../../kernel/session-artifact.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { ALL_LIMITS, artifactBody, SEAL_RULE, SEALERS, sessionArtifactBody } from "../support/policy-artifact.ts";
import { sampled } from "../support/sweep.ts";

const [alice, bob, mallory] = SEALERS;
const body = sessionArtifactBody();
const sealed = sealSessionArtifact(body, [alice.signer, bob.signer]);
const check = (bytes: Uint8Array): unknown => checkSessionArtifact(bytes, SEAL_RULE);

function whole(): JsonObject {
  const value = parseCanonical(sealed);
  if (!isJsonObject(value)) throw new Error("not an object");
  return value;
}

describe("a session artifact", () => {
  it("is read as it was sealed, with its digest and the names of its signers", () => {
    const { artifact, digest, signers } = checkSessionArtifact(sealed, SEAL_RULE);
    const { signatures: _, ...read } = artifact;
    expect(read).toEqual(body);
    expect(digest).toBe(digestFile(sealed));
    expect(signers).toEqual(["alice", "bob"]);
  });

  it("is sealed by one key after another, and by none twice", () => {
    const once = addSessionSeal({ ...body }, alice.signer);
    expect(codeOf(() => check(once))).toBe("ERR_ARTIFACT_THRESHOLD");
    const first = parseCanonical(once);
    if (!isJsonObject(first)) throw new Error("not an object");
    expect(addSessionSeal(first, bob.signer)).toEqual(sealed);
    expect(codeOf(() => addSessionSeal(first, alice.signer))).not.toBe("accepted");
  });

  it("is refused with a signature of a key that is not pinned, and a gateway's own seal is not one", () => {
    const signers = [alice.signer, bob.signer, mallory.signer];
    expect(codeOf(() => check(sealSessionArtifact(body, signers)))).toBe("ERR_ARTIFACT_UNSIGNED");
    expect(codeOf(() => check(sealArtifact(artifactBody(), [alice.signer, bob.signer])))).toBe("ERR_SHAPE");
    expect(codeOf(() => checkArtifact(sealed, SEAL_RULE))).toBe("ERR_SHAPE");
  });

  it("is refused with any byte changed or removed, and cut anywhere", () => {
    for (const changed of sampled([...oneByteChanges(sealed), ...bytePrefixes(sealed)], 17)) {
      if (codeOf(() => check(changed)) === "accepted") expect.unreachable(parseUtf8(changed));
    }
  });

  it("is refused if a member is missing, more, or out of its bounds", () => {
    const changes: readonly Record<string, JsonValue>[] = [
      { extra: 1 },
      { version: 0 },
      { kind: "policy-artifact" },
      { v: 3 },
      { mode: "strict" },
      { not_before: body.not_after },
      { subject: {} },
      { session: { source: "host-key", id: "ab".repeat(32) } },
      { session: { source: "token-claim", id: "session-1" } },
      { tools: ["t/other"] },
      { tools: ["s/b", "s/a"] },
      { cedar: "x".repeat(65_537) },
    ];
    for (const change of changes) {
      const changed = canonicalBytes({ ...whole(), ...change });
      expect(
        codeOf(() => parseSessionArtifact(changed)),
        JSON.stringify(change).slice(0, 80),
      ).toBe("ERR_SHAPE");
    }
    for (const name of Object.keys(body).filter((key) => !["session", "cedar"].includes(key))) {
      const { [name]: _, ...rest } = whole();
      expect(
        codeOf(() => parseSessionArtifact(canonicalBytes(rest))),
        name,
      ).toBe("ERR_SHAPE");
    }
  });

  it("has a line of versions for each subject and session", () => {
    const { session: _, ...ofAgent } = body;
    const lines = [body, ofAgent, sessionArtifactBody({ subject: { principal: "local|other" } })].map(lineOf);
    expect(new Set(lines).size).toBe(3);
    expect(lineOf(sessionArtifactBody({ version: 9, tools: [] }))).toBe(lineOf(body));
  });
});

describe("a session artifact beside the gateway's", () => {
  const outer = artifactBody();
  const within = (changes: Partial<SessionArtifactBody>, gateway = outer): unknown =>
    checkNarrower(sessionArtifactBody(changes), gateway);

  it("may be the same, or narrower in everything", () => {
    within({ tools: [...outer.tools], limits: outer.limits });
    within({ tools: [], limits: { calls_per_minute: { principal: 1, session: 1 } } });
    within({ not_after: formatTimestamp(Date.parse("2026-03-02T00:00:00.000Z")) });
    within({ mode: "enforcing" }, artifactBody({ mode: "silent" }));
    within({ subject: { principal: "p", code: digestFile("x") } }, artifactBody({ subjects: [{ principal: "p" }] }));
    within({ tools: ["s/any"] }, artifactBody({ tools: ["s/*"], workflows: [] }));
    within({ limits: { calls_in_flight: { total: 10_000 } } }, artifactBody({ limits: {} }));
  });

  it.each<readonly [string, Partial<SessionArtifactBody>]>([
    ["another gateway", { gateway: "support-us" }],
    ["another policy", { policy: { digest: digestFile("other"), version: "1" } }],
    ["another version of the policy", { policy: { ...outer.policy, version: "2" } }],
    ["another catalog", { catalog: digestFile("other") }],
    ["an agent that the gateway does not serve", { subject: { principal: "local|other" } }],
    ["an agent of other code", { subject: { principal: "local|example-agent", code: digestFile("other") } }],
    ["an agent of any code", { subject: { principal: "local|example-agent", metadata: digestFile("metadata") } }],
    ["a longer time", { not_after: formatTimestamp(Date.parse("2026-04-01T00:00:00.001Z")) }],
    ["a weaker mode", { mode: "advisory" }],
    ["another tool", { tools: ["s/echo", "s/other"] }],
    ["all tools of a server", { tools: ["s/*"] }],
    ["the server at another address", { upstreams: [{ server: "s", identity: { kind: "http", url: "http://x/" } }] }],
    ["a higher rate of a principal", { limits: { calls_per_minute: { principal: 101 } } }],
    ["a higher rate of a session", { limits: { calls_per_minute: { session: 51 } } }],
    ["more calls in flight", { limits: { calls_in_flight: { principal: 11 } } }],
    ["more calls in flight in all", { limits: { calls_in_flight: { total: 21 } } }],
  ])("is wider with %s", (_, changes) => {
    expect(codeOf(() => within(changes))).toBe("ERR_ARTIFACT_WIDER");
  });

  const second = artifactBody({ v: 2, limits: ALL_LIMITS });
  const limited = (limits: SealedLimits, v: 1 | 2 = 2): string =>
    codeOf(() => parseSessionArtifact(sealSessionArtifact(sessionArtifactBody({ v, limits }), [alice.signer])));

  it("may name every bound from version 2 on, and none of them has to", () => {
    expect([limited(ALL_LIMITS), limited({}), limited({ sessions: {} })]).toEqual(["accepted", "accepted", "accepted"]);
    expect(limited({ calls_per_minute: { tools: [] } }, 1)).toBe("ERR_SHAPE");
    expect(limited({ calls_in_flight: { session: 1 } }, 1)).toBe("ERR_SHAPE");
    expect(limited({ sessions: { principal: 1 } }, 1)).toBe("ERR_SHAPE");
  });

  it("has bounds of its own where the gateway's has none, and the same or lower ones where it has", () => {
    within({ v: 2, limits: ALL_LIMITS }, second);
    within({ v: 2, limits: {} }, second);
    within({ v: 2, limits: ALL_LIMITS });
    within({ v: 2, limits: { calls_in_flight: { tools: [{ tool: "s/echo", limit: 10_000_000 }] } } }, second);
    within({ v: 2, limits: { calls_per_minute: { tools: [{ tool: "s/echo", limit: 19 }] } } }, second);
    within({ v: 1 }, second);
  });

  it.each<readonly [string, SealedLimits]>([
    ["more calls of a tool a minute", { calls_per_minute: { tools: [{ tool: "s/echo", limit: 21 }] } }],
    ["more calls of a tool in flight", { calls_in_flight: { tools: [{ tool: "s/wipe", limit: 2 }] } }],
    ["more calls of a session in flight", { calls_in_flight: { session: 6 } }],
    ["more open sessions", { sessions: { principal: 5 } }],
  ])("is wider with %s", (_, limits) => {
    expect(codeOf(() => within({ v: 2, limits }, second))).toBe("ERR_ARTIFACT_WIDER");
  });
});
