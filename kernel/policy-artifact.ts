/**
 * The sealed policy artifact (docs/formats/policy-artifact.md): everything that a gateway may do, in one signed object.
 * Whom it serves, which tools of which servers, under which policy, catalog and mode, how fast, and until when.
 *
 *     digest = "sha256:" ‖ hex SHA-256 of the artifact's bytes, signatures included
 *
 * An artifact is canonical JSON signed by M of N pinned keys. Each signature in it is of a pinned key and holds, so no byte
 * of it can be changed.
 */

import { parseSealed, withSignature } from "./artifact-bytes.ts";
import { CheckError, FormatError } from "./errors.ts";
import { canonicalBytes } from "./json/canonical.ts";
import type { JsonObject } from "./json/value.ts";
import { digestFile } from "./policy-manifest.ts";
import {
  type Digest,
  digestShape,
  type Hex64,
  hex64Shape,
  type ServerId,
  serverIdShape,
  type Version,
  versionShape,
} from "./receipt/fields.ts";
import { MODES, type Mode } from "./receipt/vocabulary.ts";
import {
  type ArtifactVersion,
  boundShape,
  checkLimitsComplete,
  checkLimitsVersion,
  limitsShape,
  type SealedLimits,
  sorted,
} from "./sealed-limits.ts";
import {
  array,
  boolean,
  integer,
  literal,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
  tagged,
  timestamp,
} from "./shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import type { PublicKey } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import type { Timestamp } from "./time.ts";

/** A principal that the gateway serves, and what its agent is (kernel/agent-measurement.ts). */
export type SealedSubject = {
  /** `<issuer>|<name>`, as policies name it; for whoever runs `wrap` the bare name. */
  readonly principal: string;
  /** Digest of the agent's normalised bytes. */
  readonly code?: Digest;
  /** Digest of its metadata. */
  readonly metadata?: Digest;
};

/** What a server must be. */
export type SealedIdentity =
  | { readonly kind: "stdio"; readonly executable: Digest }
  | {
      readonly kind: "http";
      readonly url: string;
      /** SHA-256 of the SubjectPublicKeyInfo of the server's TLS key; one of them must be met. */
      readonly spki?: readonly Hex64[];
      readonly spiffe_id?: string;
    };

/** A server below the gateway. */
export type SealedUpstream = { readonly server: ServerId; readonly identity: SealedIdentity };

/** A workflow and what it may use: never more than `tools` of the artifact. */
export type SealedWorkflow = {
  /** `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` */
  readonly id: string;
  /** `<server>/<tool>` or `<server>/*`, sorted. */
  readonly tools: readonly string[];
  /** Prefixes of resource URIs, sorted. */
  readonly resources: readonly string[];
};

/** Bounds of what one session does, outside of which its subject behaves unlike itself. */
export type SealedBaseline = {
  readonly calls?: number;
  readonly servers?: number;
  readonly denials?: number;
};

/** Somebody who may move what operators move, by the name and with roles of the configuration. `local` has no roles. */
export type SealedOperator = {
  readonly name: string;
  /** Sorted. */
  readonly roles: readonly string[];
};

/** Whose signatures approve a catalog. */
export type SealedApprovers = {
  /** Key ids, sorted. */
  readonly kids: readonly Hex64[];
  /** At least so many of them. */
  readonly threshold: number;
};

/** Body of an artifact. */
export type PolicyArtifactBody = {
  readonly kind: "policy-artifact";
  /** 2: `limits` names every bound, and the configuration says no other; `quarantine` may be there. */
  readonly v: ArtifactVersion;
  /** Each artifact of a gateway has a higher one than those before. */
  readonly version: number;
  /** Name of the gateway that it is for, `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. */
  readonly gateway: string;
  readonly not_before: Timestamp;
  readonly not_after: Timestamp;
  readonly mode: Mode;
  readonly policy: { readonly digest: Digest; readonly version: Version };
  readonly catalog: Digest;
  /** Digest of the gateway's own code. */
  readonly code?: Digest;
  /** Digest of the bill of materials of that code. */
  readonly sbom?: Digest;
  /** Sorted by principal. */
  readonly subjects: readonly SealedSubject[];
  /** `<server>/<tool>` or `<server>/*`, sorted. */
  readonly tools: readonly string[];
  /** Sorted by server. */
  readonly upstreams: readonly SealedUpstream[];
  readonly limits: SealedLimits;
  /** Sorted by id. */
  readonly workflows: readonly SealedWorkflow[];
  /** True if subjects in quarantine may be answered by phantoms. */
  readonly phantom: boolean;
  readonly baseline?: SealedBaseline;
  /** Of the member `quarantine` of the configuration, by `quarantineDigest`; from version 2 on. Without it nothing of it is sealed. */
  readonly quarantine?: Digest;
  /** Sorted by name; there are no others. */
  readonly operators?: readonly SealedOperator[];
  readonly approvers?: SealedApprovers;
};

/** An artifact with the signatures of those who sealed it. */
export type PolicyArtifact = Signed<PolicyArtifactBody>;

/** Whose signatures seal an artifact, and how many of them. */
export interface SealRule {
  readonly signers: readonly { readonly name: string; readonly key: PublicKey }[];
  /** 1 to 4. */
  readonly threshold: number;
}

/** An artifact whose seal holds. */
export interface SealedArtifact {
  readonly artifact: PolicyArtifact;
  readonly digest: Digest;
  /** Names of those who signed, sorted. */
  readonly signers: readonly string[];
}

const MAX_SUBJECTS = 1024;
const MAX_TOOLS = 10_000;
const MAX_WORKFLOWS = 256;

/** Name of a gateway. */
export const gatewayNameShape: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u,
  maxLength: 64,
  description: "a name: 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'",
});
const operatorName: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u,
  maxLength: 64,
  description: "the name of an operator or role",
});
const toolShape: Shape<string> = string({
  pattern: /^[a-z0-9][a-z0-9-]{0,23}\/[^\p{Cc}\p{Cs}]{1,128}$/u,
  maxLength: 153,
  description: "<server>/<tool> or <server>/*",
});
const principalShape: Shape<string> = string({ pattern: /^[^\p{Cc}\p{Cs}]{1,512}$/u, maxLength: 512 });

const same = (text: string): string => text;

/** Tools of an artifact. */
export const toolsShape: Shape<readonly string[]> = sorted(array(toolShape, { max: MAX_TOOLS }), same);

const identityShape: Shape<SealedIdentity> = tagged("kind", {
  stdio: object<Extract<SealedIdentity, { kind: "stdio" }>>({ kind: literal("stdio"), executable: digestShape }),
  http: object<Extract<SealedIdentity, { kind: "http" }>>({
    kind: literal("http"),
    url: string({ pattern: /^https?:\/\/[^\s\p{Cc}\p{Cs}]+$/u, maxLength: 2048, description: "an http or https URL" }),
    spki: optional(sorted(array(hex64Shape, { min: 1, max: 8 }), (hash) => hash)),
    spiffe_id: optional(string({ pattern: /^spiffe:\/\/[^\s\p{Cc}\p{Cs}]+$/u, maxLength: 2048 })),
  }),
});

/** A workflow and what it may use. */
export const workflowScopeShape: Shape<SealedWorkflow> = object<SealedWorkflow>({
  id: gatewayNameShape,
  tools: toolsShape,
  resources: sorted(
    array(string({ pattern: /^[^\p{Cc}\p{Cs}]{1,512}$/u, maxLength: 512 }), { max: 256 }),
    (uri) => uri,
  ),
});

/** One agent. */
export const subjectShape: Shape<SealedSubject> = object<SealedSubject>({
  principal: principalShape,
  code: optional(digestShape),
  metadata: optional(digestShape),
});

/** Servers of an artifact. */
export const upstreamsShape: Shape<readonly SealedUpstream[]> = sorted(
  array(object<SealedUpstream>({ server: serverIdShape, identity: identityShape }), { min: 1, max: 128 }),
  ({ server }) => server,
);

const artifactShape: Shape<PolicyArtifact> = mapped(
  object<PolicyArtifact>({
    kind: literal("policy-artifact"),
    v: literal(1, 2),
    version: integer({ min: 1 }),
    gateway: gatewayNameShape,
    not_before: timestamp(),
    not_after: timestamp(),
    mode: literal(...MODES),
    policy: object<PolicyArtifactBody["policy"]>({ digest: digestShape, version: versionShape }),
    catalog: digestShape,
    code: optional(digestShape),
    sbom: optional(digestShape),
    subjects: sorted(array(subjectShape, { min: 1, max: MAX_SUBJECTS }), ({ principal }) => principal),
    tools: toolsShape,
    upstreams: upstreamsShape,
    limits: limitsShape,
    workflows: sorted(array(workflowScopeShape, { max: MAX_WORKFLOWS }), ({ id }) => id),
    phantom: boolean(),
    baseline: optional(
      object<SealedBaseline>({
        calls: optional(boundShape),
        servers: optional(boundShape),
        denials: optional(boundShape),
      }),
    ),
    quarantine: optional(digestShape),
    operators: optional(
      sorted(
        array(object<SealedOperator>({ name: operatorName, roles: sorted(array(operatorName, { max: 32 }), same) }), {
          min: 1,
          max: 257,
        }),
        ({ name }) => name,
      ),
    ),
    approvers: optional(
      object<SealedApprovers>({
        kids: sorted(array(hex64Shape, { min: 1, max: 16 }), same),
        threshold: integer({ min: 1, max: 4 }),
      }),
    ),
    signatures: signaturesShape,
  }),
  checkBody,
);

function checkBody(artifact: PolicyArtifact): PolicyArtifact {
  if (artifact.not_before >= artifact.not_after) {
    throw new FormatError("ERR_SHAPE", "artifact: want not_after behind not_before");
  }
  checkLimitsVersion(artifact.v, artifact.limits);
  if (artifact.v > 1) checkLimitsComplete(artifact.limits);
  else if (artifact.quarantine !== undefined) {
    throw new FormatError("ERR_SHAPE", "artifact.quarantine: want an artifact of version 2");
  }
  for (const { id, tools } of artifact.workflows) {
    const wider = tools.find((tool) => !coversTool(artifact.tools, tool));
    if (wider !== undefined) {
      throw new FormatError("ERR_SHAPE", `artifact: the workflow ${id} has ${wider}, which the artifact has not`);
    }
  }
  return artifact;
}

/** True if a list of `<server>/<tool>` and `<server>/*` has a tool, or all tools of a server. */
export function coversTool(tools: readonly string[], tool: string): boolean {
  return tools.includes(tool) || tools.includes(`${tool.split("/", 1)[0] ?? ""}/*`);
}

/** Digest of a workflow's scope, as receipts name it. */
export function workflowDigest(workflow: SealedWorkflow): Digest {
  return digestFile(canonicalBytes({ kind: "workflow-scope", v: 1, ...workflow }));
}

/**
 * Digest of what a configuration says of quarantine, as an artifact seals it.
 *
 * @param config  its member `quarantine`; undefined if it has none
 * @throws {FormatError} ERR_CANONICAL if it has no canonical form
 */
export function quarantineDigest(config: JsonObject | undefined): Digest {
  return digestFile(canonicalBytes({ kind: "quarantine-config", v: 1, config: config ?? null }));
}

/** The bytes of an artifact, signed by each of `signers`. @throws {FormatError} ERR_SHAPE if the body is not one */
export function sealArtifact(body: PolicyArtifactBody, signers: readonly EnvelopeSigner[]): Uint8Array {
  const signed = signEnvelope(body, signers);
  return canonicalBytes(artifactShape.read(signed, "artifact"));
}

/**
 * Adds one signature to an artifact, or to a body that nobody has signed.
 *
 * @throws {FormatError} ERR_SHAPE if it is none, or the key has signed already
 */
export function addSeal(value: JsonObject, signer: EnvelopeSigner): Uint8Array {
  return canonicalBytes(readShape(artifactShape, withSignature(value, "policy-artifact", signer), "artifact"));
}

/**
 * Reads an artifact without judging its signatures.
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_SHAPE
 */
export function parseArtifact(bytes: Uint8Array): PolicyArtifact {
  return parseSealed(artifactShape, bytes);
}

/**
 * Reads an artifact and checks its seal: every signature is of a pinned key and holds, and there are enough. Time, version
 * and the digests that it names are judged by the gateway.
 *
 * @throws {FormatError} as `parseArtifact`
 * @throws {CheckError} ERR_ARTIFACT_UNSIGNED (a signature of another key, or one that does not hold), ERR_ARTIFACT_THRESHOLD
 */
export function checkArtifact(bytes: Uint8Array, rule: SealRule): SealedArtifact {
  const artifact = parseArtifact(bytes);
  return { artifact, digest: digestFile(bytes), signers: checkSeal(artifact, rule) };
}

/**
 * Checks that every signature is of a pinned key and holds, and that there are enough. @returns names of who signed, sorted
 *
 * @throws {CheckError} ERR_ARTIFACT_UNSIGNED, ERR_ARTIFACT_THRESHOLD
 */
export function checkSeal(sealed: Signed<JsonObject>, rule: SealRule): readonly string[] {
  const signers = sealed.signatures.map(({ kid }) => {
    const signer = rule.signers.find(({ key }) => key.kid === kid);
    if (signer === undefined) throw unsigned(`the key ${kid} is none of the pinned ones`);
    checkSignature(sealed, signer);
    return signer.name;
  });
  if (signers.length < rule.threshold) {
    throw new CheckError(
      "ERR_ARTIFACT_THRESHOLD",
      `the artifact has ${signers.length} of the ${rule.threshold} signatures that seal it`,
    );
  }
  return signers.sort();
}

function checkSignature(sealed: Signed<JsonObject>, { name, key }: SealRule["signers"][number]): void {
  try {
    checkSignedBy(sealed, key);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_ARTIFACT_UNSIGNED", `the signature of ${name} does not hold`, { cause });
  }
}

function unsigned(message: string): CheckError {
  return new CheckError("ERR_ARTIFACT_UNSIGNED", message);
}
