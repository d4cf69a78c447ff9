/**
 * Reads any log that speaks C2SP tlog-tiles over HTTP. Nothing that comes from here is trusted: answers are bounded in
 * length and time, and everything is verified by the caller.
 */

import { StoreError } from "../../kernel/errors.ts";
import { MAX_STATUS_BYTES } from "../../kernel/lifecycle/log-status.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { MAX_NOTE_BYTES } from "../../kernel/note/signed-note.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";

/** A log to read from. */
export interface Upstream {
  /** Bytes of the newest checkpoint. @throws {StoreError} ERR_LOG_UNREACHABLE */
  readonly checkpoint: () => Promise<Uint8Array>;
  /** The same, undefined on 404. @throws {StoreError} ERR_LOG_UNREACHABLE */
  readonly checkpointOrNothing: () => Promise<Uint8Array | undefined>;
  /** Bytes of the status document; undefined on 404. @throws {StoreError} ERR_LOG_UNREACHABLE */
  readonly status: () => Promise<Uint8Array | undefined>;
  /** Bytes of a tile or bundle; undefined if the log says 404. @throws {StoreError} ERR_LOG_UNREACHABLE */
  readonly tile: (ref: TileRef) => Promise<Uint8Array | undefined>;
}

/** How to reach a log. */
export interface UpstreamParts {
  /** Prefix of its resources. */
  readonly url: string;
  readonly fetch: typeof fetch;
  /** Bearer token, where entries are not public. */
  readonly token?: string;
  /** Bound of one request, its body included. */
  readonly timeoutMs: number;
  /** Requests in all for one resource; those that get no answer, 429 or a status above 499 are repeated. */
  readonly attempts: number;
  /** Waits between two attempts. */
  readonly sleep: (ms: number) => Promise<void>;
}

const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);
const FIRST_PAUSE_MS = 200;

/** A client of the log at `url`. */
export function makeUpstream(parts: UpstreamParts): Upstream {
  const base = parts.url.replace(/\/+$/u, "");
  const checkpointOrNothing = (): Promise<Uint8Array | undefined> => get(parts, `${base}/checkpoint`, MAX_NOTE_BYTES);
  return {
    checkpointOrNothing,
    checkpoint: async () => {
      const bytes = await checkpointOrNothing();
      if (bytes === undefined) throw new StoreError("ERR_LOG_UNREACHABLE", "the log has no checkpoint (404)");
      return bytes;
    },
    status: () => get(parts, `${base}/log-status`, MAX_STATUS_BYTES),
    tile: (ref) => {
      const limit = ref.kind === "hash" ? TILE_WIDTH * HASH_BYTES : MAX_BUNDLE_BYTES;
      return get(parts, `${base}/${formatTilePath(ref)}`, limit);
    },
  };
}

async function get(parts: UpstreamParts, url: string, limit: number): Promise<Uint8Array | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await tryOnce(parts, url, limit);
    if (outcome.kind === "found") return outcome.bytes;
    if (!outcome.isPassing || attempt >= parts.attempts) {
      throw new StoreError("ERR_LOG_UNREACHABLE", `${url}: ${outcome.why}`);
    }
    await parts.sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1));
  }
}

type Outcome =
  | { readonly kind: "found"; readonly bytes: Uint8Array | undefined }
  | { readonly kind: "failed"; readonly why: string; readonly isPassing: boolean };

async function tryOnce(parts: UpstreamParts, url: string, limit: number): Promise<Outcome> {
  const signal = AbortSignal.timeout(parts.timeoutMs);
  try {
    const response = await parts.fetch(url, {
      redirect: "follow",
      signal,
      headers: parts.token === undefined ? {} : { authorization: `Bearer ${parts.token}` },
    });
    const { status } = response;
    const bytes = await readBounded(response, limit, signal);
    if (status === 404 || status === 410) return { kind: "found", bytes: undefined };
    if (status !== 200) return { kind: "failed", why: `status ${status}`, isPassing: status === 429 || status >= 500 };
    if (bytes === undefined) return { kind: "failed", why: `more than ${limit} bytes`, isPassing: false };
    return { kind: "found", bytes };
  } catch (error) {
    const why = error instanceof Error && error.name === "TimeoutError" ? "no answer in time" : "no connection";
    return { kind: "failed", why, isPassing: true };
  }
}

/** The body, or undefined as soon as it is longer than `limit`; the rest is not read. */
async function readBounded(response: Response, limit: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined));
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const step: { readonly done: boolean; readonly value?: Uint8Array } = await reader.read();
    // A cancelled body ends like a whole one.
    signal.throwIfAborted();
    if (step.done || step.value === undefined) return Buffer.concat(chunks);
    length += step.value.length;
    if (length > limit) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(step.value);
  }
}
