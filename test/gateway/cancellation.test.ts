import { describe, expect, it } from "vitest";
import { Cancellation, firstOf } from "../../gateway/upstream/cancellation.ts";

describe("the cancellation of a call", () => {
  it("tells everybody who listens, once and in order", () => {
    const signal = new Cancellation();
    const told: string[] = [];
    signal.addEventListener("abort", () => told.push("first"));
    signal.addEventListener("abort", () => told.push("second"));
    expect(signal.aborted).toBe(false);
    signal.abort();
    signal.abort();
    expect(signal.aborted).toBe(true);
    expect(told).toEqual(["first", "second"]);
  });

  it("says that it is aborted to those whom it tells, and tells nobody who listens afterwards", () => {
    const signal = new Cancellation();
    const seen: boolean[] = [];
    signal.addEventListener("abort", () => {
      seen.push(signal.aborted);
      signal.addEventListener("abort", () => seen.push(false));
    });
    signal.abort();
    signal.addEventListener("abort", () => seen.push(false));
    signal.abort();
    expect(seen).toEqual([true]);
  });

  it("does not tell who has stopped to listen", () => {
    const signal = new Cancellation();
    const told: string[] = [];
    const stopped = (): void => void told.push("stopped");
    signal.addEventListener("abort", stopped);
    signal.addEventListener("abort", () => told.push("listens"));
    signal.removeEventListener("abort", stopped);
    signal.removeEventListener("abort", () => undefined);
    signal.abort();
    expect(told).toEqual(["listens"]);
  });

  it("is none for a call that is over", () => {
    const signal = new Cancellation();
    const told: string[] = [];
    signal.addEventListener("abort", () => told.push("late"));
    signal.end();
    signal.abort();
    expect([signal.aborted, told]).toEqual([false, []]);
  });

  it("is the first of several with AbortSignals, whichever comes first", () => {
    const [call, other, controller] = [new Cancellation(), new Cancellation(), new AbortController()];
    const byCall = firstOf([call, controller.signal]);
    const bySignal = firstOf([other, controller.signal]);
    call.abort();
    expect([byCall.aborted, bySignal.aborted]).toEqual([true, false]);
    controller.abort();
    expect(bySignal.aborted).toBe(true);
    expect(firstOf([call]).aborted).toBe(true);
  });
});
