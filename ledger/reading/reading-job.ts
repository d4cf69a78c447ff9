/**
 * What goes to a reading thread and comes back. Receipts go many at a time, bytes and hashes each in one buffer that changes
 * hands, so that a message costs what its bytes cost and not what its objects would.
 */

import { invariant } from "../../kernel/errors.ts";
import { type PublicKeyJson, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { type ReadSegment, type ReceiptSource, readSegmentBytes } from "./read.ts";
import { attempt, type ReadingFault } from "./reading-fault.ts";
import { type ReceiptsAnswer, readAll } from "./receipts-answer.ts";

/** A stream and its receipt key. */
export interface NewSource {
  readonly stream: string;
  readonly key: PublicKeyJson;
}

/** Sources that the thread has not seen; the number of each is how many it has. */
export type NewSources = readonly NewSource[];

/** Work for a thread. */
export type ReadingJob =
  | {
      readonly kind: "receipts";
      readonly newSources: NewSources;
      /** The receipts, one behind the other. */
      readonly bytes: Uint8Array;
      /** Where each one ends. */
      readonly ends: Uint32Array;
      /** Number of each one's source. */
      readonly sources: Uint32Array;
    }
  | {
      readonly kind: "segment";
      readonly newSources: NewSources;
      readonly bytes: Uint8Array;
      /** Number of its source. */
      readonly source: number;
      readonly origin: string;
    };

/** The answer to a job. */
export type ReadingAnswer = ReceiptsAnswer | SegmentAnswer | { readonly kind: "fault"; readonly fault: ReadingFault };

/** What was read of a segment. */
export interface SegmentAnswer extends ReadSegment {
  readonly kind: "segment";
}

/** Does the jobs of one thread. */
export class JobRunner {
  readonly #sources: ReceiptSource[] = [];

  /** Does one job; faults of what was submitted are data. */
  run(job: ReadingJob): ReadingAnswer {
    for (const { stream, key } of job.newSources) {
      this.#sources.push({ stream, key: publicKeyShape.read(key, "key") });
    }
    if (job.kind === "receipts") {
      const { bytes, ends, sources } = job;
      const receipts = Array.from(ends, (end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
      return readAll(receipts, (i) => this.#source(sources[i] ?? -1));
    }
    const { bytes, source, origin } = job;
    const read = attempt(() => readSegmentBytes(bytes, this.#source(source), origin));
    if ("fault" in read) return { kind: "fault", fault: read.fault };
    return { kind: "segment", ...read.value };
  }

  #source(number: number): ReceiptSource {
    const source = this.#sources[number];
    invariant(source !== undefined, `a reading thread was not told its source ${number}`);
    return source;
  }
}
