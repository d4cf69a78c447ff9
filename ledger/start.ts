/** Starts ledgers and their HTTP server: one log at the root of its paths, or many logs, each under its name. */

import { setMaxListeners } from "node:events";
import { availableParallelism } from "node:os";
import type { FastifyInstance } from "fastify";
import { type Listen, listenOn } from "../kernel/service/listen.ts";
import type { Logger, RunningService } from "../kernel/service/service.ts";
import { Quota } from "./admission/quota.ts";
import { LEDGER_DEFAULTS } from "./config.ts";
import { growHeapInLargeSteps } from "./heap-growth.ts";
import { type AddFastPath, withAddFastPath } from "./http/add-fast-path.ts";
import { AddLanes } from "./http/add-lanes.ts";
import { manyLogsRoutes } from "./http/many-logs-routes.ts";
import { type Front, makeServer, type Routes, withPrefix } from "./http/server.ts";
import { watchSilent } from "./http/silent-connections.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { addPaths, logRoutes, type ServerParts } from "./log-routes.ts";
import type { LedgerOptions, LedgersOptions } from "./options.ts";
import { openNode } from "./postgres-s3/node.ts";
import { checkStorageOptions } from "./postgres-s3/options.ts";
import { makeInlineReader, type SubmissionReader } from "./reading/reader.ts";
import { makeWorkerReader } from "./reading/worker-reader.ts";
import { checkScittOptions } from "./scitt/start.ts";
import { checkTraceOptions } from "./trace/start.ts";

const CLOSE_GRACE_MS = 3000;
/** Threads that read submissions. */
const MAX_READERS = 8;

/** A log that is open, and where its paths are. */
interface OpenLog {
  /** Empty, or `/<name>`. */
  readonly prefix: string;
  readonly options: LedgerOptions;
  readonly ledger: Ledger;
}

/** What a stop closes. */
interface Served {
  readonly server: FastifyInstance;
  readonly lanes: AddLanes;
  readonly reader: SubmissionReader;
  readonly ledgers: readonly Ledger[];
}

/** What both kinds of ledger are served with. */
interface Serving {
  readonly listen: Listen;
  readonly logger: Logger;
  readonly closeGraceMs: number;
}

/**
 * Starts a ledger of one log; resolves once it listens. The genesis entry of a new log is durable then, but not yet signed.
 *
 * @throws {FormatError | StoreError} as `openLedger`; ERR_SERVICE_START (the address is taken or not ours)
 */
export async function startLedger(options: LedgerOptions): Promise<RunningService> {
  const { logger, closeGraceMs = CLOSE_GRACE_MS } = options;
  const logs = await openAll([{ prefix: "", options }]);
  return serve({ listen: options.config.listen, logger, closeGraceMs }, logs, []);
}

/**
 * Starts a ledger of several logs, each under `/<name>`. They share the process and the address, and nothing else: a fault
 * that halts one leaves the others at work. None is served unless all can be opened.
 *
 * @throws {FormatError | StoreError} as `startLedger`, for any of the logs
 */
export async function startLedgers(options: LedgersOptions): Promise<RunningService> {
  const { listen, logger, closeGraceMs = CLOSE_GRACE_MS } = options;
  const logs = await openAll(options.logs.map((log) => ({ prefix: `/${log.name}`, options: log.options })));
  const named = logs.map(({ prefix, ledger }) => ({ name: prefix.slice(1), ledger }));
  return serve({ listen, logger, closeGraceMs }, logs, [manyLogsRoutes(named)]);
}

async function openAll(
  logs: readonly { readonly prefix: string; readonly options: LedgerOptions }[],
): Promise<readonly OpenLog[]> {
  // Tests share their process with others.
  if (logs.some(({ options }) => options.signing !== "inline")) growHeapInLargeSteps();
  for (const { options } of logs) {
    checkScittOptions(options);
    checkTraceOptions(options);
    checkStorageOptions(options);
  }
  const open: OpenLog[] = [];
  try {
    for (const log of logs) open.push({ ...log, ledger: await openWithDriver(log.options) });
    return open;
  } catch (error) {
    await Promise.allSettled(open.map(({ ledger }) => ledger.close()));
    throw error;
  }
}

/** Opens a log with the storage driver that is configured. */
function openWithDriver(options: LedgerOptions): Promise<Ledger> {
  return options.config.storage?.driver === "postgres-s3" ? openNode(options) : openLedger(options);
}

/** @param shared  routes that are of no single log */
async function serve(serving: Serving, logs: readonly OpenLog[], shared: readonly Routes[]): Promise<RunningService> {
  const ledgers = logs.map(({ ledger }) => ledger);
  const stopping = new AbortController();
  // Every open submission stream listens to it: their number is bounded where they are opened.
  setMaxListeners(0, stopping.signal);
  const reader = makeReader(serving.logger, logs);
  const { server, lanes } = buildServer(serving.logger, logs, shared, { reader, stopping: stopping.signal });
  const closeSilent = watchSilent(server.server);
  const close = (): Promise<void> => {
    stopping.abort();
    closeSilent();
    return closeAll({ server, lanes, reader, ledgers }, serving.closeGraceMs);
  };
  try {
    const { host = LEDGER_DEFAULTS.host, port = LEDGER_DEFAULTS.port } = serving.listen;
    const url = await listenOn(server, "listen", { host, port });
    for (const { prefix, options, ledger } of logs) {
      const size = Number(ledger.log.tree.size);
      options.logger.info({ url: `${url}${prefix}`, origin: options.config.origin, size }, "ledger listens");
    }
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One reader for all logs: they share the processors. */
function makeReader(logger: Logger, logs: readonly OpenLog[]): SubmissionReader {
  if (logs.some(({ options }) => options.signing === "inline")) return makeInlineReader();
  const onFailure = (cause: unknown): void => logger.error({ err: cause }, "a thread that reads submissions ended");
  return makeWorkerReader({ count: Math.min(MAX_READERS, availableParallelism()), onFailure });
}

/**
 * The order matters: submission streams were told to end; requests in flight are answered before the logs close, and
 * proofs that wait are let go. A body that is still not there after the grace time is cut off: nothing of it was
 * acknowledged. A log that cannot close keeps none of the others open.
 */
async function closeAll({ server, lanes, reader, ledgers }: Served, graceMs: number): Promise<void> {
  const closed = server.close();
  lanes.close();
  for (const { publisher, checkpointer } of ledgers) {
    publisher.release();
    checkpointer.sizes.release();
  }
  const cut = setTimeout(() => {
    server.server.closeAllConnections();
    lanes.cut();
  }, graceMs);
  await closed;
  clearTimeout(cut);
  await reader.close();
  const ends = await Promise.allSettled(ledgers.map((ledger) => ledger.close()));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function buildServer(
  logger: Logger,
  logs: readonly OpenLog[],
  shared: readonly Routes[],
  parts: Omit<ServerParts, "quota" | "onFault">,
): { readonly server: FastifyInstance; readonly lanes: AddLanes } {
  const paths: AddFastPath[] = [];
  const groups: Routes[] = [...shared];
  for (const { prefix, options, ledger } of logs) {
    const onFault = (error: unknown): void => options.logger.error({ err: error }, "a request failed");
    const quota = new Quota(options.config.quota ?? {}, () => ledger.clock.nowMs());
    groups.push(withPrefix(prefix, logRoutes(options, ledger, { ...parts, quota, onFault })));
    paths.push(...addPaths(prefix, options, ledger, { quota, onFault }));
  }
  const front: Front = (ordinary) => paths.reduce((inner, path) => withAddFastPath(path, inner), ordinary);
  const onFault = (error: unknown): void => logger.error({ err: error }, "a request failed");
  const server = makeServer(groups, onFault, front);
  countAnswers(server, logs);
  const lanes = new AddLanes(paths, () => Date.now());
  if (paths.length > 0) lanes.attach(server.server);
  return { server, lanes };
}

/** Answers count for the log under whose paths they are; of several logs, none for paths outside all of them. */
function countAnswers(server: FastifyInstance, logs: readonly OpenLog[]): void {
  const byPrefix = new Map(logs.map((log) => [log.prefix, log]));
  server.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "none";
    const log = byPrefix.get("") ?? byPrefix.get(route.slice(0, Math.max(0, route.indexOf("/", 1))));
    if (log !== undefined) log.ledger.metrics.countAnswer(route.slice(log.prefix.length), reply.statusCode);
    done();
  });
}
