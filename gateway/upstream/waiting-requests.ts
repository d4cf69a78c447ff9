/** Requests that wait for a server on a shared channel, by our ids; each with its time limits and its cancellation. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { RpcResponse } from "../wire/rpc.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

interface Waiting {
  readonly settle: (reply: UpstreamReply) => void;
  readonly progress: (text: string) => void;
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
      const after = (ms: number): NodeJS.Timeout | undefined =>
        request.isOpenEnded === true ? undefined : setTimeout(late, ms);
      const total = after(this.#limits.totalMs);
      const idle = after(this.#limits.idleMs);
      const progress = (text: string): void => {
        idle?.refresh();
        onProgress?.(text);
      };
      this.#waiting.set(id, { settle: give, progress });
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
