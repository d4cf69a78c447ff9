/** Requests to the ledger: each is answered whole, within a bound and a time, or fails in a way that may be tried again. */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { Pieces } from "../wire/gathered-bytes.ts";

/** Where requests go. */
export interface LedgerEndpoint {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly fetch: typeof fetch;
}

/** An answer that was read. */
export interface LedgerReply extends Pick<Response, "status" | "ok" | "headers"> {
  readonly bytes: Uint8Array;
}

/** Longest time that a request takes, if nothing else is said. */
export const REQUEST_LIMIT_MS = 10_000;
/** Most bytes of an answer. */
export const MAX_ANSWER_BYTES: number = 512 * 1024;

/** Sends requests to one ledger. */
export class LedgerRequests {
  readonly #endpoint: LedgerEndpoint;

  constructor(endpoint: LedgerEndpoint) {
    this.#endpoint = endpoint;
  }

  /** Begins a request that has no limit; its answer is the caller's to read. */
  open(path: string, init: RequestInit): Promise<Response> {
    const { url, fetch } = this.#endpoint;
    return fetch(`${url}${path}`, { redirect: "error", ...init });
  }

  /** @throws {StoreError} ERR_LEDGER_ANSWER: no answer in time, or one that is too long */
  async ask(path: string, init: RequestInit = {}, limitMs: number = REQUEST_LIMIT_MS): Promise<LedgerReply> {
    // A signal of `AbortSignal.timeout` would keep the request and its answer until that time is over.
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(noAnswerWithin(limitMs)), limitMs);
    try {
      const answer = await this.#begin(path, { ...init, signal: limit.signal });
      const { status, ok, headers } = answer;
      return { status, ok, headers, bytes: await readBytes(answer) };
    } finally {
      clearTimeout(timer);
    }
  }

  async #begin(path: string, init: RequestInit): Promise<Response> {
    try {
      return await this.open(path, init);
    } catch (cause) {
      throw new StoreError("ERR_LEDGER_ANSWER", "the ledger cannot be reached", { cause });
    }
  }
}

/** What ends a request that is late, as `AbortSignal.timeout` names it: causes in logs tell it from one that was cut. */
export function noAnswerWithin(limitMs: number): DOMException {
  return new DOMException(`no answer within ${limitMs} ms`, "TimeoutError");
}

async function readBytes(answer: Response): Promise<Uint8Array> {
  try {
    return await readAll(answer);
  } catch (cause) {
    if (isCodedError(cause)) throw cause;
    throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's answer was cut off", { cause });
  }
}

async function readAll(answer: Response): Promise<Uint8Array> {
  const pieces = new Pieces();
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = answer.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    if (pieces.length + part.value.length > MAX_ANSWER_BYTES) {
      await reader?.cancel();
      throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's answer is too long");
    }
    pieces.push(part.value);
  }
  return pieces.take();
}
