/**
 * The members that the examples use are those that Kubernetes (admissionregistration.k8s.io/v1) and Envoy (ext_authz v3) have: a
 * misspelled one would be dropped or refused there, and `failurePolicy` with another spelling would not be missed here.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { array, boolean, integer, json, literal, object, readShape, string } from "../../kernel/shape.ts";
import { codeOf } from "../support/code-of.ts";
import { ROOT } from "../support/source-files.ts";

const text = string({ maxLength: 253 });
const service = object({ namespace: text, name: text, path: text, port: integer({ min: 1, max: 65_535 }) });
const rule = object({
  apiGroups: array(text, { min: 1 }),
  apiVersions: array(text, { min: 1 }),
  operations: array(literal("CREATE", "UPDATE", "DELETE", "CONNECT", "*"), { min: 1 }),
  resources: array(text, { min: 1 }),
  scope: literal("Cluster", "Namespaced", "*"),
});
const webhook = object({
  name: string({ maxLength: 253, pattern: /^[a-z0-9-]+(\.[a-z0-9-]+){2,}$/u, description: "a name of three labels" }),
  admissionReviewVersions: array(literal("v1"), { min: 1 }),
  failurePolicy: literal("Fail"),
  sideEffects: literal("None", "NoneOnDryRun"),
  matchPolicy: literal("Exact", "Equivalent"),
  timeoutSeconds: integer({ min: 1, max: 30 }),
  namespaceSelector: object({ matchLabels: json() }),
  clientConfig: object({
    caBundle: string({
      maxLength: 100_000,
      pattern: /^LS0tLS1CRUdJTi[A-Za-z0-9+/]*={0,2}$|^LS0tLS1CRUdJTg==$/u,
      description: "base64 of PEM",
    }),
    service,
  }),
  rules: array(rule, { min: 1 }),
});
const configuration = object({
  apiVersion: literal("admissionregistration.k8s.io/v1"),
  kind: literal("ValidatingWebhookConfiguration"),
  metadata: object({ name: text }),
  webhooks: array(webhook, { min: 1 }),
});
const extAuthz = object({
  "@type": literal("type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"),
  transport_api_version: literal("V3"),
  failure_mode_allow: boolean(),
  status_on_error: object({ code: literal("ServiceUnavailable", "Forbidden") }),
  with_request_body: object({
    max_request_bytes: integer({ min: 1, max: 2 ** 32 - 1 }),
    allow_partial_message: boolean(),
    pack_as_bytes: boolean(),
  }),
  include_peer_certificate: boolean(),
  grpc_service: object({
    timeout: string({ maxLength: 8, pattern: /^[1-9]\d*s$/u, description: "seconds" }),
    envoy_grpc: object({ cluster_name: text }),
    initial_metadata: array(object({ key: text, value: text })),
  }),
});

const read = (...path: readonly string[]): string => readFileSync(join(ROOT, "docs", "examples", ...path), "utf8");
const hook = read("kubernetes", "webhook.yaml");
const envoy = read("envoy", "envoy.yaml");
const checkHook = (yaml: string): unknown => readShape(configuration, parse(yaml), "webhook.yaml");

function checkEnvoy(yaml: string): unknown {
  const [filter] = filtersIn(parse(yaml));
  return readShape(extAuthz, Object(filter)["typed_config"], "envoy.yaml");
}

/** Every filter for external authorization. */
function filtersIn(value: unknown): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [];
  const own = Object(value)["name"] === "envoy.filters.http.ext_authz" ? [value] : [];
  return [...own, ...Object.values(value).flatMap(filtersIn)];
}

describe("the members of the examples", () => {
  it("are those of the formats, for Kubernetes and for Envoy", () => {
    expect(filtersIn(parse(envoy))).toHaveLength(1);
    expect(() => checkHook(hook)).not.toThrow();
    expect(() => checkEnvoy(envoy)).not.toThrow();
  });

  it.each([
    ["failurePolicy: Fail", "failurePolicy: Ignore"],
    ["failurePolicy: Fail", "failure_policy: Fail"],
    ["timeoutSeconds: 10", "timeoutSeconds: 31"],
    ["caBundle:", "caBundel:"],
    ["[CREATE, UPDATE]", "[CREATE, CHANGE]"],
  ])("of the webhook with %s as %s are refused", (from, to) => {
    expect(codeOf(() => checkHook(hook.replace(from, to)))).toBe("ERR_SHAPE");
  });

  it.each([
    ["failure_mode_allow: false", "failure_mode_allowed: false"],
    ["pack_as_bytes: true", "pack_bytes: true"],
    ["timeout: 30s", "timeout: 30"],
  ])("of the filter with %s as %s are refused", (from, to) => {
    expect(codeOf(() => checkEnvoy(envoy.replace(from, to)))).toBe("ERR_SHAPE");
  });
});
