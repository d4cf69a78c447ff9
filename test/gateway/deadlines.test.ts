import { describe, expect, it } from "vitest";
import { Deadlines } from "../../gateway/deadlines.ts";

/** Resolves when it is late. */
function waitFor(deadlines: Deadlines, told: string[], name: string): Promise<void> {
  return new Promise((resolve) => {
    deadlines.start(() => {
      told.push(name);
      resolve();
    });
  });
}

describe("deadlines of one length", () => {
  it("are told in the order in which they began, each once and not before its time", async () => {
    const deadlines = new Deadlines(20);
    const told: string[] = [];
    const started = performance.now();
    const first = waitFor(deadlines, told, "first");
    const second = waitFor(deadlines, told, "second");
    await first;
    await waitFor(deadlines, told, "third");
    await second;
    expect(told).toEqual(["first", "second", "third"]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(40);
  });

  it("that are stopped tell nobody, and those behind them are told", async () => {
    const deadlines = new Deadlines(5);
    const told: string[] = [];
    const stopped = (): void => void told.push("stopped");
    deadlines.start(stopped);
    const last = waitFor(deadlines, told, "last");
    deadlines.stop(stopped);
    await last;
    expect(told).toEqual(["last"]);
  });

  it("may begin again out of what they tell", async () => {
    const deadlines = new Deadlines(5);
    const told: string[] = [];
    await new Promise<void>((resolve) => {
      deadlines.start(() => {
        told.push("first");
        void waitFor(deadlines, told, "again").then(resolve);
      });
    });
    expect(told).toEqual(["first", "again"]);
  });
});
