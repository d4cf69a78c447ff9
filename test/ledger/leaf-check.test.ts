import { describe, expect, it } from "vitest";
import { type EntryRanges, hashLeaves, type LeafHashes } from "../../kernel/merkle/hash.ts";
import { checkWith, type LeafJob } from "../../ledger/sequence/leaf-check.ts";

const ENOUGH = 128;

/** Entries of three bytes in memory that threads share, or not. */
function entriesOf(count: number, isShared = true): { readonly written: EntryRanges; readonly leaves: LeafHashes } {
  const bytes = new Uint8Array(isShared ? new SharedArrayBuffer(3 * count) : new ArrayBuffer(3 * count));
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = i * 7;
  const starts = Uint32Array.from({ length: count }, (_, i) => 3 * i);
  const written = { bytes, starts, ends: starts.map((start) => start + 3) };
  return { written, leaves: hashLeaves(written) };
}

function makeRig(answer: (job: LeafJob) => Promise<boolean>) {
  const asked: LeafJob[] = [];
  const check = checkWith((job) => {
    asked.push(job);
    return answer(job);
  });
  return { asked, check };
}

describe("the check of what is written", () => {
  it("asks the thread of large batches once it has started, and says what that says", async () => {
    const { asked, check } = makeRig((job) => Promise.resolve(job.written.starts.length !== ENOUGH + 1));
    const { leaves, written } = entriesOf(ENOUGH);
    expect(check(leaves, written)).toBe(true);
    await Promise.resolve();
    expect(asked.length).toBe(1);
    expect(await check(leaves, written)).toBe(true);
    const other = entriesOf(ENOUGH + 1);
    expect(await check(other.leaves, other.written)).toBe(false);
    expect(asked.length).toBe(3);
  });

  it.each([
    ["a small batch", ENOUGH - 1, true],
    ["memory of one thread", ENOUGH, false],
  ])("finds it by itself for %s", (_, count, isShared) => {
    const { asked, check } = makeRig(() => Promise.reject(new Error("nobody is to ask")));
    const { leaves, written } = entriesOf(count, isShared);
    expect(check(leaves, written)).toBe(true);
    written.bytes[4] = 0;
    expect(check(leaves, written)).toBe(false);
    expect(asked).toEqual([]);
  });

  it("finds it by itself until the thread has answered, and again for the thread's first failure", async () => {
    let refuse: (error: Error) => void = () => undefined;
    const { asked, check } = makeRig(
      () =>
        new Promise((_, reject) => {
          refuse = reject;
        }),
    );
    const { leaves, written } = entriesOf(ENOUGH);
    expect([check(leaves, written), check(leaves, written)]).toEqual([true, true]);
    expect(asked.length).toBe(1);
    refuse(new Error("injected"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(check(leaves, written)).toBe(true);
    expect(asked.length).toBe(2);
  });

  it("fails as the thread does", async () => {
    let answers = 0;
    const { check } = makeRig(() => {
      answers += 1;
      return answers === 1 ? Promise.resolve(true) : Promise.reject(new Error("injected"));
    });
    const { leaves, written } = entriesOf(ENOUGH);
    expect(check(leaves, written)).toBe(true);
    await Promise.resolve();
    await expect(check(leaves, written)).rejects.toThrow("injected");
  });
});
