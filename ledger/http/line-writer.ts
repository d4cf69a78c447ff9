/**
 * Lines that are promised in one order and made in another. Whatever is there when the peer takes lines goes to it in one piece:
 * a sync settles many at once, and a write to a socket costs more than the line.
 */

/** Takes lines. */
export interface LineSink {
  /** Takes one line or several, without the last LF. Resolves when more may be written; rejects if the peer is gone. */
  readonly write: (lines: string) => Promise<void>;
  /** Gives the peer up: what is being written is rejected. */
  readonly cut: () => void;
}

/** What a writer works with. */
export interface LineWriterParts {
  readonly sink: LineSink;
  /** Longest time that one write waits to be taken: who takes no lines for long holds what others could use. */
  readonly takeMs: number;
  /** Told once that the peer is gone. */
  readonly onFault: () => void;
}

/** Puts a line into its place. */
export type FillLine = (line: string) => void;

/** A place in the order of lines. */
interface Place {
  readonly fill: FillLine;
  readonly onTaken: () => void;
  line?: string;
}

/** Mutable. */
export class LineWriter {
  readonly #parts: LineWriterParts;
  /** Lines that were not taken, in their order. */
  #places: Place[] = [];
  #isScheduled = false;
  #isWriting = false;
  #fault: { readonly error: unknown } | undefined;
  #waiting: { readonly fill: FillLine; readonly resolve: () => void }[] = [];
  #onIdle: (() => void)[] = [];

  constructor(parts: LineWriterParts) {
    this.#parts = parts;
  }

  /** True once the peer is gone. */
  get isFaulty(): boolean {
    return this.#fault !== undefined;
  }

  /** @throws what the sink threw */
  requireTaken(): void {
    if (this.#fault !== undefined) throw this.#fault.error;
  }

  /** Reserves the next place. @param onTaken  told when its line was taken */
  reserve(onTaken: () => void): FillLine {
    const place: Place = { onTaken, fill: (line) => this.#fill(place, line) };
    this.#places.push(place);
    return place.fill;
  }

  /** Resolves when every place in front of the one of `fill` has its line. */
  filledBefore(fill: FillLine): Promise<void> {
    if (this.#isFilledBefore(fill)) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ fill, resolve }));
  }

  /** Resolves when every line was taken, or the peer is gone. */
  idle(): Promise<void> {
    if (this.#places.length === 0 || this.isFaulty) return Promise.resolve();
    return new Promise((resolve) => void this.#onIdle.push(resolve));
  }

  #isFilledBefore(fill: FillLine): boolean {
    const open = this.#places.find((place) => place.line === undefined || place.fill === fill);
    return open === undefined || open.fill === fill;
  }

  #fill(place: Place, line: string): void {
    place.line = line;
    if (this.#waiting.length > 0) this.#wake();
    if (this.#isScheduled || this.#isWriting || this.isFaulty) return;
    this.#isScheduled = true;
    // Behind whatever else is settled by the same sync.
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#writeAll();
    });
  }

  #wake(): void {
    const ready = this.#waiting.filter(({ fill }) => this.#isFilledBefore(fill));
    this.#waiting = this.#waiting.filter((each) => !ready.includes(each));
    for (const { resolve } of ready) resolve();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let lines = this.#takeFilled(); lines.length > 0; lines = this.#takeFilled()) {
        await this.#write(lines.map(({ line }) => line).join("\n"));
        this.#places.splice(0, lines.length);
        for (const { onTaken } of lines) onTaken();
      }
    } catch (error) {
      this.#fault = { error };
      this.#parts.onFault();
    }
    this.#isWriting = false;
    if (this.#places.length === 0 || this.isFaulty) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** The lines that are there, up to the first that is not. */
  #takeFilled(): readonly Place[] {
    const end = this.#places.findIndex(({ line }) => line === undefined);
    return end === -1 ? [...this.#places] : this.#places.slice(0, end);
  }

  async #write(lines: string): Promise<void> {
    const { sink, takeMs } = this.#parts;
    const timer = setTimeout(() => sink.cut(), takeMs);
    try {
      await sink.write(lines);
    } finally {
      clearTimeout(timer);
    }
  }
}
