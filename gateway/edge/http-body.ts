/** Reads a request body within a bound of bytes and of time. */

import type { IncomingMessage } from "node:http";
import { GatheredBytes } from "../wire/gathered-bytes.ts";

/** What came of it. */
export type Body =
  | { readonly type: "body"; readonly bytes: Uint8Array }
  /** Longer than allowed; the rest is not read. */
  | { readonly type: "too-large" }
  /** Not there in time, or the agent went away. */
  | { readonly type: "cut" };

/** Reads it. A length that is announced above the bound is refused before a byte is read. */
export function readBody(request: IncomingMessage, maxBytes: number, limitMs: number): Promise<Body> {
  const announced = Number(request.headers["content-length"] ?? "0");
  if (announced > maxBytes) return Promise.resolve({ type: "too-large" });
  return new Promise((resolve) => {
    const gathered = new GatheredBytes();
    const settle = (body: Body): void => {
      clearTimeout(timer);
      request.removeAllListeners("data");
      resolve(body);
    };
    const timer = setTimeout(() => settle({ type: "cut" }), limitMs);
    request.on("data", (chunk: Uint8Array) => {
      if (gathered.length + chunk.length > maxBytes) settle({ type: "too-large" });
      else gathered.push(chunk);
    });
    request.once("end", () => settle({ type: "body", bytes: gathered.take() }));
    request.once("error", () => settle({ type: "cut" }));
    request.once("close", () => settle({ type: "cut" }));
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
