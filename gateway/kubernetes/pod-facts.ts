/** What a pod, or a template of pods, says to be and would run. */

import { type AgentFile, agentCodeDigest } from "../../kernel/agent-measurement.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { MAX_IMAGES } from "../../kernel/receipt/admission.ts";
import type { Digest } from "../../kernel/receipt/fields.ts";
import type { AdmissionResource } from "../../kernel/receipt/vocabulary.ts";

/** Label and annotations of a pod. */
export const ROLE_LABEL = "countersign.dev/role";
export const ARTIFACT_ANNOTATION = "countersign.dev/policy-artifact";
/** `<issuer>|<name>`, as the artifact's subjects have it. */
export const PRINCIPAL_ANNOTATION = "countersign.dev/principal";
export const GATEWAY_ANNOTATION = "countersign.dev/gateway";

/** One container of any kind. */
export interface Container {
  readonly name: string;
  readonly image: string;
  /** Digest in the image's name; undefined if it has none. */
  readonly digest: Digest | undefined;
  /** What it runs instead of what the image brings; undefined if nothing. */
  readonly command: JsonObject | undefined;
}

/** A pod or a template. */
export interface PodFacts {
  readonly role: string;
  readonly artifact: string;
  readonly principal: string;
  readonly gateway: string;
  readonly containers: readonly Container[];
  /** Everything that is judged, and the rest of the spec, as one text: equal if nothing changed. */
  readonly whole: string;
}

/** Where the template of a resource's pods is. */
const TEMPLATES: Readonly<Partial<Record<AdmissionResource, readonly string[]>>> = {
  pods: [],
  "pods/ephemeralcontainers": [],
  podtemplates: ["template"],
  replicationcontrollers: ["spec", "template"],
  deployments: ["spec", "template"],
  replicasets: ["spec", "template"],
  statefulsets: ["spec", "template"],
  daemonsets: ["spec", "template"],
  jobs: ["spec", "template"],
  cronjobs: ["spec", "jobTemplate", "spec", "template"],
};

const CONTAINERS = ["initContainers", "containers", "ephemeralContainers"] as const;
const IMAGE = /^[^@\s]{1,512}@(sha256:[0-9a-f]{64})$/u;
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u;

/** The facts; undefined if the object is not of the form that its resource has. */
export function readPod(resource: AdmissionResource, object: JsonObject | null): PodFacts | undefined {
  const path = TEMPLATES[resource];
  const pod = path === undefined ? undefined : at(object, path);
  const spec = at(pod, ["spec"]);
  if (pod === undefined || spec === undefined) return undefined;
  const containers = readContainers(spec);
  if (containers === undefined) return undefined;
  const labels = at(pod, ["metadata", "labels"]) ?? {};
  const annotations = at(pod, ["metadata", "annotations"]) ?? {};
  const said = {
    role: textOf(labels[ROLE_LABEL]),
    artifact: textOf(annotations[ARTIFACT_ANNOTATION]),
    principal: textOf(annotations[PRINCIPAL_ANNOTATION]),
    gateway: textOf(annotations[GATEWAY_ANNOTATION]),
  };
  return { ...said, containers, whole: formatCanonical({ ...said, spec }) };
}

/** Undefined if one is malformed, or if there are too many, or none. */
function readContainers(spec: JsonObject): readonly Container[] | undefined {
  const lists = CONTAINERS.map((member) => spec[member] ?? []);
  if (!lists.every(isList)) return undefined;
  const containers = lists.flat().map(readContainer);
  const isWhole = containers.every((one) => one !== undefined);
  return isWhole && containers.length > 0 && containers.length <= MAX_IMAGES ? containers : undefined;
}

function readContainer(value: JsonValue): Container | undefined {
  if (!isJsonObject(value)) return undefined;
  const { name, image, command, args } = value;
  if (typeof name !== "string" || !NAME.test(name) || typeof image !== "string") return undefined;
  const digest = IMAGE.exec(image)?.[1];
  const runs = { ...(command === undefined ? {} : { command }), ...(args === undefined ? {} : { args }) };
  return { name, image, digest, command: Object.keys(runs).length === 0 ? undefined : runs };
}

/**
 * The digest of an agent that is made of images (docs/deployment.md): of the files `images/<container>`, each of which holds
 * an image's digest, and `command/<container>`, the canonical JSON of what runs instead of what the image brings.
 *
 * @throws {FormatError} ERR_SHAPE if there is no container, or two have one name
 */
export function imagesCode(containers: readonly Container[], sidecars: ReadonlySet<string>): Digest {
  const files = containers.flatMap(({ name, digest = "", command }): readonly AgentFile[] => {
    const image = { path: `images/${name}`, content: formatUtf8(digest) };
    const own = sidecars.has(digest) ? [] : [image];
    // A sidecar that runs something else is none.
    return command === undefined ? own : [image, { path: `command/${name}`, content: canonicalBytes(command) }];
  });
  return agentCodeDigest(files);
}

function at(value: JsonValue | undefined, path: readonly string[]): JsonObject | undefined {
  let found: JsonValue | undefined = value;
  for (const member of path) found = found !== undefined && isJsonObject(found) ? found[member] : undefined;
  return found !== undefined && isJsonObject(found) ? found : undefined;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" && value.length <= 1024 ? value : "";
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
