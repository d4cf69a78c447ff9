import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { areLeavesOf, type EntryRanges, entryAt, hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseRawBatch, proposeRawBatch } from "../../ledger/admission/raw-batch.ts";
import { EntryIndex } from "../../ledger/sequence/entry-index.ts";
import type { LeafCheck } from "../../ledger/sequence/leaf-check.ts";
import type { Proposal } from "../../ledger/sequence/proposal.ts";
import { GroupSequencer } from "../../ledger/sequence/sequencer.ts";
import type { PreparedBatch } from "../../ledger/storage/wal.ts";
import { type FramePart, formatFrame } from "../../ledger/storage/wal-frame.ts";
import { rawProposal } from "../support/ledger-log.ts";
import { MemoryIndex, MemoryLeaves } from "../support/ledger-memory.ts";
import { rawBatchBody } from "../support/raw-batches.ts";

/** Lets everything run that is ready to. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A write-ahead log whose writes wait until the test lets them go, or fail. */
class StalledLog {
  readonly prepared: PreparedBatch[] = [];
  readonly writes: { readonly batch: PreparedBatch; readonly go: () => void; readonly fail: () => void }[] = [];
  readonly released: PreparedBatch[] = [];
  #index = 0n;

  readonly prepare = (records: readonly FramePart[]): PreparedBatch => {
    const from = { batch: BigInt(this.prepared.length + 1), index: this.#index };
    const { bytes, entries } = formatFrame({ batch: from.batch, firstIndex: from.index, records }, 1n);
    this.#index += BigInt(entries.starts.length);
    const batch = { bytes, entries, from, next: { batch: from.batch + 1n, index: this.#index }, others: [] };
    this.prepared.push(batch);
    return batch;
  };

  readonly write = (batch: PreparedBatch): Promise<void> =>
    new Promise((resolve, reject) => {
      this.writes.push({ batch, go: resolve, fail: () => reject(new Error("injected")) });
    });

  readonly release = (batch: PreparedBatch): void => void this.released.push(batch);
}

function makeRig(maxBatchEntries = 2, hasRoom = { isThere: true }, checkLeaves: LeafCheck = areLeavesOf) {
  const log = new StalledLog();
  const tree: string[] = [];
  const faults: unknown[] = [];
  const sink = {
    get size() {
      return BigInt(tree.length);
    },
    appendAll: (entries: EntryRanges) => {
      for (let i = 0; i < entries.starts.length; i += 1) tree.push(Buffer.from(entryAt(entries, i)).toString());
    },
  };
  const sequencer = new GroupSequencer({
    log,
    tree: sink,
    index: new EntryIndex(new MemoryIndex(), new MemoryLeaves(), (error) => faults.push(error)),
    checkLeaves,
    limits: { maxQueuedEntries: 100, maxQueuedBytes: 1000, maxBatchEntries, maxBatchBytes: 1000 },
    room: { isThere: () => hasRoom.isThere, wait: () => Promise.resolve() },
    onFatal: (error) => faults.push(error),
    nowMs: () => 0,
  });
  const answers: string[] = [];
  const submit = (name: string, texts: readonly string[]): void => {
    sequencer.submit(rawProposal(texts)).then(
      (indexes) => answers.push(`${name}: ${indexes.join(" ")}`),
      (error: { readonly code: string }) => answers.push(`${name}: ${error.code}`),
    );
  };
  return { log, tree, faults, sequencer, answers, submit };
}

describe("the sequencer", () => {
  it("decides a full turn while the one before is written, and writes and answers it only behind that one", async () => {
    const { log, tree, answers, submit } = makeRig();
    submit("first", ["a", "b"]);
    await settled();
    submit("second", ["c", "a"]);
    submit("third", ["d"]);
    await settled();
    expect([log.prepared.length, log.writes.length, tree, answers]).toEqual([2, 1, [], []]);
    log.writes[0]?.go();
    await settled();
    expect([log.writes.length, tree, answers]).toEqual([2, ["a", "b"], ["first: 0 1"]]);
    log.writes[1]?.go();
    await settled();
    // "a" was known before it was durable, and its index is told only now.
    expect([tree, answers]).toEqual([
      ["a", "b", "c"],
      ["first: 0 1", "second: 2 0"],
    ]);
    log.writes[2]?.go();
    await settled();
    expect([tree.at(-1), answers.at(-1)]).toEqual(["d", "third: 3"]);
    expect(log.released).toEqual(log.prepared);
  });

  it("lets a turn that is not full grow until the one before is durable", async () => {
    const { log, answers, submit } = makeRig(10);
    submit("first", ["a"]);
    await settled();
    submit("second", ["b"]);
    await settled();
    submit("third", ["c"]);
    await settled();
    expect(log.prepared.length).toBe(1);
    log.writes[0]?.go();
    await settled();
    expect(log.writes.length).toBe(2);
    log.writes[1]?.go();
    await settled();
    expect(answers).toEqual(["first: 0", "second: 1", "third: 2"]);
  });

  it("tells a repetition of what is not durable nothing before that is", async () => {
    const { log, answers, submit } = makeRig(1);
    submit("first", ["a"]);
    await settled();
    submit("again", ["a"]);
    await settled();
    expect(answers).toEqual([]);
    log.writes[0]?.go();
    await settled();
    expect([log.writes.length, answers]).toEqual([1, ["first: 0", "again: 0"]]);
  });

  it("answers once the turn is durable and its bytes are found to be those that were admitted, whichever comes later", async () => {
    for (const isWrittenFirst of [true, false]) {
      let found: (isSame: boolean) => void = () => undefined;
      const { log, tree, answers, submit } = makeRig(
        2,
        undefined,
        () =>
          new Promise((resolve) => {
            found = resolve;
          }),
      );
      submit("first", ["a"]);
      await settled();
      if (isWrittenFirst) log.writes[0]?.go();
      else found(true);
      await settled();
      expect([tree, answers, log.released]).toEqual([[], [], []]);
      if (isWrittenFirst) found(true);
      else log.writes[0]?.go();
      await settled();
      expect([tree, answers, log.released.length]).toEqual([["a"], ["first: 0"], 1]);
    }
  });

  it("acknowledges nothing, and admits nothing any more, where other bytes were written than were admitted", async () => {
    const { log, tree, faults, answers, submit } = makeRig();
    const { prepare } = log;
    Object.assign(log, {
      prepare: (records: readonly FramePart[]) => {
        const batch = prepare(records);
        batch.bytes[batch.entries.starts[0] ?? 0] = 0x62;
        return batch;
      },
    });
    submit("first", ["a"]);
    await settled();
    // Its memory and file are the disk's until it has ended.
    expect([faults, answers]).toEqual([[], []]);
    log.writes[0]?.go();
    await settled();
    submit("later", ["c"]);
    await settled();
    expect([tree, answers, faults.length]).toEqual([[], ["first: ERR_LEDGER_STOPPED", "later: ERR_LEDGER_STOPPED"], 1]);
  });

  it("answers nobody of two turns, and nobody later, when the write of the first fails", async () => {
    const { log, tree, faults, answers, submit } = makeRig();
    submit("first", ["a", "b"]);
    await settled();
    submit("second", ["c", "d"]);
    await settled();
    submit("waiting", ["e"]);
    log.writes[0]?.fail();
    await settled();
    const stopped = "ERR_LEDGER_STOPPED";
    expect(answers).toEqual([`first: ${stopped}`, `second: ${stopped}`, `waiting: ${stopped}`]);
    submit("later", ["f"]);
    await settled();
    expect([answers.at(-1), log.writes.length, tree, faults.length]).toEqual([`later: ${stopped}`, 1, [], 1]);
  });

  it("answers the first of two turns when only the write of the second fails", async () => {
    const { log, tree, answers, submit } = makeRig();
    submit("first", ["a", "b"]);
    await settled();
    submit("second", ["c", "d"]);
    await settled();
    log.writes[0]?.go();
    await settled();
    log.writes[1]?.fail();
    await settled();
    expect([tree, answers]).toEqual([
      ["a", "b"],
      ["first: 0 1", "second: ERR_LEDGER_STOPPED"],
    ]);
  });

  it("answers before it waits for room", async () => {
    const room = { isThere: false };
    const { log, answers, submit } = makeRig(2, room);
    submit("first", ["a", "b"]);
    await settled();
    submit("second", ["c", "d"]);
    await settled();
    expect(log.prepared.length).toBe(1);
    log.writes[0]?.go();
    await settled();
    expect([answers, log.writes.length]).toEqual([["first: 0 1"], 2]);
  });

  it("does not end, with a fault, while a batch is being written", async () => {
    const { log, tree, faults, sequencer, answers, submit } = makeRig();
    tree.push = () => {
      throw new Error("injected");
    };
    submit("first", ["a", "b"]);
    await settled();
    submit("second", ["c", "d"]);
    await settled();
    log.writes[0]?.go();
    await settled();
    let isStopped = false;
    const stopping = sequencer.stop().then(() => {
      isStopped = true;
    });
    await settled();
    expect([log.writes.length, isStopped, faults.length]).toEqual([2, false, 0]);
    log.writes[1]?.go();
    await stopping;
    await settled();
    expect([faults.length, answers]).toEqual([1, ["first: ERR_LEDGER_STOPPED", "second: ERR_LEDGER_STOPPED"]]);
  });

  it("takes proposals that bring no entry, alone or behind others", async () => {
    const { log, sequencer } = makeRig();
    const nothing: Proposal<string> = { entries: [], decide: () => ({ entries: [], settle: () => "done" }) };
    expect(await sequencer.submit(nothing)).toBe("done");
    const adding = sequencer.submit(rawProposal(["a"]));
    await settled();
    const behind = sequencer.submit(nothing);
    log.writes[0]?.go();
    expect([await adding, await behind]).toEqual([[0n], "done"]);
  });

  it("places a batch in one memory as it places entries one by one, and each entry once", async () => {
    const { log, tree, answers, sequencer, submit } = makeRig(100);
    const placed: unknown[] = [];
    const add = (texts: readonly string[]): void => {
      const run = parseRawBatch(rawBatchBody(texts.map(formatUtf8)));
      void sequencer.submit(proposeRawBatch(run)).then((place) => placed.push(place));
    };
    add(["a", "b", "c"]);
    add(["b", "d", "d", "e"]);
    submit("single", ["e", "f"]);
    await settled();
    log.writes[0]?.go();
    await settled();
    expect(placed).toEqual([
      { count: 3, firstIndex: 0n, known: [] },
      {
        count: 4,
        firstIndex: 3n,
        known: [
          [0, 1n],
          [2, 3n],
        ],
      },
    ]);
    expect([tree.join(""), answers]).toEqual(["abcdef", ["single: 4 5"]]);
    expect(hashLeaf(formatUtf8("a"))).toEqual(parseRawBatch(rawBatchBody([formatUtf8("a")])).leaves);
  });
});
