/** An unsigned session artifact that is as wide as the gateway's own allows. Whoever signs it takes away what its agent does not need. */

import { FormatError } from "../../kernel/errors.ts";
import type { PolicyArtifact } from "../../kernel/policy-artifact.ts";
import {
  SEALED_SOURCES,
  type SealedSession,
  type SessionArtifactBody,
  sessionHash,
} from "../../kernel/session-artifact.ts";
import { formatTimestamp, timestampMs } from "../../kernel/time.ts";

/** What a draft is made from. */
export interface SessionDraftFacts {
  /** The gateway's own artifact. */
  readonly outer: PolicyArtifact;
  /** One of its subjects. */
  readonly principal: string;
  /** `<source>:<id of the session>`; undefined for every session of the agent. */
  readonly session: string | undefined;
  readonly days: number;
  readonly nowMs: number;
}

const DAY_MS = 86_400_000;

/** Version 1 of its line. @throws {FormatError} ERR_CONFIG for an agent that the artifact has not, or a session of no such source */
export function draftSession({ outer, principal, session, days, nowMs }: SessionDraftFacts): SessionArtifactBody {
  const subject = outer.subjects.find((one) => one.principal === principal);
  if (subject === undefined) {
    throw new FormatError("ERR_CONFIG", `--agent: the gateway's artifact does not have ${principal}`);
  }
  const endMs = Math.min(nowMs + days * DAY_MS, timestampMs(outer.not_after));
  return {
    kind: "session-artifact",
    v: outer.v,
    version: 1,
    gateway: outer.gateway,
    not_before: formatTimestamp(nowMs),
    not_after: formatTimestamp(endMs),
    mode: outer.mode,
    policy: outer.policy,
    catalog: outer.catalog,
    subject,
    ...(session === undefined ? {} : { session: sessionOf(session) }),
    tools: outer.tools,
    upstreams: outer.upstreams,
    limits: outer.limits,
  };
}

function sessionOf(text: string): SealedSession {
  const at = text.indexOf(":");
  const source = SEALED_SOURCES.find((known) => known === text.slice(0, Math.max(at, 0)));
  const id = text.slice(at + 1);
  if (source !== undefined && id !== "") return { source, id: sessionHash(id) };
  throw new FormatError("ERR_CONFIG", `--session: want <source>:<id>, of the sources ${SEALED_SOURCES.join(", ")}`);
}
