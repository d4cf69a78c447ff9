/**
 * Where each receipt of each stream is. Receipts that follow each other in stream and log are one item of 16 bytes, so
 * a log of segments needs next to nothing, and one of single receipts of many streams 16 bytes a receipt.
 */

/** Consecutive receipts of a stream that stand behind each other in the log. */
export interface PlacedRun {
  readonly stream: string;
  readonly firstSeq: number;
  readonly firstIndex: number;
  readonly count: number;
}

interface Runs {
  readonly seqs: number[];
  readonly indexes: number[];
  /** What stands right behind the last run. */
  nextSeq: number;
  nextIndex: number;
}

/** Filled in the order of the log. */
export class ReceiptPlaces {
  readonly #streams = new Map<string, Runs>();

  /** Adds a run that follows those before it in its stream. */
  add({ stream, firstSeq, firstIndex, count }: PlacedRun): void {
    const runs = this.#streams.get(stream) ?? { seqs: [], indexes: [], nextSeq: -1, nextIndex: -1 };
    this.#streams.set(stream, runs);
    if (runs.nextSeq !== firstSeq || runs.nextIndex !== firstIndex) {
      runs.seqs.push(firstSeq);
      runs.indexes.push(firstIndex);
    }
    [runs.nextSeq, runs.nextIndex] = [firstSeq + count, firstIndex + count];
  }

  /** Index of the receipt at `seq`; undefined if the stream has none. */
  find(stream: string, seq: number): number | undefined {
    const runs = this.#streams.get(stream);
    if (runs === undefined || seq >= runs.nextSeq) return undefined;
    let [low, high] = [0, runs.seqs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((runs.seqs[middle] ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    const [first, index] = [runs.seqs[low - 1], runs.indexes[low - 1]];
    return first === undefined || index === undefined ? undefined : index + (seq - first);
  }
}
