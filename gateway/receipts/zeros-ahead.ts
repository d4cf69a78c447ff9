/**
 * Zeros ahead of where a file is written. An append into bytes that the file has already is durable with those bytes alone; one
 * that makes the file longer waits for the file system's journal too, which takes twice as long and, now and then, ten times.
 *
 * Zeros are written while appends go on in front of them, and never where an append may be.
 */

/** A file that zeros are written to. */
export interface ZeroedFile {
  readonly writeZeros: (zeros: Uint8Array, at: number) => Promise<unknown>;
}

/** Most that are in front of what is written. */
const STEP_BYTES = 1024 * 1024;
/** With less than this in front, the next step is begun. */
const LOW_BYTES = STEP_BYTES / 2;
/** A step is written in pieces: an append that comes meanwhile waits for one of them at most, and not for all. */
const ZEROS = new Uint8Array(64 * 1024);

/** The zeros of one file. */
export class ZerosAhead {
  readonly #file: ZeroedFile;
  /** Up to here the file has bytes. */
  #end: number;
  /** The piece that is being written. */
  #piece: Promise<void> | undefined;
  #isOver = false;

  /** @param end  length of the file */
  constructor(file: ZeroedFile, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /**
   * Up to here another one may write. Some are kept back, so that there is room to lend as well while the next ones are on
   * their way: those can be ordered only by him whose file it is.
   */
  get lendable(): number {
    return this.#piece === undefined ? this.#end - LOW_BYTES / 2 : this.#end;
  }

  /** Up to here the file has bytes: nobody else can have written behind it. */
  get end(): number {
    return this.#end;
  }

  /** To be awaited before bytes up to `end` are written. @returns undefined if nothing is to wait for */
  before(end: number): Promise<void> | undefined {
    return end > this.#end && this.#piece !== undefined ? this.#reach(end) : undefined;
  }

  /** Bytes up to `position` are written. */
  after(position: number): void {
    if (this.#isOver || this.#piece !== undefined || position + LOW_BYTES <= this.#end) return;
    this.#end = Math.max(position, this.#end);
    this.#write(position + STEP_BYTES);
  }

  /** Writes no more; resolves when none are being written. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#piece;
  }

  /** Writes pieces, one behind the other, as long as they end before `goal`. */
  #write(goal: number): void {
    this.#piece = this.#file.writeZeros(ZEROS, this.#end).then(
      () => {
        this.#end += ZEROS.length;
        this.#piece = undefined;
        if (this.#end + ZEROS.length <= goal && !this.#isOver) this.#write(goal);
      },
      () => {
        // Without them the file grows with each append, as long as there is room; if there is none, the append says so.
        this.#isOver = true;
        this.#piece = undefined;
      },
    );
  }

  async #reach(end: number): Promise<void> {
    while (end > this.#end && this.#piece !== undefined) await this.#piece;
  }
}
