/** `countersign gateway`: the MCP endpoint that decides each call, and signs receipts of what it decided. */

import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import { declaredEgress } from "../../gateway/egress/egress-config.ts";
import { type EgressGuard, installEgressGuard } from "../../gateway/egress/egress-guard.ts";
import { EgressRules } from "../../gateway/egress/egress-rules.ts";
import { type StartThread, startUnguarded } from "../../gateway/egress/thread-guard.ts";
import { startGateway } from "../../gateway/start.ts";
import { type Command, readArguments } from "../command.ts";
import { readBytes, readJsonFile } from "../files.ts";
import { readBundle, readCatalog, readSealedArtifacts, readSecrets, readSessionArtifacts } from "../gateway-files.ts";
import { measurementsOf } from "../gateway-measurements.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";
import { packageVersion } from "../version.ts";

const HELP = `countersign gateway --config <file>

Runs a gateway: agents reach MCP servers through it and no other way; each call is decided by policy, and leaves a
decision receipt before it is sent and an outcome receipt before its answer goes back.

Agents:    POST <listen>/mcp and <listen>/s/<server>/mcp (Streamable HTTP), with their own bearer token.
Operators: <operator_listen>/status, /boundary, /catalog, /policy, /sessions/seal with the operator's token;
           /healthz, /readyz, /metrics without one.
Envoy:     with "envoy" in the configuration, envoy.service.auth.v3.Authorization/Check over gRPC (docs/deployment.md).
Kubernetes: with "kubernetes", POST /admit of a validating admission webhook over TLS (docs/deployment.md).

Modes: "enforcing" refuses what policy or catalog denies; "advisory" (the default) and "silent" forward it and record
that it would have been denied. docs/gateway.md explains the configuration, docs/policy.md the policy bundle.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseGatewayConfig);
  const { kubernetes } = config;
  if (config.mode === undefined && config.artifact === undefined) {
    io.err(
      'countersign gateway: mode advisory: denied calls are forwarded and recorded; "mode": "enforcing" refuses them\n',
    );
  }
  const start = (): ReturnType<typeof startGateway> =>
    startGateway({
      config,
      secrets: readSecrets(config),
      policyFiles: config.policy === undefined ? undefined : readBundle(config.policy.dir),
      catalogFile: readCatalog(config),
      artifactFile: config.artifact === undefined ? undefined : readBytes(config.artifact.file),
      sessionArtifactFiles: readSessionArtifacts(config),
      measurements: measurementsOf(config, path),
      ...(kubernetes === undefined ? {} : { readSealedArtifacts: () => readSealedArtifacts(kubernetes.artifacts_dir) }),
      readFile: readBytes,
      agents: "http",
      software: { name: "countersign", version: packageVersion() },
      ...guardOf(config, io),
      environment: io.env,
      logger: makeLogger("gateway", io),
    });
  return runService("gateway", start, io);
}

/** From here on the process connects to what the configuration declares, and to nothing else; so do its threads. */
function guardOf(config: GatewayConfig, io: Io): { readonly egress?: EgressGuard; readonly startThread: StartThread } {
  const declared = declaredEgress(config);
  if (config.egress?.guard === "off") return { startThread: startUnguarded(declared.threads) };
  const egress = installEgressGuard(new EgressRules(declared, io.env["PATH"] ?? ""));
  return { egress, startThread: egress.startThread };
}

/** Runs a gateway. */
export const gatewayCommand: Command = { name: "gateway", summary: "run a gateway", help: HELP, run };
