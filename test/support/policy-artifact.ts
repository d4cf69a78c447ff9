/** Sealed policy artifacts for tests: two of the first two signers seal; the third is nobody's. */

import type { PolicyArtifactBody, SealRule } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import type { SessionArtifactBody } from "../../kernel/session-artifact.ts";
import { sessionHash } from "../../kernel/session-artifact.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { ALICE, BOB, MALLORY, type TestApprover } from "./signed-catalog.ts";

/** Alice, Bob, and Mallory, whose key is not pinned. */
export const SEALERS: readonly [TestApprover, TestApprover, TestApprover] = [ALICE, BOB, MALLORY];

/** Both of two. */
export const SEAL_RULE: SealRule = {
  signers: [
    { name: "alice", key: ALICE.signer.publicKey },
    { name: "bob", key: BOB.signer.publicKey },
  ],
  threshold: 2,
};

/** Every limit that there is, as artifacts of version 2 have them. */
export const ALL_LIMITS: { readonly [K in keyof SealedLimits]-?: Required<NonNullable<SealedLimits[K]>> } = {
  calls_per_minute: {
    principal: 100,
    session: 50,
    tools: [
      { tool: "s/echo", limit: 20 },
      { tool: "s/wipe", limit: 1 },
    ],
  },
  calls_in_flight: { principal: 10, session: 5, total: 20, tools: [{ tool: "s/wipe", limit: 1 }] },
  sessions: { principal: 4 },
};

/** A body that has every member. */
export function artifactBody(changes: Partial<PolicyArtifactBody> = {}): PolicyArtifactBody {
  return {
    kind: "policy-artifact",
    v: 1,
    version: 1,
    gateway: "support-eu",
    not_before: formatTimestamp(Date.parse("2026-03-01T00:00:00.000Z")),
    not_after: formatTimestamp(Date.parse("2026-04-01T00:00:00.000Z")),
    mode: "enforcing",
    policy: { digest: digestFile("policy"), version: "1" },
    catalog: digestFile("catalog"),
    code: digestFile("code"),
    sbom: digestFile("sbom"),
    subjects: [{ principal: "local|example-agent", code: digestFile("agent"), metadata: digestFile("metadata") }],
    tools: ["s/echo", "s/wipe"],
    upstreams: [{ server: "s", identity: { kind: "http", url: "http://s.example/mcp" } }],
    limits: { calls_per_minute: { principal: 100, session: 50 }, calls_in_flight: { principal: 10, total: 20 } },
    workflows: [{ id: "reading", tools: ["s/echo"], resources: [] }],
    phantom: false,
    baseline: { calls: 1000, servers: 3, denials: 10 },
    ...changes,
  };
}

/** A session artifact that lies within `artifactBody()`, with every member. */
export function sessionArtifactBody(changes: Partial<SessionArtifactBody> = {}): SessionArtifactBody {
  const { gateway, not_before, not_after, mode, policy, catalog, upstreams } = artifactBody();
  return {
    kind: "session-artifact",
    v: 1,
    version: 1,
    gateway,
    not_before,
    not_after,
    mode,
    policy,
    catalog,
    subject: { principal: "local|example-agent", code: digestFile("agent"), metadata: digestFile("metadata") },
    session: { source: "token-claim", id: sessionHash("session-1") },
    tools: ["s/echo"],
    upstreams,
    limits: { calls_per_minute: { session: 10 } },
    cedar: '@id("own.echo") permit (principal, action == Mcp::Action::"s/echo", resource);',
    ...changes,
  };
}
