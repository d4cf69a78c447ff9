/**
 * The short way of `POST /add`, the one request that comes tens of thousands of times a second. It takes what is plain:
 * the exact path, a length within the limit, a token that holds. Everything else, refusals included, goes the server's
 * ordinary way, and both ways answer alike.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import type { AskedConnection } from "./auth.ts";
import { faultOf, formatFault, type HttpFault } from "./errors.ts";
import { countHosts } from "./server.ts";

/** What the short way works with. */
export interface AddFastPath {
  /** The exact path of the request. */
  readonly url: string;
  /** True if the request may add; never throws. */
  readonly isAllowed: (request: AskedConnection) => boolean;
  /** False while the server closes: the ordinary way says so. */
  readonly isOpen: () => boolean;
  /** Appends one entry; resolves to its index once it is durable. */
  readonly append: (entry: Uint8Array) => Promise<bigint>;
  /** Told of every answer. */
  readonly onAnswer: (status: number) => void;
  /** Told of faults that are our own. */
  readonly onFault: (error: unknown) => void;
}

const DIGITS = /^[1-9]\d{0,4}$/;

/** A listener that takes plain additions itself and gives all other requests to `ordinary`. */
export function withAddFastPath(path: AddFastPath, ordinary: RequestListener): RequestListener {
  return (request, response) => {
    const length = plainLength(request, path.url);
    if (length === 0 || !path.isOpen() || !path.isAllowed(request)) return ordinary(request, response);
    readBody(request, length, (entry) => {
      path.append(entry).then(
        (index) => answer(path, response, index),
        (error: unknown) => refuse(path, response, error),
      );
    });
  };
}

/** Length of the body of a plain addition; 0 for any other request. */
function plainLength(request: IncomingMessage, wanted: string): number {
  const { method, url, headers } = request;
  if (url !== wanted || method !== "POST" || headers["transfer-encoding"] !== undefined) return 0;
  if (countHosts(request) !== 1) return 0;
  const text = headers["content-length"] ?? "";
  if (!DIGITS.test(text)) return 0;
  const length = Number(text);
  return length <= MAX_ENTRY_BYTES ? length : 0;
}

/** A body that is cut off is never handed on: nothing of it was acknowledged. */
function readBody(request: IncomingMessage, length: number, onBody: (body: Uint8Array) => void): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const [first] = chunks;
    onBody(first !== undefined && first.length === length ? first : Buffer.concat(chunks));
  });
}

function answer(path: AddFastPath, response: ServerResponse, index: bigint): void {
  const text = index.toString();
  response.writeHead(200, ["content-type", "text/plain; charset=utf-8", "content-length", String(text.length)]);
  response.end(text, "latin1");
  path.onAnswer(200);
}

function refuse(path: AddFastPath, response: ServerResponse, error: unknown): void {
  const fault: HttpFault = faultOf(error);
  if (fault.status === 500) path.onFault(error);
  const { headers, body } = formatFault(fault);
  response.writeHead(fault.status, headers).end(body);
  path.onAnswer(fault.status);
}
