/**
 * Objects of the S3-compatible store (the runtime's `fetch` sends what store-request.ts signs): get, and conditional put. Every body is sent with its SHA-256, which the store checks before it keeps it.
 */

import { createHash } from "node:crypto";
import { equalBytes } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { inTime } from "../in-time.ts";
import { MAX_ATTEMPTS, makeStoreClient, persist, type StoreClient } from "./store-request.ts";

const TIMEOUT_MS = 10_000;
/** The longest object: an entry bundle of 256 entries of 65,535 bytes. */
const MAX_OBJECT_BYTES = 256 * 65_537;

/** Where the objects of a log are. */
export interface ObjectStorePlace {
  /** `http(s)://host[:port]`, without a path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** In front of every key: empty, or with a slash at its end. */
  readonly prefix: string;
}

/** Who may write there. */
export interface ObjectStoreCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** An object as it was read. */
export interface StoredObject {
  readonly bytes: Uint8Array;
  /** What `replace` compares; opaque. */
  readonly etag: string;
}

/** How an object is served by whoever serves the bucket. */
export interface ObjectHeaders {
  readonly contentType: string;
  readonly cacheControl: string;
}

/** What the driver asks of a store. */
export interface ObjectStore {
  /** The object; undefined if there is none. @throws {StoreError} ERR_OBJECT_STORE */
  readonly get: (key: string) => Promise<StoredObject | undefined>;
  /** Writes an object that does not exist yet; `exists` if it does, and nothing is changed. @throws {StoreError} ERR_OBJECT_STORE */
  readonly create: (key: string, bytes: Uint8Array, headers: ObjectHeaders) => Promise<"created" | "exists">;
  /** Replaces the object that has this etag; `changed` if it has another one, and nothing is changed. @throws {StoreError} ERR_OBJECT_STORE */
  readonly replace: (
    key: string,
    bytes: Uint8Array,
    headers: ObjectHeaders,
    etag: string,
  ) => Promise<"replaced" | "changed">;
  /** Removes an object; no error if there is none. @throws {StoreError} ERR_OBJECT_STORE */
  readonly remove: (key: string) => Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly bytes: Uint8Array;
}

interface Ask {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly key: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
}

/**
 * Opens a store; nothing is asked yet.
 *
 * @param timeoutMs  bound of one request, its answer included; one that may pass is repeated twice
 */
export function openObjectStore(
  place: ObjectStorePlace,
  credentials: ObjectStoreCredentials,
  send: typeof fetch = fetch,
  timeoutMs: number = TIMEOUT_MS,
): ObjectStore {
  const client = makeStoreClient(place, credentials);
  const ask = (request: Ask, accepted: readonly number[]): Promise<Answer> => {
    const attempt = (): Promise<Answer> =>
      inTime(timeoutMs, (signal) =>
        askOnce(client, place, (asked) => send(asked, { signal, redirect: "error" }), request),
      );
    return persist(`${request.method} ${request.key}`, accepted, attempt);
  };
  return {
    get: async (key) => {
      const { status, bytes, etag } = await ask({ method: "GET", key }, [200, 404]);
      return status === 404 ? undefined : { bytes, etag };
    },
    create: async (key, bytes, headers) => {
      const put = { method: "PUT", key, body: bytes, headers: { ...named(headers), "if-none-match": "*" } } as const;
      return (await ask(put, [200, 412])).status === 200 ? "created" : "exists";
    },
    replace: async (key, bytes, headers, etag) => {
      const put = { method: "PUT", key, body: bytes, headers: { ...named(headers), "if-match": etag } } as const;
      // 404: there is none to replace.
      return (await ask(put, [200, 404, 412])).status === 200 ? "replaced" : "changed";
    },
    remove: async (key) => {
      await ask({ method: "DELETE", key }, [200, 204, 404]);
    },
  };
}

function named({ contentType, cacheControl }: ObjectHeaders): Record<string, string> {
  return { "content-type": contentType, "cache-control": cacheControl };
}

async function askOnce(
  client: StoreClient,
  { endpoint, bucket, prefix }: ObjectStorePlace,
  send: (signed: Request) => Promise<Response>,
  { method, key, headers = {}, body }: Ask,
): Promise<Answer> {
  const path = `${prefix}${key}`.split("/").map(encodeURIComponent).join("/");
  const digest = createHash("sha256")
    .update(body ?? "")
    .digest("hex");
  const signed = await client.sign(`${endpoint}/${bucket}/${path}`, {
    method,
    headers: { ...headers, "x-amz-content-sha256": digest },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  const response = await send(signed);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > MAX_OBJECT_BYTES) throw new Error(`an answer of ${bytes.length} bytes`);
  return { status: response.status, etag: response.headers.get("etag") ?? "", bytes };
}

/**
 * Writes an object that never changes once it exists. The same bytes are what an earlier attempt, or another integrator, left.
 *
 * @throws {StoreError} ERR_STORE_CONFLICT, fatal, if it exists with other bytes: published history would change;
 *   ERR_OBJECT_STORE
 */
export async function createOnce(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  headers: ObjectHeaders,
): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    if ((await store.create(key, bytes, headers)) === "created") return;
    const present = await store.get(key);
    if (present !== undefined) {
      if (equalBytes(present.bytes, bytes)) return;
      throw new StoreError("ERR_STORE_CONFLICT", `${key} exists with other bytes`, { fatal: true });
    }
    // Removed between the two requests, or never kept.
    if (await completeWrite(store, key, bytes, headers)) return;
  }
  throw new StoreError("ERR_OBJECT_STORE", `${key}: the object store refuses to create it, and does not show it`);
}

/**
 * Writes an object that the store takes for existing and does not show. A store that was killed amid a write may have kept the
 * etag of bytes that it did not keep; without this nobody could ever write them. The condition is that the etag is the one of
 * these very bytes, so that nothing else can be replaced.
 *
 * @returns false if it is not; nothing is changed
 */
export async function completeWrite(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  headers: ObjectHeaders,
): Promise<boolean> {
  // Not for security: the etag that S3 gives to an object put in one piece.
  const md5 = createHash("md5").update(bytes).digest("hex");
  return (await store.replace(key, bytes, headers, `"${md5}"`)) === "replaced";
}
