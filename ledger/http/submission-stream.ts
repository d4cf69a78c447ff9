/**
 * One streaming submission: frames come in, and for each goes out one line, in their order, once what it says is durable.
 *
 *     {"count":2,"first_index":7,"tip":{…}}      admitted
 *     {"error":{"code":…,"message":…,"tip":…}}   refused; later frames are still looked at
 *     {"end":{"reason":…}}                       the last line; with "error" beside it if the bytes were no frames
 *
 * At most so many frames and bytes are in work, counted until their line was taken: one who does not read acknowledgements
 * is not read from.
 */

import { setImmediate } from "node:timers/promises";
import { faultOf } from "./errors.ts";
import { type Frame, FrameReader } from "./frame-reader.ts";
import { type LineSink, LineWriter } from "./line-writer.ts";

/** Frames of one chunk that are taken before others get the thread. */
const FRAMES_A_SLICE = 64;
/** Receipts that are read together at most. */
const RUN_RECEIPTS = 32;

/** The place of the line that answers a frame. */
export interface OpenLine {
  readonly answer: (answer: object) => void;
  readonly refuse: (error: unknown) => void;
  /** Asks for everything in front of the frame to be settled; resolves when it is. */
  readonly before: () => Promise<void>;
}

/** Queues frames for admission, in their order; each is answered on its line once that is durable. */
export type FrameStep = (lines: readonly OpenLine[]) => void;

/** Admits frames in two steps, so that what needs no order is done at once for many. */
export interface FrameDesk {
  /**
   * Reads a frame and checks its signature; gives the step, which is called once everything in front was queued. What it rejects
   * with is the answer.
   */
  readonly segment: (bytes: Uint8Array) => Promise<FrameStep>;
  /** The same of single receipts that came behind each other, at most 32. */
  readonly receipts: (receipts: readonly Uint8Array[]) => Promise<FrameStep>;
}

/** Bounds of one stream. */
export interface StreamLimits {
  readonly maxFrames: number;
  /** Read anew each time: it may depend on how many streams there are. */
  readonly maxBytes: number;
  /** Longest time that one line waits to be taken. */
  readonly takeMs: number;
  /** Longest time without a byte while nothing is in work. */
  readonly idleMs: number;
  /** Longest time that a stream lasts: its request has to end at some time. */
  readonly lifeMs: number;
}

/** Why a stream ended: the client ended it or was quiet, it lasted long enough, we stop, or it cannot be read. */
export type EndReason = "done" | "idle" | "renew" | "shutdown" | "fault";

/** What a stream works with. */
export interface SubmissionParts {
  readonly source: AsyncIterable<Uint8Array>;
  readonly sink: LineSink;
  readonly desk: FrameDesk;
  readonly limits: StreamLimits;
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal;
}

type Read =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly reason: EndReason };

/** Runs a stream to its last line; rejects if the peer goes away. */
export async function runSubmissionStream(parts: SubmissionParts): Promise<void> {
  await new SubmissionStream(parts).run();
}

/** Frames that are read together. */
interface Group {
  readonly lines: readonly OpenLine[];
  /** Once they were read, or refused. */
  step?: FrameStep;
}

class SubmissionStream {
  readonly #parts: SubmissionParts;
  readonly #frames = new FrameReader();
  readonly #lines: LineWriter;
  readonly #clock: StreamClock;
  #run: { receipts: Uint8Array[]; lines: OpenLine[] } = { receipts: [], lines: [] };
  /** Frames that were not queued for admission yet, in their order. */
  #unqueued: Group[] = [];
  #inWork = { frames: 0, bytes: 0 };
  #onRoom: () => void = () => undefined;

  constructor(parts: SubmissionParts) {
    const { sink, limits } = parts;
    this.#parts = parts;
    this.#clock = new StreamClock(limits, parts.stopping);
    this.#lines = new LineWriter({ sink, takeMs: limits.takeMs, onFault: () => this.#onRoom() });
  }

  async run(): Promise<void> {
    const { source } = this.#parts;
    const iterator = source[Symbol.asyncIterator]();
    try {
      const end = await this.#readAll(iterator);
      this.#lines.reserve(() => undefined)(JSON.stringify(end));
    } finally {
      this.#clock.stop();
      await this.#lines.idle();
    }
    this.#lines.requireTaken();
  }

  /** @returns the last line */
  async #readAll(iterator: AsyncIterator<Uint8Array>): Promise<object> {
    try {
      for (;;) {
        await this.#untilRoom();
        const read = await this.#read(iterator);
        if (read.kind === "end") return this.#endOf(read.reason);
        this.#frames.push(read.bytes);
        await this.#takeFrames();
      }
    } catch (error) {
      if (this.#lines.isFaulty || isGone(error)) throw error;
      const { code, message } = faultOf(error);
      return { end: { reason: "fault" }, error: { code, message } };
    }
  }

  #endOf(reason: EndReason): object {
    if (reason !== "done" || this.#frames.pendingBytes === 0) return { end: { reason } };
    const message = "the last segment or receipt is not whole";
    return { end: { reason: "fault" }, error: { code: "ERR_SEGMENT", message } };
  }

  /** The next bytes, or why there are none. */
  #read(iterator: AsyncIterator<Uint8Array>): Promise<Read> {
    return new Promise((resolve, reject) => {
      const reason = this.#clock.wait((ended) => resolve({ kind: "end", reason: ended }));
      if (reason !== undefined) return resolve({ kind: "end", reason });
      iterator.next().then(({ done, value }) => {
        this.#clock.goOn();
        resolve(done === true ? { kind: "end", reason: "done" } : { kind: "bytes", bytes: value });
      }, reject);
    });
  }

  /** Takes every whole frame that is there. */
  async #takeFrames(): Promise<void> {
    try {
      let taken = 0;
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
        if (!this.#hasRoom) {
          this.#prepareRun();
          await this.#untilRoom();
        }
        this.#lines.requireTaken();
        this.#take(frame);
        taken += 1;
        if (taken % FRAMES_A_SLICE > 0) continue;
        // Frames that are refused at once never leave the thread by themselves.
        this.#prepareRun();
        await setImmediate();
      }
    } finally {
      this.#prepareRun();
    }
  }

  #take({ kind, bytes }: Frame): void {
    const line = this.#reserve(bytes.length);
    if (kind === "receipt") {
      this.#run.receipts.push(bytes);
      this.#run.lines.push(line);
      if (this.#run.lines.length === RUN_RECEIPTS) this.#prepareRun();
      return;
    }
    this.#prepareRun();
    this.#prepare([line], this.#parts.desk.segment(bytes));
  }

  /** Has the receipts read that came behind each other so far. */
  #prepareRun(): void {
    const { receipts, lines } = this.#run;
    if (lines.length === 0) return;
    this.#run = { receipts: [], lines: [] };
    this.#prepare(lines, this.#parts.desk.receipts(receipts));
  }

  #reserve(bytes: number): OpenLine {
    this.#inWork.frames += 1;
    this.#inWork.bytes += bytes;
    const fill = this.#lines.reserve(() => {
      this.#inWork.frames -= 1;
      this.#inWork.bytes -= bytes;
      this.#onRoom();
    });
    return {
      answer: (answer) => fill(JSON.stringify(answer)),
      refuse: (error) => fill(refusalLine(error)),
      before: () => this.#lines.filledBefore(fill),
    };
  }

  #prepare(lines: readonly OpenLine[], reading: Promise<FrameStep>): void {
    const group: Group = { lines };
    this.#unqueued.push(group);
    reading.then(
      (step) => this.#prepared(group, step),
      (error: unknown) => this.#prepared(group, () => refuseAll(lines, error)),
    );
  }

  /** Queues what is read, each once everything in front of it was queued; that is not waited for. */
  #prepared(group: Group, step: FrameStep): void {
    group.step = step;
    const ready = this.#unqueued.findIndex((each) => each.step === undefined);
    for (const each of this.#unqueued.splice(0, ready === -1 ? this.#unqueued.length : ready)) each.step?.(each.lines);
  }

  get #hasRoom(): boolean {
    const { maxFrames, maxBytes } = this.#parts.limits;
    return this.#inWork.frames < maxFrames && this.#inWork.bytes < maxBytes;
  }

  async #untilRoom(): Promise<void> {
    while (!this.#hasRoom) {
      if (this.#lines.isFaulty) break;
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    this.#lines.requireTaken();
  }
}

/** Ends a wait for bytes that are late, or a stream that lasted long enough or has to stop; ended by its owner. */
class StreamClock {
  readonly #stopping: AbortSignal;
  /** One for the whole stream: a timer for each wait would cost more than the wait. */
  readonly #idle: NodeJS.Timeout;
  readonly #life: NodeJS.Timeout;
  #isOver = false;
  #onEnd: ((reason: EndReason) => void) | undefined;

  constructor({ idleMs, lifeMs }: StreamLimits, stopping: AbortSignal) {
    this.#stopping = stopping;
    this.#idle = setTimeout(() => this.#end("idle"), idleMs);
    this.#life = setTimeout(() => {
      this.#isOver = true;
      this.#end("renew");
    }, lifeMs);
    stopping.addEventListener("abort", this.#onStop);
  }

  /** Begins to wait; gives the reason at once if there is nothing to wait for. */
  wait(onEnd: (reason: EndReason) => void): EndReason | undefined {
    if (this.#stopping.aborted) return "shutdown";
    if (this.#isOver) return "renew";
    this.#onEnd = onEnd;
    this.#idle.refresh();
    return undefined;
  }

  /** Bytes came. */
  goOn(): void {
    this.#onEnd = undefined;
  }

  stop(): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#life);
    this.#stopping.removeEventListener("abort", this.#onStop);
  }

  readonly #onStop = (): void => this.#end("shutdown");

  #end(reason: EndReason): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.(reason);
  }
}

function refuseAll(lines: readonly OpenLine[], error: unknown): void {
  for (const line of lines) line.refuse(error);
}

function refusalLine(error: unknown): string {
  const { code, message, details } = faultOf(error);
  return JSON.stringify({ error: { code, message, ...details } });
}

/** The connection was cut: there is nobody to tell. */
function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ECONNRESET" || error.code === "ERR_STREAM_PREMATURE_CLOSE")
  );
}
