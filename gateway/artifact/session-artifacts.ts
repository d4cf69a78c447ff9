/**
 * The session artifacts in force: which one binds a call, and on what the call is decided then. An agent or session that has one is
 * never decided without it: when it ends, does not fit the gateway's own artifact any more, or its agent is measured to be another
 * one, every call of that agent or session is denied, and of nobody else.
 */

import { CheckError, invariant } from "../../kernel/errors.ts";
import { coversTool } from "../../kernel/policy-artifact.ts";
import type { Digest } from "../../kernel/receipt/fields.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import { checkNarrower, type SealedSession, sessionHash } from "../../kernel/session-artifact.ts";
import { type BoundCall, boundSession } from "../pipeline/bound-call.ts";
import { type Caller, type InboundCall, type SessionKey, toolBehind } from "../pipeline/call.ts";
import type { CallBasis, RunFacts } from "../pipeline/decision-body.ts";
import { principalOf } from "../pipeline/policy-question.ts";
import type { PolicyEvaluator } from "../policy/evaluator.ts";
import { narrowedEvaluator } from "../policy/narrowed-evaluator.ts";
import type { AgentDigests } from "./artifact-check.ts";
import type { ArtifactInForce } from "./artifact-in-force.ts";
import { type ExaminedSession, isMeasured, isValidAt } from "./session-examine.ts";

/** What they narrow. */
export interface SessionArtifactsOptions {
  /** True: who has none is denied. */
  readonly isRequired: boolean;
  readonly inForce: ArtifactInForce;
  readonly run: RunFacts;
  readonly evaluator: PolicyEvaluator;
  readonly nowMs: () => number;
}

/** Most artifacts in force. */
const MAX_ARTIFACTS = 1_024;

/** Sources of sessions whose ids an agent cannot choose. */
const SOURCES: ReadonlySet<string> = new Set<SealedSession["source"]>([
  "mcp-session-id",
  "token-claim",
  "workflow-token",
]);

/** One artifact in force. */
class BoundLine {
  readonly examined: ExaminedSession;
  readonly evaluator: PolicyEvaluator;
  /** Something that does not end by itself. */
  fault: ReasonCode | undefined;
  #facts: RunFacts | undefined;

  constructor(examined: ExaminedSession, outer: PolicyEvaluator) {
    this.examined = examined;
    this.evaluator = examined.own === undefined ? outer : narrowedEvaluator(outer, examined.own);
  }

  /** Made once for each policy of the gateway. */
  facts({ names, boundary, policy }: RunFacts): RunFacts {
    const known = this.#facts;
    const { artifact, digest } = this.examined.sealed;
    if (known?.policy.artifact === policy.artifact && known.policy.digest === policy.digest) return known;
    const made = { names, boundary, mode: artifact.mode, policy: { ...policy, session_artifact: digest } };
    this.#facts = made;
    return made;
  }
}

/** The session artifacts of a run. */
export class SessionArtifacts {
  readonly #options: SessionArtifactsOptions;
  /** What is decided on where no artifact binds. */
  readonly #own: CallBasis;
  /** By subject and session. */
  readonly #lines = new Map<string, BoundLine>();
  /** Subjects of which some session has an artifact of its own. */
  readonly #withSessions = new Set<string>();

  constructor(options: SessionArtifactsOptions) {
    this.#options = options;
    this.#own = { run: options.run, evaluator: options.evaluator };
  }

  get size(): number {
    return this.#lines.size;
  }

  /** The gateway's own, which they narrow. */
  get evaluator(): PolicyEvaluator {
    return this.#options.evaluator;
  }

  list(): readonly ExaminedSession[] {
    return [...this.#lines.values()].map(({ examined }) => examined);
  }

  /**
   * Puts artifacts in force, each in place of the one before of its line.
   *
   * @throws {CheckError} ERR_ARTIFACT_MISMATCH if they are too many; then none is
   */
  put(examined: readonly ExaminedSession[]): void {
    this.checkRoom(examined);
    for (const one of examined) {
      const { subject, session } = one.sealed.artifact;
      this.#lines.set(keyOf(one), new BoundLine(one, this.#options.evaluator));
      if (session !== undefined) this.#withSessions.add(subject.principal);
    }
  }

  /** @throws {CheckError} ERR_ARTIFACT_MISMATCH if there is no room for them */
  checkRoom(examined: readonly ExaminedSession[]): void {
    const more = examined.filter((one) => !this.#lines.has(keyOf(one)));
    if (this.#lines.size + more.length <= MAX_ARTIFACTS) return;
    throw new CheckError("ERR_ARTIFACT_MISMATCH", `more than ${MAX_ARTIFACTS} session artifacts would be in force`);
  }

  /** Compares all of them with the gateway's artifact of now: what is wider denies until it is renewed. */
  compare(): void {
    const outer = this.#options.inForce.current()?.artifact;
    invariant(
      outer !== undefined || this.#lines.size === 0,
      "session artifacts are in force without the gateway's own",
    );
    if (outer === undefined) return;
    for (const line of this.#lines.values()) {
      const isWider = line.fault === "artifact.wider" || line.fault === undefined;
      if (isWider) line.fault = isWithin(line, outer) ? undefined : "artifact.wider";
    }
  }

  /** Compares the agents with what was measured. Only a newer artifact ends what differs. */
  measured(agents: () => ReadonlyMap<string, AgentDigests>): void {
    const named = [...this.#lines.values()].filter(({ examined: { sealed } }) => {
      const { code, metadata } = sealed.artifact.subject;
      return code !== undefined || metadata !== undefined;
    });
    if (named.length === 0) return;
    const found = agents();
    for (const line of named) {
      if (!isMeasured(line.examined.sealed.artifact, found)) line.fault = "measurement.mismatch";
    }
  }

  /** What a call is decided on. */
  basisOf(call: Pick<InboundCall, "caller" | "session" | "wire">): CallBasis {
    const line = this.#of(call);
    return line === undefined ? this.#own : { run: line.facts(this.#own.run), evaluator: line.evaluator };
  }

  /** Limits of the artifact that binds a call. */
  limitsOf(call: BoundCall): SealedLimits | undefined {
    return this.#of(call)?.examined.sealed.artifact.limits;
  }

  /** True unless the artifact that binds the caller leaves this tool, or all of the server, out. */
  covers(call: Pick<InboundCall, "caller" | "session" | "wire" | "serverId" | "target" | "taskTool">): boolean {
    const artifact = this.#of(call)?.examined.sealed.artifact;
    if (artifact === undefined) return true;
    const { serverId } = call;
    const tool = toolBehind(call);
    if (tool !== undefined) return coversTool(artifact.tools, `${serverId}/${tool}`);
    return artifact.upstreams.some(({ server }) => server === serverId);
  }

  /** Why nothing is served to this call; undefined if it goes on. */
  haltedFor(call: Pick<InboundCall, "caller" | "session" | "wire">): ReasonCode | undefined {
    const line = this.#of(call);
    if (line !== undefined) return this.#haltedLine(line);
    return this.#options.isRequired ? "artifact.missing" : undefined;
  }

  /** The artifact of a session: its digest, and why it serves nothing. */
  ofSession(
    caller: Caller,
    session: SessionKey,
  ): { readonly digest: Digest; readonly halted: ReasonCode | undefined } | undefined {
    const line = this.#of(boundSession(caller, session));
    if (line === undefined) return undefined;
    return { digest: line.examined.sealed.digest, halted: this.#haltedLine(line) };
  }

  #of({ caller, session, wire }: BoundCall): BoundLine | undefined {
    return this.#lines.size === 0 ? undefined : this.#find(principalOf(caller, wire.transport).id, session);
  }

  /** That of the session before that of the agent. */
  #find(principal: string, { source, key }: SessionKey): BoundLine | undefined {
    const own =
      SOURCES.has(source) && this.#withSessions.has(principal)
        ? this.#lines.get(`${principal}\n${source}:${sessionHash(key)}`)
        : undefined;
    return own ?? this.#lines.get(`${principal}\n`);
  }

  #haltedLine({ fault, examined }: BoundLine): ReasonCode | undefined {
    if (fault !== undefined) return fault;
    return isValidAt(examined.sealed.artifact, this.#options.nowMs()) ? undefined : "policy.expired";
  }
}

/** A principal holds no line feed. */
function keyOf({ sealed: { artifact } }: ExaminedSession): string {
  const { subject, session } = artifact;
  return `${subject.principal}\n${session === undefined ? "" : `${session.source}:${session.id}`}`;
}

function isWithin({ examined }: BoundLine, outer: Parameters<typeof checkNarrower>[1]): boolean {
  try {
    checkNarrower(examined.sealed.artifact, outer);
    return true;
  } catch (error) {
    if (error instanceof CheckError) return false;
    throw error;
  }
}
