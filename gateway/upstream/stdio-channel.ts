/** One started child: its lines become responses, progress and notices, and questions to the agent if it is one agent's. */

import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { readMessage } from "../wire/rpc.ts";
import { type Channel, NOT_SENT } from "./channel.ts";
import { type ChannelEar, takeMessage } from "./channel-messages.ts";
import { type Child, startChild } from "./child.ts";
import type { Notices } from "./notices.ts";
import { cancelledNotification } from "./own-request.ts";
import type { LegAgent } from "./upstream.ts";
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
  /** The agent whose child it is; undefined if agents share it. */
  readonly agent?: LegAgent | undefined;
}

/** Starts the child. */
export function openChannel(options: ChannelOptions): Channel {
  const { id, limits, logger } = options;
  const waiting = new WaitingRequests(limits);
  let isOpen = true;
  let isStopping = false;
  let onGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    onGone = resolve;
  });
  const ear: ChannelEar = { ...options, waiting, reply: (message) => void child.send(message) };
  const child: Child = startChild({
    ...options,
    onLine: (line) => receive(options, ear, line),
    onOversize: (ends) => refuseLine(ear, ends, "json.size"),
    onExit: () => {
      isOpen = false;
      if (!isStopping) logger.warn({ server: id }, "the server's process is gone");
      waiting.failAll("upstream.closed");
      onGone();
    },
  });
  return {
    isOpen: () => isOpen,
    gone,
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

function receive({ limits }: ChannelOptions, ear: ChannelEar, line: Uint8Array): void {
  const message = readMessage(line, "egress", limits.maxMessageBytes);
  if (message.type === "fault") refuseLine(ear, line, message.reason);
  else takeMessage(ear, message, line);
}

/** A line that is no message ends the request that it seems to answer; else it is noise, counted and never passed on. */
function refuseLine({ id, logger, waiting }: ChannelEar, line: Uint8Array, why: ReasonCode): void {
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
