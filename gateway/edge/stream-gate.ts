/**
 * What a server says during a call, on its way to the agent: each part is looked at before it goes on. Buffered parts wait for the
 * call's own answer; a part that may not pass cuts the stream, and nothing of the call follows but the error that says so.
 */

import { createHash, type Hash } from "node:crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { CallRefusal } from "../pipeline/call.ts";
import type { PartVerdict, StreamWatch } from "../pipeline/stream-watch.ts";
import { RPC } from "../wire/rpc-error.ts";

/** What parts go through. */
export interface StreamGateOptions {
  readonly notify: (part: Uint8Array) => void;
  /** Asked at the first part: most calls have none. Undefined if nobody looks at parts. */
  readonly watch: () => StreamWatch | undefined;
  /** Told before the first part that goes on ahead of the answer, as `Pipeline.bringLabels`. */
  readonly bring: () => Promise<void> | undefined;
  /** Ends the call at the server. */
  readonly cut: () => void;
}

/** A stream that was cut. */
export interface StreamCut {
  readonly refusal: CallRefusal;
  /** The part that may not pass. */
  readonly part: Uint8Array;
}

/** Parts that wait for the answer of a buffered call. */
const MAX_HELD = 1_024;
const MAX_HELD_BYTES = 1024 * 1024;

const BUDGET: CallRefusal = {
  rpcCode: RPC.blocked,
  reason: "inspect.budget",
  policies: [],
  message: "The server said more before its answer than may wait for it.",
};

const UNKEPT: CallRefusal = {
  rpcCode: RPC.internal,
  reason: "receipt.unavailable",
  policies: [],
  message: "What the server said cannot be kept.",
};

/** The gate of one call. */
export class StreamGate {
  readonly #options: StreamGateOptions;
  #digest: Hash | undefined;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #watch: StreamWatch | undefined;
  #isWatched = false;
  #cut: StreamCut | undefined;
  #forwarded = { count: 0, bytes: 0 };
  #isBrought = false;
  /** Until what the first part brings is durable; parts wait meanwhile. */
  #bringing: Promise<void> | undefined;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  constructor(options: StreamGateOptions) {
    this.#options = options;
  }

  /** Why the stream was cut, if it was. */
  get cut(): StreamCut | undefined {
    return this.#cut;
  }

  /** How many parts the agent got. */
  get forwarded(): number {
    return this.#forwarded.count;
  }

  readonly pass = (part: Uint8Array): void => {
    if (this.#cut !== undefined) return;
    if (!this.#isWatched) {
      this.#watch = this.#options.watch();
      this.#isWatched = true;
    }
    const watch = this.#watch;
    this.#settle(part, watch?.look(part) ?? PASS, watch?.isBuffered === true);
  };

  /** Resolves when every part that may go on has gone; undefined if none waits. */
  settled(): Promise<void> | undefined {
    return this.#bringing;
  }

  /** The answer may go to the agent, and what it brings is durable: what waited for it goes first. */
  release(): void {
    for (const part of this.#held.splice(0)) this.#forward(part);
  }

  /** What the receipt of a cut call commits to in place of one answer (docs/formats/call-receipt.md). */
  statement(response: Uint8Array): Uint8Array {
    const { count, bytes } = this.#forwarded;
    const forwarded = { bytes, count, sha256: (this.#digest ?? createHash("sha256")).copy().digest("hex") };
    return canonicalBytes({ kind: "cut-stream", v: 1, forwarded, response: new TextDecoder().decode(response) });
  }

  #settle(part: Uint8Array, verdict: PartVerdict, isBuffered: boolean): void {
    if (verdict.type === "drop") return;
    if (verdict.type === "cut") this.#end(verdict.refusal, part);
    else if (!isBuffered) this.#bringThenForward(part);
    else if (this.#held.length >= MAX_HELD || this.#heldBytes + part.length > MAX_HELD_BYTES) this.#end(BUDGET, part);
    else {
      this.#held.push(part);
      this.#heldBytes += part.length;
    }
  }

  /** Nothing reaches the agent before what it brings is durable. */
  #bringThenForward(part: Uint8Array): void {
    if (!this.#isBrought) {
      this.#isBrought = true;
      this.#bringing = this.#options.bring()?.then(
        () => this.#forwardWaiting(),
        () => this.#dropWaiting(part),
      );
    }
    if (this.#bringing === undefined) this.#forward(part);
    else if (this.#waiting.length >= MAX_HELD || this.#waitingBytes + part.length > MAX_HELD_BYTES) {
      this.#end(BUDGET, part);
    } else {
      this.#waiting.push(part);
      this.#waitingBytes += part.length;
    }
  }

  #forwardWaiting(): void {
    this.#bringing = undefined;
    for (const part of this.#waiting.splice(0)) this.#forward(part);
  }

  #dropWaiting(first: Uint8Array): void {
    this.#bringing = undefined;
    this.#waiting.length = 0;
    this.#end(UNKEPT, first);
  }

  #end(refusal: CallRefusal, part: Uint8Array): void {
    this.#cut ??= { refusal, part };
    this.#held.length = 0;
    this.#options.cut();
  }

  #forward(part: Uint8Array): void {
    this.#forwarded = { count: this.#forwarded.count + 1, bytes: this.#forwarded.bytes + part.length };
    this.#digest = (this.#digest ?? createHash("sha256")).update(part).update(LINE_FEED);
    this.#options.notify(part);
  }
}

const PASS: PartVerdict = { type: "pass" };
const LINE_FEED = formatUtf8("\n");
