/**
 * The answer to one HTTP request: JSON, or an event stream from the first notification on. Nothing of a server's own
 * headers reaches the agent.
 */

import type { ServerResponse } from "node:http";
import type { AgentAnswer } from "./agent-request.ts";
import { formatReceiptRef } from "./agent-request.ts";

/** Writes one answer. */
export interface HttpReply {
  /** Sends a notification; the reply is an event stream from now on. */
  readonly notify: (notification: Uint8Array) => void;
  readonly send: (answer: AgentAnswer) => void;
  /** An answer without a body. */
  readonly sendEmpty: (status: number, headers?: Readonly<Record<string, string>>) => void;
}

/** Notifications are dropped, not queued, for an agent that does not read them. */
const MAX_WAITING_BYTES = 1024 * 1024;
const NO_STORE = { "Cache-Control": "no-store" } as const;

/** Makes the writer. `isLast` tells the agent that the connection ends with this answer. */
export function makeHttpReply(response: ServerResponse, keepAliveMs: number, isLast: () => boolean): HttpReply {
  let keepAlive: NodeJS.Timeout | undefined;
  const close = (): Record<string, string> => (isLast() ? { Connection: "close" } : {});
  response.once("close", () => clearInterval(keepAlive));
  response.on("error", () => undefined);
  const openStream = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, {
      ...NO_STORE,
      ...close(),
      "Content-Type": "text/event-stream",
      "X-Accel-Buffering": "no",
    });
    keepAlive = setInterval(() => response.write(": keep-alive\n\n"), keepAliveMs);
  };
  return {
    notify: (notification) => {
      if (response.destroyed || response.writableLength > MAX_WAITING_BYTES) return;
      openStream();
      response.write(formatEvent(notification));
    },
    send: (answer) => {
      clearInterval(keepAlive);
      if (response.headersSent) {
        response.end(formatEvent(answer.bytes));
        return;
      }
      const receipt = answer.receipt === undefined ? {} : { "Countersign-Receipt": formatReceiptRef(answer.receipt) };
      const type = { "Content-Type": "application/json", "Content-Length": String(answer.bytes.length) };
      response.writeHead(answer.httpStatus, { ...NO_STORE, ...type, ...receipt, ...answer.headers, ...close() });
      response.end(answer.bytes);
    },
    sendEmpty: (status, headers = {}) => {
      response.writeHead(status, { ...NO_STORE, "Content-Length": "0", ...headers, ...close() });
      response.end();
    },
  };
}

/** One server-sent event; a message with line ends in it becomes several data lines. */
function formatEvent(message: Uint8Array): string {
  const lines = new TextDecoder().decode(message).split(/\r\n|\r|\n/u);
  return `event: message\n${lines.map((line) => `data: ${line}\n`).join("")}\n`;
}
