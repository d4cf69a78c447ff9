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
