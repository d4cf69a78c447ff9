/** The wire half of a gateway over a fake pipeline: real servers behind it, a real edge in front of it. */

import { randomBytes } from "node:crypto";
import { makeCatalog } from "../../gateway/catalog/catalog.ts";
import { pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { ChangeFeed } from "../../gateway/edge/change-feed.ts";
import type { EdgeOptions } from "../../gateway/edge/edge-options.ts";
import { type HttpEdgeOptions, startHttpEdge } from "../../gateway/edge/http-edge.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import type { Caller, CatalogReader } from "../../gateway/pipeline/call.ts";
import { refuseServerRequests } from "../../gateway/server-requests.ts";
import { httpFetch } from "../../gateway/upstream/http-client.ts";
import { CHANGED_LISTS, connectUpstream, type Upstream, type UpstreamDeps } from "../../gateway/upstream/upstream.ts";
import type { UpstreamConfig } from "../../gateway/upstream/upstream-config.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type FakePipeline, makeFakePipeline } from "./mcp-pipeline.ts";

/** The token of the agent `alice`. */
export const ALICE = "alice-token-0123456789-0123456789";
/** The token of the agent `bob`. */
export const BOB = "bob-token-0123456789-0123456789ab";

/** A gateway under test. */
export interface TestGateway {
  readonly url: string;
  readonly pipeline: FakePipeline;
  readonly catalog: CatalogReader;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly rules: RuleChanges;
  readonly logged: readonly object[];
  /** Closes the edge alone; the servers stay. */
  readonly closeEdge: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A caller of the local issuer. */
export function localCaller(name: string): Caller {
  return { issuer: "local", name, provenance: "connection-credential", outcome: "verified" };
}

/** Dependencies of servers, with a log that tests may read. */
export function upstreamDeps(logged: object[], limits: UpstreamDeps["limits"] = {}): UpstreamDeps {
  return {
    bearerTokens: new Map([["counting", "upstream-token"]]),
    environment: process.env,
    fetch: httpFetch,
    logger: memoryLogger(logged),
    nowMs: Date.now,
    randomBytes,
    limits,
    software: { name: "countersign", version: "0.0.0-test" },
  };
}

function memoryLogger(logged: object[]): Logger {
  const log = (fields: object, message: string): void => void logged.push({ ...fields, message });
  return { info: log, warn: log, error: log };
}

/** The published reference server, over stdio. */
export function everythingServer(id = "everything"): UpstreamConfig {
  const entry = new URL("../../node_modules/@modelcontextprotocol/server-everything/dist/index.js", import.meta.url);
  return { transport: "stdio", id, command: process.execPath, args: [entry.pathname], env: {}, attributes: {} };
}

/** A server over HTTP. */
export function httpServer(id: string, url: string): UpstreamConfig {
  return { transport: "http", id, url, attributes: {} };
}

/** Connects the servers, pins what they list, and listens. */
export async function startTestGateway(
  configs: readonly UpstreamConfig[],
  more: Partial<HttpEdgeOptions> & {
    readonly upstreamLimits?: UpstreamDeps["limits"];
    readonly readFile?: UpstreamDeps["readFile"];
  } = {},
): Promise<TestGateway> {
  const logged: object[] = [];
  const core = await makeWire(configs, logged, more.upstreamLimits, more.readFile);
  const edge = await startHttpEdge({
    ...core.options,
    listen: { host: "127.0.0.1", port: 0 },
    tokens: [
      { token: ALICE, caller: localCaller("alice") },
      { token: BOB, caller: localCaller("bob") },
    ],
    ...more,
  });
  const close = async (): Promise<void> => {
    await edge.close();
    await core.close();
  };
  return { ...core, url: edge.url, logged, closeEdge: edge.close, close };
}

/** Everything but an edge. */
export async function makeWire(
  configs: readonly UpstreamConfig[],
  logged: object[],
  limits: UpstreamDeps["limits"] = {},
  readFile?: UpstreamDeps["readFile"],
): Promise<Omit<TestGateway, "url" | "logged" | "closeEdge"> & { readonly options: EdgeOptions }> {
  const deps = { ...upstreamDeps(logged, limits), readFile };
  const connected = await Promise.all(configs.map((config) => connectUpstream(config, deps)));
  const listed = await Promise.all(
    connected.map(async ({ id, identity, attributes, listSurface }) => {
      return { id, identity, attributes, surface: await listSurface() };
    }),
  );
  const catalog = makeCatalog(pinFirstUse(listed), listed);
  const upstreams = new Map(connected.map((upstream) => [upstream.id, upstream]));
  const pipeline = makeFakePipeline();
  for (const upstream of connected) refuseServerRequests(upstream, pipeline, deps.logger);
  const changes = new ChangeFeed();
  const rules = new RuleChanges();
  for (const { id, watch } of connected) {
    watch({
      onRefusedRequest: () => undefined,
      onChanged: (list) => changes.tell(id, list === undefined ? CHANGED_LISTS : [list]),
    });
  }
  const options: EdgeOptions = {
    changes,
    rules,
    pipeline,
    catalog,
    upstreams,
    nowMs: Date.now,
    randomBytes,
    logger: deps.logger,
    software: deps.software,
  };
  const close = async (): Promise<void> => {
    await Promise.all(connected.map((upstream) => upstream.close()));
  };
  return { pipeline, catalog, upstreams, rules, options, close };
}
