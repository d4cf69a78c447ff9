/** Requests that wait for a server on a shared channel, by our ids; each with its time limits and its cancellation. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { RpcResponse } from "../wire/rpc.ts";
import { RequestClock, type RequestLimits } from "./request-clock.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

interface Waiting {
  readonly settle: (reply: UpstreamReply) => void;
  readonly progress: (text: string) => void;
  readonly clock: RequestClock;
}

/** Of a request that stays open: it ends when it is cancelled, or its channel does. */
const NO_LIMITS: RequestLimits = { firstByteMs: Infinity, idleMs: Infinity, totalMs: Infinity };

/** The requests of one channel. */
export class WaitingRequests {
  readonly #limits: RequestLimits;
  readonly #waiting = new Map<number, Waiting>();

  /** On a channel there is no first byte: what comes before it is silence. */
  constructor({ idleMs, totalMs }: Pick<UpstreamLimits, "idleMs" | "totalMs">) {
    this.#limits = { firstByteMs: idleMs, idleMs, totalMs };
  }

  /**
   * Waits for the response to a request that was sent.
   *
   * @param onAbandoned  called when nobody waits any more, so that the server can be told
   */
  wait(request: UpstreamRequest, onAbandoned: () => void): Promise<UpstreamReply> {
    return new Promise((resolve) => {
      const { id, signal, onProgress, isOpenEnded = false } = request;
      const clock = new RequestClock(isOpenEnded ? NO_LIMITS : this.#limits, [signal]);
      const settle = (reply: UpstreamReply): void => {
        clock.end();
        clock.stop();
        if (this.#waiting.delete(id)) resolve(reply);
      };
      const abandon = (): void => {
        if (clock.failure !== undefined) settle(clock.failure);
        onAbandoned();
      };
      const progress = (text: string): void => {
        clock.onByte();
        onProgress?.(text);
      };
      this.#waiting.set(id, { settle, progress, clock });
      if (clock.aborted) abandon();
      else clock.addEventListener("abort", abandon);
    });
  }

  /** False if nobody waits for this id: it was cancelled, or never sent. */
  answer({ id, text, value }: RpcResponse, bytes: Uint8Array): boolean {
    const waiting = typeof id === "number" ? this.#waiting.get(id) : undefined;
    waiting?.settle({ type: "answered", bytes, text, body: value });
    return waiting !== undefined;
  }

  /** Passes a progress notification on; its token is our id. */
  progress(token: unknown, text: string): void {
    if (typeof token === "number") this.#waiting.get(token)?.progress(text);
  }

  /** The request that was sent last of those that wait. */
  get latest(): number | undefined {
    return [...this.#waiting.keys()].at(-1);
  }

  /** Waits for what the server asked meanwhile; its request may be silent so long. */
  async during<T>(id: number | undefined, waiting: Promise<T>): Promise<T> {
    const clock = id === undefined ? undefined : this.#waiting.get(id)?.clock;
    return clock === undefined ? waiting : clock.during(waiting);
  }

  /** Ends a request whose response cannot be trusted. */
  fail(id: number, reason: ReasonCode, bytes?: Uint8Array): boolean {
    const waiting = this.#waiting.get(id);
    const received = bytes === undefined ? {} : { bytes };
    waiting?.settle({ type: "failed", status: "upstream_error", effect: "unknown", reason, ...received });
    return waiting !== undefined;
  }

  /** Ends all: the channel is gone. */
  failAll(reason: ReasonCode): void {
    for (const id of [...this.#waiting.keys()]) this.fail(id, reason);
  }
}
