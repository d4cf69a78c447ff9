/** Starts a witness: state folder, keys, server. */

import type { FastifyInstance } from "fastify";
import { makeCosigner } from "../kernel/checkpoint/note-signer.ts";
import { FormatError, StoreError } from "../kernel/errors.ts";
import type { SignerKey } from "../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../kernel/note/verifier-key.ts";
import type { WitnessConfig } from "./config.ts";
import { makeWitnessServer } from "./http.ts";
import { makeRateLimit } from "./rate-limit.ts";
import { openStateFolder } from "./state-folder.ts";
import { createWitness } from "./witness.ts";

/** Structured logging; never bodies or keys. */
export interface Logger {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/** A service that listens. */
export interface RunningService {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** A configuration with its secrets and the outside world. */
export interface StartWitnessOptions {
  readonly config: WitnessConfig;
  readonly keys: readonly SignerKey[];
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number;
}

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 4210;
const DEFAULT_REQUESTS_PER_MINUTE = 600;
const CLOSE_GRACE_MS = 3000;

/**
 * Opens the state, listens, and serves.
 *
 * @throws {FormatError} ERR_CONFIG if a key is not a witness's
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_WITNESS_STATE, ERR_SERVICE_START (the address is taken or not ours)
 */
export async function startWitness(options: StartWitnessOptions): Promise<RunningService> {
  const { config, keys, logger, nowMs = Date.now } = options;
  const cosigners = keys.map(({ name, type, seed }) => {
    if (type === 0x01) throw new FormatError("ERR_CONFIG", `key_files: ${name} is a log's key, want type 4 or 6`);
    return makeCosigner(name, type, seed);
  });
  const folder = await openStateFolder(config.data_dir);
  try {
    const witness = await createWitness({
      store: folder,
      logs: config.logs,
      cosigners,
      nowSeconds: () => BigInt(Math.floor(nowMs() / 1000)),
      onFatal: (error) => logger.error({ code: error.code }, "the state could not be written; nothing more is signed"),
    });
    const perMinute = config.requests_per_minute ?? DEFAULT_REQUESTS_PER_MINUTE;
    const limit = makeRateLimit(
      perMinute,
      config.logs.map(({ origin }) => origin),
      () => performance.now(),
    );
    const server = makeWitnessServer({
      witness,
      waitMs: limit.take,
      onAnswer: (fields) => (fields.status === 200 ? undefined : logger.warn(fields, "add-checkpoint refused")),
    });
    const { host = DEFAULT_HOST, port = DEFAULT_PORT } = config.listen ?? {};
    const url = await listenOn(server, host, port);
    logger.info({ url, keys: cosigners.map(({ key }) => formatVerifierKey(key)) }, "witness listens");
    return {
      url,
      close: async () => {
        // A body that is still not there after the grace time is cut off.
        const cut = setTimeout(() => server.server.closeAllConnections(), CLOSE_GRACE_MS);
        await server.close();
        clearTimeout(cut);
        await folder.release();
      },
    };
  } catch (error) {
    await folder.release();
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
