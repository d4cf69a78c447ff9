/**
 * HTTP requests over connections whose TLS is ours: the built-in `fetch` takes neither authorities nor a check of the
 * server's key. Just what a leg to a server needs: one request, no redirect, no cookie, no decompression, a body that streams.
 */

import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { type Agent, request } from "node:https";

/** What a leg asks of `fetch`. */
export interface SiteRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

/** `fetch`, as far as a leg uses it. Rejects with a `TypeError` whose `cause` says what went wrong. */
export type SiteFetch = (url: string, init: SiteRequest) => Promise<Response>;

/** Statuses whose answers have no body. */
const BODYLESS: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** Requests over the connections of `agent`. */
export function makeHttpsFetch(agent: Agent): SiteFetch {
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const length: Record<string, string> = body === undefined ? {} : { "Content-Length": String(body.length) };
      const sent = request(url, { agent, method, headers: { ...headers, ...length }, signal }, (message) => {
        try {
          resolve(responseOf(message));
        } catch (cause) {
          message.destroy();
          reject(failed(cause));
        }
      });
      sent.on("error", (cause) => reject(failed(cause)));
      sent.end(body);
    });
}

/** @throws {RangeError} for a status that HTTP does not have */
function responseOf(message: IncomingMessage): Response {
  const status = message.statusCode ?? 0;
  const headers = headersOf(message.headers);
  if (!BODYLESS.has(status)) return new Response(bodyOf(message), { status, headers });
  message.resume();
  return new Response(null, { status, headers });
}

function headersOf(received: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(received)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  }
  return headers;
}

/** Read as it is asked for: what nobody takes stays at the server. */
function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<unknown> = message[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const step = await chunks.next();
      if (step.done === true) controller.close();
      else if (step.value instanceof Uint8Array) controller.enqueue(step.value);
    },
    cancel: () => void message.destroy(),
  });
}

function failed(cause: unknown): TypeError {
  return new TypeError("the request failed", { cause });
}
