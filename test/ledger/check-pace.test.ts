import { describe, expect, it } from "vitest";
import { CheckPace } from "../../ledger/checks/pace.ts";

/** A pace whose clock moves by what it rests. @param comes  whether a segment is admitted while it rests at a time */
function makePace(comes: (nowMs: number) => boolean): { readonly pace: CheckPace; readonly nowMs: () => number } {
  let nowMs = 0;
  const pace = new CheckPace({
    nowMs: () => nowMs,
    rest: async (ms) => {
      nowMs += ms;
      if (comes(nowMs)) pace.admitted();
    },
  });
  return { pace, nowMs: () => nowMs };
}

const goesOn = (): boolean => false;

describe("the pace of the background checks", () => {
  it("does not rest when no segment came", async () => {
    const { pace, nowMs } = makePace(() => true);
    await pace.turn(() => 0, goesOn);
    expect(nowMs()).toBe(0);
  });

  it("rests while segments come, and goes on once none came for a while", async () => {
    const { pace, nowMs } = makePace((at) => at <= 1000);
    pace.admitted();
    await pace.turn(() => 0.1, goesOn);
    expect(nowMs()).toBe(1200);
  });

  it("does not rest once what waits fills half of its bound", async () => {
    const { pace, nowMs } = makePace(() => true);
    pace.admitted();
    await pace.turn(() => (nowMs() < 100 ? 0.4 : 0.5), goesOn);
    expect(nowMs()).toBe(100);
  });

  it("rests for five seconds at most, and not again until it has caught up", async () => {
    const { pace, nowMs } = makePace(() => true);
    pace.admitted();
    await pace.turn(() => 0, goesOn);
    await pace.turn(() => 0, goesOn);
    expect(nowMs()).toBe(5000);
    pace.caughtUp();
    await pace.turn(() => 0, goesOn);
    expect(nowMs()).toBe(10_000);
  });

  it("ends its rest when nobody wants to go on", async () => {
    const { pace, nowMs } = makePace(() => true);
    pace.admitted();
    await pace.turn(
      () => 0,
      () => nowMs() === 40,
    );
    expect(nowMs()).toBe(40);
  });
});
