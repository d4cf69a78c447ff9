/**
 * Starts a mirror that logs push to: POST /add-checkpoint and /add-entries (C2SP tlog-mirror), and each log below
 * /<hex SHA-256(origin)>/ under C2SP tlog-tiles paths; health, readiness and metrics.
 */

import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import { MAX_REQUEST_BYTES } from "../../kernel/add-checkpoint.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import type { SignerKey } from "../../kernel/note/signer-key.ts";
import { listenOn } from "../../kernel/service/listen.ts";
import type { Clock, Logger, RunningService } from "../../kernel/service/service.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { limitConcurrency } from "../http/concurrency.ts";
import { bodyOf, makeServer, type Routes, takeBytes } from "../http/server.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { makeFolderDurably } from "../storage/make-folder.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { ByteReader } from "./byte-reader.ts";
import { MirrorMetrics } from "./mirror-metrics.ts";
import { mirrorReadRoutes } from "./mirror-routes.ts";
import { type StartSigningThread, startMirrorSigning } from "./mirror-signing.ts";
import { type MirrorHead, MirrorStore } from "./mirror-store.ts";
import { type MirrorAnswer, makeReceiver, type ReceivedLog, type Receiver } from "./receiver.ts";
import type { ReceivedLogConfig, ReceiverConfig } from "./receiver-config.ts";
import { ReceiverHealth } from "./receiver-health.ts";

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
  /** Makes the threads of keys of type 0x06; default: needs the compiled program. */
  readonly startSigningThread?: StartSigningThread;
}

/**
 * Starts the mirror; resolves once it listens.
 *
 * @throws {FormatError} ERR_CONFIG for keys of another type; {StoreError} ERR_FOLDER_LOCKED, ERR_SERVICE_START
 */
export async function startReceiver(options: ReceiverOptions): Promise<RunningService> {
  const { config, logger } = options;
  const signing = startMirrorSigning(options.keys, options.startSigningThread);
  const closers = [signing.close];
  try {
    await makeFolderDurably(config.data_dir);
    closers.push((await lockFolder(config.data_dir)).release);
    const logs = await Promise.all(config.logs.map((log) => openLog(config.data_dir, log)));
    const clock = options.clock ?? { nowMs: () => Date.now() };
    const nowSeconds = (): bigint => BigInt(Math.floor(clock.nowMs() / 1000));
    const { cosigners } = signing;
    const receiver = await makeReceiver({ logs, cosigners, nowSeconds, ticketKey: randomBytes(32) });
    const { views } = receiver;
    const metrics = new MirrorMetrics({ logs: views, nowSeconds, signaturesWaiting: signing.waiting });
    const health = new ReceiverHealth({ metrics, logs: views, signingFault: signing.fault });
    const groups = [
      health.routes,
      uploadRoutes(receiver, health),
      ...logs.map(({ origin, store }) => serve(origin, store)),
    ];
    const server = makeServer(groups, (error) => logger.error({ err: error }, "a request failed"));
    const { host = "127.0.0.1", port = DEFAULT_PORT } = config.listen;
    const url = await listenOn(server, "listen", { host, port });
    return { url, close: () => closeAll([() => server.close(), ...closers]) };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of closers) await close();
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

function uploadRoutes(receiver: Receiver, health: ReceiverHealth): Routes {
  return (scope) => {
    scope.register(async (checkpoints) => {
      takeBytes(checkpoints, "*");
      checkpoints.post("/add-checkpoint", { bodyLimit: MAX_REQUEST_BYTES }, async (request, reply) =>
        send(reply, await health.watch("add-checkpoint", receiver.addCheckpoint(bodyOf(request)))),
      );
    });
    scope.register(async (entries) => {
      entries.removeAllContentTypeParsers();
      entries.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
      limitConcurrency(entries, MAX_UPLOADS);
      // The length of an upload is bounded by its packages, as they come.
      entries.post("/add-entries", { bodyLimit: Number.MAX_SAFE_INTEGER }, async (request, reply) => {
        const answer = await health.watch("add-entries", upload(receiver, request));
        if (!request.raw.complete) reply.header("connection", "close");
        return send(reply, answer);
      });
    });
  };
}

/** SPEC tlog-mirror: gzip MUST be accepted; errors SHOULD be answered before the body has arrived. */
async function upload(receiver: Receiver, request: FastifyRequest): Promise<MirrorAnswer> {
  const body = decoded(request);
  try {
    return await receiver.addEntries(new ByteReader(body));
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
