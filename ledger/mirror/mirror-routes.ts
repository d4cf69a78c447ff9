/**
 * Serves a mirror's folder read-only over HTTP under C2SP tlog-tiles paths, also while another process pulls into it.
 * Nothing beyond the published checkpoint is served.
 */

import type { FastifyInstance } from "fastify";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { FormatError } from "../../kernel/errors.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { listenOn } from "../../kernel/service/listen.ts";
import type { Logger, RunningService } from "../../kernel/service/service.ts";
import { parseTilePath } from "../../kernel/tile/path.ts";
import { IMMUTABLE, isSigned, sendNote } from "../http/read-routes.ts";
import type { Routes } from "../http/server.ts";
import { makeServer } from "../http/server.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { type MirrorHead, MirrorStore } from "./mirror-store.ts";

/** Time for which the published checkpoint is remembered. */
const REMEMBER_MS = 200;

/** What serves one mirrored log. */
export interface ServedMirror {
  /** The published checkpoint, as fresh as the routes want it. */
  readonly published: () => Promise<MirrorHead | undefined>;
  readonly read: MirrorStore["read"];
}

/** Routes `/checkpoint` and `/tile/…` below `prefix`. */
export function mirrorReadRoutes(prefix: string, mirror: ServedMirror): Routes {
  return (scope: FastifyInstance) => {
    scope.get(`${prefix}/checkpoint`, async (_request, reply) => sendNote(reply, await mirror.published()));
    scope.get(`${prefix}/tile/*`, async (request, reply) => {
      const ref = parseTilePath((request.raw.url ?? "").slice(prefix.length + 1));
      const head = await mirror.published();
      const bytes = isSigned(ref, head?.size ?? 0n) ? await mirror.read(ref) : undefined;
      if (bytes === undefined) throw new FormatError("ERR_TILE_PATH", "the mirror has no such tile");
      return reply.type("application/octet-stream").header("cache-control", `public, ${IMMUTABLE}`).send(bytes);
    });
    scope.get(`${prefix}/healthz`, (_request, reply) => reply.send({ status: "ok" }));
  };
}

/** Where a folder is served. */
export interface ServeOptions {
  readonly folder: string;
  readonly host: string;
  readonly port: number;
  readonly logger: Logger;
}

/** Serves a folder that this or another process fills. @throws {StoreError} ERR_SERVICE_START */
export async function serveMirror({ folder, host, port, logger }: ServeOptions): Promise<RunningService> {
  const mirror = watchFolder(folder);
  const server = makeServer([mirrorReadRoutes("", mirror)], (error) =>
    logger.error({ err: error }, "a request failed"),
  );
  return { url: await listenOn(server, "--serve", { host, port }), close: () => server.close() };
}

/** The store of a folder, its checkpoint read again once it is a moment old. */
function watchFolder(folder: string): ServedMirror {
  const disk = makeNodeDisk(folder);
  let [opened, at]: [Promise<MirrorStore> | undefined, number] = [undefined, 0];
  const open = (): Promise<MirrorStore> => {
    if (opened === undefined || performance.now() - at > REMEMBER_MS) {
      [opened, at] = [MirrorStore.open(disk, readHead), performance.now()];
      opened.catch(() => {
        opened = undefined;
      });
    }
    return opened;
  };
  return { published: async () => (await open()).published, read: async (ref) => (await open()).read(ref) };
}

/** A head as its note states it: the one who wrote the file has verified it. */
function readHead(note: string): MirrorHead {
  const { size, root } = parseCheckpoint(parseNote(note).text);
  return { size, root, note };
}
