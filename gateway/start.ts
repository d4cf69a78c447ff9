/** Starts a gateway with its two listeners: agents' Streamable HTTP, and the operator's routes. */

import type { FastifyInstance } from "fastify";
import { FormatError } from "../kernel/errors.ts";
import { workflowDigest } from "../kernel/policy-artifact.ts";
import { listenOn } from "../kernel/service/listen.ts";
import { GATEWAY_DEFAULTS } from "./config.ts";
import type { CallerToken } from "./edge/edge-options.ts";
import { type HttpEdge, type HttpEdgeOptions, startHttpEdge } from "./edge/http-edge.ts";
import { growHeapsInLargeSteps } from "./heap-growth.ts";
import { type AgentIdentity, readAgentIdentity } from "./identity/agent-identity.ts";
import { makeOperatorServer } from "./operator/server.ts";
import type { GatewayOptions, GatewaySecrets } from "./options.ts";
import type { Caller } from "./pipeline/call.ts";
import { type GatewayRun, openRun } from "./run.ts";
import { startWirings, type Wirings } from "./wirings.ts";

/** A gateway that listens. */
export interface RunningGateway {
  /** Of the agents' listener: `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly operatorUrl: string;
  /** `host:port` of the service for Envoy, if one is configured. */
  readonly envoyAddress?: string;
  /** `https://host:port` of the admission webhook, if one is configured. */
  readonly admissionUrl?: string;
  /**
   * Takes no more calls, lets those in flight end within their bound, seals the sessions, brings the receipts to the
   * ledger within a bound, and lets go of the data folder.
   */
  readonly close: () => Promise<void>;
}

/** How long calls in flight may take to end when the gateway stops. */
const CLOSE_MS = 8_000;

/**
 * Opens a run, then the operator's listener, then the agents': a gateway that answers agents can be asked how it is.
 *
 * @throws as `openRun`
 * @throws {FormatError} ERR_CONFIG if an agent has the operator's token, or if there is no server
 * @throws {StoreError} ERR_SERVICE_START if an address cannot be listened on
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  checkTokens(options);
  if (options.config.servers.length === 0) {
    throw new FormatError("ERR_CONFIG", "config.servers: want at least one server");
  }
  // Where it has threads, the process is the gateway's own.
  if (options.startThread !== undefined) growHeapsInLargeSteps();
  const run = await openRun(options);
  watchEgress(options, run);
  // Ready means that agents are answered, so not before their listener is open and not after it closes.
  const listening = { agents: false };
  const operator = operatorOf(options, run, listening);
  try {
    const { host = GATEWAY_DEFAULTS.host, port = GATEWAY_DEFAULTS.operatorPort } = options.config.operator_listen ?? {};
    const operatorUrl = await listenOn(operator, "operator_listen", { host, port });
    const given = edgeOptions(options, run);
    const left = { tasks: run.leftTasks, stream: run.status().stream };
    const edge = await startHttpEdge({ ...given, left });
    const { close: closeWirings, ...wired } = await wiringsOf(options, run, given, edge);
    listening.agents = true;
    const addresses = { url: edge.url, operator_url: operatorUrl, ...wired };
    options.logger.info({ ...addresses, stream: run.status().stream }, "gateway listens");
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      listening.agents = false;
      closing ??= closeAll([edge.close, () => closeWirings(CLOSE_MS)], run, operator);
      return closing;
    };
    return { url: edge.url, operatorUrl, ...wired, close };
  } catch (error) {
    await operator.close();
    await run.close();
    throw error;
  }
}

async function wiringsOf(
  options: GatewayOptions,
  run: GatewayRun,
  given: HttpEdgeOptions,
  edge: HttpEdge,
): Promise<Wirings> {
  try {
    return await startWirings(options, run, { options: given, url: edge.url });
  } catch (error) {
    await edge.close();
    throw error;
  }
}

/** Every refusal of the process's guard is an alarm, is counted, and has a receipt, or under a flood a place in a count. */
function watchEgress({ egress, logger }: GatewayOptions, { metrics, pipeline }: GatewayRun): void {
  egress?.onRefused(({ way, destination }) => {
    metrics.countEgress(way);
    logger.error({ code: "ERR_EGRESS", way, destination }, "a connection that the configuration does not declare");
    const refusal = { step: "dispatch", reason: "egress.undeclared", wire: { transport: "http" } } as const;
    pipeline.refuse(refusal).catch((error: unknown) => {
      logger.error({ err: error }, "a refused connection has no receipt");
    });
  });
}

/** The operator's routes answer until the end. */
async function closeAll(
  deciding: readonly (() => Promise<void>)[],
  run: GatewayRun,
  operator: FastifyInstance,
): Promise<void> {
  await Promise.all(deciding.map((close) => close()));
  await run.close();
  await operator.close();
}

/** An agent that has an operator's token would have the operator's routes; two operators with one are one. */
function checkTokens({ secrets: { agentTokens, operatorToken, operators = [], envoyToken } }: GatewayOptions): void {
  const taken = [
    operatorToken,
    ...operators.map(({ token }) => token),
    ...(envoyToken === undefined ? [] : [envoyToken]),
  ];
  const shared = agentTokens.find(({ token }) => taken.includes(token));
  if (shared !== undefined) {
    throw new FormatError("ERR_CONFIG", `config.auth.tokens: ${shared.principal} has an operator's token`);
  }
  const twice = operators.find(({ token }) => taken.filter((one) => one === token).length > 1);
  if (twice !== undefined) throw new FormatError("ERR_CONFIG", `config.operators: ${twice.name} has another's token`);
}

function operatorOf(
  { secrets, logger }: GatewayOptions,
  run: GatewayRun,
  listening: { readonly agents: boolean },
): FastifyInstance {
  const status = (): ReturnType<GatewayRun["status"]> => {
    const now = run.status();
    return { ...now, ready: now.ready && listening.agents };
  };
  return makeOperatorServer({
    token: secrets.operatorToken,
    operators: secrets.operators ?? [],
    switches: run.switches,
    pipeline: run.pipeline,
    catalog: run.catalog,
    reloadCatalog: run.reloadCatalog,
    reloadPolicy: run.reloadPolicy,
    boundary: run.boundary,
    resetLabels: run.resetLabels,
    status,
    metrics: run.metrics,
    onFault: (error) => logger.error({ err: error }, "an operator request failed"),
  });
}

function edgeOptions(options: GatewayOptions, run: GatewayRun): HttpEdgeOptions {
  const { config, secrets, logger, software, edgeLimits } = options;
  const { host = GATEWAY_DEFAULTS.host, port = GATEWAY_DEFAULTS.port } = config.listen ?? {};
  const tokens = secrets.agentTokens.map(
    (agent): CallerToken => ({ token: agent.token, caller: configuredCaller(agent) }),
  );
  const { fetch, nowMs, randomBytes, schedule } = run.world;
  return {
    ...sharedServer(
      readAgentIdentity(config, { readFile: options.readFile, fetch, nowMs, randomBytes, schedule, logger }),
    ),
    claims: config.auth.identity_claims,
    pipeline: run.pipeline,
    catalog: run.catalogReader,
    upstreams: run.upstreams,
    changes: run.changes,
    rules: run.rules,
    offers: run.offers,
    tagTask: run.tagTask,
    approvals: run.switches.approvals,
    limits: { closeMs: CLOSE_MS, ...edgeLimits },
    inFlight: (call) => run.limits(call).inFlight,
    nowMs,
    randomBytes,
    logger: run.paced,
    software,
    listen: { host, port },
    tokens,
    allowedHosts: config.allowed_hosts ?? [],
    allowedOrigins: config.allowed_origins ?? [],
  };
}

/** One memory of proofs of possession for all listeners: none is taken at each of them. */
function sharedServer({ makeServer, ...identity }: AgentIdentity): AgentIdentity {
  if (makeServer === undefined) return identity;
  let made: ReturnType<typeof makeServer> | undefined;
  return {
    ...identity,
    makeServer: (origin) => {
      made ??= makeServer(origin);
      return made;
    },
  };
}

/** Whom a configured token stands for, with what the configuration says of it. */
function configuredCaller({ principal, groups, roles, workflow }: GatewaySecrets["agentTokens"][number]): Caller {
  const caller = {
    issuer: "local",
    name: principal,
    provenance: "connection-credential",
    outcome: "verified",
  } as const;
  if (groups === undefined && roles === undefined && workflow === undefined) return caller;
  // A workflow that no artifact seals has the scope of nothing.
  const scope = (id: string): string => workflowDigest({ id, tools: [], resources: [] });
  const named = workflow === undefined ? {} : { workflow: { id: workflow, scope: scope(workflow) } };
  const facts = { kind: "agent", groups: groups ?? [], roles: roles ?? [], scopes: [], actors: [] } as const;
  return { ...caller, facts: { ...facts, ...named, binding: "connection" } };
}
