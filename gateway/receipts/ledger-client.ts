/**
 * The ledger, as a gateway sees it (docs/ledger.md): registration, segments, the tip of a stream, log proofs. Answers are
 * read strictly and bounded; what is not an answer of the interface is a StoreError that may be tried again.
 */

import { concatAll } from "../../kernel/bytes.ts";
import { FormatError, isCodedError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type BatchPromise, readBatchPromise } from "../../kernel/promise.ts";
import { array, json, mapped, readShape, type Shape } from "../../kernel/shape.ts";

/** A stream's tip, as the ledger has it. */
export interface LedgerTip {
  readonly nextSeq: number;
  /** Hash of the last admitted receipt; undefined if there is none. */
  readonly last: string | undefined;
}

/** What a submission came to. */
export type Submitted =
  | {
      readonly type: "admitted";
      readonly firstIndex: bigint;
      readonly tip: LedgerTip;
      /** Of runs of its receipts, in order, nothing verified; none if they were not asked for. */
      readonly promises: readonly BatchPromise[];
    }
  /** The segment does not continue the ledger's tip: send again from there. */
  | { readonly type: "gap"; readonly tip: LedgerTip }
  /** The ledger holds another receipt at one of these numbers, or refuses the key: nothing will mend it. */
  | { readonly type: "refused"; readonly code: string }
  /** Try again after this time. */
  | { readonly type: "later"; readonly afterMs: number };

/** The calls that the outbox makes. */
export interface LedgerClient {
  /** @returns undefined if the ledger does not know the stream. @throws {StoreError} ERR_LEDGER_ANSWER */
  readonly tip: (stream: string) => Promise<LedgerTip | undefined>;
  /** @param registration  canonical bytes. @throws {StoreError} ERR_LEDGER_ANSWER */
  readonly register: (registration: Uint8Array) => Promise<void>;
  /** @param segment  NDJSON of kernel/segment.ts */
  readonly submit: (segment: Uint8Array) => Promise<Submitted>;
  /** Text of the witnessed log proof of a leaf (hex), waiting for it; undefined if it is not there in time. */
  readonly logProof: (leaf: string, waitMs: number) => Promise<string | undefined>;
  /** A hash tile by its path. @throws {StoreError} ERR_LEDGER_ANSWER */
  readonly tile: (path: string) => Promise<Uint8Array>;
}

/** Where the ledger is, and with what it is called. */
export interface LedgerClientOptions {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly submitToken: string;
  /** Whether segments ask for promises. Default false. */
  readonly asksPromises?: boolean;
  readonly fetch: typeof fetch;
}

const REQUEST_LIMIT_MS = 10_000;
const RETRY_MS = 1_000;
const MAX_ANSWER_BYTES = 512 * 1024;

const promisesShape: Shape<readonly BatchPromise[]> = array(mapped(json(), readBatchPromise), { max: 1024 });

/** Makes the client. */
export function makeLedgerClient(options: LedgerClientOptions): LedgerClient {
  const call = (path: string, init: RequestInit, limitMs = REQUEST_LIMIT_MS): Promise<Response> =>
    options.fetch(`${options.url}${path}`, { ...init, redirect: "error", signal: AbortSignal.timeout(limitMs) });
  const token = { authorization: `Bearer ${options.submitToken}` };
  return {
    tip: async (stream) => {
      const answer = await reaching(() => call(`/streams/${stream}`, { headers: token }));
      const body = await readBody(answer);
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw unexpected(answer, codeOf(body, answer));
      return readTip(body);
    },
    register: async (registration) => {
      const headers = { ...token, "content-type": "application/json" };
      const answer = await reaching(() => call("/register", { method: "POST", headers, body: registration }));
      const body = await readBody(answer);
      if (!answer.ok) throw unexpected(answer, codeOf(body, answer));
    },
    submit: async (segment) => {
      const headers = { ...token, "content-type": "application/x-ndjson" };
      const path = options.asksPromises === true ? "/segments?promise=1" : "/segments";
      const answer = await reaching(() => call(path, { method: "POST", headers, body: segment }));
      return readSubmitted(answer, await readBody(answer));
    },
    tile: async (path) => {
      const answer = await reaching(() => call(`/${path}`, {}));
      const bytes = await readBytes(answer);
      if (!answer.ok) throw unexpected(answer);
      return bytes;
    },
    logProof: async (leaf, waitMs) => {
      const path = `/log-proof?leaf=${leaf}&wait_ms=${waitMs}`;
      const answer = await reaching(() => call(path, {}, waitMs + REQUEST_LIMIT_MS));
      const text = await readText(answer);
      return answer.ok && answer.headers.get("countersign-proof-state") === "cosigned" ? text : undefined;
    },
  };
}

async function reaching(call: () => Promise<Response>): Promise<Response> {
  try {
    return await call();
  } catch (cause) {
    throw new StoreError("ERR_LEDGER_ANSWER", "the ledger cannot be reached", { cause });
  }
}

function readSubmitted(answer: Response, body: JsonObject): Submitted {
  if (answer.ok) return readAdmitted(answer, body);
  // A token is mended by the ledger's operator; the receipts are as good as before.
  const isPassing = answer.status === 401 || answer.status === 429 || answer.status >= 500;
  if (isPassing) return { type: "later", afterMs: retryAfterMs(answer) };
  const error = memberObject(body, "error");
  const code = codeOf(body, answer);
  if (answer.status !== 409 || code !== "ERR_STREAM_GAP") return { type: "refused", code };
  return { type: "gap", tip: readTip(memberObject(error, "tip")) };
}

/** The code of an error answer; only what looks like one enters messages and logs. */
function codeOf(body: JsonObject, answer: Response): string {
  const { code } = memberObject(body, "error");
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{0,63}$/u.test(code) ? code : `HTTP ${answer.status}`;
}

function readAdmitted(answer: Response, body: JsonObject): Submitted {
  const { first_index: first } = body;
  const index = typeof first === "string" || typeof first === "number" ? String(first) : "";
  if (!/^(?:0|[1-9]\d*)$/u.test(index)) throw unexpected(answer);
  const promises = readPromises(body["promises"] ?? []);
  return { type: "admitted", firstIndex: BigInt(index), tip: readTip(memberObject(body, "tip")), promises };
}

function readPromises(value: JsonValue): readonly BatchPromise[] {
  try {
    return readShape(promisesShape, value, "promises");
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new StoreError("ERR_LEDGER_ANSWER", `the ledger's promises cannot be read: ${cause.message}`, { cause });
  }
}

function memberObject(body: JsonObject, member: string): JsonObject {
  const value = body[member];
  return value !== undefined && isJsonObject(value) ? value : {};
}

function retryAfterMs(answer: Response): number {
  const seconds = Number(answer.headers.get("retry-after") ?? "");
  return Number.isInteger(seconds) && seconds > 0 && seconds <= 60 ? seconds * 1000 : RETRY_MS;
}

function readTip(body: JsonObject): LedgerTip {
  const { next_seq: nextSeq, last } = body;
  if (typeof nextSeq !== "number" || !Number.isSafeInteger(nextSeq) || nextSeq < 0) {
    throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's tip has no next_seq");
  }
  return { nextSeq, last: typeof last === "string" ? last : undefined };
}

async function readBody(answer: Response): Promise<JsonObject> {
  const text = await readText(answer);
  try {
    const value = parseJson(text, { maxBytes: MAX_ANSWER_BYTES });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The body, at most 512 KiB; a larger one is cut off and is then no answer. */
async function readText(answer: Response): Promise<string> {
  return Buffer.from(await readBytes(answer)).toString("utf8");
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
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = answer.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    length += part.value.length;
    if (length > MAX_ANSWER_BYTES) {
      await reader?.cancel();
      throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's answer is too long");
    }
    chunks.push(part.value);
  }
  return concatAll(chunks);
}

function unexpected(answer: Response, code = `HTTP ${answer.status}`): StoreError {
  return new StoreError("ERR_LEDGER_ANSWER", `the ledger answered ${code}`);
}
