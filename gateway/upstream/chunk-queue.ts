/** Chunks of a body between who receives them and who reads them; one reader, who takes them as they come. */

/** Bytes that may wait: no source can be held back, so what is read too slowly is lost. As long as a message may be. */
export const MAX_WAITING_BYTES: number = 16 * 1024 * 1024;

interface WaitingRead {
  readonly resolve: (chunk: Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** A queue of chunks. */
export class ChunkQueue {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #end: Error | "ended" | undefined;
  #waiting: WaitingRead | undefined;

  /** The next chunk; undefined at the end. Rejects where the body was cut off. */
  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#length -= chunk.length;
      return Promise.resolve(chunk);
    }
    if (this.#end === "ended") return Promise.resolve(undefined);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** @returns false if more waits than may */
  push(chunk: Uint8Array): boolean {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) waiting.resolve(chunk);
    else {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
    }
    return this.#length <= MAX_WAITING_BYTES;
  }

  /** Nothing comes any more; what is there can still be read. */
  end(): void {
    this.#end ??= "ended";
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
  }

  /** The rest is lost. */
  fail(error: Error): void {
    this.#end ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
