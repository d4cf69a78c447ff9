/**
 * Connections to servers, kept for a moment, each with one request at a time. What goes over them is written and read by undici,
 * which also lets no byte that a server sends unasked on an idle connection answer the next request.
 */

import type { Socket } from "node:net";
import type { buildConnector } from "undici";
import Client from "undici/lib/dispatcher/client.js";
import type { HttpAnswer } from "./http-answer.ts";
import type { SiteFetch, SiteRequest } from "./http-client.ts";
import { SentRequest } from "./sent-request.ts";

/** Where a connection leads. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** How connections are made. */
export interface ConnectionKind {
  /** The only scheme of URLs that are asked. */
  readonly protocol: "http:" | "https:";
  readonly open: (endpoint: Endpoint) => Socket;
  /** The socket's event after which a request may be sent. */
  readonly ready: "connect" | "secureConnect";
}

/** Shorter than servers keep a connection (5 seconds are common): one that they end must not take a request with it. */
const KEEP_MS = 4_000;
/** A server that says how long it keeps one is left earlier by so much. */
const KEEP_MARGIN_MS = 1_000;
const CONNECT_MS = 10_000;
const PORTS = { "http:": 80, "https:": 443 } as const;
/** Servers have few URLs. */
const MAX_URLS = 256;

/** Where a URL leads, read once: each request would read its own again. */
interface Place {
  readonly origin: Origin;
  readonly path: string;
}

/** The connections of one kind. */
export class HttpConnections {
  readonly #kind: ConnectionKind;
  readonly #places = new Map<string, Place>();
  readonly #origins = new Map<string, Origin>();

  constructor(kind: ConnectionKind) {
    this.#kind = kind;
  }

  readonly fetch: SiteFetch = (url, request) =>
    new Promise((resolve, reject) => {
      if (request.signal.aborted) throw new Error("the request was aborted");
      const { origin, path } = this.#placeOf(url);
      origin.send(path, request, resolve, reject);
    });

  /** Cuts all, also those that carry a request. */
  close(): void {
    for (const origin of this.#origins.values()) origin.cut();
    this.#forget();
  }

  #placeOf(url: string): Place {
    const known = this.#places.get(url);
    if (known !== undefined) return known;
    if (this.#places.size >= MAX_URLS) {
      for (const origin of this.#origins.values()) origin.end();
      this.#forget();
    }
    const { protocol, origin: name, pathname, search } = new URL(url);
    if (protocol !== this.#kind.protocol) throw new TypeError(`want a URL of ${this.#kind.protocol}, got ${protocol}`);
    const origin = this.#origins.get(name) ?? new Origin(name, this.#kind);
    this.#origins.set(name, origin);
    const place = { origin, path: pathname + search };
    this.#places.set(url, place);
    return place;
  }

  #forget(): void {
    this.#places.clear();
    this.#origins.clear();
  }
}

/** The connections to one origin; the one that was used last is used next. */
class Origin {
  readonly #name: string;
  readonly #kind: ConnectionKind;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  #isEnded = false;

  constructor(name: string, kind: ConnectionKind) {
    this.#name = name;
    this.#kind = kind;
  }

  send(
    path: string,
    { method, headers, body, signal }: SiteRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: Error) => void,
  ): void {
    const connection = this.#free.pop() ?? this.#make();
    const onOver = (isWhole: boolean): void => {
      if (isWhole && !this.#isEnded && connection.isFree) this.#free.push(connection);
      else this.#drop(connection);
    };
    connection.client.dispatch(
      { path, method, headers, body: body ?? null },
      new SentRequest(signal, { onOver, resolve, reject }),
    );
  }

  /** Keeps no connection any more; requests under way are answered. */
  end(): void {
    this.#isEnded = true;
    for (const connection of this.#free.splice(0)) this.#drop(connection);
  }

  cut(): void {
    this.end();
    for (const connection of this.#all) this.#drop(connection);
  }

  #make(): Connection {
    const connection = new Connection(this.#name, this.#kind, () => {
      const index = this.#free.indexOf(connection);
      if (index === -1) return;
      this.#free.splice(index, 1);
      this.#drop(connection);
    });
    this.#all.add(connection);
    return connection;
  }

  #drop(connection: Connection): void {
    this.#all.delete(connection);
    connection.cut();
  }
}

/** One connection; made for its first request, and anew if it ended before the next one was begun. */
class Connection {
  readonly client: Client;
  readonly #kind: ConnectionKind;
  #opening: Socket | undefined;
  #socket: Socket | undefined;

  /** @param onEnded  told when it ends */
  constructor(origin: string, kind: ConnectionKind, onEnded: () => void) {
    this.#kind = kind;
    this.client = new Client(origin, {
      connect: (place, done) => this.#open(place, done),
      pipelining: 1,
      keepAliveTimeout: KEEP_MS,
      keepAliveMaxTimeout: KEEP_MS,
      keepAliveTimeoutThreshold: KEEP_MARGIN_MS,
      // Who sends has time limits of his own.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.client.on("disconnect", onEnded);
  }

  /** False while a request is still being written: a server that answers what it does not read would have all others wait behind it. */
  get isFree(): boolean {
    return this.#socket?.writableLength === 0;
  }

  /** Cuts it, also while it is being made. */
  cut(): void {
    void this.client.destroy();
    this.#opening?.destroy();
  }

  #open({ hostname, port }: buildConnector.Options, done: buildConnector.Callback): void {
    const { open, ready, protocol } = this.#kind;
    const socket = open({ host: hostname, port: port === "" ? PORTS[protocol] : Number(port) });
    this.#opening = socket;
    const settle = (error: Error | null): void => {
      if (this.#opening !== socket) return;
      this.#opening = undefined;
      clearTimeout(timer);
      if (error === null) {
        hideResets(socket);
        this.#socket = socket;
        done(null, socket);
      } else done(error, null);
    };
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error("no connection"), { code: "ERR_CONNECT_TIMEOUT" }));
    }, CONNECT_MS);
    socket.once(ready, () => settle(null));
    socket.on("error", settle);
    socket.once("close", () => settle(new Error("the connection was closed")));
  }
}

/** undici takes a reset for the end of an answer that has no length; here it is the end of none. */
function hideResets(socket: Socket): void {
  const { destroy } = socket;
  socket.destroy = (error) => {
    const isReset = error !== undefined && "code" in error && error.code === "ECONNRESET";
    return destroy.call(socket, isReset ? new Error("the connection was reset", { cause: error }) : error);
  };
}
