/** What a modern server says of a task, taken out of the message that says it. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { RpcNotification } from "../wire/rpc.ts";
import { rawAt } from "../wire/spans.ts";
import { resultOf } from "./own-request.ts";
import type { ServerTaskStatus, UpstreamReply } from "./upstream.ts";

/** The task in a `notifications/tasks`. */
export function statusInNotice({ text, params }: RpcNotification): ServerTaskStatus {
  return { bytes: formatUtf8(text), text: rawAt(text, ["params"]) ?? "{}", value: params };
}

/** The task in an answer to `tasks/get`; undefined if it has none. */
export function statusInReply(reply: UpstreamReply): ServerTaskStatus | undefined {
  const value = resultOf(reply);
  if (value === undefined || reply.type !== "answered") return undefined;
  return { bytes: reply.bytes, text: rawAt(reply.text, ["result"]) ?? "{}", value };
}

/**
 * Tells of one task what its server says unasked, and what it answers: an answer that came behind something newer, which is a notice
 * or the answer to a later question, would take the task back to where it was.
 */
export class TaskStatusOrder {
  readonly #onStatus: (status: ServerTaskStatus) => void;
  #last = 0;
  #told = 0;

  constructor(onStatus: (status: ServerTaskStatus) => void) {
    this.#onStatus = onStatus;
  }

  notice(status: ServerTaskStatus): void {
    this.ask()(status);
  }

  /** A question is put now. @returns what takes its answer */
  ask(): (status: ServerTaskStatus) => void {
    this.#last += 1;
    const turn = this.#last;
    return (status) => {
      if (turn < this.#told) return;
      this.#told = turn;
      this.#onStatus(status);
    };
  }
}
