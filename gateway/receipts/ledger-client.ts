/**
 * The ledger, as a gateway sees it (docs/ledger.md): registration, segments, the tip of a stream, log proofs. Segments go
 * over one long request if the ledger offers that, and one by one if not. Answers are
 * read strictly and bounded; what is not an answer of the interface is a StoreError that may be tried again.
 */

import { FormatError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type BatchPromise, readBatchPromise } from "../../kernel/promise.ts";
import { isLaterCode } from "../../kernel/service/later-codes.ts";
import { array, json, mapped, readShape, type Shape } from "../../kernel/shape.ts";
import {
  type LedgerEndpoint,
  type LedgerReply,
  LedgerRequests,
  MAX_ANSWER_BYTES,
  REQUEST_LIMIT_MS,
} from "./ledger-requests.ts";
import { LedgerStream } from "./ledger-stream.ts";

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
  /** `successor`: origin of the log that goes on, if this one has ended and names it. */
  | { readonly type: "refused"; readonly code: string; readonly successor?: string }
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
  /** Ends the long request, if one is open. */
  readonly close: () => void;
}

/** Where the ledger is, and with what it is called. */
export interface LedgerClientOptions extends LedgerEndpoint {
  readonly submitToken: string;
  /** Whether segments ask for promises. Default false. */
  readonly asksPromises?: boolean;
}

const RETRY_MS = 1_000;
const promisesShape: Shape<readonly BatchPromise[]> = array(mapped(json(), readBatchPromise), { max: 1024 });

/** Makes the client. */
export function makeLedgerClient(options: LedgerClientOptions): LedgerClient {
  const requests = new LedgerRequests(options);
  const token = { authorization: `Bearer ${options.submitToken}` };
  const segments = new SegmentSender(requests, token, options.asksPromises === true ? "?promise=1" : "");
  return {
    close: () => segments.close(),
    submit: (segment) => segments.submit(segment),
    tip: async (stream) => {
      const reply = await requests.ask(`/streams/${stream}`, { headers: token });
      if (reply.status === 404) return undefined;
      const body = bodyOf(reply);
      if (!reply.ok) throw unexpected(reply, codeOf(body, reply));
      return readTip(body);
    },
    register: async (registration) => {
      const headers = { ...token, "content-type": "application/json" };
      const reply = await requests.ask("/register", { method: "POST", headers, body: registration });
      if (!reply.ok) throw unexpected(reply, codeOf(bodyOf(reply), reply));
    },
    tile: async (path) => {
      const reply = await requests.ask(`/${path}`);
      if (!reply.ok) throw unexpected(reply);
      return reply.bytes;
    },
    logProof: async (leaf, waitMs) => {
      const path = `/log-proof?leaf=${leaf}&wait_ms=${waitMs}`;
      const reply = await requests.ask(path, {}, waitMs + REQUEST_LIMIT_MS);
      return reply.ok && reply.headers.get("countersign-proof-state") === "cosigned" ? textOf(reply) : undefined;
    },
  };
}

/** Sends segments in the way that the ledger offers. */
class SegmentSender {
  readonly #requests: LedgerRequests;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #query: string;
  readonly #stream: LedgerStream;
  #offersStream: boolean | undefined;

  constructor(requests: LedgerRequests, token: Readonly<Record<string, string>>, query: string) {
    this.#requests = requests;
    this.#query = query;
    const headers = { ...token, "content-type": "application/x-ndjson" };
    this.#headers = headers;
    this.#stream = new LedgerStream(
      (body, signal) => requests.open(`/stream${query}`, { method: "POST", headers, body, duplex: "half", signal }),
      REQUEST_LIMIT_MS,
    );
  }

  async submit(segment: Uint8Array): Promise<Submitted> {
    this.#offersStream ??= await this.#askForStream();
    if (!this.#offersStream) return this.#post(segment);
    const came = await this.#stream.submit(segment);
    if (came.type === "line") return readLine(came.line);
    if (came.answer === undefined) throw new StoreError("ERR_LEDGER_ANSWER", "the ledger ended the stream");
    // Not offered any more, not to us, or not now: the plain request says more.
    this.#offersStream =
      came.answer.status === 401 || came.answer.status === 429 || came.answer.status >= 500 ? undefined : false;
    return this.#post(segment);
  }

  close(): void {
    this.#stream.close();
  }

  async #post(segment: Uint8Array): Promise<Submitted> {
    const init = { method: "POST", headers: this.#headers, body: segment };
    return readSubmitted(await this.#requests.ask(`/segments${this.#query}`, init));
  }

  async #askForStream(): Promise<boolean> {
    const { submission } = bodyOf(await this.#requests.ask("/metadata"));
    return Array.isArray(submission) && submission.includes("stream");
  }
}

function readSubmitted(answer: LedgerReply): Submitted {
  const body = bodyOf(answer);
  if (answer.ok) return { type: "admitted", ...readPlace(body) };
  // A token is mended by the ledger's operator; the receipts are as good as before.
  const isPassing = answer.status === 401 || answer.status === 429 || answer.status >= 500;
  if (isPassing) return { type: "later", afterMs: retryAfterMs(answer) };
  const error = memberObject(body, "error");
  const code = codeOf(body, answer);
  if (answer.status !== 409 || code !== "ERR_STREAM_GAP") return refusedWith(code, error);
  return { type: "gap", tip: readTip(memberObject(error, "tip")) };
}

/** As `readSubmitted`, of a line of the stream. */
function readLine(line: JsonObject): Submitted {
  if (line["error"] === undefined) return { type: "admitted", ...readPlace(line) };
  const error = memberObject(line, "error");
  const code = textOfCode(error) ?? "ERR_LEDGER_ANSWER";
  if (isLaterCode(code)) return { type: "later", afterMs: secondsToMs(Number(error["retry_after_seconds"] ?? "")) };
  return code === "ERR_STREAM_GAP"
    ? { type: "gap", tip: readTip(memberObject(error, "tip")) }
    : refusedWith(code, error);
}

function refusedWith(code: string, error: JsonObject): Submitted {
  const { origin } = memberObject(error, "successor");
  const isOrigin = typeof origin === "string" && /^[!-*,-~]{1,255}$/u.test(origin);
  return isOrigin ? { type: "refused", code, successor: origin } : { type: "refused", code };
}

/** The code of an error answer; only what looks like one enters messages and logs. */
function codeOf(body: JsonObject, answer: LedgerReply): string {
  return textOfCode(memberObject(body, "error")) ?? `HTTP ${answer.status}`;
}

function textOfCode({ code }: JsonObject): string | undefined {
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{0,63}$/u.test(code) ? code : undefined;
}

function readPlace(body: JsonObject): Omit<Extract<Submitted, { readonly type: "admitted" }>, "type"> {
  const { first_index: first } = body;
  const index = typeof first === "string" || typeof first === "number" ? String(first) : "";
  if (!/^(?:0|[1-9]\d*)$/u.test(index)) {
    throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's acknowledgement has no first_index");
  }
  const promises = readPromises(body["promises"] ?? []);
  return { firstIndex: BigInt(index), tip: readTip(memberObject(body, "tip")), promises };
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

function retryAfterMs(answer: LedgerReply): number {
  return secondsToMs(Number(answer.headers.get("retry-after") ?? ""));
}

function secondsToMs(seconds: number): number {
  return Number.isInteger(seconds) && seconds > 0 && seconds <= 60 ? seconds * 1000 : RETRY_MS;
}

function readTip(body: JsonObject): LedgerTip {
  const { next_seq: nextSeq, last } = body;
  if (typeof nextSeq !== "number" || !Number.isSafeInteger(nextSeq) || nextSeq < 0) {
    throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's tip has no next_seq");
  }
  return { nextSeq, last: typeof last === "string" ? last : undefined };
}

function bodyOf(reply: LedgerReply): JsonObject {
  try {
    const value = parseJson(textOf(reply), { maxBytes: MAX_ANSWER_BYTES });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

function textOf({ bytes }: LedgerReply): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

function unexpected(answer: LedgerReply, code = `HTTP ${answer.status}`): StoreError {
  return new StoreError("ERR_LEDGER_ANSWER", `the ledger answered ${code}`);
}
