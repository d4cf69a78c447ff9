/** An answer that a server has compressed: what waits to be inflated is bounded, as what waits to be read is. */

import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Cancellation } from "../../gateway/upstream/cancellation.ts";
import { MAX_WAITING_BYTES } from "../../gateway/upstream/chunk-queue.ts";
import { SentRequest } from "../../gateway/upstream/sent-request.ts";

const STEP = 1024 * 1024;

/** Hands over so many bytes of a compressed answer, without a turn of the event loop in which any could be inflated. */
function hand(length: number): { readonly request: SentRequest; readonly cuts: readonly string[] } {
  const cuts: string[] = [];
  const request = new SentRequest(new Cancellation(), { resolve: () => undefined, reject: () => undefined });
  request.goBy({ cut: () => void cuts.push("cut") });
  request.onHead(200, (name) => (name === "content-encoding" ? ["gzip"] : []));
  for (let at = 0; at < length; at += STEP) {
    request.onBody(COMPRESSED.subarray(at, Math.min(at + STEP, length)));
  }
  return { request, cuts };
}

const COMPRESSED = new Uint8Array(gzipSync(randomBytes(MAX_WAITING_BYTES + STEP), { level: 0 }));

describe("a compressed answer", () => {
  it("is given up when more of it waits than may, and its connection with it", async () => {
    const { request, cuts } = hand(MAX_WAITING_BYTES + 1);
    expect(cuts).toEqual(["cut"]);
    await expect(request.read()).rejects.toThrow("the answer comes faster than it is read");
  });

  it("is inflated up to that bound", async () => {
    const { request, cuts } = hand(MAX_WAITING_BYTES);
    expect(cuts).toEqual([]);
    expect((await request.read())?.length).toBeGreaterThan(0);
    request.cancel();
    expect(cuts).toEqual(["cut"]);
  });
});
