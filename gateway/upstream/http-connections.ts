/** Connections to servers, kept for a moment. */

import { Deadlines } from "../deadlines.ts";
import { Connection, type ConnectionKind, type Endpoint, endpointOf, KEEP_MS, type Outgoing } from "./connection.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { SiteFetch, SiteRequest } from "./http-client.ts";
import { formatRequestHead } from "./request-head.ts";
import { SentRequest } from "./sent-request.ts";

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
  /** Those that are forgotten, and have a request under way. */
  readonly #ended = new Set<Origin>();

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
    for (const origin of [...this.#origins.values(), ...this.#ended]) origin.cut();
    this.#forget();
  }

  #placeOf(url: string): Place {
    const known = this.#places.get(url);
    if (known !== undefined) return known;
    if (this.#places.size >= MAX_URLS) this.#endAll();
    const parsed = new URL(url);
    const { protocol, host, pathname, search } = parsed;
    if (protocol !== this.#kind.protocol) throw new TypeError(`want a URL of ${this.#kind.protocol}, got ${protocol}`);
    const origin = this.#origins.get(host) ?? new Origin(host, endpointOf(parsed), this.#kind);
    this.#origins.set(host, origin);
    const place = { origin, path: pathname + search };
    this.#places.set(url, place);
    return place;
  }

  #endAll(): void {
    for (const origin of this.#origins.values()) {
      this.#ended.add(origin);
      origin.end(() => this.#ended.delete(origin));
    }
    this.#forget();
  }

  #forget(): void {
    this.#places.clear();
    this.#origins.clear();
  }
}

/** The connections to one origin; the one that was used last is used next. */
class Origin {
  readonly #host: string;
  readonly #endpoint: Endpoint;
  readonly #kind: ConnectionKind;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  readonly #idle = new Deadlines(KEEP_MS);
  #state: "open" | "ended" | "cut" = "open";
  /** Requests that wait for their turn on a kept connection. */
  #waiting = 0;
  #onQuiet: (() => void) | undefined;

  /** @param host  as requests name it */
  constructor(host: string, endpoint: Endpoint, kind: ConnectionKind) {
    this.#host = host;
    this.#endpoint = endpoint;
    this.#kind = kind;
  }

  send(
    path: string,
    request: SiteRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: Error) => void,
  ): void {
    const head = formatRequestHead(this.#host, path, request);
    const sent = new SentRequest(request.signal, { resolve, reject });
    const outgoing = { head, body: request.body, sent };
    const kept = this.#takeFree();
    if (kept === undefined) this.#open(outgoing);
    else {
      sent.goBy(kept);
      this.#waiting += 1;
      // What its server has said unasked, or that it has left, is read first: no stray bytes answer a request.
      setImmediate(() => this.#begin(kept, outgoing));
    }
  }

  /** Keeps no connection any more; requests under way are answered. @param onQuiet  called once when none is left */
  end(onQuiet: () => void): void {
    this.#state = "ended";
    for (const connection of this.#free.splice(0)) connection.cut();
    this.#onQuiet = onQuiet;
    this.#tellIfQuiet();
  }

  cut(): void {
    this.#state = "cut";
    for (const connection of [...this.#all]) connection.cut();
  }

  #takeFree(): Connection | undefined {
    for (let kept = this.#free.pop(); kept !== undefined; kept = this.#free.pop()) {
      this.#idle.stop(kept.onIdle);
      if (kept.isUsable) return kept;
      kept.cut();
    }
    return undefined;
  }

  #begin(kept: Connection, outgoing: Outgoing): void {
    this.#sendBy(kept, outgoing);
    this.#waiting -= 1;
    this.#tellIfQuiet();
  }

  #sendBy(kept: Connection, outgoing: Outgoing): void {
    if (outgoing.sent.isOver) return;
    if (kept.isUsable) {
      kept.begin(outgoing);
      return;
    }
    kept.cut();
    if (this.#state === "cut") outgoing.sent.onError(new Error("the connections were cut"));
    else this.#open(outgoing);
  }

  #open(outgoing: Outgoing): void {
    const owner = {
      onFree: (connection: Connection) => this.#keep(connection),
      onEnded: (connection: Connection) => this.#forget(connection),
    };
    this.#all.add(new Connection(this.#kind, this.#endpoint, owner, outgoing));
  }

  #keep(connection: Connection): void {
    if (this.#state !== "open") {
      connection.cut();
      return;
    }
    this.#free.push(connection);
    this.#idle.start(connection.onIdle);
  }

  #forget(connection: Connection): void {
    this.#idle.stop(connection.onIdle);
    this.#all.delete(connection);
    const index = this.#free.indexOf(connection);
    if (index !== -1) this.#free.splice(index, 1);
    this.#tellIfQuiet();
  }

  #tellIfQuiet(): void {
    if (this.#all.size === 0 && this.#waiting === 0) this.#onQuiet?.();
  }
}
