/**
 * The shortest way of `POST /add`: connections on which nothing but plain additions come are served without the HTTP server,
 * whose share of such a request is larger than the log's. A lane takes a request only if it came as one whole piece of a
 * narrow grammar; at anything else, refusals included, the connection goes over to the HTTP server with every byte that was
 * not answered, and stays there. So nothing that two readers could understand in two ways is understood here.
 */

import type { Server } from "node:http";
import type { Socket } from "node:net";
import { invariant } from "../../kernel/errors.ts";
import type { AddFastPath } from "./add-fast-path.ts";
import { type AddHead, parseAddHead } from "./add-head.ts";

/** Time without a request after which a lane is closed. */
const IDLE_MS = 72_000;
const KEEP_ALIVE = `connection: keep-alive\r\nkeep-alive: timeout=${IDLE_MS / 1000}`;

/** A lane's last head: the next request with the same bytes in front needs no reading. */
interface KnownHead extends AddHead {
  readonly bytes: Uint8Array;
  readonly path: AddFastPath;
}

/** The lanes of a server. */
export class AddLanes {
  readonly #paths: ReadonlyMap<string, AddFastPath>;
  readonly #nowMs: () => number;
  readonly #lanes = new Set<Lane>();
  #date = { second: 0, text: "" };

  /** @param paths  where additions are taken, with distinct addresses */
  constructor(paths: readonly AddFastPath[], nowMs: () => number) {
    this.#paths = new Map(paths.map((path) => [path.url, path]));
    this.#nowMs = nowMs;
  }

  /** Takes the server's new connections from now on; call it before the server listens. */
  attach(server: Server): void {
    const ordinary = server.listeners("connection");
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      const lane = new Lane(socket, this, () => {
        this.#lanes.delete(lane);
        for (const listener of ordinary) Reflect.apply(listener, server, [socket]);
      });
      this.#lanes.add(lane);
      socket.once("close", () => this.#lanes.delete(lane));
    });
  }

  /** At a stop: lanes without a request are closed, the others once it is answered. */
  close(): void {
    for (const lane of this.#lanes) lane.finish();
  }

  /** Ends what is still open: who does not read its answer does not hold up a stop. */
  cut(): void {
    for (const lane of this.#lanes) lane.cut();
  }

  /** Head of an answer of `length` bytes of text. */
  answerHead(length: number): string {
    const second = Math.floor(this.#nowMs() / 1000);
    if (second !== this.#date.second) this.#date = { second, text: new Date(second * 1000).toUTCString() };
    const type = "content-type: text/plain; charset=utf-8";
    return `HTTP/1.1 200 OK\r\n${type}\r\ncontent-length: ${length}\r\ndate: ${this.#date.text}\r\n${KEEP_ALIVE}\r\n\r\n`;
  }

  /** The head that `chunk` begins with, if it is one of a plain addition and the chunk is exactly the whole request. */
  read(chunk: Uint8Array, socket: Socket): KnownHead | undefined {
    const head = parseAddHead(chunk);
    const path = head === undefined ? undefined : this.#paths.get(head.url);
    if (head === undefined || path === undefined || chunk.length !== head.headBytes + head.bodyBytes) return undefined;
    if (!path.isAllowed({ socket, headers: head.headers })) return undefined;
    return { ...head, path, bytes: chunk.slice(0, head.headBytes) };
  }
}

/** One connection, one request in work at a time. */
class Lane {
  readonly #socket: Socket;
  readonly #lanes: AddLanes;
  readonly #leave: () => void;
  #known: KnownHead | undefined;
  /** The request that is in work. */
  #current: Buffer | undefined;
  /** What came behind it: at most what the system gave in one piece, since no more is read. */
  #behind: Buffer | undefined;
  #isEnding = false;

  constructor(socket: Socket, lanes: AddLanes, leave: () => void) {
    [this.#socket, this.#lanes, this.#leave] = [socket, lanes, leave];
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", ignore);
    socket.setTimeout(IDLE_MS, this.#onIdle);
  }

  /** Takes no further request. */
  finish(): void {
    this.#isEnding = true;
    if (this.#current === undefined) this.#socket.destroySoon();
  }

  /** Ends it as it is. */
  cut(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#current === undefined) {
      this.#take(chunk);
      return;
    }
    // Sent before it was answered: it waits, and the sender with it.
    this.#behind = this.#behind === undefined ? chunk : Buffer.concat([this.#behind, chunk]);
    this.#socket.pause();
  };

  readonly #onEnd = (): void => this.finish();

  readonly #onIdle = (): void => {
    if (this.#current === undefined) this.#socket.destroy();
  };

  #take(chunk: Buffer): void {
    const head = this.#isKnown(chunk) ? this.#known : this.#lanes.read(chunk, this.#socket);
    if (head === undefined || !head.path.isOpen()) {
      this.#handOver(chunk);
      return;
    }
    this.#known = head;
    this.#current = chunk;
    head.path.append(chunk.subarray(head.headBytes)).then(
      (index) => this.#answer(head.path, index),
      () => this.#refuse(),
    );
  }

  #isKnown(chunk: Buffer): boolean {
    const known = this.#known;
    if (known === undefined || chunk.length !== known.headBytes + known.bodyBytes) return false;
    return chunk.compare(known.bytes, 0, known.headBytes, 0, known.headBytes) === 0;
  }

  #answer(path: AddFastPath, index: bigint): void {
    const text = index.toString();
    path.onAnswer(200);
    const hasRoom = this.#socket.write(this.#lanes.answerHead(text.length) + text, "latin1");
    this.#current = undefined;
    if (this.#isEnding) this.#socket.destroySoon();
    else if (hasRoom) this.#next();
    else this.#waitForReader();
  }

  /** Nothing more is read from who does not read: answers would fill the memory. */
  #waitForReader(): void {
    this.#socket.pause();
    this.#socket.once("drain", () => this.#next());
  }

  #next(): void {
    const chunk = this.#behind;
    this.#behind = undefined;
    if (chunk !== undefined) this.#take(chunk);
    if (this.#behind === undefined && this.#socket.isPaused()) this.#socket.resume();
  }

  /** The ordinary way appends the same bytes again, which changes nothing, and refuses for the same reason. */
  #refuse(): void {
    const chunk = this.#current;
    invariant(chunk !== undefined, "a request was refused that is not in work");
    this.#current = undefined;
    this.#handOver(this.#behind === undefined ? chunk : Buffer.concat([chunk, this.#behind]));
  }

  #handOver(chunk: Buffer): void {
    const socket = this.#socket;
    // Whoever has ended while its request was in work, and is refused, asks again.
    if (socket.readableEnded) socket.destroy();
    if (socket.destroyed) return;
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("timeout", this.#onIdle);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(chunk);
    this.#leave();
    process.nextTick(() => socket.resume());
  }
}

function ignore(): void {
  // The socket closes itself; what was in work is answered to nobody.
}
