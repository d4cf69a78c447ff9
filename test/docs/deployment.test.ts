import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { SERVER_KEY } from "../../gateway/envoy/checked-request.ts";
import { ENVOY_PORT } from "../../gateway/envoy/envoy-config.ts";
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
