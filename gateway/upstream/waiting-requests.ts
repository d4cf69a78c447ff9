/** Requests that wait for a server on a shared channel, by our ids; each with its time limits and its cancellation. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { RpcResponse } from "../wire/rpc.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

interface Waiting {
  readonly settle: (reply: UpstreamReply) => void;
  readonly progress: (text: string) => void;
  /** Silence does not count while somebody else is waited for. */
  readonly hold: () => () => void;
}

/** The requests of one channel. */
export class WaitingRequests {
  readonly #limits: Pick<UpstreamLimits, "idleMs" | "totalMs">;
  readonly #waiting = new Map<number, Waiting>();

  constructor(limits: Pick<UpstreamLimits, "idleMs" | "totalMs">) {
    this.#limits = limits;
  }

  /**
   * Waits for the response to a request that was sent.
   *
   * @param onAbandoned  called when nobody waits any more, so that the server can be told
   */
  wait(request: UpstreamRequest, onAbandoned: () => void): Promise<UpstreamReply> {
    return new Promise((resolve) => {
      const { id, signal, onProgress } = request;
      const give = (reply: UpstreamReply): void => {
        clearTimeout(idle);
        clearTimeout(total);
        signal.removeEventListener("abort", cancel);
        if (this.#waiting.delete(id)) resolve(reply);
      };
      const abandon = (status: "timeout" | "cancelled", reason: ReasonCode): void => {
        give({ type: "failed", status, effect: "unknown", reason });
        onAbandoned();
      };
      const late = (): void => abandon("timeout", "upstream.timeout");
      const cancel = (): void => abandon("cancelled", "client.cancelled");
      const total = request.isOpenEnded === true ? undefined : setTimeout(late, this.#limits.totalMs);
      let holds = 0;
      const onSilence = (): void => {
        if (holds > 0) idle?.refresh();
        else late();
      };
      const idle = request.isOpenEnded === true ? undefined : setTimeout(onSilence, this.#limits.idleMs);
      const progress = (text: string): void => {
        idle?.refresh();
        onProgress?.(text);
      };
      const hold = (): (() => void) => {
        holds += 1;
        return () => {
          holds -= 1;
          idle?.refresh();
        };
      };
      this.#waiting.set(id, { settle: give, progress, hold });
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
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
    const release = id === undefined ? undefined : this.#waiting.get(id)?.hold();
    try {
      return await waiting;
    } finally {
      release?.();
    }
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
