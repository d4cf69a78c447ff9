/**
 * Requests to servers over node:http and node:https, in the part of `fetch` that the gateway uses: the platform's own takes
 * several times the processor time, for streams, copies and checks that one POST to a configured server has no use for.
 *
 * Connections are kept for a moment and each carries one request at a time. Redirects are answers like others. A request that
 * met no connection rejects with the code of the system or `ERR_CONNECT_TIMEOUT`.
 */

import {
  Agent,
  type AgentOptions,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request,
} from "node:http";
import { type Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { urlToHttpOptions } from "node:url";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

/** What a leg asks of `fetch`. */
export interface SiteRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly redirect: "manual";
  /** Ends the request, and the reading of its answer. */
  readonly signal: AbortSignal;
}

/** The part of a `Response` that is used. */
export interface HttpAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: { readonly get: (name: string) => string | null };
  readonly body: HttpBody | null;
}

/** The body of an answer; read by one reader. */
interface HttpBody {
  readonly getReader: () => { readonly read: () => Promise<{ readonly done: boolean; readonly value?: unknown }> };
  readonly cancel: () => Promise<unknown>;
}

/** `fetch`, as far as a leg uses it. */
export type SiteFetch = (url: string, init: SiteRequest) => Promise<HttpAnswer>;

/** Shorter than servers keep a connection (5 seconds are common): one that they end must not take a request with it. */
const KEEP_MS = 4_000;
const CONNECT_MS = 10_000;
/** Chunks that wait for their reader before the socket is not read any more. */
const MAX_WAITING_CHUNKS = 16;

/** How agents keep connections: the one that was used last is used next. */
export const KEPT: Pick<AgentOptions, "keepAlive" | "timeout" | "scheduling"> = {
  keepAlive: true,
  timeout: KEEP_MS,
  scheduling: "lifo",
};
const httpAgent = new Agent(KEPT);

/** Requests over plain HTTP. */
export const httpFetch: SiteFetch = (url, init) =>
  exchange(init, (options) => request({ ...placeOf(url), ...options, agent: httpAgent }));

/** Requests over the connections of `agent`, whose TLS is its own. */
export function makeHttpsFetch(agent: HttpsAgent): SiteFetch {
  return (url, init) => exchange(init, (options) => httpsRequest({ ...placeOf(url), ...options, agent }));
}

/** Where a URL leads, read once: servers have few, and each request would read its own again. */
const places = new Map<string, RequestOptions>();
const MAX_PLACES = 256;

function placeOf(url: string): RequestOptions {
  const known = places.get(url);
  if (known !== undefined) return known;
  if (places.size >= MAX_PLACES) places.clear();
  const made = urlToHttpOptions(new URL(url));
  places.set(url, made);
  return made;
}

/** A body of so many bytes is sent as a text of one character each, with the head in one piece. */
const SHORT_BODY = 16_384;

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

function exchange(
  { method, headers, body, signal }: SiteRequest,
  begin: (options: RequestOptions) => ClientRequest,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error("the request was aborted"));
      return;
    }
    const sent = begin({ method, headers });
    const abort = (): void => void sent.destroy(new Error("the request was aborted"));
    signal.addEventListener("abort", abort, { once: true });
    sent.once("close", () => {
      signal.removeEventListener("abort", abort);
      // Where no answer came and no error either: a server that switches protocols unasked is cut off without a word.
      reject(new Error("the connection was closed"));
    });
    sent.on("error", reject);
    sent.once("response", (answer) => resolve(new NodeAnswer(answer)));
    limitConnect(sent);
    if (body === undefined || body.length > SHORT_BODY) sent.end(body);
    else sent.end(latin1(body), "latin1");
  });
}

/** A connection that does not come about is given up. */
function limitConnect(sent: ClientRequest): void {
  sent.once("socket", (socket) => {
    if (!socket.connecting) return;
    const late = (): void =>
      void sent.destroy(Object.assign(new Error("no connection"), { code: "ERR_CONNECT_TIMEOUT" }));
    const timer = setTimeout(late, CONNECT_MS);
    const done = (): void => clearTimeout(timer);
    socket.once("encrypted" in socket ? "secureConnect" : "connect", done);
    sent.once("close", done);
  });
}

class NodeAnswer implements HttpAnswer {
  readonly status: number;
  readonly headers: HttpAnswer["headers"];
  readonly body: HttpBody;

  constructor(answer: IncomingMessage) {
    this.status = answer.statusCode ?? 0;
    this.headers = { get: (name) => headerOf(answer, name) };
    const reader = new ChunkReader(decoded(answer), answer);
    this.body = {
      getReader: () => reader,
      // One that came whole leaves its connection to the next request.
      cancel: async () => {
        if (!answer.complete) answer.destroy();
      },
    };
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }
}

function headerOf({ headers }: IncomingMessage, name: string): string | null {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

/** Identity is asked for; a server that compresses all the same is understood, within the same bounds. */
function decoded(answer: IncomingMessage): Readable {
  const decoder = decoderOf(answer.headers["content-encoding"]?.toLowerCase());
  if (decoder === undefined) return answer;
  answer.on("error", (error) => decoder.destroy(error));
  answer.once("close", () => {
    if (!answer.complete) decoder.destroy(new Error("the answer was cut off"));
  });
  return answer.pipe(decoder);
}

function decoderOf(encoding: string | undefined): ReturnType<typeof createGunzip> | undefined {
  if (encoding === "gzip" || encoding === "x-gzip") return createGunzip();
  if (encoding === "deflate") return createInflate();
  return encoding === "br" ? createBrotliDecompress() : undefined;
}

type Step = { readonly done: boolean; readonly value?: Uint8Array };

interface WaitingRead {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: Error) => void;
}

/** Reads chunk by chunk; an answer that is cut off rejects. */
class ChunkReader {
  readonly #source: Readable;
  readonly #chunks: Uint8Array[] = [];
  #end: Error | "ended" | undefined;
  #waiting: WaitingRead | undefined;

  constructor(source: Readable, answer: IncomingMessage) {
    this.#source = source;
    source.on("data", ({ buffer, byteOffset, length }: Uint8Array) => {
      this.#take(new Uint8Array(buffer, byteOffset, length));
    });
    source.once("end", () => this.#stop("ended"));
    source.on("error", (error) => this.#stop(error));
    answer.once("close", () => {
      if (!answer.complete) this.#stop(new Error("the answer was cut off"));
    });
  }

  read(): Promise<Step> {
    const value = this.#chunks.shift();
    if (value !== undefined) {
      if (this.#source.isPaused() && this.#chunks.length < MAX_WAITING_CHUNKS) this.#source.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#end === "ended") return Promise.resolve({ done: true });
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #take(chunk: Uint8Array): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) waiting.resolve({ done: false, value: chunk });
    else if (this.#chunks.push(chunk) >= MAX_WAITING_CHUNKS) this.#source.pause();
  }

  #stop(end: Error | "ended"): void {
    this.#end ??= end;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (end === "ended") waiting?.resolve({ done: true });
    else waiting?.reject(end);
  }
}
