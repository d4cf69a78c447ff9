import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, concatAll } from "../../kernel/bytes.ts";
import { areLeavesOf, type EntryRanges, entryAt, hashLeaf, hashLeaves, splitLeaves } from "../../kernel/merkle/hash.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { MAX_BATCH_ENTRIES, parseRawBatch } from "../../ledger/admission/raw-batch.ts";
import { formatFrame, type WalRecord } from "../../ledger/storage/wal-frame.ts";
import { GrowingBundle } from "../../ledger/tree/growing-bundle.ts";
import { bytePrefixes } from "../support/each-byte.ts";
import { rawBatchBody } from "../support/raw-batches.ts";

/** Entries of many lengths, the longest and shortest among them. */
const LENGTHS = [1, 2, 300, 300, 55, 56, 63, 64, 65, 65_535, 1, 40_000, 40_000, 40_000, 7, 300];
const ENTRIES = LENGTHS.map((length, i) => Uint8Array.from({ length }, (_, at) => (i * 31 + at * 7) & 0xff));

/** Compared as text of their digests: an equality of arrays looks at each byte by itself. */
function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const digestsOf = (all: readonly Uint8Array[]): readonly string[] => all.map(digestOf);

/** The entries with `gap` bytes between them. */
function spaced(entries: readonly Uint8Array[], gap: number): EntryRanges {
  const bytes = concatAll(entries.flatMap((entry) => [new Uint8Array(gap).fill(0xee), entry]));
  const [starts, ends] = [new Uint32Array(entries.length), new Uint32Array(entries.length)];
  let at = 0;
  for (const [i, { length }] of entries.entries()) {
    starts[i] = at + gap;
    at += gap + length;
    ends[i] = at;
  }
  return { bytes, starts, ends };
}

function listOf(entries: EntryRanges): readonly Uint8Array[] {
  return Array.from(entries.starts, (_, i) => entryAt(entries, i));
}

describe("entries in one memory", () => {
  it.each([0, 1, 2, 5, 6, 200_000])("have the hashes, frame and bundle of the same entries, %i bytes apart", (gap) => {
    const some = gap > 1000 ? ENTRIES.slice(0, 9) : ENTRIES;
    const ranges = spaced(some, gap);
    const leaves = hashLeaves(ranges);
    expect(splitLeaves(leaves)).toEqual(some.map(hashLeaf));
    const records = some.map((bytes): WalRecord => ({ kind: "entry", bytes }));
    const [beside, alone] = [
      { kind: "segment", bytes: Uint8Array.of(9) } as const,
      { kind: "entry", bytes: Uint8Array.of(8) } as const,
    ];
    const framed = formatFrame({ batch: 1n, firstIndex: 2n, records: [beside, ranges, alone] }, 3n);
    const want = formatFrame({ batch: 1n, firstIndex: 2n, records: [beside, ...records, alone] }, 3n);
    expect(digestOf(framed.bytes)).toBe(digestOf(want.bytes));
    expect([framed.entries.starts, framed.entries.ends]).toEqual([want.entries.starts, want.entries.ends]);
    expect(digestsOf(listOf(framed.entries))).toEqual(digestsOf([...some, alone.bytes]));
    for (const source of [ranges, framed.entries]) {
      const bundle = new GrowingBundle();
      bundle.add(Uint8Array.of(1));
      bundle.addAll(source, 0, 3);
      bundle.addAll(source, 3, some.length);
      const whole = [Uint8Array.of(1), ...some];
      for (let width = 1; width <= whole.length; width += 1) {
        expect(digestOf(bundle.prefix(width))).toBe(digestOf(formatEntryBundle(whole.slice(0, width))));
      }
      expect(digestsOf(bundle.entries())).toEqual(digestsOf(whole));
      expect(digestOf(bundle.moveTo(new Uint8Array(bundle.length + 3)))).toBe(digestOf(formatEntryBundle(whole)));
      bundle.addAll(source, 1, 3);
      expect(digestOf(bundle.prefix(2))).toBe(digestOf(formatEntryBundle(some.slice(1, 3))));
    }
  });

  it("are the leaves of no other entries", () => {
    const ranges = spaced(ENTRIES, 2);
    const leaves = hashLeaves(ranges);
    expect(areLeavesOf(leaves, ranges)).toBe(true);
    expect(areLeavesOf(hashLeaves(spaced(ENTRIES.slice(1), 2)), ranges)).toBe(false);
    for (let i = 0; i < ENTRIES.length; i += 1) {
      const at = ranges.starts[i] ?? 0;
      ranges.bytes[at] = (ranges.bytes[at] ?? 0) ^ 1;
      expect(areLeavesOf(leaves, ranges)).toBe(false);
      ranges.bytes[at] = (ranges.bytes[at] ?? 0) ^ 1;
    }
  });

  it("are written into memory of an earlier frame, if that is large enough", () => {
    const content = { batch: 1n, firstIndex: 0n, records: [spaced(ENTRIES, 2)] };
    const { bytes } = formatFrame(content, 1n);
    for (const length of [bytes.length - 1, bytes.length, bytes.length + 100]) {
      const memory = new Uint8Array(length).fill(0xaa);
      const again = formatFrame(content, 1n, 2, memory);
      expect(digestOf(again.bytes)).toBe(digestOf(bytes));
      expect(again.bytes.buffer === memory.buffer).toBe(length >= bytes.length);
    }
  });
});

describe("the body of a raw batch", () => {
  it("gives the entries and their leaf hashes", () => {
    const run = parseRawBatch(rawBatchBody(ENTRIES));
    expect(digestsOf(listOf(run))).toEqual(digestsOf(ENTRIES));
    expect(splitLeaves(run.leaves)).toEqual(ENTRIES.map(hashLeaf));
  });

  it("is refused when it is cut anywhere but between two entries", () => {
    const entries = [Uint8Array.of(1), Uint8Array.of(2, 3), Uint8Array.of(4)];
    const whole = new Set([3, 7]);
    for (const cut of bytePrefixes(rawBatchBody(entries))) {
      if (whole.has(cut.length)) expect(parseRawBatch(cut).starts.length).toBe(whole.size - (cut.length === 3 ? 1 : 0));
      else
        expect(() => parseRawBatch(cut)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^ERR_(BUNDLE|ENTRY)_LENGTH$/u) }),
        );
    }
  });

  it("is refused with an empty entry, without any, and with too many", () => {
    const empty = concat(rawBatchBody([Uint8Array.of(1)]), new Uint8Array(2));
    expect(() => parseRawBatch(empty)).toThrow(expect.objectContaining({ code: "ERR_ENTRY_LENGTH" }));
    expect(() => parseRawBatch(new Uint8Array(0))).toThrow(expect.objectContaining({ code: "ERR_BUNDLE_LENGTH" }));
    const many = Array.from({ length: MAX_BATCH_ENTRIES + 1 }, (_, i) => Uint8Array.of(i >>> 8, i));
    expect(() => parseRawBatch(rawBatchBody(many))).toThrow(expect.objectContaining({ code: "ERR_BUNDLE_LENGTH" }));
    expect(parseRawBatch(rawBatchBody(many.slice(1))).starts.length).toBe(MAX_BATCH_ENTRIES);
  });
});
