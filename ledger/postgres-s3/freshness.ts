/**
 * Brings a node up to date where a request depends on what another node did a moment ago: a stream registered there, a tip
 * that moved there, an entry acknowledged there, a checkpoint published there. Everything else is served from the newest
 * state that this node has seen.
 */

import { parseTilePath } from "../../kernel/tile/path.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import { isSigned } from "../http/read-routes.ts";
import { type BeforeRequest, bodyOf } from "../http/server.ts";
import type { HeadWatch } from "./head-watch.ts";

/** A stream that a receipt or segment names: its kid. */
const NAMED_STREAM = /"stream":"([0-9a-f]{64})"/gu;
const SUBMISSIONS: ReadonlySet<string> = new Set(["/receipts", "/segments"]);
/** What is answered by a turn's state: a preview of a statement names the next index. */
const TURN_ROUTES: ReadonlySet<string> = new Set([
  "/streams/:stream",
  "/evidence/streams/:stream",
  "/operator/statements",
  "/trust-records",
  "/trust-record-names",
]);
/** What rests on the published checkpoint and on statements: a key retires once the new one's checkpoint is witnessed, wherever. */
const STATEMENT_ROUTES: ReadonlySet<string> = new Set(["/log-status", "/metadata", "/operator/statements"]);

/** What is brought up to date. */
export interface FreshnessParts {
  readonly watch: HeadWatch;
  /** Takes over what other nodes decided about streams. */
  readonly refreshStreams: () => Promise<void>;
  /** The same, if a submission names one that this node does not know. */
  readonly knowStreams: (submission: Uint8Array) => Promise<void>;
  /** Takes over what the log has said of itself through other nodes. */
  readonly refreshStatements: () => Promise<void>;
}

/** Takes over streams when a submission names one that `streams` does not know. */
export function makeStreamsKnown(
  streams: StreamBook,
  refreshStreams: () => Promise<void>,
): (submission: Uint8Array) => Promise<void> {
  return async (submission) => {
    const named = Buffer.from(submission).toString("latin1").matchAll(NAMED_STREAM);
    for (const [, stream = ""] of named) if (streams.find(stream) === undefined) return refreshStreams();
  };
}

/** The hook in front of the routes of a node. */
export function makeFreshness({
  watch,
  refreshStreams,
  knowStreams,
  refreshStatements,
}: FreshnessParts): BeforeRequest {
  return async (request) => {
    const route = (request.routeOptions.url ?? "").slice(request.server.prefix.length);
    // First: of whatever size the checkpoint is, the statements below it are known behind it.
    if (restsOnHead(route)) await watch.refresh();
    if (TURN_ROUTES.has(route)) return refreshStreams();
    if (STATEMENT_ROUTES.has(route)) return refreshStatements();
    if (SUBMISSIONS.has(route)) return knowStreams(bodyOf(request));
    if (route === "/tile/*" && isBeyond(request.raw.url ?? "", request.server.prefix, watch)) await watch.refresh();
  };
}

function restsOnHead(route: string): boolean {
  return STATEMENT_ROUTES.has(route) || route.startsWith("/log-proof") || route.startsWith("/entries");
}

function isBeyond(url: string, prefix: string, watch: HeadWatch): boolean {
  try {
    return !isSigned(parseTilePath(url.slice(prefix.length + 1)), watch.logged?.size ?? 0n);
  } catch {
    return false;
  }
}
