import { describe, expect, it } from "vitest";
import { type AdmissionRequest, readReview } from "../../gateway/kubernetes/admission-review.ts";
import { type AdmissionJudgement, judgeAdmission } from "../../gateway/kubernetes/judge-admission.ts";
import { agentCodeDigest } from "../../kernel/agent-measurement.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import {
  AGENT_CONTAINERS,
  AGENT_IMAGE,
  agentPod,
  containerOf,
  GATEWAY_IMAGE,
  HELPER_IMAGE,
  madeOf,
  type PodChanges,
  type ReviewChanges,
  reviewOf,
  SIDECAR_IMAGE,
} from "../support/admission-reviews.ts";
import { codeOf } from "../support/code-of.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";

const NOW = Date.parse("2026-03-10T09:14:02.000Z");
const [alice, bob, mallory] = SEALERS;

/** As somebody would measure a folder with these two files, by the format of agents. */
const CODE = agentCodeDigest([
  { path: "images/agent", content: formatUtf8(AGENT_IMAGE) },
  { path: "command/agent", content: formatUtf8('{"args":["--tools","http://127.0.0.1:4100/mcp"]}') },
]);
const body = artifactBody({ subjects: [{ principal: "local|example-agent", code: CODE }] });
const sealed = sealArtifact(body, [alice.signer, bob.signer]);
const ARTIFACT = digestFile(sealed);

const forged = sealArtifact(body, [alice.signer, mallory.signer]);
const half = sealArtifact(body, [alice.signer]);
const advisory = sealArtifact({ ...body, mode: "advisory" }, [alice.signer, bob.signer]);
const noCode = sealArtifact({ ...body, subjects: [{ principal: "local|example-agent" }] }, [alice.signer, bob.signer]);

function read(review: JsonObject): AdmissionRequest {
  return readReview(formatUtf8(JSON.stringify(review)), 4_000_000);
}

function judge(object: JsonValue, changes: ReviewChanges = {}, nowMs = NOW): AdmissionJudgement {
  return judgeAdmission(read(reviewOf(object, changes)), {
    seal: SEAL_RULE,
    namespaces: new Set(["agents"]),
    gatewayImages: new Set([GATEWAY_IMAGE]),
    sidecarImages: new Set([SIDECAR_IMAGE]),
    artifacts: [formatUtf8("no artifact"), forged, half, advisory, noCode, sealed],
    nowMs,
  });
}

const pod = (changes: PodChanges = {}, artifact: string = ARTIFACT): JsonObject => agentPod(artifact, changes);

describe("a pod", () => {
  it("that a valid artifact covers with its images and commands may be", () => {
    expect(judge(pod())).toEqual({
      allowed: true,
      reason: "admission.sealed",
      message: "a sealed artifact covers it",
      warnings: [],
      role: "agent",
      artifact: ARTIFACT,
      images: [AGENT_IMAGE, SIDECAR_IMAGE].sort(),
      code: CODE,
    });
  });

  const agent = AGENT_CONTAINERS[0] ?? {};
  const [, proxy = {}] = AGENT_CONTAINERS;
  it.each<readonly [string, JsonObject, string]>([
    ["without a role", pod({ labels: { "countersign.dev/role": "" } }), "admission.scope"],
    ["with another role", pod({ labels: { "countersign.dev/role": "helper" } }), "admission.scope"],
    ["without an artifact", pod({}, ""), "admission.unsealed"],
    ["with an artifact that is not here", pod({}, digestFile("another")), "admission.unsealed"],
    ["with an artifact of somebody's", pod({}, digestFile(forged)), "admission.unsealed"],
    ["with too few seals", pod({}, digestFile(half)), "admission.unsealed"],
    ["with a file that is none", pod({}, digestFile("no artifact")), "admission.unsealed"],
    ["of another principal", pod({ annotations: { "countersign.dev/principal": "local|mallory" } }), "admission.scope"],
    ["whose images nobody sealed", pod({}, digestFile(noCode)), "admission.image"],
    [
      "with an image by tag",
      pod({ containers: [{ ...agent, image: "registry.example/agent:1.2" }] }),
      "admission.image",
    ],
    ["with another image", pod({ containers: [containerOf("agent", HELPER_IMAGE)] }), "admission.image"],
    ["with another command", pod({ containers: [{ ...agent, command: ["sh"] }, proxy] }), "admission.image"],
    ["without the sealed arguments", pod({ containers: [{ ...agent, args: [] }, proxy] }), "admission.image"],
    ["with one more container", pod({ containers: [agent, containerOf("more", HELPER_IMAGE)] }), "admission.image"],
    [
      "with a sidecar that runs a shell",
      pod({ containers: [agent, { ...proxy, command: ["sh"] }] }),
      "admission.image",
    ],
    [
      "with an init container",
      pod({ spec: { initContainers: [containerOf("init", HELPER_IMAGE)] } }),
      "admission.image",
    ],
    ["of sidecars only", pod({ containers: [proxy] }), "admission.image"],
    ["with two containers of one name", pod({ containers: [agent, agent] }), "admission.image"],
    ["without containers", pod({ containers: [] }), "admission.unreadable"],
    ["with a container that is none", pod({ spec: { containers: ["sh"] } }), "admission.unreadable"],
    ["with containers that are no list", pod({ spec: { initContainers: {} } }), "admission.unreadable"],
    ["without a spec", { kind: "Pod", metadata: {} }, "admission.unreadable"],
  ])("%s may not be", (_what, object, reason) => {
    const judged = judge(object);
    expect([judged.allowed, judged.reason]).toEqual([false, reason]);
    expect(judged.message).toContain("countersign: ");
  });

  it("may not be before the artifact begins, nor from its end on, and warns three days before that", () => {
    expect(judge(pod(), {}, Date.parse("2026-02-28T23:59:59.999Z")).reason).toBe("policy.expired");
    expect(judge(pod(), {}, Date.parse("2026-03-31T23:59:59.999Z")).warnings).toHaveLength(1);
    expect(judge(pod(), {}, Date.parse("2026-04-01T00:00:00.000Z")).reason).toBe("policy.expired");
  });

  it("under an artifact that enforces nothing may be, with a warning", () => {
    const judged = judge(pod({}, digestFile(advisory)));
    expect([judged.allowed, judged.warnings.length]).toEqual([true, 1]);
  });

  it("of a gateway runs nothing but images of gateways and sidecars", () => {
    const gateway = (containers: readonly JsonObject[], name = "support-eu"): JsonObject =>
      pod({
        labels: { "countersign.dev/role": "gateway" },
        annotations: { "countersign.dev/gateway": name },
        containers,
      });
    const own = containerOf("gateway", GATEWAY_IMAGE);
    expect(judge(gateway([own, containerOf("envoy", SIDECAR_IMAGE)])).reason).toBe("admission.sealed");
    expect(judge(gateway([own], "another")).reason).toBe("admission.scope");
    expect(judge(gateway([own, containerOf("more", HELPER_IMAGE)])).reason).toBe("admission.image");
    expect(judge(gateway([containerOf("envoy", SIDECAR_IMAGE)])).reason).toBe("admission.image");
  });
});

describe("a change", () => {
  const update = { operation: "UPDATE" } as const;
  it("of nothing that runs may be made, even when the artifact has ended", () => {
    const after = pod({ metadata: { finalizers: [], deletionTimestamp: "2026-05-01T00:00:00Z" } });
    const late = Date.parse("2026-05-01T00:00:00.000Z");
    expect(judge(after, { ...update, oldObject: pod() }, late).reason).toBe("admission.unchanged");
    expect(judge(null, { operation: "DELETE", oldObject: pod() }, late).allowed).toBe(true);
  });

  it("of the image, or of the annotations, is judged", () => {
    const image = pod({ containers: [containerOf("agent", HELPER_IMAGE)] });
    expect(judge(image, { ...update, oldObject: pod() }).reason).toBe("admission.image");
    expect(judge(pod({}, digestFile("another")), { ...update, oldObject: pod() }).reason).toBe("admission.unsealed");
  });

  it("that takes the role away is judged outside of governed namespaces too", () => {
    const plain = pod({ labels: { "countersign.dev/role": "" } });
    const judged = judge(plain, { ...update, namespace: "default", oldObject: pod() });
    expect(judged.reason).toBe("admission.scope");
  });

  it("that adds an ephemeral container may not be made", () => {
    const debug = pod({ spec: { ephemeralContainers: [containerOf("debugger", HELPER_IMAGE)] } });
    const changes = { ...update, subResource: "ephemeralcontainers", oldObject: pod() };
    expect(judge(debug, changes).reason).toBe("admission.image");
  });
});

describe("what makes pods, and what leads into them", () => {
  it.each([
    ["Deployment", "apps", "deployments"],
    ["ReplicaSet", "apps", "replicasets"],
    ["StatefulSet", "apps", "statefulsets"],
    ["DaemonSet", "apps", "daemonsets"],
    ["Job", "batch", "jobs"],
    ["CronJob", "batch", "cronjobs"],
  ])("a %s is judged by its template", (kind, group, resource) => {
    const changes = { kind, group, resource };
    expect(judge(madeOf(kind, pod()), changes).reason).toBe("admission.sealed");
    expect(judge(madeOf(kind, pod({}, "")), changes).reason).toBe("admission.unsealed");
    const oldObject = madeOf(kind, pod({}, ""));
    const scaled = { ...oldObject, metadata: { name: "agent", generation: 2 } };
    expect(judge(scaled, { ...changes, operation: "UPDATE", oldObject }).reason).toBe("admission.unchanged");
  });

  it.each(["exec", "attach", "portforward"])("%s into a pod of a governed namespace may not be", (subResource) => {
    const options = { kind: "PodExecOptions", apiVersion: "v1", command: ["sh"] };
    const changes = { operation: "CONNECT", subResource, kind: "PodExecOptions" };
    expect(judge(options, changes).reason).toBe("admission.connect");
    expect(judge(options, { ...changes, namespace: "default" }).reason).toBe("admission.ungoverned");
  });

  it("a kind that nobody knows may not be where all pods are governed", () => {
    const changes = { group: "example.dev", resource: "podmakers", kind: "PodMaker" };
    expect(judge({ spec: {} }, changes).reason).toBe("admission.unreadable");
    expect(judge({ spec: {} }, { ...changes, namespace: "default" }).reason).toBe("admission.ungoverned");
  });

  it("a pod elsewhere that says to be nothing is not governed; one that says to be an agent is", () => {
    const plain = pod({ labels: { "countersign.dev/role": "" } });
    expect(judge(plain, { namespace: "default" }).reason).toBe("admission.ungoverned");
    expect(judge(pod({}, ""), { namespace: "default" }).reason).toBe("admission.unsealed");
  });
});

describe("a review", () => {
  const good = reviewOf(agentPod(ARTIFACT));
  const request: JsonObject = JSON.parse(JSON.stringify(good["request"]));
  it.each<readonly [string, JsonValue]>([
    ["of another version", { ...good, apiVersion: "admission.k8s.io/v1beta1" }],
    ["of another kind", { ...good, kind: "Pod" }],
    ["without a request", { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1" }],
    ["without a uid", { ...good, request: { ...request, uid: "" } }],
    ["with a uid that is too long", { ...good, request: { ...request, uid: "u".repeat(129) } }],
    ["of an unknown operation", { ...good, request: { ...request, operation: "PATCH" } }],
    ["without a resource", { ...good, request: { ...request, resource: "pods" } }],
    ["without a user", { ...good, request: { ...request, userInfo: null } }],
    ["that is a list", [good]],
  ])("%s is refused", (_what, value) => {
    expect(codeOf(() => readReview(formatUtf8(JSON.stringify(value)), 4_000_000))).toBe("ERR_SHAPE");
  });

  it("with a key twice, or cut off anywhere, is refused", () => {
    const text = JSON.stringify(good);
    const twice = text.replace('"uid":', '"uid":"x","uid":');
    expect(codeOf(() => readReview(formatUtf8(twice), 4_000_000))).toBe("ERR_JSON_DUPLICATE_KEY");
    for (let end = 0; end < text.length; end += 97) {
      expect(codeOf(() => readReview(formatUtf8(text.slice(0, end)), 4_000_000))).not.toBe("accepted");
    }
  });
});
