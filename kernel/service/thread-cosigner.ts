/**
 * A cosigner whose key is in another thread. An ML-DSA-44 signature takes some 4 ms where it is not native: a service must
 * not spend them in a turn of its event loop. Both ends are here; the thread itself is the caller's.
 *
 *     request = {id, text, timestampSeconds} or {id, subtree}      reply = {id, line} or {id, fault}
 */

import type { Cosigner, Subtree } from "../checkpoint/note-signer.ts";
import { invariant, isCodedError, StoreError } from "../errors.ts";
import type { VerifierKey } from "../note/verifier-key.ts";

/** What goes to the thread. */
export type SigningRequest = { readonly id: number } & SigningTask;

/** The thread's answer to the request with the same id. */
export interface SigningReply {
  readonly id: number;
  readonly line?: string;
  readonly fault?: string;
}

type SigningTask = { readonly text: string; readonly timestampSeconds: bigint } | { readonly subtree: Subtree };

/** What this side uses of a worker thread. */
export interface SigningThread {
  readonly on: {
    (event: "message", listener: (reply: SigningReply) => void): unknown;
    (event: "error", listener: (error: Error) => void): unknown;
    (event: "exit", listener: (exitCode: number) => void): unknown;
  };
  readonly ref: () => void;
  readonly unref: () => void;
  readonly postMessage: (request: SigningRequest) => void;
  readonly terminate: () => Promise<unknown>;
}

/** A cosigner that answers later. */
export interface ThreadCosigner {
  readonly key: VerifierKey;
  /** As `Cosigner.cosign`. @throws {StoreError} ERR_SIGNING, fatal: the thread is gone, or could not sign */
  readonly cosign: (text: string, timestampSeconds: bigint) => Promise<string>;
  /** As `Cosigner.cosignSubtree`. @throws {StoreError} ERR_SIGNING */
  readonly cosignSubtree: (subtree: Subtree) => Promise<string>;
  /** Signatures that were asked for and are not there. */
  readonly waiting: () => number;
  /** Ends the thread. */
  readonly close: () => Promise<void>;
}

/** The cosigner with the public half `key`, whose thread answers as `answerSigning` does. Once it is gone, every signature fails. */
export function makeThreadCosigner(key: VerifierKey, thread: SigningThread): ThreadCosigner {
  const requests = new ThreadRequests(thread);
  return {
    key,
    cosign: (text, timestampSeconds) => requests.ask({ text, timestampSeconds }),
    cosignSubtree: (subtree) => requests.ask({ subtree }),
    waiting: () => requests.waiting,
    close: async () => {
      await thread.terminate();
    },
  };
}

/** The answer of the thread that has the key. */
export function answerSigning(cosigner: Cosigner, request: SigningRequest): SigningReply {
  const { id } = request;
  try {
    if ("text" in request) return { id, line: cosigner.cosign(request.text, request.timestampSeconds) };
    const line = cosigner.cosignSubtree?.(request.subtree);
    return line === undefined ? { id, fault: "the key signs no subtrees" } : { id, line };
  } catch (error) {
    return { id, fault: isCodedError(error) ? error.code : String(error) };
  }
}

class ThreadRequests {
  readonly #thread: SigningThread;
  readonly #open = new Map<number, { resolve: (line: string) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  /** Why the thread is gone; whoever asks it afterwards would wait for ever. */
  #gone: StoreError | undefined;

  constructor(thread: SigningThread) {
    this.#thread = thread;
    thread.on("message", (reply) => this.#settle(reply));
    thread.on("error", (cause) => this.#fail(cause));
    thread.on("exit", () => this.#fail(undefined));
    // Behind the listeners, which would hold the process again: it waits for a thread that has something to sign, and for no other.
    thread.unref();
  }

  get waiting(): number {
    return this.#open.size;
  }

  ask(task: SigningTask): Promise<string> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    const id = this.#nextId;
    this.#nextId += 1;
    if (this.#open.size === 0) this.#thread.ref();
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#thread.postMessage({ id, ...task });
    });
  }

  #settle(reply: SigningReply): void {
    const request = this.#open.get(reply.id);
    invariant(request !== undefined, "the signing thread answered a request that nobody made");
    this.#open.delete(reply.id);
    if (this.#open.size === 0) this.#thread.unref();
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
  return new StoreError("ERR_SIGNING", "the signing thread failed", { cause, fatal: true });
}
