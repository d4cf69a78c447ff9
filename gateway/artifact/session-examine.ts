/**
 * Every check of a session artifact before it is in force: its seal, its version, its time, that it is not wider than the gateway's
 * own artifact, that its agent is the measured one, and that its Cedar policies fit the catalog and ask for nothing.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import type { PolicyArtifact, SealRule } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import {
  checkNarrower,
  checkSessionArtifact,
  lineOf,
  type SealedSessionArtifact,
  type SessionArtifact,
} from "../../kernel/session-artifact.ts";
import { timestampMs } from "../../kernel/time.ts";
import { type PolicyBundle, parseBundle } from "../policy/bundle.ts";
import type { SchemaSource } from "../policy/cedar-schema.ts";
import { makeEvaluator, type PolicyEvaluator } from "../policy/evaluator.ts";
import { kindsOf } from "../policy/obligations.ts";
import type { AgentDigests } from "./artifact-check.ts";
import type { SessionFloors } from "./session-floors.ts";

/** What a session artifact is compared with. */
export interface SessionFacts {
  readonly rule: SealRule;
  readonly floors: SessionFloors;
  /** The gateway's own artifact, bundle and catalog: those in force, or those that come with it. */
  readonly outer: PolicyArtifact;
  readonly bundle: PolicyBundle;
  readonly schemaSources: readonly SchemaSource[];
  /** By principal, as they were measured. */
  readonly agents: ReadonlyMap<string, AgentDigests>;
  /** Undefined at a start: one that is over then binds its agent, and denies it everything. */
  readonly nowMs: number | undefined;
}

/** A session artifact that passed every check. */
export interface ExaminedSession {
  readonly sealed: SealedSessionArtifact;
  /** Of its own Cedar policies; undefined if it has none. */
  readonly own: PolicyEvaluator | undefined;
}

/**
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_SHAPE, ERR_POLICY_BUNDLE
 * @throws {CheckError} ERR_ARTIFACT_*
 */
export function examineSession(bytes: Uint8Array, facts: SessionFacts): ExaminedSession {
  const sealed = checkSessionArtifact(bytes, facts.rule);
  const { artifact } = sealed;
  facts.floors.check(sealed);
  if (facts.nowMs !== undefined && !isValidAt(artifact, facts.nowMs)) {
    const { not_before: from, not_after: to } = artifact;
    throw new CheckError("ERR_ARTIFACT_TIME", `the session artifact is valid from ${from} to ${to}`);
  }
  checkNarrower(artifact, facts.outer);
  if (!isMeasured(artifact, facts.agents)) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", "subject: the agent of the session artifact is another one");
  }
  return { sealed, own: ownEvaluator(artifact, facts) };
}

/** All of a list, of which each line has one. @param onNext  told of each before it is looked at @throws as `examineSession`; {CheckError} ERR_ARTIFACT_VERSION for two of one line */
export function examineSessions(
  list: readonly Uint8Array[],
  facts: SessionFacts,
  onNext: (bytes: Uint8Array) => void = () => undefined,
): readonly ExaminedSession[] {
  const lines = new Set<string>();
  return list.map((bytes) => {
    onNext(bytes);
    const examined = examineSession(bytes, facts);
    const line = lineOf(examined.sealed.artifact);
    if (lines.has(line)) {
      throw new CheckError("ERR_ARTIFACT_VERSION", "two session artifacts are for the same agent and session");
    }
    lines.add(line);
    return examined;
  });
}

/** True from `not_before` on, and before `not_after`. */
export function isValidAt(artifact: Pick<SessionArtifact, "not_before" | "not_after">, nowMs: number): boolean {
  return nowMs >= timestampMs(artifact.not_before) && nowMs < timestampMs(artifact.not_after);
}

/** True unless the artifact names digests of its agent that were not measured. */
export function isMeasured(
  { subject: { principal, code, metadata } }: Pick<SessionArtifact, "subject">,
  agents: ReadonlyMap<string, AgentDigests>,
): boolean {
  const agent = agents.get(principal);
  return (code === undefined || code === agent?.code) && (metadata === undefined || metadata === agent?.metadata);
}

/** Policies of one name would be one policy in receipts. */
function ownEvaluator(
  { cedar, version, catalog }: SessionArtifact,
  { bundle, schemaSources }: SessionFacts,
): PolicyEvaluator | undefined {
  if (cedar === undefined) return undefined;
  const own = parseBundle([
    { path: "policy.json", content: formatUtf8(JSON.stringify({ version: String(version) })) },
    { path: "session.cedar", content: formatUtf8(cedar) },
  ]);
  for (const [id, { notes }] of own.policies) {
    if (bundle.policies.has(id)) throw refused(`the id "${id}" is one of the gateway's bundle`);
    if (kindsOf(notes).length > 0) throw refused(`the policy "${id}" asks for more than allow or deny`);
  }
  return makeEvaluator(`session/${digestFile(cedar)}/${catalog}`, own, schemaSources);
}

function refused(why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", `session artifact: ${why}`);
}
