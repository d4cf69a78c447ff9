/**
 * The answer to one HTTP request: JSON, or an event stream from the first notification on. Nothing of a server's own
 * headers reaches the agent.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Cancellation } from "../upstream/cancellation.ts";
import { type AgentAnswer, formatReceiptRef } from "./agent-request.ts";
import { type EventSink, type EventStream, formatEvent, type SessionStreams } from "./event-stream.ts";
import type { OpenAnswers } from "./open-answers.ts";

/** Notifications are dropped, not queued, for an agent that does not read them. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Longest time of a timer; no session is as old. */
const MAX_FOLLOW_MS = 2_147_483_647;
/** What an agent is asked to wait before it takes a stream up again. */
const RETRY_MS = 1_000;
const NO_STORE = "no-store";

/** What answers have in common. */
export interface ReplyDeps {
  readonly limits: { readonly keepAliveMs: number };
  readonly isClosing: () => boolean;
  readonly answers: Pick<OpenAnswers, "begin" | "end">;
}

/** Writes one answer. */
export class HttpReply {
  readonly #response: ServerResponse<IncomingMessage>;
  readonly #deps: ReplyDeps;
  /** Calls that end with the connection. */
  #calls: Cancellation[] | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #kept: { readonly streams: SessionStreams; readonly revision: string } | undefined;
  #stream: EventStream | undefined;
  #onWritten: (() => void) | undefined;
  #isAnswered = false;

  constructor(response: ServerResponse<IncomingMessage>, deps: ReplyDeps) {
    this.#response = response;
    this.#deps = deps;
    deps.answers.begin();
    response.on("close", () => this.#closed());
    response.on("error", ignore);
  }

  /** True behind the answer, of which there is one. */
  get isAnswered(): boolean {
    return this.#isAnswered || this.#response.writableEnded;
  }

  /** From now on events have ids and are kept in a session: an agent whose connection breaks may go on. */
  keepIn(streams: SessionStreams, revision: string): void {
    this.#kept = { streams, revision };
  }

  /** Aborts a call that is not over when the connection ends. */
  cancelOnClose(call: Cancellation): void {
    this.#calls ??= [];
    this.#calls.push(call);
  }

  /** Answers a GET: everything of this stream behind `after`, and what follows within `forMs`; undefined: for as long as it is open. */
  follow(stream: EventStream, after: number | undefined, forMs?: number): void {
    this.#writeHead();
    this.#response.flushHeaders();
    this.#attach(stream, after);
    if (forMs === undefined) return;
    const over = setTimeout(() => this.#end(), Math.max(0, Math.min(MAX_FOLLOW_MS, forMs)));
    this.#response.once("close", () => clearTimeout(over));
  }

  /** Sends a notification; the reply is an event stream from now on. */
  readonly notify = (notification: Uint8Array): void => {
    const response = this.#response;
    if (this.#stream === undefined && (response.destroyed || response.writableLength > MAX_WAITING_BYTES)) return;
    if (!response.headersSent) this.#openStream();
    const stream = this.#stream;
    if (stream === undefined) response.write(formatEvent(notification));
    else stream.push(notification);
  };

  /** Calls back once when the answer that is sent next has left the process, or its connection has ended. */
  readonly untilWritten = (done: () => void): void => {
    this.#onWritten = done;
  };

  send(answer: AgentAnswer): void {
    this.#sendNow(answer);
    this.#isAnswered = true;
    const { destroyed, socket } = this.#response;
    const done = this.#onWritten;
    this.#onWritten = undefined;
    if (done === undefined) return;
    // What a session keeps for its agent is bounded by itself.
    const isWritten = this.#stream !== undefined || destroyed || socket === null || socket.writableLength === 0;
    if (isWritten) done();
    else this.#response.once("close", done);
  }

  #sendNow(answer: AgentAnswer): void {
    const response = this.#response;
    if (this.#stream !== undefined) {
      this.#stream.push(answer.bytes);
      this.#stream.end();
      return;
    }
    this.#stopKeepAlive();
    if (response.headersSent) {
      response.end(formatEvent(answer.bytes));
      return;
    }
    response.writeHead(answer.httpStatus, this.#headersOf(answer));
    endWith(response, answer.bytes);
  }

  #headersOf({ bytes, receipt, headers }: AgentAnswer): Record<string, string> {
    const type = "application/json";
    const length = String(bytes.length);
    const named = receipt === undefined ? undefined : formatReceiptRef(receipt);
    const own: Record<string, string> =
      named === undefined
        ? { "Cache-Control": NO_STORE, "Content-Type": type, "Content-Length": length }
        : { "Cache-Control": NO_STORE, "Content-Type": type, "Content-Length": length, "Countersign-Receipt": named };
    return headers === undefined && !this.#isLast() ? own : { ...own, ...headers, ...this.#close() };
  }

  /** An answer without a body. */
  sendEmpty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    const own = { "Cache-Control": NO_STORE, "Content-Length": "0" };
    this.#response.writeHead(status, { ...own, ...headers, ...this.#close() });
    this.#response.end();
  }

  #openStream(): void {
    this.#writeHead();
    if (this.#kept === undefined) return;
    const { streams, revision } = this.#kept;
    const stream = streams.open();
    this.#stream = stream;
    this.#attach(stream, undefined);
    // SPEC MCP 2025-11-25: an event with an id and no data; older clients would take it for a message.
    if (revision >= "2025-11-25") this.#write(`retry: ${RETRY_MS}\nid: ${stream.lastId}\ndata: \n\n`);
  }

  #attach(stream: EventStream, after: number | undefined): void {
    const sink: EventSink = { write: (text) => this.#write(text), end: () => this.#end() };
    this.#response.once("close", () => stream.detach(sink));
    stream.attach(sink, after);
  }

  #writeHead(): void {
    this.#response.writeHead(200, {
      "Cache-Control": NO_STORE,
      ...this.#close(),
      "Content-Type": "text/event-stream",
      "X-Accel-Buffering": "no",
    });
    this.#keepAlive = setInterval(() => this.#write(": keep-alive\n\n"), this.#deps.limits.keepAliveMs);
  }

  /** An agent that does not read loses its connection, not the events: it may ask for them again. */
  #write(text: string): void {
    const response = this.#response;
    if (response.destroyed) return;
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
    else response.write(text);
  }

  #end(): void {
    this.#stopKeepAlive();
    this.#response.end();
  }

  #stopKeepAlive(): void {
    if (this.#keepAlive !== undefined) clearInterval(this.#keepAlive);
  }

  /** The answer was written, or the agent has gone. */
  #closed(): void {
    this.#deps.answers.end();
    this.#stopKeepAlive();
    for (const call of this.#calls ?? []) call.abort();
  }

  /** True if the connection ends with this answer, which the agent is told: what is left of its body is not read. */
  #isLast(): boolean {
    return this.#deps.isClosing() || !this.#response.req.complete;
  }

  #close(): Record<string, string> {
    return this.#isLast() ? { Connection: "close" } : {};
  }
}

/** Whoever is answered has gone; the connection's end says so, too. */
function ignore(): void {
  // Nothing is to be done.
}

/** An answer of so many bytes is sent as a text of one character each, with the head in one piece. */
const SHORT_BODY = 16_384;

function endWith(response: ServerResponse, bytes: Uint8Array): void {
  if (bytes.length > SHORT_BODY) response.end(bytes);
  else response.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"), "latin1");
}
