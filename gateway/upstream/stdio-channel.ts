/** One started child: its lines become responses, progress and notices; what it asks of agents is refused. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type RpcMessage, readMessage } from "../wire/rpc.ts";
import { rawAt } from "../wire/spans.ts";
import { type Child, startChild } from "./child.ts";
import { answerPing, type Notices } from "./notices.ts";
import { cancelledNotification, refusedRequest } from "./own-request.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";
import { WaitingRequests } from "./waiting-requests.ts";

/** What a channel is made of. */
export interface ChannelOptions {
  readonly id: string;
  readonly executable: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly limits: UpstreamLimits;
  readonly logger: Logger;
  readonly notices: Notices;
}

/** A channel to a child that runs, until it does not. */
export interface Channel {
  readonly isOpen: () => boolean;
  readonly exchange: (request: UpstreamRequest) => Promise<UpstreamReply>;
  readonly notify: (message: Uint8Array) => void;
  readonly lastWords: () => string;
  readonly stop: () => Promise<void>;
}

const NOT_SENT: UpstreamReply = {
  type: "failed",
  status: "upstream_error",
  effect: "none",
  reason: "server.unavailable",
};

/** Starts the child. */
export function openChannel(options: ChannelOptions): Channel {
  const { id, limits, logger } = options;
  const waiting = new WaitingRequests(limits);
  let isOpen = true;
  let isStopping = false;
  const child: Child = startChild({
    ...options,
    onLine: (line) => receive(options, waiting, child, line),
    onOversize: (ends) => refuseLine(options, waiting, ends, "json.size"),
    onExit: () => {
      isOpen = false;
      if (!isStopping) logger.warn({ server: id }, "the server's process is gone");
      waiting.failAll("upstream.closed");
    },
  });
  return {
    isOpen: () => isOpen,
    exchange: (request) => {
      if (!isOpen || !child.send(request.bytes)) return Promise.resolve(NOT_SENT);
      return waiting.wait(request, () => void child.send(cancelledNotification(request.id)));
    },
    notify: (message) => void child.send(message),
    lastWords: child.lastWords,
    stop: () => {
      isStopping = true;
      return child.stop();
    },
  };
}

function receive(options: ChannelOptions, waiting: WaitingRequests, child: Child, line: Uint8Array): void {
  const message = readMessage(line, "egress", options.limits.maxMessageBytes);
  if (message.type === "fault") refuseLine(options, waiting, line, message.reason);
  else take(options, waiting, child, message, line);
}

function take(
  { id, logger, notices }: ChannelOptions,
  waiting: WaitingRequests,
  child: Child,
  message: RpcMessage,
  line: Uint8Array,
): void {
  if (message.type === "response") {
    if (!waiting.answer(message, line)) logger.warn({ server: id }, "a response that nobody waits for");
  } else if (message.type === "request") {
    const idText = rawAt(message.text, ["id"]) ?? "null";
    if (message.method === "ping") return void child.send(answerPing(idText));
    child.send(refusedRequest(idText));
    notices.refusedRequest(message.method, line);
  } else if (message.method === "notifications/progress") {
    waiting.progress(message.params["progressToken"], message.text);
  } else {
    notices.notification(message);
  }
}

/** A line that is no message ends the request that it seems to answer; else it is noise, counted and never passed on. */
function refuseLine({ id, logger }: ChannelOptions, waiting: WaitingRequests, line: Uint8Array, why: ReasonCode): void {
  const answered = responseIdIn(line);
  const isAnswer = answered !== undefined && waiting.fail(answered, why, why === "json.size" ? undefined : line);
  if (!isAnswer)
    logger.warn({ server: id, reason: "stdio.noise", fault: why }, "a line that is no message was dropped");
}

/** Our id in a text that cannot be read as JSON: only tells whom to disappoint. */
function responseIdIn(line: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(line);
  if (!/"(?:result|error)"\s*:/u.test(text)) return undefined;
  const ids = [...text.matchAll(/"id"\s*:\s*(\d{1,15})\b/gu)].map(([, digits]) => Number(digits));
  return ids.length === 1 ? ids[0] : undefined;
}
