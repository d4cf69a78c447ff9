/**
 * The session artifact (docs/formats/session-artifact.md): what one agent may do at a gateway, or one session of it. It is sealed
 * like the gateway's own policy artifact, and grants nothing that this one does not: never more tools or servers, higher limits, a
 * longer time or a weaker mode. A Cedar text of its own can only forbid more, as both have to permit.
 *
 *     digest = "sha256:" ‖ hex SHA-256 of the artifact's bytes, signatures included
 */

import { sha256 } from "#crypto";
import { parseSealed, withSignature } from "./artifact-bytes.ts";
import { formatUtf8 } from "./bytes.ts";
import { CheckError, FormatError } from "./errors.ts";
import { formatHex } from "./hex.ts";
import { canonicalBytes, formatCanonical } from "./json/canonical.ts";
import type { JsonObject } from "./json/value.ts";
import {
  checkSeal,
  coversTool,
  gatewayNameShape,
  type PolicyArtifactBody,
  type SealedSubject,
  type SealedUpstream,
  type SealRule,
  subjectShape,
  toolsShape,
  upstreamsShape,
} from "./policy-artifact.ts";
import { digestFile } from "./policy-manifest.ts";
import { type Digest, digestShape, type Hex64, hex64Shape, type Version, versionShape } from "./receipt/fields.ts";
import { MODES, type Mode } from "./receipt/vocabulary.ts";
import {
  type ArtifactVersion,
  checkLimitsVersion,
  higherBounds,
  limitsShape,
  type SealedLimits,
} from "./sealed-limits.ts";
import { integer, literal, mapped, object, optional, readShape, type Shape, string, timestamp } from "./shape.ts";
import { type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import type { Timestamp } from "./time.ts";

/** Sources of sessions that an artifact can name: those of which an agent cannot choose the id. */
export const SEALED_SOURCES = ["mcp-session-id", "token-claim", "workflow-token"] as const;

/** A session, by the hash of its id: ids of sessions are secrets of who has them. */
export type SealedSession = {
  readonly source: (typeof SEALED_SOURCES)[number];
  /** `sessionHash` of the id. */
  readonly id: Hex64;
};

/** Body of a session artifact. */
export type SessionArtifactBody = {
  readonly kind: "session-artifact";
  /** 2: `limits` may name every bound. */
  readonly v: ArtifactVersion;
  /** Each artifact of one subject and session has a higher one than those before. */
  readonly version: number;
  /** Name of the gateway that it is for. */
  readonly gateway: string;
  readonly not_before: Timestamp;
  readonly not_after: Timestamp;
  readonly mode: Mode;
  /** The bundle of the gateway's own artifact. */
  readonly policy: { readonly digest: Digest; readonly version: Version };
  readonly catalog: Digest;
  /** Whom it binds, and what that agent is. */
  readonly subject: SealedSubject;
  /** The one session that it binds; absent: every session of the subject that has none of its own. */
  readonly session?: SealedSession;
  /** `<server>/<tool>` or `<server>/*`, sorted. */
  readonly tools: readonly string[];
  /** Sorted by server. */
  readonly upstreams: readonly SealedUpstream[];
  readonly limits: SealedLimits;
  /** Cedar policies that have to permit, too; at most 65,536 characters. */
  readonly cedar?: string;
};

/** A session artifact with the signatures of those who sealed it. */
export type SessionArtifact = Signed<SessionArtifactBody>;

/** A session artifact whose seal holds. */
export interface SealedSessionArtifact {
  readonly artifact: SessionArtifact;
  readonly digest: Digest;
  /** Names of those who signed, sorted. */
  readonly signers: readonly string[];
}

const artifactShape: Shape<SessionArtifact> = mapped(
  object<SessionArtifact>({
    kind: literal("session-artifact"),
    v: literal(1, 2),
    version: integer({ min: 1 }),
    gateway: gatewayNameShape,
    not_before: timestamp(),
    not_after: timestamp(),
    mode: literal(...MODES),
    policy: object<SessionArtifactBody["policy"]>({ digest: digestShape, version: versionShape }),
    catalog: digestShape,
    subject: subjectShape,
    session: optional(object<SealedSession>({ source: literal(...SEALED_SOURCES), id: hex64Shape })),
    tools: toolsShape,
    upstreams: upstreamsShape,
    limits: limitsShape,
    cedar: optional(string({ maxLength: 65_536, description: "Cedar policies" })),
    signatures: signaturesShape,
  }),
  checkBody,
);

function checkBody(artifact: SessionArtifact): SessionArtifact {
  if (artifact.not_before >= artifact.not_after) {
    throw new FormatError("ERR_SHAPE", "artifact: want not_after behind not_before");
  }
  checkLimitsVersion(artifact.v, artifact.limits);
  const servers = new Set<string>(artifact.upstreams.map(({ server }) => server));
  const homeless = artifact.tools.find((tool) => !servers.has(tool.split("/", 1)[0] ?? ""));
  if (homeless === undefined) return artifact;
  throw new FormatError("ERR_SHAPE", `artifact: the tool ${homeless} is of a server that the artifact has not`);
}

/** Hash of a session's id, as artifacts name it. */
export function sessionHash(id: string): Hex64 {
  return formatHex(sha256(formatUtf8(id)));
}

/** What one line of artifacts is about: each has higher versions than those before. @returns a canonical text */
export function lineOf({ subject: { principal }, session }: Pick<SessionArtifactBody, "subject" | "session">): string {
  return formatCanonical({ principal, session: session ?? null });
}

/** The bytes of an artifact, signed by each of `signers`. @throws {FormatError} ERR_SHAPE if the body is not one */
export function sealSessionArtifact(body: SessionArtifactBody, signers: readonly EnvelopeSigner[]): Uint8Array {
  return canonicalBytes(artifactShape.read(signEnvelope(body, signers), "artifact"));
}

/**
 * Adds one signature to an artifact, or to a body that nobody has signed.
 *
 * @throws {FormatError} ERR_SHAPE if it is none, or the key has signed already
 */
export function addSessionSeal(value: JsonObject, signer: EnvelopeSigner): Uint8Array {
  return canonicalBytes(readShape(artifactShape, withSignature(value, "session-artifact", signer), "artifact"));
}

/**
 * Reads an artifact without judging its signatures.
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_SHAPE
 */
export function parseSessionArtifact(bytes: Uint8Array): SessionArtifact {
  return parseSealed(artifactShape, bytes);
}

/**
 * Reads an artifact and checks its seal: every signature is of a pinned key and holds, and there are enough.
 *
 * @throws {FormatError} as `parseSessionArtifact`
 * @throws {CheckError} ERR_ARTIFACT_UNSIGNED, ERR_ARTIFACT_THRESHOLD
 */
export function checkSessionArtifact(bytes: Uint8Array, rule: SealRule): SealedSessionArtifact {
  const artifact = parseSessionArtifact(bytes);
  return { artifact, digest: digestFile(bytes), signers: checkSeal(artifact, rule) };
}

/**
 * Checks that an artifact grants nothing that the gateway's own does not.
 *
 * @throws {CheckError} ERR_ARTIFACT_WIDER naming the first member that is wider
 */
export function checkNarrower(inner: SessionArtifactBody, outer: PolicyArtifactBody): void {
  // A limit that is not named is the gateway's.
  const [wider] = [
    ...otherMembers(inner, outer),
    ...widerMembers(inner, outer),
    ...higherBounds(inner.limits, outer.limits),
  ];
  if (wider === undefined) return;
  throw new CheckError("ERR_ARTIFACT_WIDER", `the session artifact is wider than the gateway's own: ${wider}`);
}

/** What has to be the same. */
function otherMembers(inner: SessionArtifactBody, outer: PolicyArtifactBody): readonly string[] {
  const pairs: readonly (readonly [string, string, string])[] = [
    ["gateway", inner.gateway, outer.gateway],
    ["policy.digest", inner.policy.digest, outer.policy.digest],
    ["policy.version", inner.policy.version, outer.policy.version],
    ["catalog", inner.catalog, outer.catalog],
  ];
  return pairs.filter(([, own, other]) => own !== other).map(([name]) => name);
}

/** What has to be contained. */
function widerMembers(inner: SessionArtifactBody, outer: PolicyArtifactBody): readonly string[] {
  const { principal, code, metadata } = inner.subject;
  const subject = outer.subjects.find((one) => one.principal === principal);
  const isOther = (own: Digest | undefined, other: Digest | undefined): boolean => other !== undefined && own !== other;
  const upstreams = new Set(outer.upstreams.map((one) => formatCanonical(one)));
  return [
    ...(subject === undefined ? ["subject.principal"] : []),
    ...(isOther(code, subject?.code) ? ["subject.code"] : []),
    ...(isOther(metadata, subject?.metadata) ? ["subject.metadata"] : []),
    ...(inner.not_after > outer.not_after ? ["not_after"] : []),
    ...(MODES.indexOf(inner.mode) > MODES.indexOf(outer.mode) ? ["mode"] : []),
    ...inner.tools.filter((tool) => !coversTool(outer.tools, tool)).map((tool) => `tools: ${tool}`),
    ...inner.upstreams
      .filter((one) => !upstreams.has(formatCanonical(one)))
      .map(({ server }) => `upstreams: ${server}`),
  ];
}
