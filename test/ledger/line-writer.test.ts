import { describe, expect, it } from "vitest";
import { LineWriter } from "../../ledger/http/line-writer.ts";

const ignore = (): void => undefined;
const TAKE_MS = 20_000;

/** Resolves behind what is scheduled already. */
const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("lines of a stream", () => {
  it("go out in the order of their places, those that are there in one piece", async () => {
    const writes: string[] = [];
    const taken: number[] = [];
    const sink = { write: async (lines: string) => void writes.push(lines), cut: ignore };
    const writer = new LineWriter({ sink, takeMs: TAKE_MS, onFault: ignore });
    const fills = [0, 1, 2, 3, 4].map((i) => writer.reserve(() => void taken.push(i)));
    fills[1]?.("one");
    fills[2]?.("two");
    await later();
    expect(writes).toEqual([]);
    fills[0]?.("zero");
    fills[4]?.("four");
    await later();
    expect(writes).toEqual(["zero\none\ntwo"]);
    expect(taken).toEqual([0, 1, 2]);
    fills[3]?.("three");
    await writer.idle();
    expect(writes).toEqual(["zero\none\ntwo", "three\nfour"]);
    expect(taken).toEqual([0, 1, 2, 3, 4]);
    await writer.idle();
    writer.requireTaken();
  });

  it("are told to who waits for all in front of a place, whether those were taken or not", async () => {
    const sink = { write: () => Promise.resolve(), cut: ignore };
    const writer = new LineWriter({ sink, takeMs: TAKE_MS, onFault: ignore });
    const fills = [0, 1, 2].map(() => writer.reserve(ignore));
    const [first = ignore, second = ignore, third = ignore] = fills;
    await writer.filledBefore(first);
    const told: string[] = [];
    const waiting = writer.filledBefore(third).then(() => void told.push("third"));
    second("2");
    await later();
    expect(told).toEqual([]);
    first("1");
    await waiting;
    third("3");
    await writer.idle();
    await writer.filledBefore(writer.reserve(ignore));
  });

  it("end with the first write that fails: nothing more is written, and nobody waits", async () => {
    let [writes, faults] = [0, 0];
    const write = (): Promise<void> => {
      writes += 1;
      return Promise.reject(new Error("gone"));
    };
    const onFault = (): void => {
      faults += 1;
    };
    const writer = new LineWriter({ sink: { write, cut: ignore }, takeMs: TAKE_MS, onFault });
    const [first, second] = [writer.reserve(ignore), writer.reserve(ignore)];
    const idle = writer.idle();
    first("1");
    await idle;
    second("2");
    await later();
    expect([writes, faults, writer.isFaulty]).toEqual([1, 1, true]);
    expect(() => writer.requireTaken()).toThrow("gone");
    await writer.idle();
  });
});
