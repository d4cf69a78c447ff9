/** Chunks of a body between who receives them and who reads them; one reader. */

/** Chunks that wait for their reader before their source is held back. */
const MAX_WAITING = 16;

interface WaitingRead {
  readonly resolve: (chunk: Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** A queue of chunks. */
export class ChunkQueue {
  readonly #onRoom: () => void;
  readonly #chunks: Uint8Array[] = [];
  #isFull = false;
  #end: Error | "ended" | undefined;
  #waiting: WaitingRead | undefined;

  /** @param onRoom  told when a source that was held back may go on */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  /** The next chunk; undefined at the end. Rejects where the body was cut off. */
  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      if (this.#isFull && this.#chunks.length < MAX_WAITING) {
        this.#isFull = false;
        this.#onRoom();
      }
      return Promise.resolve(chunk);
    }
    if (this.#end === "ended") return Promise.resolve(undefined);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** @returns false if the source has to be held back */
  push(chunk: Uint8Array): boolean {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) waiting.resolve(chunk);
    else this.#isFull = this.#chunks.push(chunk) >= MAX_WAITING;
    return !this.#isFull;
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
