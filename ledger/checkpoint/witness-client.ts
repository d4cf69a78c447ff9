/** Submits checkpoints to one witness (C2SP tlog-witness, add-checkpoint) and follows its recorded size. */

import { formatBase64 } from "../../kernel/base64.ts";
import type { VerifiedLine } from "../../kernel/checkpoint/open-note.ts";
import { CheckError, invariant } from "../../kernel/errors.ts";
import type { NodeHash } from "../../kernel/merkle/hash.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { SignedCheckpoint } from "./checkpointer.ts";
import { MAX_REPLY_BYTES, type RawReply, readReply } from "./witness-reply.ts";

/** Submissions in one round: the first, one after a 409, and one more in case another client came between. */
const MAX_ATTEMPTS = 3;

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
}

/** The end of a round with one witness. */
export type CosigningResult =
  | { readonly kind: "cosigned"; readonly lines: readonly VerifiedLine[] }
  /** The witness has a newer checkpoint of ours: submit that one. */
  | { readonly kind: "ahead"; readonly size: bigint }
  | { readonly kind: "fault"; readonly reason: string };

/** Client of one witness. Its only state, the recorded size, may be lost: the witness tells it again. */
export class WitnessClient {
  readonly endpoint: WitnessEndpoint;
  readonly #parts: WitnessClientParts;
  #size = 0n;

  constructor(endpoint: WitnessEndpoint, parts: WitnessClientParts) {
    this.endpoint = endpoint;
    this.#parts = parts;
  }

  /**
   * Asks for cosignatures of `target`.
   *
   * @throws {CheckError} ERR_WITNESS_AHEAD if the witness has seen a larger tree than this log ever recorded: the log
   *   lost data, has a fork, or runs twice, and must not sign any more
   */
  async cosign(target: SignedCheckpoint): Promise<CosigningResult> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (this.#size > target.size) return { kind: "ahead", size: this.#size };
      const raw = await this.#submit(target);
      if (typeof raw === "string") return { kind: "fault", reason: raw };
      const reply = readReply(raw, target.text, this.endpoint.keys);
      if (reply.kind === "cosigned") this.#size = target.size;
      if (reply.kind !== "other-size") return reply;
      this.#checkNotAhead(reply.size);
      if (reply.size === this.#size) return { kind: "fault", reason: "status 409 with the size that was submitted" };
      this.#size = reply.size;
    }
    return { kind: "fault", reason: "the recorded size kept changing" };
  }

  #checkNotAhead(size: bigint): void {
    const recorded = this.#parts.recordedSize();
    if (size <= recorded) return;
    const what = `${this.endpoint.url} recorded size ${size}, this log never signed above ${recorded}`;
    throw new CheckError("ERR_WITNESS_AHEAD", what);
  }

  /** Status, type and body of the answer, or the reason why there is none. */
  async #submit(target: SignedCheckpoint): Promise<RawReply | string> {
    const isGrowth = this.#size > 0n && this.#size < target.size;
    const proof = isGrowth ? await this.#parts.proveConsistency(this.#size, target.size) : [];
    const lines = proof.map((hash) => `${formatBase64(hash)}\n`).join("");
    try {
      const response = await this.#parts.fetch(`${this.endpoint.url}/add-checkpoint`, {
        method: "POST",
        body: `old ${this.#size}\n${lines}\n${target.note}`,
        headers: { "content-type": "text/plain; charset=utf-8" },
        redirect: "error",
        signal: AbortSignal.timeout(this.#parts.timeoutMs),
      });
      const body = await readBounded(response);
      if (body === undefined) return "a reply that is too long";
      return { status: response.status, contentType: response.headers.get("content-type") ?? "", body };
    } catch (error) {
      return error instanceof Error && error.name === "TimeoutError" ? "no reply in time" : "no connection";
    }
  }
}

async function readBounded(response: Response): Promise<Uint8Array | undefined> {
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
