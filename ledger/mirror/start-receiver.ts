/**
 * Starts a mirror that logs push to: POST /add-checkpoint and /add-entries (C2SP tlog-mirror), and each log below
 * /<hex SHA-256(origin)>/ under C2SP tlog-tiles paths.
 */

import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MAX_REQUEST_BYTES } from "../../kernel/add-checkpoint.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import type { SignerKey } from "../../kernel/note/signer-key.ts";
import type { Clock, Logger, RunningService } from "../../kernel/service/service.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { limitConcurrency } from "../http/concurrency.ts";
import { bodyOf, makeServer, type Routes, takeBytes } from "../http/server.ts";
import { type FolderLock, lockFolder } from "../storage/folder-lock.ts";
import { makeFolderDurably } from "../storage/make-folder.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { ByteReader } from "./byte-reader.ts";
import { mirrorReadRoutes } from "./mirror-routes.ts";
import { type MirrorHead, MirrorStore } from "./mirror-store.ts";
import { type MirrorAnswer, makeReceiver, type ReceivedLog, type Receiver } from "./receiver.ts";
import type { ReceivedLogConfig, ReceiverConfig } from "./receiver-config.ts";

const DEFAULT_PORT = 4300;
/** Uploads at the same time; each holds at most one package of 16 MiB. */
const MAX_UPLOADS = 16;

/** What a receiver is started with. */
export interface ReceiverOptions {
  readonly config: ReceiverConfig;
  /** Of type 0x04 or 0x06. */
  readonly keys: readonly SignerKey[];
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * Starts the mirror; resolves once it listens.
 *
 * @throws {FormatError} ERR_CONFIG for keys of another type; {StoreError} ERR_FOLDER_LOCKED
 */
export async function startReceiver(options: ReceiverOptions): Promise<RunningService> {
  const { config, logger } = options;
  const cosigners = options.keys.map(({ name, type, seed }) => {
    if (type !== 0x01) return makeCosigner(name, type, seed);
    throw new FormatError("ERR_CONFIG", "key_files: want keys of type 4 or 6, got a log's");
  });
  await makeFolderDurably(config.data_dir);
  const lock = await lockFolder(config.data_dir);
  try {
    const logs = await Promise.all(config.logs.map((log) => openLog(config.data_dir, log)));
    const clock = options.clock ?? { nowMs: () => Date.now() };
    const nowSeconds = (): bigint => BigInt(Math.floor(clock.nowMs() / 1000));
    const receiver = await makeReceiver({ logs, cosigners, nowSeconds, ticketKey: randomBytes(32) });
    const groups = [uploadRoutes(receiver), ...logs.map(({ origin, store }) => serve(origin, store))];
    const server = makeServer(groups, (error) => logger.error({ err: error }, "a request failed"));
    const { host = "127.0.0.1", port = DEFAULT_PORT } = config.listen;
    return { url: await server.listen({ host, port }), close: () => closeAll(server, lock) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function closeAll(server: FastifyInstance, lock: FolderLock): Promise<void> {
  await server.close();
  await lock.release();
}

async function openLog(dataDir: string, { origin, keys }: ReceivedLogConfig): Promise<ReceivedLog> {
  const folder = join(dataDir, hashOf(origin));
  await makeFolderDurably(folder);
  const openNote = (note: string): MirrorHead => {
    openLogCheckpoint(note, keys);
    const { size, root } = parseCheckpoint(parseNote(note).text);
    return { size, root, note };
  };
  return { origin, keys, store: await MirrorStore.open(makeNodeDisk(folder), openNote) };
}

function serve(origin: string, store: MirrorStore): Routes {
  const published = (): Promise<MirrorHead | undefined> => Promise.resolve(store.published);
  return mirrorReadRoutes(`/${hashOf(origin)}`, { published, read: (ref) => store.read(ref) });
}

function uploadRoutes(receiver: Receiver): Routes {
  return (scope) => {
    scope.register(async (checkpoints) => {
      takeBytes(checkpoints, "*");
      checkpoints.post("/add-checkpoint", { bodyLimit: MAX_REQUEST_BYTES }, async (request, reply) =>
        send(reply, await receiver.addCheckpoint(bodyOf(request))),
      );
    });
    scope.register(async (entries) => {
      entries.removeAllContentTypeParsers();
      entries.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
      limitConcurrency(entries, MAX_UPLOADS);
      // The length of an upload is bounded by its packages, as they come.
      entries.post("/add-entries", { bodyLimit: Number.MAX_SAFE_INTEGER }, (request, reply) =>
        upload(receiver, request, reply),
      );
    });
  };
}

/** SPEC tlog-mirror: gzip MUST be accepted; errors SHOULD be answered before the body has arrived. */
async function upload(receiver: Receiver, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = decoded(request);
  try {
    const answer = await receiver.addEntries(new ByteReader(body));
    if (!request.raw.complete) reply.header("connection", "close");
    return await send(reply, answer);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const isOfStream =
      error instanceof Error && "code" in error && /^(?:Z_|ECONN|ERR_STREAM)/u.test(String(error.code));
    if (isOfStream) throw new FormatError("ERR_ADD_ENTRIES", "the body cannot be read");
    throw error;
  }
}

function decoded(request: FastifyRequest): AsyncIterable<Uint8Array> {
  const raw: Readable = request.raw;
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding === "identity") return raw;
  if (encoding !== "gzip") throw new FormatError("ERR_REQUEST", "content-encoding: want gzip or none");
  const gunzip = createGunzip();
  raw.on("error", (error) => gunzip.destroy(error));
  return raw.pipe(gunzip);
}

function send(reply: FastifyReply, { status, contentType, body }: MirrorAnswer): FastifyReply {
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .header("content-type", contentType ?? "text/plain; charset=utf-8")
    .send(body);
}

function hashOf(origin: string): string {
  return createHash("sha256").update(origin).digest("hex");
}
