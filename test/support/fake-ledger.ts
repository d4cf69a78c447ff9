/**
 * A ledger in the test's process: the routes that a gateway's outbox uses, over a real tree, with real proofs, and with
 * faults on demand. It admits by continuity alone; what signatures are worth is the business of the real one.
 */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { parseBase64 } from "../../kernel/base64.ts";
import { concat, equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { formatLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { type Alg, kidOf } from "../../kernel/signature/public-key.ts";
import { parseTilePath } from "../../kernel/tile/path.ts";
import { checkpointText, witnessedNote, witnesses } from "./log-keys.ts";
import { GrowingTree } from "./memory-tree.ts";

/** The bearer token that the fake takes. */
export const SUBMIT_TOKEN: string = "t".repeat(40);

/** A request that the fake answered, in order. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
  readonly authorization: string | undefined;
}

/** What happens to one request instead of a plain answer. */
export interface Fault {
  /** Which request: the start of its path. */
  readonly path: string;
  /** Answer this; without it the connection is cut. */
  readonly answer?: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: object;
  };
  /** True: the request takes effect before its answer is lost or replaced. */
  readonly applied?: boolean;
}

/** The tip of a stream as the ledger knows it. */
export interface StreamTip {
  readonly next_seq: number;
  /** Absent for a stream without receipts. */
  readonly last?: string;
}

/** The running fake. */
export interface FakeLedger {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** Each log entry in order; index 0 stands for the genesis. */
  readonly entries: readonly Uint8Array[];
  /** Receipts of one stream by seq. */
  readonly receiptsOf: (stream: string) => readonly Uint8Array[];
  readonly registered: () => readonly string[];
  /** The next matching request meets this fault; faults queue up. */
  readonly fail: (fault: Fault) => void;
  /** From now on log proofs are not witnessed (404 until `witness` is called). */
  readonly holdProofs: () => void;
  readonly releaseProofs: () => void;
  /** The next entry of the log is somebody else's. */
  readonly admitOther: (entry: Uint8Array) => void;
  /** Replaces the stream's receipts, as a restored backup or another history would. */
  readonly rewriteStream: (stream: string, receipts: readonly Uint8Array[]) => void;
  /** From now on proofs are signed over another tree. */
  readonly lieInProofs: () => void;
  readonly close: () => Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: object | string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the fake is. */
export interface FakeLedgerOptions {
  /** True: segments may come over one long request, as the real one takes them; no faults happen to that. Default false. */
  readonly offersStream?: boolean;
}

/** Starts the fake on a free port of the loopback. */
export async function startFakeLedger({ offersStream = false }: FakeLedgerOptions = {}): Promise<FakeLedger> {
  const ledger = new Ledger();
  const requests: SeenRequest[] = [];
  const faults: Fault[] = [];
  const server = createServer((request, response) => {
    if (offersStream && request.url === "/metadata") {
      send(response, { status: 200, body: { submission: ["segment", "stream"] } });
      return;
    }
    if (offersStream && request.url?.split("?")[0] === "/stream") {
      // A gateway that goes away cuts it.
      ledger.serveStream(request, response).catch(() => response.destroy());
      return;
    }
    void (async () => {
      // A gateway that goes away cuts its request.
      const body = await readBody(request).catch(() => undefined);
      if (body === undefined) return;
      const path = request.url ?? "/";
      requests.push({ method: request.method ?? "", path, body, authorization: request.headers.authorization });
      const index = faults.findIndex((fault) => path.startsWith(fault.path));
      const fault = index < 0 ? undefined : faults.splice(index, 1)[0];
      const isApplied = fault === undefined || fault.applied === true;
      const answer = isApplied
        ? await ledger.answer(request.method ?? "", path, body, request.headers.authorization)
        : undefined;
      if (fault !== undefined && fault.answer === undefined) request.socket.destroy();
      else send(response, fault?.answer === undefined ? answer : { body: {}, ...fault.answer });
    })();
  });
  const url = await listen(server);
  return {
    url,
    requests,
    entries: ledger.entries,
    receiptsOf: (stream) => ledger.streams.get(stream) ?? [],
    registered: () => [...ledger.streams.keys()],
    fail: (fault) => faults.push(fault),
    holdProofs: () => {
      ledger.isHolding = true;
    },
    releaseProofs: () => {
      ledger.isHolding = false;
    },
    admitOther: (entry) => {
      ledger.entries.push(entry);
    },
    rewriteStream: (stream, receipts) => ledger.streams.set(stream, [...receipts]),
    lieInProofs: () => {
      ledger.lie();
    },
    close: () => closeServer(server),
  };
}

/** State and routes. */
class Ledger {
  readonly entries: Uint8Array[] = [formatUtf8("genesis")];
  readonly streams = new Map<string, Uint8Array[]>();
  private readonly registrations = new Map<string, number>();
  #tree = new GrowingTree();
  #isLying = false;
  isHolding = false;

  async answer(method: string, path: string, body: Uint8Array, authorization: string | undefined): Promise<Answer> {
    const { pathname, searchParams } = new URL(path, "http://fake");
    const isTrusted = authorization === `Bearer ${SUBMIT_TOKEN}`;
    if (method === "POST" && pathname === "/segments")
      return isTrusted ? this.takeSegment(body) : refusal(401, "ERR_TOKEN");
    if (method === "POST" && pathname === "/register")
      return isTrusted ? this.register(body) : refusal(401, "ERR_TOKEN");
    if (pathname.startsWith("/streams/")) {
      return isTrusted ? this.stream(pathname.slice("/streams/".length)) : refusal(401, "ERR_TOKEN");
    }
    if (pathname.startsWith("/log-proof/")) return this.logProof(BigInt(pathname.slice("/log-proof/".length)));
    if (pathname.startsWith("/tile/")) return this.tile(pathname.slice(1));
    if (pathname === "/log-proof") return this.logProofOf(searchParams.get("leaf") ?? "");
    return refusal(404, "ERR_NOT_FOUND");
  }

  private register(body: Uint8Array): Answer {
    const { instance_key: key } = JSON.parse(new TextDecoder().decode(body)) as {
      readonly instance_key: { readonly alg: Alg; readonly key: string };
    };
    const stream = kidOf(key.alg, parseBase64(key.key));
    const known = this.registrations.get(stream);
    const index = known ?? this.entries.push(body) - 1;
    if (known === undefined) {
      this.registrations.set(stream, index);
      this.streams.set(stream, []);
    }
    const leaf_hash = Buffer.from(hashLeaf(body)).toString("hex");
    return { status: known === undefined ? 201 : 200, body: { index, leaf_hash, stream } };
  }

  private takeSegment(body: Uint8Array): Answer {
    const [first, ...receipts] = splitLines(body);
    const {
      stream,
      first_seq: firstSeq,
      count,
    } = JSON.parse(new TextDecoder().decode(first)) as {
      readonly stream: string;
      readonly first_seq: number;
      readonly count: number;
    };
    const known = this.streams.get(stream);
    if (known === undefined) return refusal(403, "ERR_STREAM_UNKNOWN");
    if (receipts.length !== count) return refusal(400, "ERR_SEGMENT");
    if (firstSeq > known.length) return refusal(409, "ERR_STREAM_GAP", { tip: this.tip(stream) });
    const firstIndex = this.entries.length;
    for (const [offset, receipt] of receipts.entries()) {
      const old = known[firstSeq + offset];
      if (old !== undefined && !equalBytes(old, receipt))
        return refusal(409, "ERR_STREAM_FORK", { tip: this.tip(stream) });
      if (old !== undefined) continue;
      known.push(receipt);
      this.entries.push(receipt);
    }
    const index = this.entries.length > firstIndex ? firstIndex : this.indexOf(receipts[0]);
    return { status: 200, body: { first_index: index, count, tip: this.tip(stream) } };
  }

  /** Takes each segment of one long request once it is whole, and answers by a line. */
  async serveStream(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization !== `Bearer ${SUBMIT_TOKEN}`) {
      send(response, refusal(401, "ERR_TOKEN"));
      return;
    }
    response.writeHead(200, { "content-type": "application/x-ndjson" }).flushHeaders();
    const segments = new SegmentReader();
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      for (const segment of segments.take(chunk)) response.write(`${JSON.stringify(this.takeSegment(segment).body)}\n`);
    }
    response.end('{"end":{"reason":"done"}}\n');
  }

  private stream(stream: string): Answer {
    const registered = this.registrations.get(stream);
    if (registered === undefined) return refusal(404, "ERR_STREAM_UNKNOWN");
    return { status: 200, body: { stream, ...this.tip(stream), registered_index: registered, closed: false } };
  }

  private tip(stream: string): StreamTip {
    const receipts = this.streams.get(stream) ?? [];
    const last = receipts.at(-1);
    return {
      next_seq: receipts.length,
      ...(last === undefined ? {} : { last: createHash("sha256").update(last).digest("hex") }),
    };
  }

  private indexOf(entry: Uint8Array | undefined): number {
    return this.entries.findIndex((known) => entry !== undefined && equalBytes(known, entry));
  }

  private async logProofOf(leaf: string): Promise<Answer> {
    // Asked for what it holds, it lies about what that is.
    const index = this.#isLying
      ? this.entries.findIndex((entry) => Buffer.from(hashLeaf(entry)).toString("hex") === leaf)
      : Number(this.#shown().indexOf(leaf) ?? -1);
    return index < 0 ? refusal(404, "ERR_ENTRY_UNKNOWN") : this.logProof(BigInt(index));
  }

  private async tile(path: string): Promise<Answer> {
    const ref = parseTilePath(path);
    if (ref.kind !== "hash") return refusal(401, "ERR_TOKEN");
    const ids = Array.from({ length: ref.width }, (_, i) => ({
      level: ref.level * 8,
      index: ref.index * 256n + BigInt(i),
    }));
    return { status: 200, body: concat(...(await this.#shown().reader.readNodes(ids))) };
  }

  lie(): void {
    this.#isLying = true;
    this.#tree = new GrowingTree();
  }

  /** The tree that proofs and tiles are of: it takes what came since it was asked for last. */
  #shown(): GrowingTree {
    for (const entry of this.entries.slice(Number(this.#tree.size))) {
      this.#tree.append(hashLeaf(this.#isLying ? concat(entry, formatUtf8("!")) : entry));
    }
    return this.#tree;
  }

  private async logProof(index: bigint): Promise<Answer> {
    if (index >= BigInt(this.entries.length) || this.isHolding) return refusal(404, "ERR_ENTRY_UNKNOWN");
    const tree = this.#shown();
    const { size } = tree;
    const checkpoint = witnessedNote(checkpointText(size, tree.root()), witnesses);
    const proof = await proveInclusion(index, size, tree.reader);
    return {
      status: 200,
      body: formatLogProof({ index, proof, checkpoint }),
      headers: { "countersign-proof-state": "cosigned" },
    };
  }
}

function refusal(status: number, code: string, details: object = {}): Answer {
  return { status, body: { error: { code, message: code, ...details } } };
}

/** The lines of an NDJSON body, each without its LF; they are in the body's memory, which is kept with the request. */
function splitLines(body: Uint8Array): readonly Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < body.length; ) {
    const end = body.indexOf(0x0a, start);
    if (end < 0) throw new Error("a last line without LF");
    lines.push(body.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** Cuts a long request into its segments. What comes is looked at once: benchmarks run beside this. */
class SegmentReader {
  /** What has come of the segment that is not whole. */
  #parts: Uint8Array[] = [];
  /** Lines of it that are whole, and how many it has; that stands in its first. */
  #lines = 0;
  #wanted = 1;

  /** @returns the segments that are whole now */
  take(chunk: Uint8Array): readonly Uint8Array[] {
    const segments: Uint8Array[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a) + 1; end > 0; end = chunk.indexOf(0x0a, end) + 1) {
      this.#lines += 1;
      if (this.#lines === 1) this.#wanted = 1 + countOf(concat(...this.#parts, chunk.subarray(start, end)));
      if (this.#lines < this.#wanted) continue;
      segments.push(concat(...this.#parts, chunk.subarray(start, end)));
      [this.#parts, this.#lines, this.#wanted, start] = [[], 0, 1, end];
    }
    if (start < chunk.length) this.#parts.push(chunk.subarray(start));
    return segments;
  }
}

function countOf(firstLine: Uint8Array): number {
  const { count } = JSON.parse(new TextDecoder().decode(firstLine)) as { readonly count: number };
  return count;
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return concat(...chunks);
}

function send(response: ServerResponse, answer: Answer | undefined): void {
  const { status, body, headers = {} } = answer ?? { status: 500, body: {} };
  const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/json";
  response.writeHead(status, {
    "content-type": body instanceof Uint8Array ? "application/octet-stream" : type,
    ...headers,
  });
  response.end(typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body));
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      resolve(`http://127.0.0.1:${address.port}`);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
