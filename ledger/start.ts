/** Starts a ledger and its HTTP server. */

import type { FastifyInstance } from "fastify";
import { StoreError } from "../kernel/errors.ts";
import { appendRaw } from "./admission/raw.ts";
import { LEDGER_DEFAULTS } from "./config.ts";
import { type AddFastPath, withAddFastPath } from "./http/add-fast-path.ts";
import { makeTokenCheck, makeTokenMemory } from "./http/auth.ts";
import { evidenceRoutes } from "./http/evidence-routes.ts";
import { operationsRoutes } from "./http/operations-routes.ts";
import { proofRoutes } from "./http/proof-routes.ts";
import { readRoutes } from "./http/read-routes.ts";
import { type Front, makeServer } from "./http/server.ts";
import { streamRoutes } from "./http/stream-routes.ts";
import { addRoutes } from "./http/submit-routes.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import type { LedgerOptions } from "./options.ts";
import { scittRoutes } from "./scitt/routes.ts";
import { checkScittOptions, makeScitt } from "./scitt/start.ts";
import type { RunningService } from "./service.ts";
import { traceRoutes } from "./trace/routes.ts";
import { checkTraceOptions, makeTrace } from "./trace/start.ts";

const CLOSE_GRACE_MS = 3000;

/**
 * Starts a ledger; resolves once it listens. The genesis entry of a new log is durable then, but not yet signed.
 *
 * @throws {FormatError | StoreError} as `openLedger`; ERR_SERVICE_START (the address is taken or not ours)
 */
export async function startLedger(options: LedgerOptions): Promise<RunningService> {
  checkScittOptions(options);
  checkTraceOptions(options);
  const ledger = await openLedger(options);
  const server = buildServer(options, ledger);
  try {
    const { host = LEDGER_DEFAULTS.host, port = LEDGER_DEFAULTS.port } = options.config.listen;
    const url = await listenOn(server, host, port);
    options.logger.info({ url, origin: options.config.origin, size: Number(ledger.log.tree.size) }, "ledger listens");
    return { url, close: () => closeAll(server, ledger, options.closeGraceMs) };
  } catch (error) {
    await closeAll(server, ledger, options.closeGraceMs);
    throw error;
  }
}

async function listenOn(server: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    throw new StoreError("ERR_SERVICE_START", `listen: cannot listen on ${host}:${port}: ${String(cause)}`, { cause });
  }
}

/**
 * The order matters: requests in flight are answered before the log closes, and proofs that wait are let go. A body that
 * is still not there after the grace time is cut off: nothing of it was acknowledged.
 */
async function closeAll(server: FastifyInstance, ledger: Ledger, graceMs = CLOSE_GRACE_MS): Promise<void> {
  const closed = server.close();
  ledger.publisher.release();
  ledger.checkpointer.sizes.release();
  const cut = setTimeout(() => server.server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(cut);
  await ledger.close();
}

function buildServer(options: LedgerOptions, ledger: Ledger): FastifyInstance {
  const { config } = options;
  const { log, checkpointer, publisher, proofs, metrics, status, streams, forks } = ledger;
  const checkSubmit = makeTokenCheck([options.submitToken]);
  const checkReader = makeTokenCheck(options.readerTokens);
  const checkEither = makeTokenCheck([options.submitToken, ...options.readerTokens]);
  const onFault = (error: unknown): void => options.logger.error({ err: error }, "a request failed");
  const server = makeServer(
    [
      readRoutes({
        tree: log.tree,
        checkpointer,
        publisher,
        checkReader: config.readers === "public" ? undefined : checkReader,
        minimumIndex: log.minimumIndex,
        metadata: () => metadataOf(options, ledger),
      }),
      proofRoutes(proofs),
      addRoutes({
        kind: config.log_kind,
        sequencer: log.sequencer,
        checkSubmit: config.open_add === true ? undefined : checkSubmit,
      }),
      streamRoutes({
        origin: config.origin,
        kind: config.log_kind,
        admission: config.admission,
        admit: { ...log, streams, onConflict: () => metrics.countConflict(), onKept: (receipt) => forks.add(receipt) },
        checkSubmit,
        checkEither,
      }),
      evidenceRoutes({ forks, streams, checkReader: config.readers === "public" ? undefined : checkReader }),
      scittRoutes(makeScitt(options, ledger), onFault),
      traceRoutes(makeTrace(options, ledger)),
      operationsRoutes(status, metrics),
    ],
    onFault,
    frontOf(options, ledger, onFault),
  );
  server.addHook("onResponse", (request, reply, done) => {
    metrics.countAnswer(request.routeOptions.url ?? "none", reply.statusCode);
    done();
  });
  return server;
}

/** Raw logs have a short way for their additions. */
function frontOf({ config, submitToken }: LedgerOptions, ledger: Ledger, onFault: (error: unknown) => void): Front {
  if (config.log_kind !== "raw") return (ordinary) => ordinary;
  const fastPath: AddFastPath = {
    isAllowed: config.open_add === true ? () => true : makeTokenMemory([submitToken]),
    isOpen: () => ledger.status().ready,
    append: (entry) => appendRaw(ledger.log.sequencer, entry),
    onAnswer: (status) => ledger.metrics.countAnswer("/add", status),
    onFault,
  };
  return (ordinary) => withAddFastPath(fastPath, ordinary);
}

/** What anybody may know of the log: its identity, how to check it, how far it is. */
function metadataOf({ config }: LedgerOptions, ledger: Ledger): object {
  const { published_size, size, degraded, witnesses } = ledger.status();
  return {
    origin: config.origin,
    log_kind: config.log_kind,
    keys: ledger.genesis.keys,
    witness_policy: config.witness_policy,
    readers: config.readers,
    size,
    published_size,
    degraded,
    witnesses,
    created: ledger.genesis.created,
    minimum_index: Number(ledger.log.minimumIndex),
    ...(ledger.log.retentionPolicy === undefined ? {} : { retention_policy: ledger.log.retentionPolicy }),
  };
}
