/** The time limits of a request: which of them ends it, and what does not. */

import { describe, expect, it } from "vitest";
import { Cancellation } from "../../gateway/upstream/cancellation.ts";
import { RequestClock, type RequestLimits } from "../../gateway/upstream/request-clock.ts";
import { WaitingRequests } from "../../gateway/upstream/waiting-requests.ts";

const LONG: RequestLimits = { firstByteMs: 60_000, idleMs: 60_000, totalMs: 60_000 };
const NONE: RequestLimits = { firstByteMs: Infinity, idleMs: Infinity, totalMs: Infinity };

const ended = (clock: RequestClock): Promise<string | undefined> =>
  new Promise((resolve) => clock.addEventListener("abort", () => resolve(clock.failure?.reason)));

/** A request of which nothing but its cancellation matters here. */
const request = (signal: Cancellation, isOpenEnded?: true): Parameters<WaitingRequests["wait"]>[0] => ({
  id: 1,
  method: "tools/call",
  headers: {},
  bytes: new Uint8Array(),
  signal,
  ...(isOpenEnded === undefined ? {} : { isOpenEnded }),
});

describe("the clock of a request", () => {
  it.each(["firstByteMs", "totalMs"] as const)("ends it by %s", async (limit) => {
    expect(await ended(new RequestClock({ ...LONG, [limit]: 5 }, []))).toBe("upstream.timeout");
  });

  it("ends it by silence behind the first byte, however long the first one may take", async () => {
    const clock = new RequestClock({ ...LONG, idleMs: 5 }, []);
    clock.onByte();
    expect(await ended(clock)).toBe("upstream.timeout");
  });

  it("counts no silence while somebody else is waited for, and counts it again when that wait has failed", async () => {
    const clock = new RequestClock({ ...LONG, firstByteMs: 5, idleMs: 5 }, []);
    const other = new RequestClock({ ...LONG, firstByteMs: 30 }, []);
    const waiting = ended(other).then(() => {
      expect(clock.aborted).toBe(false);
      throw new Error("nobody answered");
    });
    await expect(clock.during(waiting)).rejects.toThrow("nobody answered");
    expect(await ended(clock)).toBe("upstream.timeout");
  });

  it("may have no limit, and is then ended by its cancellation alone", async () => {
    const cancel = new Cancellation();
    const clock = new RequestClock(NONE, [cancel]);
    clock.onByte();
    await ended(new RequestClock({ ...LONG, firstByteMs: 20 }, []));
    expect(clock.aborted).toBe(false);
    cancel.abort();
    expect(clock.failure?.reason).toBe("client.cancelled");
    clock.stop();
  });
});

describe("a request that waits on a channel", () => {
  it.each([
    ["silence", { idleMs: 5, totalMs: 60_000 }],
    ["its time in all", { idleMs: 60_000, totalMs: 5 }],
  ])("ends by %s, and its server is told", async (_, limits) => {
    let told = 0;
    const reply = await new WaitingRequests(limits).wait(request(new Cancellation()), () => {
      told += 1;
    });
    expect(reply).toMatchObject({ type: "failed", status: "timeout", reason: "upstream.timeout" });
    expect(told).toBe(1);
  });

  it("is not ended by time if it stays open, and is by a cancellation, also by one that came before", async () => {
    const waiting = new WaitingRequests({ idleMs: 1, totalMs: 1 });
    const cancel = new Cancellation();
    const open = waiting.wait(request(cancel, true), () => undefined);
    await ended(new RequestClock({ ...LONG, firstByteMs: 20 }, []));
    expect(waiting.latest).toBe(1);
    cancel.abort();
    expect(await open).toMatchObject({ status: "cancelled", reason: "client.cancelled" });
    let told = 0;
    const late = await waiting.wait(request(cancel), () => {
      told += 1;
    });
    expect(late).toMatchObject({ status: "cancelled" });
    expect([told, waiting.latest]).toEqual([1, undefined]);
  });
});
