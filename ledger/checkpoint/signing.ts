/**
 * Signs the log's checkpoints, each with two lines under the log's name: Ed25519 over the note (0x01), and ML-DSA-44
 * as the log's own cosigner (0x06). ML-DSA takes some 4 ms, so it runs in a worker thread, never in a turn of the
 * sequencer; in-line signing is for tests and for runtimes with a native ML-DSA.
 */

import { Worker } from "node:worker_threads";
import { makeLogMlDsaSigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { invariant, StoreError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";

/** Makes the signature lines of a checkpoint. */
export interface CheckpointSigner {
  /** 0x01 first, then 0x06. */
  readonly keys: readonly VerifierKey[];
  /** Lines with their LF, in the order of `keys`. */
  readonly sign: (text: string, timestampSeconds: bigint) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** Secrets of a log: two seeds of 32 bytes, under one name. */
export interface LogSeeds {
  readonly origin: string;
  readonly ed25519: Uint8Array;
  readonly mlDsa44: Uint8Array;
}

/** What goes to the worker and comes back. */
export interface SigningRequest {
  readonly id: number;
  readonly text: string;
  readonly timestampSeconds: bigint;
}

/** The worker's answer to the request with the same id. */
export interface SigningReply {
  readonly id: number;
  readonly line?: string;
  readonly fault?: string;
}

/** Signs both lines on the calling thread. */
export function makeInlineSigner(seeds: LogSeeds): CheckpointSigner {
  const note = makeLogSigner(seeds.origin, seeds.ed25519);
  const cosigner = makeLogMlDsaSigner(seeds.origin, seeds.mlDsa44);
  return {
    keys: [note.key, cosigner.key],
    sign: (text, timestampSeconds) => Promise.resolve([note.signLine(text), cosigner.cosign(text, timestampSeconds)]),
    close: () => Promise.resolve(),
  };
}

/** What this side of a worker thread uses of it. */
export interface SigningThread {
  readonly on: Worker["on"];
  readonly unref: () => void;
  readonly postMessage: (request: SigningRequest) => void;
  readonly terminate: () => Promise<unknown>;
}

/**
 * Signs the ML-DSA-44 line in a worker thread; needs the compiled program. Once the thread is gone every signature fails.
 *
 * @param start  makes the thread
 */
export function makeWorkerSigner(
  seeds: LogSeeds,
  start: (seeds: LogSeeds) => SigningThread = startThread,
): CheckpointSigner {
  const note = makeLogSigner(seeds.origin, seeds.ed25519);
  const { key } = makeLogMlDsaSigner(seeds.origin, seeds.mlDsa44);
  const requests = new WorkerRequests(start(seeds));
  return {
    keys: [note.key, key],
    sign: async (text, timestampSeconds) => [note.signLine(text), await requests.ask(text, timestampSeconds)],
    close: () => requests.close(),
  };
}

function startThread({ origin, mlDsa44 }: LogSeeds): SigningThread {
  return new Worker(new URL("./signing-worker.js", import.meta.url), { workerData: { origin, seed: mlDsa44 } });
}

class WorkerRequests {
  readonly #worker: SigningThread;
  readonly #open = new Map<number, { resolve: (line: string) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  /** Why the thread is gone; whoever asks it afterwards would wait for ever. */
  #gone: StoreError | undefined;

  constructor(worker: SigningThread) {
    this.#worker = worker;
    worker.unref();
    worker.on("message", (reply: SigningReply) => this.#settle(reply));
    worker.on("error", (cause) => this.#fail(cause));
    worker.on("exit", () => this.#fail(undefined));
  }

  ask(text: string, timestampSeconds: bigint): Promise<string> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#worker.postMessage({ id, text, timestampSeconds } satisfies SigningRequest);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(reply: SigningReply): void {
    const request = this.#open.get(reply.id);
    invariant(request !== undefined, "the signing worker answered a request that nobody made");
    this.#open.delete(reply.id);
    if (reply.line === undefined) request.reject(fault(reply.fault));
    else request.resolve(reply.line);
  }

  #fail(cause: unknown): void {
    this.#gone ??= fault(cause);
    for (const { reject } of this.#open.values()) reject(this.#gone);
    this.#open.clear();
  }
}

function fault(cause: unknown): StoreError {
  return new StoreError("ERR_SIGNING", "the signing worker failed", { cause, fatal: true });
}
