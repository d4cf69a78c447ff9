/**
 * The read path of one ledger over HTTP: checkpoint, hash tiles, entry bundles. Every answer is bounded in bytes and
 * time; redirects are refused; the reader's token goes to entry bundles alone.
 */

import { concatAll } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { MAX_STATUS_BYTES } from "../../kernel/lifecycle/log-status.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { MAX_NOTE_BYTES } from "../../kernel/note/signed-note.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, TILE_WIDTH, type TileRef } from "../../kernel/tile/path.ts";

/** What following needs of a ledger. All reject with StoreError ERR_LEDGER_UNREACHABLE if there is no answer to use. */
export interface LogReader {
  /** The newest published checkpoint. @throws {FormatError} ERR_NOTE_SIZE */
  readonly checkpoint: () => Promise<Uint8Array>;
  /** The status document. @throws {FormatError} ERR_SHAPE if it is too long */
  readonly status: () => Promise<Uint8Array>;
  /** Bytes of a tile or bundle. @throws {FormatError} ERR_TILE_LENGTH, ERR_BUNDLE_LENGTH if it is too long */
  readonly tile: (ref: TileRef) => Promise<Uint8Array>;
}

/** What the reader is given. */
export interface LedgerReaderOptions {
  /** Prefix without a slash at the end. */
  readonly url: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  /** Ends requests in flight. */
  readonly signal: AbortSignal;
}

/** Makes the reader of one ledger. */
export function makeLedgerReader(options: LedgerReaderOptions): LogReader {
  return {
    checkpoint: () => get(options, "checkpoint", MAX_NOTE_BYTES, "ERR_NOTE_SIZE"),
    status: () => get(options, "log-status", MAX_STATUS_BYTES, "ERR_SHAPE"),
    tile: (ref) => {
      const path = formatTilePath(ref);
      if (ref.kind === "hash") return get(options, path, TILE_WIDTH * HASH_BYTES, "ERR_TILE_LENGTH");
      return get(options, path, ref.width * (2 + MAX_ENTRY_BYTES), "ERR_BUNDLE_LENGTH");
    },
  };
}

async function get(
  options: LedgerReaderOptions,
  path: string,
  maxBytes: number,
  tooLong: ErrorCode,
): Promise<Uint8Array> {
  const isEntries = path.startsWith("tile/entries/");
  const headers: Record<string, string> =
    isEntries && options.token !== undefined ? { authorization: `Bearer ${options.token}` } : {};
  const signal = AbortSignal.any([AbortSignal.timeout(options.timeoutMs), options.signal]);
  const response = await reach(path, () =>
    options.fetch(`${options.url}/${path}`, { headers, redirect: "error", signal }),
  );
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new StoreError("ERR_LEDGER_UNREACHABLE", `/${path} answered ${response.status}`);
  }
  return readBounded(response, path, maxBytes, tooLong);
}

async function readBounded(
  response: Response,
  path: string,
  maxBytes: number,
  tooLong: ErrorCode,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body === null) return new Uint8Array(0);
  return reach(path, async () => {
    for await (const chunk of body) {
      length += chunk.length;
      if (length > maxBytes) throw new FormatError(tooLong, `/${path}: want at most ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return concatAll(chunks);
  });
}

/** Whatever the network does wrong is one error; what we refused passes. */
async function reach<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const why = cause instanceof Error && cause.name === "TimeoutError" ? "no answer in time" : "no connection";
    throw new StoreError("ERR_LEDGER_UNREACHABLE", `/${path}: ${why}`, { cause });
  }
}
