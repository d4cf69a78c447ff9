/**
 * Reads a ledger's read path (docs/ledger.md): checkpoint, hash tiles, entry bundles, the tip of a stream. Nothing that it
 * answers is trusted: answers are bounded and read strictly, and what counts is checked against the checkpoint.
 */

import { concatAll, parseUtf8 } from "../kernel/bytes.ts";
import { FormatError, isCodedError, StoreError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { type LogStatusDocument, MAX_STATUS_BYTES, parseLogStatus } from "../kernel/lifecycle/log-status.ts";
import { HASH_BYTES } from "../kernel/merkle/hash.ts";
import { MAX_NOTE_BYTES } from "../kernel/note/signed-note.ts";
import { type Hex64, hex64Shape } from "../kernel/receipt/fields.ts";
import { boolean, integer, object, optional, readShape, type Shape } from "../kernel/shape.ts";
import { MAX_ENTRY_BYTES, parseEntryBundle } from "../kernel/tile/entry-bundle.ts";
import { formatTilePath, TILE_WIDTH, type TileRef } from "../kernel/tile/path.ts";

/** The tip of a stream, as the ledger tells it. */
export type StreamTip = {
  readonly stream: Hex64;
  readonly next_seq: number;
  /** Hash of the last receipt; absent while there is none. */
  readonly last?: Hex64;
  /** Index of the registration in the log. */
  readonly registered_index: number;
  readonly closed: boolean;
};

/** A ledger's read path. Every function throws StoreError ERR_SERVICE_ANSWER for anything but a proper answer. */
export interface LogReader {
  /** The newest witnessed checkpoint, as text. */
  readonly readCheckpoint: () => Promise<string>;
  readonly readTile: (ref: TileRef) => Promise<Uint8Array>;
  /** The entries of bundle `index`, of which the log has `width`. */
  readonly readEntries: (index: number, width: number) => Promise<readonly Uint8Array[]>;
  readonly readTip: (stream: Hex64) => Promise<StreamTip>;
  /** The status document; undefined if the log shows none. */
  readonly readStatus: () => Promise<LogStatusDocument | undefined>;
}

/** Where the ledger is, and with what it is read. */
export interface LogReaderOptions {
  /** With or without a slash at its end. */
  readonly url: string;
  readonly token: string;
  readonly fetch?: typeof fetch;
}

const REQUEST_LIMIT_MS = 30_000;
const MAX_JSON_BYTES = 65_536;
const MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES;
const MAX_BUNDLE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2);

const tipShape: Shape<StreamTip> = object<StreamTip>({
  stream: hex64Shape,
  next_seq: integer(),
  last: optional(hex64Shape),
  registered_index: integer(),
  closed: boolean(),
});

/** Makes the reader. */
export function makeLogReader(options: LogReaderOptions): LogReader {
  const getOrNothing = makeGet(options);
  const get = async (path: string, maxBytes: number): Promise<Uint8Array> => {
    const bytes = await getOrNothing(path, maxBytes);
    if (bytes === undefined) throw unexpected(path, "status 404 (it has none)");
    return bytes;
  };
  return {
    readCheckpoint: async () => strictly("/checkpoint", parseUtf8, await get("/checkpoint", MAX_NOTE_BYTES)),
    readTile: (ref) => get(`/${formatTilePath(ref)}`, MAX_TILE_BYTES),
    readEntries: async (index, width) => {
      const path = `/${formatTilePath({ kind: "entries", index: BigInt(index), width })}`;
      return strictly(path, (bytes) => parseEntryBundle(bytes, width), await get(path, MAX_BUNDLE_BYTES));
    },
    readTip: async (stream) => {
      const path = `/streams/${stream}`;
      const read = (bytes: Uint8Array): StreamTip => readShape(tipShape, parseJson(bytes), "tip");
      const tip = strictly(path, read, await get(path, MAX_JSON_BYTES));
      if (tip.stream !== stream) throw unexpected(path, "it is of another stream");
      return tip;
    },
    readStatus: async () => {
      const bytes = await getOrNothing("/log-status", MAX_STATUS_BYTES);
      return bytes === undefined ? undefined : strictly("/log-status", parseLogStatus, bytes);
    },
  };
}

/** Undefined on 404. */
type Get = (path: string, maxBytes: number) => Promise<Uint8Array | undefined>;

function makeGet({ url, token, fetch: fetchFrom = fetch }: LogReaderOptions): Get {
  const base = url.replace(/\/+$/u, "");
  const headers = { authorization: `Bearer ${token}` };
  return async (path, maxBytes) => {
    try {
      const signal = AbortSignal.timeout(REQUEST_LIMIT_MS);
      const answer = await fetchFrom(`${base}${path}`, { headers, redirect: "error", signal });
      if (answer.ok) return await readBounded(answer, path, maxBytes);
      await answer.body?.cancel();
      if (answer.status === 404) return undefined;
      throw unexpected(path, `status ${answer.status}${STATUS_HINTS[answer.status] ?? ""}`);
    } catch (cause) {
      if (isCodedError(cause)) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StoreError("ERR_SERVICE_ANSWER", `the ledger at ${base} cannot be read: ${why}`, { cause });
    }
  };
}

const STATUS_HINTS: Readonly<Record<number, string>> = {
  401: " (the token is not a reader's token of this ledger)",
};

async function readBounded(answer: Response, path: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | readonly Uint8Array[] = answer.body ?? [];
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw unexpected(path, `more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return concatAll(chunks);
}

/** What a parser refuses is a wrong answer of the service. */
function strictly<T>(path: string, parse: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof FormatError) throw unexpected(path, error.message);
    throw error;
  }
}

function unexpected(path: string, what: string): StoreError {
  return new StoreError("ERR_SERVICE_ANSWER", `GET ${path} of the ledger: ${what}`);
}
