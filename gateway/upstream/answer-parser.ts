/**
 * The answers that come over one connection to a server, taken apart. What HTTP/1.1 does not allow, and what would let two readers
 * see two answers in the same bytes, ends the connection (llhttp.ts).
 */

import { invariant } from "../../kernel/errors.ts";
import { type Llhttp, makeLlhttp, RESPONSE } from "./llhttp.ts";

/** What comes before the body. */
export interface AnswerHead {
  readonly status: number;
  /** True if another request may follow on the connection. */
  readonly isKept: boolean;
  /** Values of a header, in their order. @param name  in lower case */
  readonly valuesOf: (name: string) => readonly string[];
}

/** Told what comes, in order; each says whether the rest is wanted. */
export interface AnswerListener {
  /** False if no answer is waited for. */
  readonly onBegin: () => boolean;
  /** Also of an interim answer (1xx), which has no body and no end. */
  readonly onHead: (head: AnswerHead) => boolean;
  readonly onBody: (chunk: Uint8Array) => boolean;
  readonly onEnd: () => boolean;
}

/** Bytes that are taken at once. */
export const MAX_PUSHED_BYTES = 65_536;
/** Names and values of one head, as many as Node takes. */
const MAX_HEAD_BYTES = 16_384;
/** Interim answers before the one that is meant. A server that says every few seconds that it is at work sends some. */
const MAX_INTERIM_ANSWERS = 64;

/** The one instance, and what its memory holds. */
interface Shared {
  readonly llhttp: Llhttp;
  /** Where bytes are put that are to be read. */
  readonly inputAt: number;
  memory: Buffer;
}

/** Of one connection. */
export class AnswerParser {
  static #one: Shared | undefined;
  /** Whose bytes are read in this moment. */
  static #reading: AnswerParser | undefined;

  readonly #listener: AnswerListener;
  readonly #shared: Shared;
  /** Undefined once it is given back. */
  #at: number | undefined;
  /** Names in lower case, and values, in turn. */
  #fields: string[] = [];
  #headBytes = 0;
  #status = 0;
  #interimAnswers = 0;
  /** What the answer says of its length, and what came. */
  #length: number | undefined;
  #bodyBytes = 0;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
    AnswerParser.#one ??= AnswerParser.#makeShared();
    this.#shared = AnswerParser.#one;
    this.#at = this.#shared.llhttp.llhttp_alloc(RESPONSE);
  }

  /** At most `MAX_PUSHED_BYTES`. @returns false if they are not to be taken, or nobody wants the rest */
  push(bytes: Uint8Array): boolean {
    const shared = this.#shared;
    const { llhttp, inputAt } = shared;
    // A memory that has grown is another one.
    if (shared.memory.length === 0) shared.memory = Buffer.from(llhttp.memory.buffer);
    shared.memory.set(bytes, inputAt);
    return this.#run((at) => llhttp.llhttp_execute(at, inputAt, bytes.length));
  }

  /** The connection has ended: so has an answer that says nothing of its length. @returns false if one is cut off */
  finish(): boolean {
    const { llhttp } = this.#shared;
    return this.#run((at) => llhttp.llhttp_finish(at));
  }

  /** Nothing is read any more. */
  free(): void {
    if (this.#at !== undefined) this.#shared.llhttp.llhttp_free(this.#at);
    this.#at = undefined;
  }

  #run(read: (at: number) => number): boolean {
    if (this.#at === undefined) return false;
    invariant(AnswerParser.#reading === undefined, "AnswerParser: bytes are read inside of a reading");
    AnswerParser.#reading = this;
    try {
      return read(this.#at) === 0;
    } finally {
      AnswerParser.#reading = undefined;
    }
  }

  static #makeShared(): Shared {
    const current = (): AnswerParser => {
      const reading = AnswerParser.#reading;
      invariant(reading !== undefined, "AnswerParser: something is told of no reading");
      return reading;
    };
    const llhttp = makeLlhttp({
      wasm_on_url: () => GO_ON,
      wasm_on_status: () => GO_ON,
      wasm_on_message_begin: () => told(current().#listener.onBegin()),
      wasm_on_header_field: (_, at, length) => told(current().#onName(at, length)),
      wasm_on_header_value: (_, at, length) => told(current().#onValue(at, length)),
      wasm_on_headers_complete: (_, status, upgrade, keepAlive) => current().#onHead(status, upgrade, keepAlive),
      wasm_on_body: (_, at, length) => told(current().#onBody(at, length)),
      wasm_on_message_complete: () => told(current().#onEnd()),
    });
    const inputAt = llhttp.malloc(MAX_PUSHED_BYTES);
    return { llhttp, inputAt, memory: Buffer.from(llhttp.memory.buffer) };
  }

  /** A name may come in pieces, and so may a value. */
  #onName(at: number, length: number): boolean {
    const piece = this.#textAt(at, length).toLowerCase();
    const { length: known } = this.#fields;
    if (known % 2 === 0) this.#fields.push(piece);
    else this.#fields[known - 1] += piece;
    return this.#headBytes < MAX_HEAD_BYTES;
  }

  #onValue(at: number, length: number): boolean {
    const piece = this.#textAt(at, length);
    const { length: known } = this.#fields;
    if (known % 2 === 1) this.#fields.push(piece);
    else this.#fields[known - 1] += piece;
    return this.#headBytes < MAX_HEAD_BYTES;
  }

  #textAt(at: number, length: number): string {
    this.#headBytes += length;
    return this.#shared.memory.toString("latin1", at, at + length);
  }

  #onHead(status: number, upgrade: number, keepAlive: number): number {
    const fields = this.#fields;
    this.#fields = [];
    this.#headBytes = 0;
    this.#status = status;
    this.#bodyBytes = 0;
    const [length] = valuesIn(fields, "content-length");
    this.#length = length === undefined ? undefined : Number(length);
    this.#interimAnswers = status < 200 ? this.#interimAnswers + 1 : 0;
    // Nobody asked for another protocol.
    if (upgrade === 1 || status === 101 || status < 100) return STOP;
    if (this.#interimAnswers > MAX_INTERIM_ANSWERS) return STOP;
    const valuesOf = (name: string): readonly string[] => valuesIn(fields, name);
    // A status that has no body may come with chunks all the same, which would be taken for the next answer.
    const isClear = !BODILESS.has(status) || valuesOf("transfer-encoding").length === 0;
    if (!this.#listener.onHead({ status, isKept: keepAlive === 1 && isClear, valuesOf })) return STOP;
    return status < 200 ? WITHOUT_BODY : GO_ON;
  }

  #onBody(at: number, length: number): boolean {
    this.#bodyBytes += length;
    // Of its own: the memory is the next reading's.
    const chunk = new Uint8Array(length);
    chunk.set(this.#shared.memory.subarray(at, at + length));
    return this.#listener.onBody(chunk);
  }

  #onEnd(): boolean {
    // Trailers say nothing that anybody asked for.
    this.#fields = [];
    this.#headBytes = 0;
    if (this.#status < 200) return true;
    // A status that has no body may come with a length; what follows would be taken for the next answer.
    if (this.#length !== undefined && this.#length !== this.#bodyBytes) return false;
    return this.#listener.onEnd();
  }
}

/** SPEC RFC 9112 §6.3: answers with these end behind their head, whatever it says. */
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

const GO_ON = 0;
const WITHOUT_BODY = 1;
const STOP = -1;

function told(isWanted: boolean): number {
  return isWanted ? GO_ON : STOP;
}

function valuesIn(fields: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1] ?? "");
  return values;
}
