import { describe, expect, it } from "vitest";
import { ChunkQueue, MAX_WAITING_BYTES } from "../../gateway/upstream/chunk-queue.ts";

const chunk = (length: number): Uint8Array => new Uint8Array(length);

describe("a queue of chunks", () => {
  it("gives them in order, then its end, whoever comes first", async () => {
    const queue = new ChunkQueue();
    const first = queue.read();
    expect([queue.push(chunk(1)), queue.push(chunk(2)), queue.push(chunk(3))]).toEqual([true, true, true]);
    queue.end();
    expect([(await first)?.length, (await queue.read())?.length, (await queue.read())?.length]).toEqual([1, 2, 3]);
    expect([await queue.read(), await queue.read()]).toEqual([undefined, undefined]);
  });

  it("gives what came before it failed, and stays failed", async () => {
    const queue = new ChunkQueue();
    queue.push(chunk(1));
    queue.fail(new Error("lost"));
    queue.end();
    expect((await queue.read())?.length).toBe(1);
    await expect(queue.read()).rejects.toThrow("lost");
    await expect(queue.read()).rejects.toThrow("lost");
    const waited = new ChunkQueue();
    const read = waited.read();
    waited.fail(new Error("lost"));
    await expect(read).rejects.toThrow("lost");
  });

  it("says when more waits than may; what was read does not count", async () => {
    const queue = new ChunkQueue();
    expect(queue.push(chunk(MAX_WAITING_BYTES))).toBe(true);
    expect(queue.push(chunk(1))).toBe(false);
    await queue.read();
    expect(queue.push(chunk(MAX_WAITING_BYTES - 1))).toBe(true);
    const taken = new ChunkQueue();
    const read = taken.read();
    expect(taken.push(chunk(MAX_WAITING_BYTES + 1))).toBe(true);
    expect((await read)?.length).toBe(MAX_WAITING_BYTES + 1);
  });
});
