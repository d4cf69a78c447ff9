/**
 * Submits checkpoints to one witness (C2SP tlog-witness, add-checkpoint), follows its recorded size, and keeps its health.
 */

import { formatBase64 } from "../../kernel/base64.ts";
import type { VerifiedLine } from "../../kernel/checkpoint/open-note.ts";
import { CheckError, invariant } from "../../kernel/errors.ts";
import type { NodeHash } from "../../kernel/merkle/hash.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { inTime } from "../in-time.ts";
import type { SignedCheckpoint } from "./checkpointer.ts";
import { WitnessHealth } from "./witness-health.ts";
import { MAX_REPLY_BYTES, type RawReply, readReply, type WitnessFault } from "./witness-reply.ts";

/** Submissions in one round: the first, one after a 409, and one more in case another client came between. */
const MAX_ATTEMPTS = 3;
/** Submissions again after a fault that may pass, in one round, with a pause of this and as much again at random. */
const MAX_RETRIES = 2;
const RETRY_PAUSE_MS = 50;

/** One witness: its submission prefix and its keys (a witness may have an Ed25519 and an ML-DSA-44 key). */
export interface WitnessEndpoint {
  /** Without a slash at the end. */
  readonly url: string;
  readonly keys: readonly VerifierKey[];
}

/** What a client needs of the ledger and of the world. */
export interface WitnessClientParts {
  readonly fetch: typeof fetch;
  /** Bound of one request. */
  readonly timeoutMs: number;
  /** Consistency proof between two sizes of the log, old > 0. */
  readonly proveConsistency: (oldSize: bigint, size: bigint) => Promise<readonly NodeHash[]>;
  /** Size of the newest head that this log ever recorded. */
  readonly recordedSize: () => bigint;
  /** Size of the newest checkpoint, signed by this log, that the witness at an address shows; undefined if it shows none. */
  readonly readShownSize: (url: string) => Promise<bigint | undefined>;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** From 0 up to 1; default Math.random: it spreads requests and decides nothing else. */
  readonly random?: () => number;
  /** Resolves after so many milliseconds; default a timer. */
  readonly pause?: (ms: number) => Promise<void>;
}

/** The end of a round with one witness. */
export type CosigningResult =
  | { readonly kind: "cosigned"; readonly lines: readonly VerifiedLine[] }
  /** The witness has a newer checkpoint of ours: submit that one. */
  | { readonly kind: "ahead"; readonly size: bigint }
  | WitnessFault;

/** Client of one witness. Its only state, the recorded size, may be lost: the witness tells it again. */
export class WitnessClient {
  readonly endpoint: WitnessEndpoint;
  readonly health: WitnessHealth;
  readonly #parts: WitnessClientParts;
  #size = 0n;
  #isBusy = false;

  constructor(endpoint: WitnessEndpoint, parts: WitnessClientParts) {
    this.endpoint = endpoint;
    this.#parts = parts;
    this.health = new WitnessHealth(endpoint.url, { nowMs: parts.nowMs, random: parts.random ?? Math.random });
  }

  /** True if it may be asked now: nothing is under way, and it is not left alone after failures. */
  get isFree(): boolean {
    return !this.#isBusy && this.health.mayBeAsked;
  }

  /**
   * Asks for cosignatures of `target`.
   *
   * @throws {CheckError} ERR_WITNESS_AHEAD if the witness shows a checkpoint, signed by this log, of a larger tree than it
   *   ever recorded: the log lost data, has a fork, or runs twice, and must not sign any more
   */
  async cosign(target: SignedCheckpoint): Promise<CosigningResult> {
    this.#isBusy = true;
    const started = performance.now();
    try {
      const result = await this.#persist(target, started + this.#parts.timeoutMs);
      if (result.kind === "fault") this.health.failed(result.reason, result.retryAfterMs);
      if (result.kind === "cosigned") this.health.succeeded(performance.now() - started);
      return result;
    } finally {
      this.#isBusy = false;
    }
  }

  /** Asks again after faults that may pass, while there is time. */
  async #persist(target: SignedCheckpoint, deadline: number): Promise<CosigningResult> {
    const { random = Math.random, pause = waitMs } = this.#parts;
    for (let retry = 0; ; retry += 1) {
      const result = await this.#negotiate(target);
      if (result.kind !== "fault" || result.isPassing !== true || retry >= MAX_RETRIES) return result;
      const ms = Math.max(RETRY_PAUSE_MS * 2 ** retry * (1 + random()), result.retryAfterMs ?? 0);
      if (performance.now() + ms >= deadline) return result;
      await pause(ms);
    }
  }

  /** Submits, and once more when the witness says which size it recorded. */
  async #negotiate(target: SignedCheckpoint): Promise<CosigningResult> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (this.#size > target.size) return { kind: "ahead", size: this.#size };
      const raw = await this.#submit(target);
      if ("kind" in raw) return raw;
      const reply = readReply(raw, target.text, this.endpoint.keys);
      if (reply.kind === "cosigned") this.#size = target.size;
      if (reply.kind !== "other-size") return reply;
      if (reply.size > this.#parts.recordedSize()) return this.#askForProof(reply.size);
      if (reply.size === this.#size) return { kind: "fault", reason: "status 409 with the size that was submitted" };
      this.#size = reply.size;
    }
    return { kind: "fault", reason: "the recorded size kept changing" };
  }

  /** A size above all that was recorded: proven by a checkpoint of ours, or nothing but a claim. */
  async #askForProof(claimed: bigint): Promise<WitnessFault> {
    const { recordedSize, readShownSize } = this.#parts;
    const shown = await readShownSize(this.endpoint.url);
    if (shown !== undefined && shown > recordedSize()) {
      const what = `${this.endpoint.url} shows a checkpoint of size ${shown}, this log never signed above ${recordedSize()}`;
      throw new CheckError("ERR_WITNESS_AHEAD", what);
    }
    // Recorded by us while the answer was on its way: an ordinary 409, and the next round goes on from there.
    if (claimed <= recordedSize()) return { kind: "fault", reason: "status 409 with a size that was just signed" };
    const reason = "claims a size above all that this log signed, and shows no checkpoint that proves it";
    return { kind: "fault", reason, claimsAhead: true };
  }

  /** Status, type and body of the answer, or the fault that there is none. */
  async #submit(target: SignedCheckpoint): Promise<RawReply | WitnessFault> {
    const isGrowth = this.#size > 0n && this.#size < target.size;
    const proof = isGrowth ? await this.#parts.proveConsistency(this.#size, target.size) : [];
    const lines = proof.map((hash) => `${formatBase64(hash)}\n`).join("");
    try {
      const body = `old ${this.#size}\n${lines}\n${target.note}`;
      return await inTime(this.#parts.timeoutMs, (signal) => this.#post(body, signal));
    } catch (error) {
      const isLate = error instanceof Error && error.name === "TimeoutError";
      return { kind: "fault", reason: isLate ? "no reply in time" : "no connection", isPassing: !isLate };
    }
  }

  async #post(request: string, signal: AbortSignal): Promise<RawReply | WitnessFault> {
    const response = await this.#parts.fetch(`${this.endpoint.url}/add-checkpoint`, {
      method: "POST",
      body: request,
      headers: { "content-type": "text/plain; charset=utf-8" },
      redirect: "error",
      signal,
    });
    const body = await readBounded(response);
    if (body === undefined) return { kind: "fault", reason: "a reply that is too long" };
    const { status, headers } = response;
    const retryAfter = headers.get("retry-after") ?? undefined;
    return { status, contentType: headers.get("content-type") ?? "", body, retryAfter };
  }
}

/** The body of an answer; undefined if it is longer than any answer of the protocol. */
export async function readBounded(response: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    const bytes: unknown = chunk;
    invariant(bytes instanceof Uint8Array, "a body is read in bytes");
    length += bytes.length;
    if (length > MAX_REPLY_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function waitMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
