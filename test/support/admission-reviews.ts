/** Reviews as an API server of Kubernetes sends them (admission.k8s.io/v1), with the members that nobody here reads. */

import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";

/** Digests of images. */
export const AGENT_IMAGE: string = `sha256:${"a1".repeat(32)}`;
export const HELPER_IMAGE: string = `sha256:${"b2".repeat(32)}`;
export const SIDECAR_IMAGE: string = `sha256:${"c3".repeat(32)}`;
export const GATEWAY_IMAGE: string = `sha256:${"d4".repeat(32)}`;

/** The containers of the agent's pod, as the artifact of the tests seals them. */
export const AGENT_CONTAINERS: readonly JsonObject[] = [
  containerOf("agent", AGENT_IMAGE, { args: ["--tools", "http://127.0.0.1:4100/mcp"] }),
  containerOf("proxy", SIDECAR_IMAGE),
];

/** A container with what a cluster fills in. */
export function containerOf(name: string, digest: string, more: JsonObject = {}): JsonObject {
  return {
    name,
    image: `registry.example/team/${name}@${digest}`,
    imagePullPolicy: "IfNotPresent",
    resources: { limits: { cpu: "500m", memory: "256Mi" } },
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    volumeMounts: [
      { mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", name: "kube-api-access", readOnly: true },
    ],
    ...more,
  };
}

/** What a test varies of a pod. */
export interface PodChanges {
  readonly labels?: JsonObject;
  readonly annotations?: JsonObject;
  readonly containers?: readonly JsonObject[];
  readonly spec?: JsonObject;
  readonly metadata?: JsonObject;
}

/** A pod of the agent. */
export function agentPod(artifact: string, changes: PodChanges = {}): JsonObject {
  const { labels = {}, annotations = {}, containers = AGENT_CONTAINERS, spec = {}, metadata = {} } = changes;
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      name: "agent-6d5f8f7c9b-x2lqp",
      generateName: "agent-6d5f8f7c9b-",
      namespace: "agents",
      uid: "5f1c2b7e-9f64-4c3c-8a3e-0d8a7f0f6a11",
      creationTimestamp: "2026-03-10T09:14:02Z",
      labels: { app: "agent", "pod-template-hash": "6d5f8f7c9b", "countersign.dev/role": "agent", ...labels },
      annotations: {
        "countersign.dev/policy-artifact": artifact,
        "countersign.dev/principal": "local|example-agent",
        ...annotations,
      },
      managedFields: [
        {
          manager: "kube-controller-manager",
          operation: "Update",
          apiVersion: "v1",
          fieldsType: "FieldsV1",
          fieldsV1: {},
        },
      ],
      ...metadata,
    },
    spec: {
      volumes: [{ name: "kube-api-access", projected: { defaultMode: 420, sources: [] } }],
      containers,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      serviceAccountName: "agent",
      securityContext: {},
      schedulerName: "default-scheduler",
      tolerations: [
        { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
      ],
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: "PreemptLowerPriority",
      ...spec,
    },
    status: { phase: "Pending", qosClass: "Burstable" },
  };
}

/** A resource that makes pods, around the pod as its template. */
export function madeOf(kind: string, pod: JsonObject): JsonObject {
  const template = { metadata: pod["metadata"] ?? {}, spec: pod["spec"] ?? {} };
  const job = { template, backoffLimit: 6 };
  const spec: JsonObject =
    kind === "CronJob" ? { schedule: "*/5 * * * *", jobTemplate: { spec: job } } : { replicas: 2, template };
  const apiVersion = kind === "Job" || kind === "CronJob" ? "batch/v1" : "apps/v1";
  return { kind, apiVersion, metadata: { name: "agent", namespace: "agents" }, spec, status: {} };
}

/** What a test varies of a review. */
export interface ReviewChanges {
  readonly operation?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subResource?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly dryRun?: boolean;
  readonly oldObject?: JsonValue;
  readonly user?: string;
}

/** Uid of every review. */
export const REVIEW_UID = "705ab4f5-6393-11e8-b7cc-42010a800002";

/** A review of an object. */
export function reviewOf(object: JsonValue, changes: ReviewChanges = {}): JsonObject {
  const { operation = "CREATE", group = "", resource = "pods", subResource, kind = "Pod" } = changes;
  const named = { kind: { group, version: "v1", kind }, resource: { group, version: "v1", resource } };
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: REVIEW_UID,
      ...named,
      requestKind: named.kind,
      requestResource: named.resource,
      ...(subResource === undefined ? {} : { subResource, requestSubResource: subResource }),
      name: "agent-6d5f8f7c9b-x2lqp",
      namespace: changes.namespace ?? "agents",
      operation,
      userInfo: {
        username: changes.user ?? "system:serviceaccount:kube-system:replicaset-controller",
        uid: "0f5b7f9a-3b6c-4f3b-9d5e-1d9a3a1f5f11",
        groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
      },
      object,
      oldObject: changes.oldObject ?? null,
      dryRun: changes.dryRun ?? false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
    },
  };
}
