/** Policy bundles, catalogs and requests for tests of the policy plane. */

import { type BundleFile, parseBundle } from "../../gateway/policy/bundle.ts";
import type { SchemaSource } from "../../gateway/policy/cedar-schema.ts";
import {
  makeEvaluator,
  type PolicyAnswer,
  type PolicyEvaluator,
  type PolicyPrincipal,
  type PolicyRequest,
} from "../../gateway/policy/evaluator.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonValue } from "../../kernel/json/value.ts";

let names = 0;

/** The files of a bundle with one policy file. */
export function bundleFiles(cedar: string, version = "1"): readonly BundleFile[] {
  return [
    { path: "policy.json", content: formatUtf8(`{"version":"${version}"}`) },
    { path: "rules.cedar", content: formatUtf8(cedar) },
  ];
}

/** A server "s" with one tool per entry: name → input schema. */
export function sourceOf(
  tools: Readonly<Record<string, JsonValue | undefined>>,
  attributes: Readonly<Record<string, JsonValue>> = {},
  serverId = "s",
): SchemaSource {
  const list = Object.entries(tools).map(([name, inputSchema]) => ({ name, inputSchema }));
  return { serverId, attributes, tools: list, prompts: [] };
}

/** An evaluator of one policy file over the given servers, under a name of its own. */
export function evaluatorOf(cedar: string, ...sources: readonly SchemaSource[]): PolicyEvaluator {
  names += 1;
  return makeEvaluator(`test-${names}`, parseBundle(bundleFiles(cedar)), sources);
}

/** A principal in the given groups, roles and workflows. */
export function principalNamed(
  type: PolicyPrincipal["type"],
  id: string,
  ...parents: PolicyPrincipal["parents"]
): PolicyPrincipal {
  const attributes = { issuer: "token", name: id, provenance: "connection-credential", outcome: "verified" };
  return { type, id, parents, attributes };
}

/** A request for `<serverId>/<tool>` with the given arguments and an ordinary context. */
export function requestOf(actionId: string, argument: JsonValue, serverId = "s"): PolicyRequest {
  return {
    principal: principalNamed("Agent", "token|example-agent"),
    actionId,
    serverId,
    argument,
    session: {
      trust: "authenticated",
      source: "mcp-session-id",
      calls: 0,
      taint: [],
      domains: [],
      sensitivity: 0,
      servers: [],
      matches: [],
      ageSeconds: 0,
    },
    system: {
      now: { __extn: { fn: "datetime", arg: "2026-03-01T12:00:00.000Z" } },
      mode: "enforcing",
      workflow: "",
      actor: "local|example-agent",
      actors: [],
      subject: "",
      era: "modern",
      catalog: `sha256:${"0".repeat(64)}`,
      toolModel: `sha256:${"1".repeat(64)}`,
      definition: "approved",
      pinAge: 0,
      findings: [],
      argumentBytes: 2,
      domain: "",
      sensitivity: 0,
      round: 0,
    },
  };
}

/** What a bundle of one file answers to a call of the tool `echo` of server `s` with this input schema. */
export function answerTo(cedar: string, inputSchema: JsonValue | undefined, argument: JsonValue): PolicyAnswer {
  return evaluatorOf(cedar, sourceOf({ echo: inputSchema })).evaluate(requestOf("s/echo", argument));
}
