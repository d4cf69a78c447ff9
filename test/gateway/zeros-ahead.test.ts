/** Zeros in front of appends: written in pieces, never where an append may be. */

import { describe, expect, it } from "vitest";
import { ZerosAhead } from "../../gateway/receipts/zeros-ahead.ts";

interface Piece {
  readonly at: number;
  readonly length: number;
  readonly done: () => void;
  readonly fail: () => void;
}

/** A file whose writes end when the test says so. */
function heldFile(): {
  readonly pieces: Piece[];
  readonly writeZeros: (zeros: Uint8Array, at: number) => Promise<void>;
} {
  const pieces: Piece[] = [];
  const writeZeros = ({ length }: Uint8Array, at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      pieces.push({ at, length, done: resolve, fail: () => reject(new Error("ENOSPC")) });
    });
  return { pieces, writeZeros };
}

/** Runs what waits for promises. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function writeAll(pieces: readonly Piece[], from = 0): Promise<void> {
  for (let i = from; i < pieces.length; i += 1) {
    pieces[i]?.done();
    await settle();
  }
}

describe("zeros ahead", () => {
  it("are written piece behind piece, one at a time, and again when half of them are used", async () => {
    const { pieces, writeZeros } = heldFile();
    const zeros = new ZerosAhead({ writeZeros }, 1_000);
    zeros.after(1_500);
    expect(pieces.length).toBe(1);
    await writeAll(pieces);
    const end = pieces.reduce((sum, { length }) => sum + length, 1_500);
    expect(pieces.map(({ at }) => at)).toEqual(pieces.map(({ length }, i) => 1_500 + i * length));
    expect(end).toBe(1_500 + 1024 * 1024);
    const count = pieces.length;
    zeros.after(2_000);
    expect(pieces.length).toBe(count);
    zeros.after(end - 512 * 1024 + 1);
    expect(pieces.at(-1)?.at).toBe(end);
  });

  it("keep an append waiting that would pass them, until there are as many as it needs", async () => {
    const { pieces, writeZeros } = heldFile();
    const zeros = new ZerosAhead({ writeZeros }, 0);
    expect(zeros.before(10)).toBeUndefined();
    zeros.after(10);
    const piece = pieces[0]?.length ?? 0;
    let isReached = false;
    const reached = zeros.before(10 + piece + 1)?.then(() => {
      isReached = true;
    });
    pieces[0]?.done();
    await settle();
    expect(isReached).toBe(false);
    expect(zeros.before(10 + piece)).toBeUndefined();
    pieces[1]?.done();
    await reached;
    expect(pieces.length).toBe(3);
  });

  it("leave room for another one only in front of what is written, and less than there is", async () => {
    const { pieces, writeZeros } = heldFile();
    const zeros = new ZerosAhead({ writeZeros }, 0);
    zeros.after(10);
    expect([zeros.lendable, zeros.end]).toEqual([10, 10]);
    await writeAll(pieces);
    const written = 10 + pieces.reduce((sum, { length }) => sum + length, 0);
    expect(zeros.end).toBe(written);
    expect(zeros.lendable).toBeGreaterThan(10);
    expect(zeros.lendable).toBeLessThan(written);
    // What was kept back is there while the next ones are on their way.
    zeros.after(zeros.lendable);
    expect([zeros.lendable, zeros.end]).toEqual([written, written]);
  });

  it("are written no more once there is no room for them, or the file ends", async () => {
    const full = heldFile();
    const zeros = new ZerosAhead(full, 0);
    zeros.after(10);
    const reached = zeros.before(10_000_000);
    full.pieces[0]?.fail();
    await reached;
    zeros.after(20);
    expect(full.pieces.length).toBe(1);
    const ending = heldFile();
    const others = new ZerosAhead(ending, 0);
    others.after(10);
    const ended = others.finish();
    ending.pieces[0]?.done();
    await ended;
    await settle();
    others.after(2_000_000);
    expect(ending.pieces.length).toBe(1);
  });
});
