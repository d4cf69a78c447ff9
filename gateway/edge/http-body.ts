/** Reads a request body within a bound of bytes and of time. */

import type { IncomingMessage } from "node:http";
import type { Deadlines } from "../deadlines.ts";
import { Pieces } from "../wire/gathered-bytes.ts";

/** What came of it. */
export type Body =
  | { readonly type: "body"; readonly bytes: Uint8Array }
  /** Longer than allowed; the rest is not read. */
  | { readonly type: "too-large" }
  /** Not there in time, or the agent went away. */
  | { readonly type: "cut" };

/**
 * Reads it. A length that is announced above the bound is refused before a byte is read.
 *
 * @param announced  the header Content-Length, if there is one
 */
export function readBody(
  request: IncomingMessage,
  announced: string | undefined,
  maxBytes: number,
  deadlines: Pick<Deadlines, "start" | "stop">,
): Promise<Body> {
  if (announced !== undefined && Number(announced) > maxBytes) return Promise.resolve({ type: "too-large" });
  return new Promise((resolve) => {
    const pieces = new Pieces();
    let isSettled = false;
    const settle = (body: Body): void => {
      isSettled = true;
      deadlines.stop(cut);
      resolve(body);
    };
    const take = (chunk: Uint8Array): void => {
      if (pieces.length + chunk.length <= maxBytes) pieces.push(chunk);
      else {
        request.off("data", take);
        settle({ type: "too-large" });
      }
    };
    const cut = (): void => {
      if (isSettled) return;
      request.off("data", take);
      settle({ type: "cut" });
    };
    deadlines.start(cut);
    request.on("data", take);
    request.on("end", () => settle({ type: "body", bytes: pieces.take() }));
    request.on("error", cut);
    request.on("close", cut);
  });
}

const MAX_DISCARDED_BYTES = 64 * 1024 * 1024;
const DISCARD_MS = 2_000;

/**
 * Reads the rest of a body that nobody wants. A connection that is closed with unread bytes is reset, and the agent would
 * never see why it was refused.
 */
export function discardBody(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let length = 0;
    const timer = setTimeout(resolve, DISCARD_MS);
    const settle = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > MAX_DISCARDED_BYTES) settle();
    });
    request.once("end", settle);
    request.once("close", settle);
    request.resume();
  });
}
