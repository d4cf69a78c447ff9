/** One connection to a server, with one request at a time. What comes while none is under way ends it. */

import type { OnReadOpts, Socket } from "node:net";
import { type AnswerHead, AnswerParser, MAX_PUSHED_BYTES } from "./answer-parser.ts";
import type { SentRequest } from "./sent-request.ts";

/** Where a connection leads. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where a URL leads. */
export function endpointOf({ protocol, hostname, port }: URL): Endpoint {
  const host = hostname.replace(/^\[|\]$/gu, "");
  if (port !== "") return { host, port: Number(port) };
  return { host, port: protocol === "https:" ? 443 : 80 };
}

/** How connections are made. */
export interface ConnectionKind {
  /** The only scheme of URLs that are asked. */
  readonly protocol: "http:" | "https:";
  /** @param endpoint  what is received goes where `onread` says */
  readonly open: (endpoint: Endpoint & { readonly onread: OnReadOpts }) => Socket;
  /** The socket's event after which a request may be sent. */
  readonly ready: "connect" | "secureConnect";
}

/** What goes over it. */
export interface Outgoing {
  readonly head: string;
  readonly body: Uint8Array | undefined;
  readonly sent: SentRequest;
}

/** Who has it. */
export interface ConnectionOwner {
  /** An answer came whole: another request may follow. */
  readonly onFree: (connection: Connection) => void;
  readonly onEnded: (connection: Connection) => void;
}

/** Shorter than servers keep a connection (5 seconds are common): one that they end must not take a request with it. */
export const KEEP_MS = 4_000;
/** A server that says how long it keeps one is left earlier by so much. */
const KEEP_MARGIN_MS = 1_000;
const CONNECT_MS = 10_000;
/** A listening stream has no limit of silence: that its server's machine is gone is noticed by asking that machine's system. */
const ALIVE_MS = 30_000;
/** A body up to this goes out in one piece with its head. */
const SHORT_BODY = 16_384;
const HINT = /timeout=(\d+)/u;

/**
 * What is received, of every connection: it is read in the turn in which it comes. A socket with a memory of its own for each
 * reading takes 64 KiB for it, and hands them through a stream.
 */
const RECEIVED = Buffer.allocUnsafeSlow(MAX_PUSHED_BYTES);

/** Made for its first request. */
export class Connection {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser: AnswerParser;
  /** What goes out when it is open. */
  #first: Outgoing | undefined;
  #sent: SentRequest | undefined;
  #isOver = false;
  #keepMs = KEEP_MS;
  #keptUntilMs = 0;
  /** Called when nobody has used it for as long as it is kept. */
  readonly onIdle = (): void => this.cut();

  constructor(kind: ConnectionKind, endpoint: Endpoint, owner: ConnectionOwner, first: Outgoing) {
    this.#owner = owner;
    this.#parser = new AnswerParser({
      onBegin: () => this.#sent !== undefined,
      onHead: (head) => this.#takeHead(head),
      onBody: (chunk) => this.#takeBody(chunk),
      onEnd: () => this.#takeEnd(),
    });
    const onread = { buffer: RECEIVED, callback: (length: number) => this.#receive(length) };
    this.#socket = kind.open({ ...endpoint, onread });
    this.#first = first;
    first.sent.goBy(this);
    this.#open(kind);
  }

  /** True if a request may be begun: nothing is under way, and nothing says that the server has left. */
  get isUsable(): boolean {
    // Whoever made the socket may have destroyed it.
    return !this.#isOver && !this.#socket.destroyed && performance.now() < this.#keptUntilMs;
  }

  /** Sends a request. Nothing else is under way. */
  begin({ head, body, sent }: Outgoing): void {
    this.#sent = sent;
    const socket = this.#socket;
    socket.ref();
    if (body === undefined || body.length === 0) socket.write(head, "latin1");
    else if (body.length <= SHORT_BODY) socket.write(inOnePiece(head, body));
    else {
      socket.cork();
      socket.write(head, "latin1");
      socket.write(body);
      socket.uncork();
    }
  }

  /** Cuts it, also while it is being made; what is under way on it is lost. */
  cut(): void {
    this.#end(new Error("the connection was cut"));
  }

  #open({ ready }: ConnectionKind): void {
    const socket = this.#socket;
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error("no connection"), { code: "ERR_CONNECT_TIMEOUT" }));
    }, CONNECT_MS);
    socket.once(ready, () => {
      clearTimeout(timer);
      // Not before: of a socket that is being made the time is forgotten.
      socket.setKeepAlive(true, ALIVE_MS);
      const first = this.#first;
      this.#first = undefined;
      if (first !== undefined) this.begin(first);
    });
    // Behind the opening a code of the system says nothing of what became of a request: it must not be taken for "never sent".
    socket.on("error", (error) => this.#end(this.#first === undefined ? new Error("the connection broke") : error));
    socket.once("end", () => this.#finish());
    socket.once("close", () => {
      clearTimeout(timer);
      this.#end(new Error("the connection was closed"));
      this.#parser.free();
    });
  }

  /** @returns true: more is read at once */
  #receive(length: number): boolean {
    if (!this.#parser.push(RECEIVED.subarray(0, length))) this.#end(new Error("no answer that can be taken"));
    return true;
  }

  /** The server sends nothing any more. */
  #finish(): void {
    this.#parser.finish();
    this.#end(new Error("the server has ended the connection"));
  }

  #takeHead({ status, isKept, valuesOf }: AnswerHead): boolean {
    const [hint] = valuesOf("keep-alive");
    const seconds = hint === undefined ? undefined : HINT.exec(hint)?.[1];
    if (!isKept) this.#keepMs = 0;
    else this.#keepMs = seconds === undefined ? KEEP_MS : Math.min(Number(seconds) * 1000 - KEEP_MARGIN_MS, KEEP_MS);
    this.#sent?.onHead(status, valuesOf);
    return this.#sent !== undefined;
  }

  #takeBody(chunk: Uint8Array): boolean {
    this.#sent?.onBody(chunk);
    return this.#sent !== undefined;
  }

  #takeEnd(): boolean {
    const sent = this.#sent;
    this.#sent = undefined;
    if (sent === undefined) return false;
    sent.onEnd();
    if (this.#isOver) return false;
    // A server that answers what it does not read would have all others wait behind it.
    if (this.#keepMs <= 0 || this.#socket.writableLength > 0) {
      this.cut();
      return false;
    }
    this.#keptUntilMs = performance.now() + this.#keepMs;
    // It keeps the process no longer than requests do.
    this.#socket.unref();
    this.#owner.onFree(this);
    return true;
  }

  /** No request may be begun any more; one that is under way has come to nothing. */
  #end(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const sent = this.#sent ?? this.#first?.sent;
    this.#sent = undefined;
    this.#first = undefined;
    sent?.onError(error);
    this.#owner.onEnded(this);
    this.#socket.destroy();
  }
}

function inOnePiece(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, "latin1");
  bytes.set(body, head.length);
  return bytes;
}
