/** The stream on which a legacy server says what belongs to no request: opened by GET, and again when it breaks. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { readMessage } from "../wire/rpc.ts";
import { chunksOf } from "./http-answer.ts";
import { type HttpSite, isEventStream } from "./http-exchange.ts";
import { pause } from "./pause.ts";
import { SseReader } from "./sse-reader.ts";

const FIRST_WAIT_MS = 1_000;
const LAST_WAIT_MS = 60_000;

/**
 * Follows it until the signal is aborted, or until the server says that it has none.
 *
 * @param headers  of the session at this moment; undefined if it is gone
 * @param onGap  told when the stream is there again: something may have been missed
 */
export async function followStream(
  site: HttpSite,
  headers: () => Readonly<Record<string, string>> | undefined,
  onGap: () => void,
  signal: AbortSignal,
): Promise<void> {
  const reader = new SseReader(site.limits.maxMessageBytes);
  let waitMs = FIRST_WAIT_MS;
  for (let streams = 0; !signal.aborted; streams += 1) {
    const sent = headers();
    if (sent === undefined) return;
    const isOpen = await followOnce(site, sent, reader, signal, () => {
      waitMs = FIRST_WAIT_MS;
      if (streams > 0) onGap();
    });
    if (isOpen === "none") return;
    await pause(Math.min(LAST_WAIT_MS, Math.max(reader.retryMs ?? 0, waitMs)), signal);
    waitMs = Math.min(LAST_WAIT_MS, waitMs * 2);
  }
}

/** @returns "none" if the server offers no stream, or not to this session any more */
async function followOnce(
  site: HttpSite,
  headers: Readonly<Record<string, string>>,
  reader: SseReader,
  signal: AbortSignal,
  onOpen: () => void,
): Promise<"none" | "ended"> {
  const last: Record<string, string> = reader.lastEventId === undefined ? {} : { "Last-Event-ID": reader.lastEventId };
  try {
    const response = await site.fetch(site.url, { method: "GET", headers: { ...headers, ...last }, signal });
    if (!isEventStream(response)) {
      response.cancel();
      return response.status >= 500 ? "ended" : "none";
    }
    onOpen();
    reader.restart();
    for await (const chunk of chunksOf(response)) {
      const events = reader.push(chunk);
      if (events === undefined) return "ended";
      for (const event of events) take(site, formatUtf8(event));
    }
  } catch {
    // The connection broke, or was never there: tried again later.
  }
  return "ended";
}

/** A response on this stream answers nothing that was asked; a document that does not scan is dropped. */
function take(site: HttpSite, bytes: Uint8Array): void {
  const message = readMessage(bytes, "egress", site.limits.maxMessageBytes);
  if (message.type === "request" || message.type === "notification") void site.onMessage(message, bytes, undefined);
}
