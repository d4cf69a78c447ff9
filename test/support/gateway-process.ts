/**
 * A gateway in a process of its own, in enforcing mode, with durable receipts, the egress guard and its threads, before one
 * server: for benchmarks. With ONE_THREAD=1 all of its work is done on one thread.
 *
 *     node gateway-process.js <data folder> <server url> <ledger url> <policies>
 */

import { parseGatewayConfig } from "../../gateway/config.ts";
import { declaredEgress } from "../../gateway/egress/egress-config.ts";
import { installEgressGuard } from "../../gateway/egress/egress-guard.ts";
import { EgressRules } from "../../gateway/egress/egress-rules.ts";
import { startGateway } from "../../gateway/start.ts";
import { SUBMIT_TOKEN } from "./fake-ledger.ts";
import { AGENT_TOKEN, configOf, OPERATOR_TOKEN, UNLIMITED } from "./gateway-run.ts";
import { bundleFiles } from "./policy-request.ts";

const [folder = "", serverUrl = "", ledgerUrl = "", policies = "1"] = process.argv.slice(2);

/** One permit that lets the call go, and forbids of the same tool that look at its arguments and at the session. */
function rulesOf(count: number): string {
  const forbids = Array.from(
    { length: count - 1 },
    (_, i) => `@id("f${i}") forbid (principal, action == Mcp::Action::"s/echo", resource)
      when { context.input.message like "*forbidden-${i}*" || context.session.taint.contains("label-${i}") };`,
  );
  return ['@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);', ...forbids].join("\n");
}

const config = parseGatewayConfig(
  configOf(folder, ledgerUrl, [{ id: "s" }], {
    mode: "enforcing",
    config: { servers: [{ id: "s", url: serverUrl }], durability: "durable", limits: UNLIMITED },
  }),
);
const egress = installEgressGuard(new EgressRules(declaredEgress(config), ""));
const gateway = await startGateway({
  config,
  egress,
  ...(process.env["ONE_THREAD"] === "1" ? {} : { startThread: egress.startThread }),
  secrets: {
    submitToken: SUBMIT_TOKEN,
    operatorToken: OPERATOR_TOKEN,
    agentTokens: [{ principal: "example-agent", token: AGENT_TOKEN }],
    bearerTokens: new Map(),
  },
  policyFiles: bundleFiles(rulesOf(Number(policies))),
  catalogFile: undefined,
  agents: "http",
  software: { name: "countersign", version: "0.0.0-bench" },
  environment: {},
  logger: { info: () => undefined, warn: () => undefined, error: (fields, message) => console.error(message, fields) },
});
console.log(JSON.stringify({ url: gateway.url }));
process.once("SIGTERM", () => {
  void gateway.close().then(() => process.exit(0));
});
