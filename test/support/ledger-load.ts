/**
 * The load of the ledger's benchmark, in a process of its own: plain sockets, one request in flight each, as little work
 * a request as possible, so that the measured server has the machine.
 *
 * Takes one job by IPC, answers with its result, and ends.
 */

import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";

/** What to send, and for how long. */
export interface LoadJob {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly milliseconds: number;
  /** One long request a connection, with so many bodies under way; each is answered by a line. Default: a request a body. */
  readonly window?: number;
  /**
   * `random`: unique bodies of this length, the same ones for the same seed, or new ones without. `batch`: bodies in the form of
   * an entry bundle, of so many unique entries. `files`: each connection
   * sends its own prepared bodies, in order; from the one with the number `first` on, and `count` of them, if that is given.
   * `same`: one body again and again.
   */
  readonly bodies:
    | { readonly kind: "random"; readonly bytes: number; readonly seed?: number }
    | { readonly kind: "batch"; readonly entries: number; readonly bytes: number; readonly seed: number }
    | {
        readonly kind: "files";
        readonly paths: readonly string[];
        readonly first?: number;
        readonly count?: number;
      }
    | { readonly kind: "same"; readonly text: string };
}

/** What came of it. */
export interface LoadResult {
  readonly requests: number;
  readonly faults: number;
  readonly milliseconds: number;
  /** Sorted samples of milliseconds from request to answer. */
  readonly latencies: readonly number[];
  /** Processor time that the load itself took, in microseconds: it has it from the machine that the server is measured on. */
  readonly processorUs: number;
  readonly firstFault?: string;
}

process.once("message", (job: LoadJob) => {
  void run(job).then((result) => process.send?.(result, () => process.disconnect()));
});

async function run(job: LoadJob): Promise<LoadResult> {
  const head = requestHead(job);
  const latencies: number[] = [];
  const faults: string[] = [];
  // What is sent is read before the clock runs.
  const sources = Array.from({ length: job.connections }, (_, i) => bodySource(job, i));
  const [started, startedCpu] = [performance.now(), process.cpuUsage()];
  const deadline = started + job.milliseconds;
  const loops = sources.map((source) =>
    job.window === undefined
      ? new Connection(job.port, source, head, deadline, latencies, faults).done
      : new LongConnection({ job, source, window: job.window, latencies, faults }).done,
  );
  await Promise.all(loops);
  const { user, system } = process.cpuUsage(startedCpu);
  return {
    requests: latencies.length,
    faults: faults.length,
    milliseconds: performance.now() - started,
    latencies: latencies.toSorted((a, b) => a - b),
    processorUs: user + system,
    ...(faults[0] === undefined ? {} : { firstFault: faults[0] }),
  };
}

function requestHead({ port, path, headers }: LoadJob): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\nhost: localhost:${port}\r\n${lines.join("")}content-length: `;
}

/** Gives the next body, or undefined when there is none. */
type BodySource = () => Uint8Array | undefined;

function bodySource(job: LoadJob, connection: number): BodySource {
  const { bodies } = job;
  if (bodies.kind === "random") {
    const body = bodies.seed === undefined ? randomBytes(bodies.bytes) : seededBytes(bodies, connection);
    let counter = 0;
    return () => {
      body.writeUInt32LE(counter, 0);
      body.writeUInt32LE(connection, 4);
      counter += 1;
      return body;
    };
  }
  if (bodies.kind === "batch") return batches(bodies, connection);
  if (bodies.kind === "same") {
    const body = Buffer.from(bodies.text);
    return () => body;
  }
  const path = bodies.paths[connection];
  if (path === undefined) return () => undefined;
  const { first = 0, count = Number.POSITIVE_INFINITY } = bodies;
  return someOf(preparedBodies(readFileSync(path)), first, count);
}

/** `count` bodies of a source behind the first `skipped`. */
function someOf(source: BodySource, skipped: number, count: number): BodySource {
  for (let i = 0; i < skipped; i += 1) source();
  let left = count;
  return () => {
    left -= 1;
    return left < 0 ? undefined : source();
  };
}

/** One body in which each entry gets another number in front each time. */
function batches(
  { entries, bytes, seed }: { readonly entries: number; readonly bytes: number; readonly seed: number },
  connection: number,
): BodySource {
  const body = seededBytes({ bytes: entries * (2 + bytes), seed }, connection);
  for (let i = 0; i < entries; i += 1) body.writeUInt16BE(bytes, i * (2 + bytes));
  let counter = 0;
  return () => {
    for (let i = 0; i < entries; i += 1, counter += 1) {
      body.writeUInt32LE(counter, i * (2 + bytes) + 2);
      body.writeUInt32LE(connection, i * (2 + bytes) + 6);
    }
    return body;
  };
}

function seededBytes({ bytes, seed = 0 }: { readonly bytes: number; readonly seed?: number }, of: number): Buffer {
  return createHash("shake256", { outputLength: bytes }).update(`${seed}/${of}`).digest();
}

/** Bodies of a prepared file: u32 length, bytes, and so on. */
function preparedBodies(file: Buffer): BodySource {
  let at = 0;
  return () => {
    if (at >= file.length) return undefined;
    const length = file.readUInt32BE(at);
    at += 4 + length;
    return file.subarray(at - length, at);
  };
}

/** Bytes of the length and of the end of a request's head. */
const MAX_LENGTH_LINE = 20;

class Connection {
  readonly done: Promise<void>;
  readonly #socket: Socket;
  #received = "";
  #sentAt = 0;

  constructor(port: number, source: BodySource, head: string, deadline: number, latencies: number[], faults: string[]) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.done = new Promise((resolve) => {
      const next = (): void => {
        const body = performance.now() < deadline ? source() : undefined;
        if (body === undefined) return void this.#socket.end();
        // In one piece, and so in one system call.
        const request = Buffer.allocUnsafe(head.length + MAX_LENGTH_LINE + body.length);
        const length = request.write(`${head}${body.length}\r\n\r\n`, "latin1");
        request.set(body, length);
        this.#sentAt = performance.now();
        this.#socket.write(request.subarray(0, length + body.length));
      };
      this.#socket.on("connect", next);
      this.#socket.on("data", (chunk) => {
        this.#received += chunk.toString("latin1");
        if (!isWhole(this.#received)) return;
        if (!isTaken(this.#received)) faults.push(this.#received);
        latencies.push(performance.now() - this.#sentAt);
        this.#received = "";
        next();
      });
      this.#socket.on("error", (error) => faults.push(String(error)));
      this.#socket.on("close", () => resolve());
    });
  }
}

/** What a connection works with. */
interface LongParts {
  readonly job: LoadJob;
  readonly source: BodySource;
  readonly window: number;
  readonly latencies: number[];
  readonly faults: string[];
}

/** Bodies in chunks of one request, all that the window has room for in one; lines of the answer in their order. */
class LongConnection {
  readonly done: Promise<void>;
  readonly #parts: LongParts;
  readonly #socket: Socket;
  /** When the bodies were sent that are not answered. */
  #sentAt: number[] = [];
  #isEnded = false;
  /** The beginning of a line that is not whole. */
  #rest = "";

  constructor(parts: LongParts) {
    const { port, path, headers } = parts.job;
    this.#parts = parts;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join("")}transfer-encoding: chunked\r\n\r\n`;
    this.done = new Promise((resolve) => {
      this.#socket.on("connect", () => {
        this.#socket.write(head);
        this.#fill();
      });
      this.#socket.on("data", (chunk) => this.#take(chunk.toString("latin1")));
      this.#socket.on("error", (error) => parts.faults.push(String(error)));
      this.#socket.on("close", () => resolve());
    });
  }

  #fill(): void {
    if (this.#isEnded) return;
    const bodies: Uint8Array[] = [];
    const now = performance.now();
    for (let room = this.#parts.window - this.#sentAt.length; room > 0 && !this.#isEnded; room -= 1) {
      const body = this.#parts.source();
      if (body === undefined) this.#isEnded = true;
      else bodies.push(body);
    }
    for (const _ of bodies) this.#sentAt.push(now);
    if (bodies.length > 0) this.#socket.write(chunkOf(bodies));
    if (this.#isEnded) this.#socket.write("0\r\n\r\n");
  }

  /** Takes a piece of the answer, whose body may be cut anywhere. */
  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    const now = performance.now();
    let answered = 0;
    for (const line of lines) {
      if (!line.startsWith("{")) continue;
      if (line.startsWith('{"end"')) {
        this.#socket.end();
        continue;
      }
      if (!line.startsWith('{"first_index"')) this.#parts.faults.push(line);
      this.#parts.latencies.push(now - (this.#sentAt[answered] ?? now));
      answered += 1;
    }
    this.#sentAt = this.#sentAt.slice(answered);
    this.#fill();
  }
}

/** One chunk of a request's body. */
function chunkOf(bodies: readonly Uint8Array[]): Buffer {
  const bytes = bodies.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.from(`${bytes.toString(16)}\r\n`), ...bodies, Buffer.from("\r\n")]);
}

/** True once head and body are there, by content-length or by the last chunk. */
function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return false;
  const length = /content-length: (\d+)/i.exec(text)?.[1];
  return length === undefined ? text.endsWith("0\r\n\r\n") : text.length >= end + 4 + Number(length);
}

function isTaken(text: string): boolean {
  return text.startsWith("HTTP/1.1 200 ") || text.startsWith("HTTP/1.1 201 ");
}
