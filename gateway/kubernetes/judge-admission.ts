/** Whether an object of a cluster may be: only pods that a valid sealed artifact covers, and what makes no others. Pure. */

import { isCodedError } from "../../kernel/errors.ts";
import { checkArtifact, type PolicyArtifact, type SealRule } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { Digest } from "../../kernel/receipt/fields.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { ADMISSION_ROLES, type AdmissionRole } from "../../kernel/receipt/vocabulary.ts";
import { timestampMs } from "../../kernel/time.ts";
import { isOver } from "../artifact/artifact-check.ts";
import type { AdmissionRequest } from "./admission-review.ts";
import {
  ARTIFACT_ANNOTATION,
  type Container,
  GATEWAY_ANNOTATION,
  imagesCode,
  type PodFacts,
  PRINCIPAL_ANNOTATION,
  ROLE_LABEL,
  readPod,
} from "./pod-facts.ts";

/** What is judged by. */
export interface AdmissionRules {
  readonly seal: SealRule;
  readonly namespaces: ReadonlySet<string>;
  readonly gatewayImages: ReadonlySet<string>;
  readonly sidecarImages: ReadonlySet<string>;
  /** The artifacts that are here, as bytes. */
  readonly artifacts: readonly Uint8Array[];
  readonly nowMs: number;
}

/** What was found, and what follows. */
export interface AdmissionJudgement {
  readonly allowed: boolean;
  readonly reason: ReasonCode;
  readonly message: string;
  readonly warnings: readonly string[];
  /** Undefined where the judgement did not come so far. */
  readonly role?: AdmissionRole;
  readonly artifact?: Digest;
  readonly images?: readonly Digest[];
  readonly code?: Digest;
}

type Known = Pick<AdmissionJudgement, "role" | "artifact" | "images" | "code">;

const SOON_MS = 72 * 3_600_000;
const CONNECTS: ReadonlySet<string> = new Set(["pods/exec", "pods/attach", "pods/portforward"]);

/** Judges one request. */
export function judgeAdmission(request: AdmissionRequest, rules: AdmissionRules): AdmissionJudgement {
  const { operation, resource, namespace, object, oldObject } = request;
  const isGoverned = rules.namespaces.has(namespace);
  if (operation === "delete") return allow("admission.unchanged", "nothing is started by a deletion");
  if (operation === "connect" || CONNECTS.has(resource)) {
    if (!isGoverned) return allow("admission.ungoverned", "the namespace is not governed");
    return deny("admission.connect", "exec, attach and port forwarding into pods of this namespace are not allowed");
  }
  const pod = readPod(resource, object);
  if (pod === undefined) {
    // What nobody can read may still be a pod: where all pods are governed it is refused.
    if (resource === "other" && !isGoverned) return allow("admission.ungoverned", "the namespace is not governed");
    return deny("admission.unreadable", "want a pod, or an object with a pod template, of 1 to 64 containers");
  }
  const before = operation === "update" ? readPod(resource, oldObject) : undefined;
  if (before?.whole === pod.whole) return allow("admission.unchanged", "nothing that runs changes");
  const wasGoverned = before !== undefined && before.role !== "";
  if (!isGoverned && pod.role === "" && !wasGoverned) return allow("admission.ungoverned", "it says to be no agent");
  return judgePod(pod, rules);
}

function judgePod(pod: PodFacts, rules: AdmissionRules): AdmissionJudgement {
  const role = ADMISSION_ROLES.find((known) => known === pod.role);
  const images = digestsOf(pod.containers);
  const known: Known = { ...(role === undefined ? {} : { role }), images };
  if (role === undefined) return deny("admission.scope", `want the label ${ROLE_LABEL}: agent or gateway`, known);
  const found = findArtifact(pod.artifact, rules);
  if (typeof found === "string") return deny("admission.unsealed", found, known);
  const sealed: Known = { ...known, artifact: found.digest };
  const { not_before: from, not_after: to } = found.artifact;
  if (isOver(found.artifact, rules.nowMs) || rules.nowMs < timestampMs(from)) {
    return deny("policy.expired", `the sealed artifact is valid from ${from} to ${to}: renew it`, sealed);
  }
  const unnamed = pod.containers.find(({ digest }) => digest === undefined);
  if (unnamed !== undefined) {
    return deny("admission.image", `container ${unnamed.name}: name its image by digest (…@sha256:…)`, sealed);
  }
  return role === "agent"
    ? judgeAgent(pod, found.artifact, rules, sealed)
    : judgeGateway(pod, found.artifact, rules, sealed);
}

function judgeAgent(
  { principal, containers }: PodFacts,
  artifact: PolicyArtifact,
  rules: AdmissionRules,
  known: Known,
): AdmissionJudgement {
  const subject = artifact.subjects.find((one) => one.principal === principal);
  if (subject === undefined) {
    return deny("admission.scope", `want the annotation ${PRINCIPAL_ANNOTATION} with a subject of the artifact`, known);
  }
  const code = codeOf(containers, rules.sidecarImages);
  if (code === undefined) return deny("admission.image", "want at least one image of the agent's own", known);
  const measured = { ...known, code };
  if (subject.code === code) return sealedBy(artifact, rules, measured);
  const want = subject.code ?? "none";
  return deny("admission.image", `the images and commands are ${code}; the artifact seals ${want}`, measured);
}

function judgeGateway(
  { gateway, containers }: PodFacts,
  artifact: PolicyArtifact,
  rules: AdmissionRules,
  known: Known,
): AdmissionJudgement {
  if (gateway !== artifact.gateway) {
    return deny("admission.scope", `want the annotation ${GATEWAY_ANNOTATION} with the artifact's gateway`, known);
  }
  const foreign = containers.find(
    ({ digest = "" }) => !rules.gatewayImages.has(digest) && !rules.sidecarImages.has(digest),
  );
  const isGateway = containers.some(({ digest = "" }) => rules.gatewayImages.has(digest));
  if (foreign === undefined && isGateway) return sealedBy(artifact, rules, known);
  return deny("admission.image", "every image of a gateway must be one of gateway_images or sidecar_images", known);
}

/** The artifact whose digest the pod names, with its seal checked; or what to do. */
function findArtifact(digest: string, { artifacts, seal }: AdmissionRules): ReturnType<typeof checkArtifact> | string {
  if (digest === "") return `want the annotation ${ARTIFACT_ANNOTATION} with the digest of a sealed policy artifact`;
  const bytes = artifacts.find((one) => digestFile(one) === digest);
  if (bytes === undefined)
    return `no artifact of the digest in ${ARTIFACT_ANNOTATION} is here: put it into artifacts_dir`;
  try {
    return checkArtifact(bytes, seal);
  } catch (error) {
    if (isCodedError(error)) return `the seal of the artifact does not hold (${error.code})`;
    throw error;
  }
}

function sealedBy(artifact: PolicyArtifact, { nowMs }: AdmissionRules, known: Known): AdmissionJudgement {
  const warnings: string[] = [];
  if (timestampMs(artifact.not_after) - nowMs < SOON_MS) {
    warnings.push(`countersign: the sealed artifact ends at ${artifact.not_after}`);
  }
  if (artifact.mode !== "enforcing") warnings.push(`countersign: the sealed artifact has mode ${artifact.mode}`);
  return { ...allow("admission.sealed", "a sealed artifact covers it"), warnings, ...known };
}

function codeOf(containers: readonly Container[], sidecars: ReadonlySet<string>): Digest | undefined {
  try {
    return imagesCode(containers, sidecars);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function digestsOf(containers: readonly Container[]): readonly Digest[] {
  return [...new Set(containers.flatMap(({ digest }) => digest ?? []))].sort();
}

function allow(reason: ReasonCode, message: string): AdmissionJudgement {
  return { allowed: true, reason, message, warnings: [] };
}

function deny(reason: ReasonCode, message: string, known: Known = {}): AdmissionJudgement {
  return { allowed: false, reason, message: `countersign: ${message} (${reason})`, warnings: [], ...known };
}
