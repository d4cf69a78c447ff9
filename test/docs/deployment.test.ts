import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { SERVER_KEY } from "../../gateway/envoy/checked-request.ts";
import { ENVOY_PORT } from "../../gateway/envoy/envoy-config.ts";
import { readReview } from "../../gateway/kubernetes/admission-review.ts";
import { judgeAdmission } from "../../gateway/kubernetes/judge-admission.ts";
import { agentCodeDigest } from "../../kernel/agent-measurement.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { ADMISSION_RESOURCES } from "../../kernel/receipt/vocabulary.ts";
import { AGENT_IMAGE, reviewOf } from "../support/admission-reviews.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import { ROOT } from "../support/source-files.ts";

const EXAMPLES = join(ROOT, "docs", "examples");

/** Every object in a document that has a member. */
function withMember(value: unknown, member: string): readonly Record<string, unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  const inside = Object.values(value).flatMap((item) => withMember(item, member));
  return member in value ? [Object(value), ...inside] : inside;
}

describe("the example for Envoy", () => {
  const bootstrap: unknown = parse(readFileSync(join(EXAMPLES, "envoy", "envoy.yaml"), "utf8"));

  it("denies when the gateway does not answer, and gives it the whole body as bytes", () => {
    const [filter, ...others] = withMember(bootstrap, "failure_mode_allow");
    expect(others).toEqual([]);
    expect(filter).toMatchObject({
      transport_api_version: "V3",
      failure_mode_allow: false,
      with_request_body: {
        max_request_bytes: DEFAULT_EDGE_LIMITS.maxBodyBytes,
        allow_partial_message: false,
        pack_as_bytes: true,
      },
      grpc_service: { envoy_grpc: { cluster_name: "countersign" }, timeout: "30s" },
    });
    expect(JSON.stringify(filter)).toContain('"key":"authorization"');
  });

  it("names a server on each route, and reaches the gateway over HTTP/2 on the loopback", () => {
    const routes = withMember(bootstrap, "match");
    expect(routes).toHaveLength(1);
    for (const route of routes) {
      const [extensions] = withMember(route, "context_extensions");
      expect(extensions?.["context_extensions"]).toEqual({ [SERVER_KEY]: "files" });
    }
    const cluster = withMember(bootstrap, "load_assignment").find(({ name }) => name === "countersign");
    expect(JSON.stringify(cluster)).toContain(`"address":"127.0.0.1","port_value":${ENVOY_PORT}`);
    expect(JSON.stringify(cluster)).toContain("http2_protocol_options");
  });
});

/** The documents of an example, by kind and name. */
function documents(file: string): ReadonlyMap<string, JsonObject> {
  const all = parseAllDocuments(readFileSync(join(EXAMPLES, "kubernetes", file), "utf8"));
  return new Map(
    all.map((document) => {
      expect(document.errors).toEqual([]);
      const value: JsonObject = document.toJS();
      return [`${String(value["kind"])} ${String(Object(value["metadata"]).name)}`, value];
    }),
  );
}

function found(file: string, name: string): JsonObject {
  const value = documents(file).get(name);
  if (value === undefined) throw new Error(`${file} has no ${name}`);
  return value;
}

describe("the examples for Kubernetes", () => {
  const config: JsonObject = JSON.parse(
    String(Object(found("gateway.yaml", "ConfigMap countersign-gateway")["data"])["gateway.json"]),
  );

  it("refuse what nobody answers, for pods, what makes pods, and what leads into them", () => {
    const webhook = found("webhook.yaml", "ValidatingWebhookConfiguration countersign-admission");
    const [one, ...others] = withMember(webhook, "failurePolicy");
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      failurePolicy: "Fail",
      sideEffects: "NoneOnDryRun",
      admissionReviewVersions: ["v1"],
      timeoutSeconds: 10,
      namespaceSelector: { matchLabels: { "countersign.dev/governed": "true" } },
    });
    const resources = withMember(one?.["rules"], "resources").flatMap(
      (rule): readonly string[] => Object(rule).resources,
    );
    expect([...resources].sort()).toEqual(ADMISSION_RESOURCES.filter((name) => name !== "other").toSorted());
  });

  it("lead from the webhook over the service to the port that the gateway listens on", () => {
    const { kubernetes } = parseGatewayConfig(config);
    const [client] = withMember(
      found("webhook.yaml", "ValidatingWebhookConfiguration countersign-admission"),
      "caBundle",
    );
    const service = found("gateway.yaml", "Service countersign-admission");
    expect(client?.["service"]).toEqual({
      ...{ namespace: "countersign-system", name: "countersign-admission" },
      ...{ path: "/admit", port: 443 },
    });
    const [port] = withMember(service, "targetPort");
    expect(port).toMatchObject({ port: 443, targetPort: kubernetes?.listen.port });
    const pod = found("gateway.yaml", "Deployment countersign-gateway");
    expect(withMember(pod, "containerPort").map(({ containerPort }) => containerPort)).toContain(
      kubernetes?.listen.port,
    );
    expect(withMember(service, "app")[0]).toEqual({ app: "countersign-gateway" });
    expect(kubernetes?.namespaces).toEqual(["agents"]);
  });

  it("start one gateway at a time, which enforces, and keep its stream on a disk that stays", () => {
    const deployment = found("gateway.yaml", "Deployment countersign-gateway");
    expect(deployment["spec"]).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
    expect(withMember(deployment, "persistentVolumeClaim")[0]).toMatchObject({ name: "data" });
    expect(parseGatewayConfig(config)).toMatchObject({ mode: "enforcing", data_dir: "/var/lib/countersign" });
  });

  it("let agents send nothing anywhere but to the gateway and the cluster's names", () => {
    const denied = found("network-policy.yaml", "NetworkPolicy deny-all");
    expect(denied["spec"]).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    const [allowed] = withMember(found("network-policy.yaml", "NetworkPolicy gateway-only"), "egress");
    const ports = withMember(allowed?.["egress"], "port").map(({ port }) => port);
    expect(ports).toEqual([4100, 53, 53]);
    expect(withMember(allowed, "ipBlock")).toEqual([]);
  });

  it("show an agent that may be once its artifact is sealed, and not before", () => {
    const agent = found("agent.yaml", "Deployment agent");
    const changes = { group: "apps", resource: "deployments", kind: "Deployment" } as const;
    const judge = (object: JsonObject, artifacts: readonly Uint8Array[]): string =>
      judgeAdmission(readReview(formatUtf8(JSON.stringify(reviewOf(object, changes))), 100_000), {
        seal: SEAL_RULE,
        namespaces: new Set(["agents"]),
        gatewayImages: new Set(),
        sidecarImages: new Set(),
        artifacts,
        nowMs: Date.parse("2026-03-10T00:00:00.000Z"),
      }).reason;
    expect(judge(agent, [])).toBe("admission.unsealed");
    const code = agentCodeDigest([
      { path: "images/agent", content: formatUtf8(AGENT_IMAGE) },
      {
        path: "command/agent",
        content: formatUtf8('{"args":["--tools","https://countersign-gateway.countersign-system.svc:4100/mcp"]}'),
      },
    ]);
    const [alice, bob] = SEALERS;
    const sealed = sealArtifact(artifactBody({ subjects: [{ principal: "local|example-agent", code }] }), [
      alice.signer,
      bob.signer,
    ]);
    const text = JSON.stringify(agent).replace(`sha256:${"0".repeat(64)}`, digestFile(sealed));
    expect(judge(JSON.parse(text), [sealed])).toBe("admission.sealed");
  });
});
