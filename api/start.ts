/** Starts an auditor node: follows its ledgers, serves GraphQL and the console. */

import { mkdir } from "node:fs/promises";
import { FormatError, invariant } from "../kernel/errors.ts";
import { isLoopback, listenOn } from "../kernel/service/listen.ts";
import type { Clock, Logger, RunningService } from "../kernel/service/service.ts";
import { formatTimestamp } from "../kernel/time.ts";
import type { ApiConfig, LedgerSource } from "./config.ts";
import { type FollowedLedger, followLedger } from "./follow/open-ledger.ts";
import { makeExecutor } from "./graphql/executor.ts";
import { DEFAULT_LIMITS, type Limits } from "./graphql/limits.ts";
import type { Desk } from "./graphql/nodes.ts";
import { makeRoot } from "./graphql/root.ts";
import { makeAccessCheck } from "./http/auth.ts";
import { makeServer } from "./http/server.ts";
import { Metrics } from "./metrics.ts";

/** A configuration with its secrets and the outside world. */
export interface StartApiOptions {
  readonly config: ApiConfig;
  /** Contents of the token files that the configuration names. */
  readonly tokens: {
    /** Tokens that open GraphQL; empty: none is needed. */
    readonly readers: readonly string[];
    /** By name of the ledger. */
    readonly ledgers: ReadonlyMap<string, string>;
  };
  readonly version: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly fetch?: typeof fetch;
}

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 4300;
const DEFAULT_POLL_MS = 1_000;
const DEFAULT_STALE_WITNESS_SECONDS = 300;
const DEFAULT_STALE_CHECKPOINT_SECONDS = 7200;

/**
 * Opens the index, follows, listens.
 *
 * @throws {FormatError} ERR_CONFIG if others than this machine could ask without a token
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_STORE_WRITE, ERR_SERVICE_START
 */
export async function startApi(options: StartApiOptions): Promise<RunningService> {
  const { config, tokens, logger } = options;
  const { host = DEFAULT_HOST, port = DEFAULT_PORT } = config.listen;
  if (tokens.readers.length === 0 && !isLoopback(host)) {
    throw new FormatError("ERR_CONFIG", "config.listen.host: others than loopback need reader_token_files");
  }
  const metrics = new Metrics();
  const ledgers = await followAll(options, metrics);
  try {
    metrics.watch(ledgers);
    const server = buildServer(options, ledgers, metrics);
    const url = await listenOn(server, "listen", { host, port });
    logger.info({ url, ledgers: ledgers.map(({ name }) => name) }, "auditor node listens");
    return {
      url,
      close: async () => {
        await server.close();
        await closeAll(ledgers);
      },
    };
  } catch (error) {
    await closeAll(ledgers);
    throw error;
  }
}

function buildServer(
  options: StartApiOptions,
  ledgers: readonly FollowedLedger[],
  metrics: Metrics,
): ReturnType<typeof makeServer> {
  const { config, tokens, logger, version, clock = { nowMs: Date.now } } = options;
  const limits: Limits = { ...DEFAULT_LIMITS, ...config.limits };
  const onFault = (error: unknown): void => logger.error({ err: error }, "a request failed");
  const desk: Desk = { ledgers, clock, limits, version, started: formatTimestamp(clock.nowMs()) };
  const execute = makeExecutor({ root: makeRoot(desk), limits, monotonicMs: () => performance.now(), onFault });
  const checkAccess = makeAccessCheck(tokens.readers);
  return makeServer({ ledgers, execute, limits, checkAccess, metrics, onFault });
}

/** Opens all ledgers; if one cannot be opened, none is left open. */
async function followAll(options: StartApiOptions, metrics: Metrics): Promise<readonly FollowedLedger[]> {
  const { config, tokens, logger, clock = { nowMs: Date.now } } = options;
  await mkdir(config.data_dir, { recursive: true });
  const open = (source: LedgerSource): Promise<FollowedLedger> => {
    const token = tokens.ledgers.get(source.name);
    invariant((token === undefined) === (source.reader_token_file === undefined), "startApi: a token is missing");
    return followLedger(source, {
      dataDir: config.data_dir,
      token,
      pollMs: config.poll_ms ?? DEFAULT_POLL_MS,
      staleWitnessSeconds: config.stale_witness_seconds ?? DEFAULT_STALE_WITNESS_SECONDS,
      staleCheckpointSeconds: config.stale_checkpoint_seconds ?? DEFAULT_STALE_CHECKPOINT_SECONDS,
      fetch: options.fetch ?? fetch,
      clock,
      logger,
      onAlarm: (ledger, kind) => metrics.countAlarm(ledger, kind),
    });
  };
  const ledgers: FollowedLedger[] = [];
  try {
    for (const source of config.ledgers) ledgers.push(await open(source));
    return ledgers;
  } catch (error) {
    await closeAll(ledgers);
    throw error;
  }
}

async function closeAll(ledgers: readonly FollowedLedger[]): Promise<void> {
  for (const ledger of ledgers) await ledger.close();
}
