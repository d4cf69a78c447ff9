/** What comes on a channel to a server: responses, progress, notices; and what it asks of the agent whose channel it is. */

import type { Logger } from "../../kernel/service/service.ts";
import type { RpcMessage, RpcRequest } from "../wire/rpc.ts";
import { rawAt } from "../wire/spans.ts";
import { answerPing, type Notices } from "./notices.ts";
import { refusedRequest } from "./own-request.ts";
import type { LegAgent } from "./upstream.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** Who takes what comes. */
export interface ChannelEar {
  /** Of the server. */
  readonly id: string;
  readonly logger: Logger;
  readonly notices: Notices;
  readonly waiting: WaitingRequests;
  /** Undefined if all agents share the channel: then nobody can be asked. */
  readonly agent?: LegAgent | undefined;
  readonly reply: (message: Uint8Array) => void;
}

/** Takes one message. A channel does not say to which call one belongs: it counts for the latest. */
export function takeMessage(ear: ChannelEar, message: RpcMessage, bytes: Uint8Array): void {
  const { id, logger, notices, waiting, agent } = ear;
  if (message.type === "response") {
    if (!waiting.answer(message, bytes)) logger.warn({ server: id }, "a response that nobody waits for");
  } else if (message.type === "request") {
    takeRequest(ear, message, bytes);
  } else if (message.method === "notifications/progress") {
    waiting.progress(message.params["progressToken"], message.text);
  } else {
    notices.notification(message);
    agent?.onNotification(message, waiting.latest);
  }
}

function takeRequest({ notices, waiting, agent, reply }: ChannelEar, message: RpcRequest, bytes: Uint8Array): void {
  const idText = rawAt(message.text, ["id"]) ?? "null";
  if (message.method === "ping") {
    reply(answerPing(idText));
    return;
  }
  if (agent !== undefined) {
    const { latest } = waiting;
    void waiting.during(latest, agent.onRequest(message, bytes, latest)).then(reply);
    return;
  }
  reply(refusedRequest(idText));
  notices.refusedRequest(message.method, bytes);
}
