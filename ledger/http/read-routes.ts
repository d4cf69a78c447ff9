/** What readers need, cacheable where it never changes: checkpoints, tiles, bundles, metadata. */

import type { FastifyInstance, FastifyReply } from "fastify";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { tileWidth } from "../../kernel/tile/coordinates.ts";
import { parseTilePath, type TileRef } from "../../kernel/tile/path.ts";
import type { LoggedCheckpoints } from "../checkpoint/checkpointer.ts";
import type { PublishedCheckpoints } from "../checkpoint/publisher.ts";
import { isPruned, prunedBelow } from "../storage/retention.ts";
import type { Tree } from "../tree/tree.ts";
import type { TokenCheck } from "./auth.ts";
import type { Routes } from "./server.ts";

/** Caching of what never changes. */
export const IMMUTABLE = "max-age=31536000, immutable";
const NOTE_TYPE = "text/plain; charset=utf-8";

/** What the read path serves from. */
export interface ReadParts {
  readonly tree: Tree;
  readonly checkpointer: LoggedCheckpoints;
  readonly publisher: PublishedCheckpoints;
  /** Check of reader tokens; undefined if entries are public. */
  readonly checkReader: TokenCheck | undefined;
  /** Bundles that end at or below it are refused; it may rise while the log is served. */
  readonly minimumIndex: () => bigint;
  readonly metadata: () => object;
}

/** The routes of the read path. */
export function readRoutes(parts: ReadParts): Routes {
  return (scope) => {
    scope.get("/checkpoint", (_request, reply) => {
      const { shown } = parts.publisher;
      return sendNote(reply.header("countersign-checkpoint-state", shown?.state ?? "none"), shown);
    });
    scope.get("/checkpoint-logged", (_request, reply) => sendNote(reply, parts.checkpointer.logged));
    scope.get("/metadata", (_request, reply) => reply.header("cache-control", "max-age=1").send(parts.metadata()));
    tileRoute(scope, parts);
  };
}

/** Answers with a checkpoint; it may be cached for a second. */
export function sendNote(reply: FastifyReply, checkpoint: { readonly note: string } | undefined): FastifyReply {
  if (checkpoint === undefined) throw new CheckError("ERR_NOT_PUBLISHED", "no checkpoint has been published yet");
  return reply.type(NOTE_TYPE).header("cache-control", "public, max-age=1").send(checkpoint.note);
}

/** SPEC tlog-tiles: one name a resource; the path is read as it was sent, before any decoding. */
function tileRoute(scope: FastifyInstance, { tree, checkpointer, checkReader, minimumIndex }: ReadParts): void {
  scope.get("/tile/*", async (request, reply) => {
    const ref = parseTilePath((request.raw.url ?? "").slice(scope.prefix.length + 1));
    const isPublic = ref.kind === "hash" || checkReader === undefined;
    if (!isPublic) checkReader(request);
    const minimum = minimumIndex();
    if (isPruned(ref, minimum)) throw prunedBelow(minimum);
    const bytes = isSigned(ref, checkpointer.logged?.size ?? 0n) ? await tree.readTile(ref) : undefined;
    if (bytes === undefined) throw new FormatError("ERR_TILE_PATH", "the log has no such tile");
    return reply
      .type("application/octet-stream")
      .header("cache-control", `${isPublic ? "public" : "private"}, ${IMMUTABLE}`)
      .send(bytes);
  });
}

/** A tile is there once a signed checkpoint covers all of it: nobody may depend on more, and a crash takes nothing back. */
export function isSigned(ref: TileRef, size: bigint): boolean {
  const place = ref.kind === "hash" ? ref : { level: 0, index: ref.index };
  return tileWidth(place, size) >= ref.width;
}
