/**
 * Compares a sealed artifact with what there is: this gateway, the time, the policy, the catalog, the servers, the agents,
 * the gateway's own code. What the artifact names and nobody can establish is a mismatch too. Pure.
 */

import { CheckError } from "../../kernel/errors.ts";
import type { PolicyArtifact, SealedApprovers, SealedIdentity, SealedOperator } from "../../kernel/policy-artifact.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { boundsByName, canSeal, type SealedLimits } from "../../kernel/sealed-limits.ts";
import { timestampMs } from "../../kernel/time.ts";
import type { ServerIdentity } from "../pipeline/call.ts";
import { differenceOf, type PeerLook, type ServerTlsRule } from "../upstream/server-tls.ts";

/** An agent as it was measured. */
export interface AgentDigests {
  readonly code: string;
  readonly metadata: string | undefined;
}

/** A server, and what it showed of itself if the artifact wants to know. */
export interface MeasuredServer {
  readonly identity: ServerIdentity;
  readonly look?: PeerLook;
}

/** What can be measured, and may change while a gateway runs. */
export interface Measured {
  /** Digest of the policy bundle: of its files where they lie, or of what is in force. */
  readonly policy: string;
  /** Of the gateway's own code; undefined if nobody measured it. */
  readonly code: string | undefined;
  /** What the configuration says of limits: where it lies, or the one that runs. */
  readonly limits: SealedLimits;
  /** Digests of what the configuration says of quarantine: the one that runs, and the one that lies there; none if none is sealed. */
  readonly quarantine: readonly string[];
  /** By principal. */
  readonly agents: ReadonlyMap<string, AgentDigests>;
  /** By server id. */
  readonly servers: ReadonlyMap<string, MeasuredServer>;
}

/** What there is. */
export interface Present extends Measured {
  readonly gateway: string;
  readonly nowMs: number;
  readonly catalog: string;
  readonly policyVersion: string;
  readonly operators: readonly SealedOperator[];
  /** Undefined if catalogs need no signatures. */
  readonly approvers: SealedApprovers | undefined;
  /** The configured mode, if the configuration says one. */
  readonly mode: Mode | undefined;
}

/**
 * Checks everything that an artifact names.
 *
 * @throws {CheckError} ERR_ARTIFACT_TIME, ERR_ARTIFACT_MISMATCH
 */
export function checkPresent(artifact: PolicyArtifact, present: Present): void {
  if (isOver(artifact, present.nowMs) || present.nowMs < timestampMs(artifact.not_before)) {
    const { not_before: from, not_after: to } = artifact;
    throw new CheckError("ERR_ARTIFACT_TIME", `the artifact is valid from ${from} to ${to}`);
  }
  const [first] = [...statedDifferences(artifact, present), ...measuredDifferences(artifact, present)];
  if (first !== undefined) throw new CheckError("ERR_ARTIFACT_MISMATCH", first);
}

/** True if the artifact is not valid any more. */
export function isOver({ not_after: end }: Pick<PolicyArtifact, "not_after">, nowMs: number): boolean {
  return nowMs >= timestampMs(end);
}

function statedDifferences(artifact: PolicyArtifact, present: Present): readonly string[] {
  const pairs: readonly (readonly [string, string, string | undefined])[] = [
    ["gateway", artifact.gateway, present.gateway],
    ["policy.version", artifact.policy.version, present.policyVersion],
    ["catalog", artifact.catalog, present.catalog],
    ["mode", artifact.mode, present.mode ?? artifact.mode],
  ];
  const differences: string[] = pairs
    .filter(([, want, got]) => want !== got)
    .map(([name, want, got]) => `${name}: the artifact has ${want}, here is ${got}`);
  differences.push(...operatorDifferences(artifact, present), ...approverDifferences(artifact, present));
  const extra = [...present.servers.keys()].find((id) => !artifact.upstreams.some(({ server }) => server === id));
  return extra === undefined
    ? differences
    : [...differences, `upstreams: the artifact does not have the server ${extra}`];
}

/** An operator whom the artifact does not have, or who has a role that it does not give. */
function operatorDifferences({ operators }: PolicyArtifact, present: Present): readonly string[] {
  if (operators === undefined) return [];
  const isSealed = ({ name, roles }: SealedOperator): boolean =>
    operators.some((sealed) => sealed.name === name && roles.every((role) => sealed.roles.includes(role)));
  return present.operators
    .filter((operator) => !isSealed(operator))
    .map(({ name }) => `operators: the artifact does not have ${name} with these roles`);
}

/** The configuration may want more signatures, of fewer people, and not the other way round. */
function approverDifferences({ approvers }: PolicyArtifact, { approvers: own }: Present): readonly string[] {
  if (approvers === undefined) return [];
  if (own === undefined) return ["approvers: the artifact wants signatures on catalogs, and none are asked for here"];
  const isNarrower = own.kids.every((kid) => approvers.kids.includes(kid)) && own.threshold >= approvers.threshold;
  return isNarrower ? [] : ["approvers: others than the artifact's may approve a catalog here"];
}

/** What differs of that which is measured again on a cycle. */
export function measuredDifferences(artifact: PolicyArtifact, measured: Measured): readonly string[] {
  const differences: string[] = [];
  if (artifact.policy.digest !== measured.policy) {
    differences.push(`policy: the artifact has ${artifact.policy.digest}, here is ${measured.policy}`);
  }
  if (artifact.code !== undefined && artifact.code !== measured.code) {
    differences.push(`code: the artifact has ${artifact.code}, here is ${measured.code ?? "none that was measured"}`);
  }
  differences.push(...limitDifferences(artifact, measured), ...quarantineDifferences(artifact, measured));
  for (const { server, identity } of artifact.upstreams) {
    const why = identityDifference(identity, measured.servers.get(server));
    if (why !== undefined) differences.push(`upstreams: ${server}: ${why}`);
  }
  for (const { principal, code, metadata } of artifact.subjects) {
    const agent = measured.agents.get(principal);
    if (code !== undefined && code !== agent?.code)
      differences.push(`subjects: the agent of ${principal} is another one`);
    if (metadata !== undefined && metadata !== agent?.metadata) {
      differences.push(`subjects: the metadata of ${principal} is another one`);
    }
  }
  return differences;
}

/**
 * What an artifact seals of limits is in force whatever the configuration says; a configuration that says another, or a limit that
 * nobody sealed, is not the one that was signed for. Those that version 1 names it seals from above.
 */
function limitDifferences({ v, limits }: PolicyArtifact, { limits: own }: Measured): readonly string[] {
  const sealed = boundsByName(limits);
  const differences: string[] = [];
  for (const [name, got] of boundsByName(own)) {
    const want = sealed.get(name);
    if (v === 1 && canSeal(v, name)) continue;
    if (want === got) continue;
    const sealer = v === 1 ? "the artifact of version 1 can have none" : `the artifact has ${want ?? "none"}`;
    differences.push(`limits.${name}: ${sealer}, here is ${got}`);
  }
  return differences;
}

/** An artifact that does not seal it says nothing of it, as those did before it could. */
function quarantineDifferences({ quarantine: sealed }: PolicyArtifact, { quarantine }: Measured): readonly string[] {
  if (sealed === undefined) return [];
  const [first = "none that was measured", ...more] = quarantine;
  const other = [first, ...more].find((digest) => digest !== sealed);
  return other === undefined ? [] : [`quarantine: the artifact has ${sealed}, here is ${other}`];
}

function identityDifference(sealed: SealedIdentity, measured: MeasuredServer | undefined): string | undefined {
  if (measured === undefined) return "there is no such server";
  const { identity: present, look } = measured;
  if (sealed.kind === "stdio") {
    if (present.kind !== "stdio") return "it is not started by the gateway";
    return sealed.executable === present.executable ? undefined : `the executable is ${present.executable}`;
  }
  if (present.kind !== "http") return "it is not called over HTTP";
  if (sealed.url !== present.url) return `its URL is ${present.url}`;
  return namesPeer(sealed) ? lookDifference(sealed, look) : undefined;
}

/** True if a server must have a TLS key or a SPIFFE id. */
export function namesPeer(sealed: SealedIdentity): boolean {
  return sealed.kind === "http" && (sealed.spki !== undefined || sealed.spiffe_id !== undefined);
}

/** A server that is down now shows itself on its next connection, and each of them is held to the artifact. */
function lookDifference(sealed: ServerTlsRule, look: PeerLook | undefined): string | undefined {
  if (look === undefined) return "it is not called over TLS";
  if (look.type === "unreachable") return undefined;
  return look.type === "refused" ? look.why : differenceOf(sealed, look.peer);
}
