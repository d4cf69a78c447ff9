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

const STEP_BYTES = 1024 * 1024;
/** With less than this in front, the next step is begun. */
const LOW_BYTES = STEP_BYTES / 2;
const ZEROS = new Uint8Array(STEP_BYTES);

/** The zeros of one file. */
export class ZerosAhead {
  readonly #file: ZeroedFile;
  /** Up to here the file has bytes. */
  #end: number;
  #writing: Promise<void> | undefined;
  #isOver = false;

  /** @param end  length of the file */
  constructor(file: ZeroedFile, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** To be awaited before bytes up to `end` are written. @returns undefined if nothing is to wait for */
  before(end: number): Promise<void> | undefined {
    return end > this.#end ? this.#writing : undefined;
  }

  /** Bytes up to `position` are written. */
  after(position: number): void {
    if (this.#isOver || this.#writing !== undefined || position + LOW_BYTES <= this.#end) return;
    const start = Math.max(position, this.#end);
    this.#writing = this.#file.writeZeros(ZEROS, start).then(
      () => this.#written(start + STEP_BYTES),
      // Without them the file grows with each append, as long as there is room; if there is none, the append says so.
      () => this.#stop(),
    );
  }

  /** Writes no more; resolves when none are being written. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#writing;
  }

  #written(end: number): void {
    this.#end = end;
    this.#writing = undefined;
  }

  #stop(): void {
    this.#isOver = true;
    this.#writing = undefined;
  }
}
