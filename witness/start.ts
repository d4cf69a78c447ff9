/** Starts a witness: state folder, fence, keys, list of logs, server. */

import type { FastifyInstance } from "fastify";
import { isCodedError } from "../kernel/errors.ts";
import type { SignerKey } from "../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../kernel/note/verifier-key.ts";
import { listenOn } from "../kernel/service/listen.ts";
import type { Logger, RunningService } from "../kernel/service/service.ts";
import { joinLogs, type WitnessConfig } from "./config.ts";
import { EvidenceShelf } from "./evidence.ts";
import { type Fence, openFence } from "./fence.ts";
import { makeWitnessServer } from "./http.ts";
import { WitnessMetrics } from "./metrics.ts";
import { makeRateLimit } from "./rate-limit.ts";
import { type SigningKeys, startSigning } from "./signing.ts";
import { StateBook } from "./state-book.ts";
import type { StateFiles } from "./state-files.ts";
import { openFenceFile, openStateFolder, type StateFolder } from "./state-folder.ts";
import { createWitness, type Witness, type WitnessedLog } from "./witness.ts";

/** A witness that listens. */
export interface RunningWitness extends RunningService {
  /**
   * Reads the log list again; a bad one is refused, said, and changes nothing.
   *
   * @returns the number of logs
   * @throws {FormatError | StoreError} what is wrong with the list
   */
  readonly reload: () => Promise<number>;
}

/** A configuration with its secrets and the outside world. */
export interface StartWitnessOptions {
  readonly config: WitnessConfig;
  readonly keys: readonly SignerKey[];
  readonly logger: Logger;
  /** Reads what `logs_path` names, now and at each reload; default: nothing. */
  readonly readLogs?: () => readonly WitnessedLog[];
  /** Token of `POST /reload`. */
  readonly operatorToken?: string;
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number;
  /** The files of the state, as they are; tests hold back, fail and end the process at their writes here. */
  readonly wrapFiles?: (files: StateFiles) => StateFiles;
  /** Where ML-DSA-44 signing runs. Default `worker`; `inline` where only sources are at hand. */
  readonly signing?: "worker" | "inline";
}

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 4210;
const DEFAULT_REQUESTS_PER_MINUTE = 600;
const DEFAULT_SOURCE_REQUESTS_PER_MINUTE = 6000;
const MAX_SOURCES = 65_536;
const MAX_LOGS = 20_000;
const CLOSE_GRACE_MS = 3000;

/**
 * Opens the state, listens, and serves.
 *
 * @throws {FormatError} ERR_CONFIG if a key is not a witness's, or what is wrong with the list of logs
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_WITNESS_STATE, ERR_WITNESS_ROLLBACK, ERR_SERVICE_START (the address is taken
 *   or not ours)
 */
export async function startWitness(options: StartWitnessOptions): Promise<RunningWitness> {
  const logs = readLogs(options);
  const signing = startSigning(options.keys, options.signing ?? "worker");
  const release: (() => Promise<void>)[] = [signing.close];
  try {
    const opened = await openWitnessState(options);
    release.unshift(opened.release);
    const { book, folder } = opened;
    const parts = { book, evidence: await EvidenceShelf.open(folder), signing };
    const witness = makeWitness(options, parts, logs);
    const { server, reload } = serve(options, parts, witness);
    const { host = DEFAULT_HOST, port = DEFAULT_PORT } = options.config.listen ?? {};
    const url = await listenOn(server, "listen", { host, port });
    const keys = signing.cosigners.map(({ key }) => formatVerifierKey(key));
    options.logger.info({ url, keys, logs: logs.length }, "witness listens");
    if (book.isSuspended)
      options.logger.error({ code: "ERR_WITNESS_ROLLBACK" }, "logs are refused: an operator must decide");
    return { url, reload, close: () => closeAll(server, book, release) };
  } catch (error) {
    for (const each of release) await each();
    throw error;
  }
}

/** State that is open. */
export interface OpenState {
  readonly folder: StateFolder;
  readonly book: StateBook;
  readonly release: () => Promise<void>;
}

type StateOptions = Pick<StartWitnessOptions, "config" | "wrapFiles">;

function asTheyAre(files: StateFiles): StateFiles {
  return files;
}

/** Opens the state with its fence. @throws {StoreError} ERR_FOLDER_LOCKED, ERR_WITNESS_STATE, ERR_WITNESS_ROLLBACK */
async function openWitnessState({ config, wrapFiles = asTheyAre }: StateOptions): Promise<OpenState> {
  const { data_dir, fence_file } = config;
  const files = await openStateFolder(data_dir);
  const folder: StateFolder = { ...wrapFiles(files), release: files.release };
  const file = fence_file === undefined ? undefined : openFenceFile(fence_file);
  const release = async (): Promise<void> => {
    await file?.close();
    await folder.release();
  };
  try {
    const fence: Fence | undefined = file === undefined ? undefined : await openFence(file);
    return { folder, book: await StateBook.open(folder, fence), release };
  } catch (error) {
    await release();
    throw error;
  }
}

function readLogs({ config, readLogs: read }: StartWitnessOptions): readonly WitnessedLog[] {
  return joinLogs([config.logs ?? [], read?.() ?? []]);
}

interface Parts {
  readonly book: StateBook;
  readonly evidence: EvidenceShelf;
  readonly signing: SigningKeys;
}

function makeWitness(
  options: StartWitnessOptions,
  { book, evidence, signing }: Parts,
  logs: readonly WitnessedLog[],
): Witness {
  const { logger } = options;
  const limit = makeRateLimit(MAX_LOGS, () => performance.now());
  const perMinute = options.config.requests_per_minute ?? DEFAULT_REQUESTS_PER_MINUTE;
  return createWitness({
    book,
    evidence,
    cosigners: signing.cosigners,
    logs,
    nowSeconds: nowSeconds(options),
    waitMs: ({ origin, requests_per_minute }) => limit.take(origin, requests_per_minute ?? perMinute),
    onFatal: ({ code }) => logger.error({ code }, "the state could not be written; nothing more is signed"),
    onRollback: (why) =>
      logger.error({ code: "ERR_WITNESS_ROLLBACK", why }, "the state is older than what was cosigned"),
    onEvidence: (log, kept) =>
      logger.warn({ log, kept: kept ?? "known" }, "a signed checkpoint contradicts the recorded one"),
  });
}

function serve(
  options: StartWitnessOptions,
  { book, evidence, signing }: Parts,
  witness: Witness,
): { readonly server: FastifyInstance; readonly reload: () => Promise<number> } {
  const { config, logger, operatorToken } = options;
  const sources = makeRateLimit(MAX_SOURCES, () => performance.now());
  const perSource = config.requests_per_minute_per_source ?? DEFAULT_SOURCE_REQUESTS_PER_MINUTE;
  const isSuspended = (): boolean => book.isSuspended;
  const metrics = new WitnessMetrics({
    logs: witness.status,
    nowSeconds: nowSeconds(options),
    evidence: () => evidence.names.length,
    isSuspended,
    signaturesWaiting: signing.waiting,
  });
  const reload = makeReload(options, witness, metrics);
  const server = makeWitnessServer({
    witness,
    evidence,
    metrics,
    isSuspended,
    signsSubtrees: signing.cosigners.some(({ cosignSubtree }) => cosignSubtree !== undefined),
    sourceWaitMs: (source) => sources.take(source, perSource),
    ...(operatorToken === undefined ? {} : { reload: { token: operatorToken, run: reload } }),
    onAnswer: (fields) => (fields.status === 200 ? undefined : logger.warn(fields, "a request was refused")),
  });
  return { server, reload };
}

function makeReload(options: StartWitnessOptions, witness: Witness, metrics: WitnessMetrics): () => Promise<number> {
  return async () => {
    try {
      const logs = readLogs(options);
      witness.setLogs(logs);
      metrics.countReload("done");
      options.logger.info({ logs: logs.length }, "the list of logs was read again");
      return logs.length;
    } catch (error) {
      metrics.countReload("refused");
      const why = isCodedError(error) ? { code: error.code, why: error.message } : { err: error };
      options.logger.error(why, "the list of logs was refused; the one before it stays");
      throw error;
    }
  };
}

function nowSeconds({ nowMs = Date.now }: StartWitnessOptions): () => bigint {
  return () => BigInt(Math.floor(nowMs() / 1000));
}

async function closeAll(
  server: FastifyInstance,
  book: StateBook,
  release: readonly (() => Promise<void>)[],
): Promise<void> {
  // A body that is still not there after the grace time is cut off.
  const cut = setTimeout(() => server.server.closeAllConnections(), CLOSE_GRACE_MS);
  await server.close();
  clearTimeout(cut);
  await book.close();
  for (const each of release) await each();
}
