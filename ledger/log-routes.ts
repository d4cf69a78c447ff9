/** Everything that is served of one log, whatever prefix its paths have. */

import { signersNow } from "../kernel/lifecycle/log-state.ts";
import { textsOfKeys } from "../kernel/lifecycle/statement.ts";
import type { Quota } from "./admission/quota.ts";
import { appendRaw } from "./admission/raw.ts";
import { LEDGER_DEFAULTS } from "./config.ts";
import type { AddFastPath } from "./http/add-fast-path.ts";
import { makeTokenCheck, makeTokenMemory } from "./http/auth.ts";
import { evidenceRoutes } from "./http/evidence-routes.ts";
import { findingRoutes } from "./http/finding-routes.ts";
import { operationsRoutes } from "./http/operations-routes.ts";
import { proofRoutes } from "./http/proof-routes.ts";
import { readRoutes } from "./http/read-routes.ts";
import { type Routes, withHook } from "./http/server.ts";
import { streamRoutes } from "./http/stream-routes.ts";
import { addRoutes } from "./http/submit-routes.ts";
import type { Ledger } from "./ledger.ts";
import { managementRoutes } from "./lifecycle/management.ts";
import type { LedgerOptions } from "./options.ts";
import type { SubmissionReader } from "./reading/reader.ts";
import { scittRoutes } from "./scitt/routes.ts";
import { makeScitt } from "./scitt/start.ts";
import { traceRoutes } from "./trace/routes.ts";
import { makeTrace } from "./trace/start.ts";

/** Told of faults that are our own. */
type OnFault = (error: unknown) => void;

/** What the routes of a log are served with. */
export interface ServerParts {
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal;
  readonly reader: SubmissionReader;
  /** Of this log. */
  readonly quota: Quota;
  readonly onFault: OnFault;
}

/** The requests of one log. */
export function logRoutes(options: LedgerOptions, ledger: Ledger, server: ServerParts): readonly Routes[] {
  const { config } = options;
  const { onFault, quota } = server;
  const { log, checkpointer, publisher, proofs, promises, metrics, status, streams, forks, checking, management } =
    ledger;
  const checkSubmit = makeTokenCheck([options.submitToken]);
  const checkReader = makeTokenCheck(options.readerTokens);
  const checkEither = makeTokenCheck([options.submitToken, ...options.readerTokens]);
  const groups: readonly Routes[] = [
    readRoutes({
      tree: log.tree,
      checkpointer,
      publisher,
      checkReader: config.readers === "public" ? undefined : checkReader,
      minimumIndex: () => log.minimumIndex,
      metadata: () => metadataOf(options, ledger),
    }),
    proofRoutes(proofs),
    addRoutes({
      kind: config.log_kind,
      sequencer: log.sequencer,
      promises,
      quota,
      checkSubmit: config.open_add === true ? undefined : checkSubmit,
    }),
    streamRoutes({
      origin: config.origin,
      kind: config.log_kind,
      admission: config.admission,
      admit: {
        ...log,
        streams,
        onConflict: () => metrics.countConflict(),
        onKept: (receipt) => forks.add(receipt),
        checks: checking.checks,
        hasEnded: (stream) => management?.book.state.endedStreams.has(stream) === true,
      },
      promises,
      ...(ledger.knowStreams === undefined ? {} : { knowStreams: ledger.knowStreams }),
      ...server,
      checkSubmit,
      checkEither,
    }),
    evidenceRoutes({ forks, streams, checkReader: config.readers === "public" ? undefined : checkReader }),
    scittRoutes(makeScitt(options, ledger), onFault),
    traceRoutes(makeTrace(options, ledger)),
    findingRoutes(checking.findings, status),
    ...(management === undefined ? [] : managementRoutes(management, options.operatorToken)),
    operationsRoutes(status, metrics),
  ];
  const { beforeRequest } = ledger;
  return beforeRequest === undefined ? groups : groups.map((group) => withHook(beforeRequest, group));
}

/**
 * Raw logs have short ways for their additions.
 *
 * @param prefix  of the log's paths: empty, or `/<name>`
 * @returns one for a raw log, none for any other
 */
export function addPaths(
  prefix: string,
  options: LedgerOptions,
  ledger: Ledger,
  { quota, onFault }: Pick<ServerParts, "quota" | "onFault">,
): readonly AddFastPath[] {
  const { config, submitToken } = options;
  if (config.log_kind !== "raw") return [];
  const path: AddFastPath = {
    url: `${prefix}/add`,
    isAllowed: config.open_add === true ? () => true : makeTokenMemory([submitToken]),
    isOpen: ledger.isReady,
    append: async (entry) => {
      quota.takeOfLog(entry.length);
      return appendRaw(ledger.log.sequencer, entry);
    },
    onAnswer: (status) => ledger.metrics.countAnswer("/add", status),
    onFault,
  };
  return [path];
}

/** What anybody may know of the log: its identity, how to check it, how far it is. */
function metadataOf({ config }: LedgerOptions, ledger: Ledger): object {
  const { published_size, size, checked_size, standing, degraded, witnesses } = ledger.status();
  return {
    origin: config.origin,
    log_kind: config.log_kind,
    keys: ledger.management === undefined ? ledger.genesis.keys : textsOfKeys(signersNow(ledger.management.book.state)),
    standing,
    witness_policy: config.witness_policy,
    readers: config.readers,
    submission: config.log_kind === "receipts" ? ["receipt", "segment", "stream"] : ["raw", "batch"],
    size,
    checked_size,
    published_size,
    degraded,
    witnesses,
    created: ledger.genesis.created,
    promise_seconds: config.promise_seconds ?? LEDGER_DEFAULTS.promiseSeconds,
    minimum_index: Number(ledger.log.minimumIndex),
    ...(ledger.log.retentionPolicy === undefined ? {} : { retention_policy: ledger.log.retentionPolicy }),
  };
}
