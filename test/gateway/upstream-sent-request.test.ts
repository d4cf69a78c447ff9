/** An answer that a server has compressed: what waits to be inflated is bounded, as what waits to be read is. */

import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Cancellation } from "../../gateway/upstream/cancellation.ts";
import { MAX_WAITING_BYTES } from "../../gateway/upstream/chunk-queue.ts";
import { SentRequest } from "../../gateway/upstream/sent-request.ts";

const STEP = 1024 * 1024;

/** Hands over so many bytes of a compressed answer, without a turn of the event loop in which any could be inflated. */
function hand(length: number): { readonly request: SentRequest; readonly ends: readonly boolean[] } {
  const ends: boolean[] = [];
  const sender = {
    onOver: (isWhole: boolean) => ends.push(isWhole),
    resolve: () => undefined,
    reject: () => undefined,
  };
  const request = new SentRequest(new Cancellation(), sender);
  request.onResponseStart(undefined, 200, { "content-encoding": "gzip" });
  for (let at = 0; at < length; at += STEP) {
    request.onResponseData(undefined, COMPRESSED.subarray(at, Math.min(at + STEP, length)));
  }
  return { request, ends };
}

const COMPRESSED = new Uint8Array(gzipSync(randomBytes(MAX_WAITING_BYTES + STEP), { level: 0 }));

describe("a compressed answer", () => {
  it("is given up when more of it waits than may, and its connection with it", async () => {
    const { request, ends } = hand(MAX_WAITING_BYTES + 1);
    expect(ends).toEqual([false]);
    await expect(request.read()).rejects.toThrow("the answer comes faster than it is read");
  });

  it("is inflated up to that bound", async () => {
    const { request, ends } = hand(MAX_WAITING_BYTES);
    expect(ends).toEqual([]);
    expect((await request.read())?.length).toBeGreaterThan(0);
    request.cancel();
    expect(ends).toEqual([false]);
  });
});
