/** What a legacy agent was asked and has not answered yet. The ids are ours: those of two servers may be equal. */

import type { CancelSignal } from "../upstream/cancellation.ts";
import type { RpcResponse } from "../wire/rpc.ts";
import type { TakeQuestion } from "./question-rate.ts";

/** What came of a question. */
export type AskReply =
  | { readonly type: "answered"; readonly message: RpcResponse; readonly bytes: Uint8Array }
  | { readonly type: "cancelled" | "timeout" };

/** A question that is out. */
export interface PendingAsk {
  readonly id: number;
  readonly reply: Promise<AskReply>;
  /** Gives its place to another: it does not go out. */
  readonly drop: () => void;
}

/** Questions of one session at a time. */
const MAX_ASKS = 64;

/** The questions of one session. */
export class PendingAsks {
  readonly #waiting = new Map<number, (reply: AskReply) => void>();
  #lastId = 0;
  /** Counts one more question of a server; says why it may not be asked. */
  readonly take: TakeQuestion;

  constructor(take: TakeQuestion) {
    this.take = take;
  }

  /** Registers one; undefined if as many are out as may be. */
  open(signal: CancelSignal, limitMs: number): PendingAsk | undefined {
    if (this.#waiting.size >= MAX_ASKS) return undefined;
    this.#lastId += 1;
    const id = this.#lastId;
    let drop: PendingAsk["drop"] = () => undefined;
    const reply = new Promise<AskReply>((resolve) => {
      const settle = (result: AskReply): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", cancel);
        if (this.#waiting.delete(id)) resolve(result);
      };
      const cancel = (): void => settle({ type: "cancelled" });
      drop = cancel;
      const timer = setTimeout(() => settle({ type: "timeout" }), limitMs);
      this.#waiting.set(id, settle);
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
    });
    return { id, reply, drop };
  }

  /** False if nobody waits for this response. */
  answer(message: RpcResponse, bytes: Uint8Array): boolean {
    const settle = typeof message.id === "number" ? this.#waiting.get(message.id) : undefined;
    settle?.({ type: "answered", message, bytes });
    return settle !== undefined;
  }

  /** The session is over: nobody answers any more. */
  cancelAll(): void {
    for (const settle of [...this.#waiting.values()]) settle({ type: "cancelled" });
  }
}
