import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { receiptBodyHash, receiptHash, type StreamReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { checkReceiptSignature } from "../../kernel/stream/stream-state.ts";
import { makeInlineReader, type SubmissionReader } from "../../ledger/reading/reader.ts";
import { JobRunner, type ReadingJob } from "../../ledger/reading/reading-job.ts";
import { makeWorkerReader, type ReadingThread } from "../../ledger/reading/worker-reader.ts";
import { codeOf } from "../support/code-of.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream, receiptBodies } from "../support/receipts.ts";

const keys = gatewayKeys();
const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
const { receipt, bytes } = signReceipt(receiptBodies().heartbeat, [keys.receipt]);
const stream = makeStream({ keys, log: LEDGER_ORIGIN, calls: 60 });
const key = keys.receipt.publicKey;
const source = { stream: receipt.stream, key };
const own = { stream: stream.stream, key };

/** A thread on this one: what goes over is cloned and handed over as it would be. */
class NearThread extends EventEmitter {
  readonly jobs: ReadingJob[] = [];
  readonly #runner = new JobRunner();
  #isHeld = false;
  readonly ref = (): void => undefined;
  readonly unref = (): void => undefined;

  readonly postMessage = (given: ReadingJob, transfer: readonly ArrayBuffer[]): void => {
    const job = structuredClone(given, { transfer: [...transfer] });
    this.jobs.push(job);
    if (this.#isHeld) return;
    setImmediate(() => this.emit("message", structuredClone(this.#runner.run(job))));
  };

  readonly terminate = async (): Promise<void> => void this.emit("exit", 0);

  hold(): this {
    this.#isHeld = true;
    return this;
  }
}

function readerWith(...threads: NearThread[]): { reader: SubmissionReader; failures: unknown[] } {
  const failures: unknown[] = [];
  const rest = [...threads];
  const start = (): ReadingThread => {
    const thread = rest.shift();
    if (thread === undefined) throw new Error("no more threads");
    return thread as unknown as ReadingThread;
  };
  return { reader: makeWorkerReader({ count: 1, start, onFailure: (cause) => failures.push(cause) }), failures };
}

async function verdict(read: Promise<unknown>): Promise<string> {
  try {
    return (await read) === undefined ? "apart" : "accepted";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

function withSignature(change: (signature: Uint8Array) => Uint8Array): StreamReceipt {
  const signatures = receipt.signatures.map((one) => ({ ...one, sig: formatBase64(change(parseBase64(one.sig))) }));
  return { ...receipt, signatures };
}

describe("receipts that are read in a thread", () => {
  it("have the verdict of the kernel, for every changed byte of the signature and a neutral R", async () => {
    const readers = [readerWith(new NearThread()).reader, makeInlineReader()];
    const changes = Array.from({ length: 64 }, (_, at) => (signature: Uint8Array) => {
      return signature.map((byte, i) => (i === at ? byte ^ 1 : byte));
    });
    const neutral = (signature: Uint8Array): Uint8Array =>
      signature.map((byte, i) => (i === 0 ? 1 : i < 32 ? 0 : byte));
    for (const reader of readers) {
      for (const change of [...changes, neutral]) {
        const changed = withSignature(change);
        expect(await verdict(reader.receipt(canonicalBytes(changed), source))).toBe("ERR_SIGNATURE_INVALID");
        expect(codeOf(() => checkReceiptSignature(streamKeys, changed))).toBe("ERR_SIGNATURE_INVALID");
      }
      expect(await verdict(reader.receipt(bytes, { ...source, key: keys.instance.publicKey }))).toBe("ERR_STREAM_KEY");
      expect(await verdict(reader.receipt(bytes.subarray(1), source))).toBe("ERR_JSON_SYNTAX");
    }
  });

  it("come back with their own hashes, false ones among them with their fault", async () => {
    const { reader } = readerWith(new NearThread());
    const all = stream.receipts.slice(1, 90);
    const reads = await Promise.allSettled(
      all.map((one, i) => reader.receipt(i % 10 === 3 ? one.bytes.subarray(0, -1) : one.bytes, own)),
    );
    for (const [i, read] of reads.entries()) {
      const one = all[i];
      if (one === undefined) throw new Error("no such receipt");
      if (read.status === "rejected") expect([i % 10, read.reason]).toMatchObject([3, { code: "ERR_JSON_SYNTAX" }]);
      else {
        const bodyHash = receiptBodyHash(one.receipt);
        const { kind, stream: of, seq, prev } = one.receipt;
        const link = { kind, stream: of, seq, prev };
        expect(read.value).toEqual({ link, leaf: hashLeaf(one.bytes), hash: receiptHash(one.bytes), bodyHash });
      }
    }
  });

  it("come back unread if they are of another stream or open theirs, whatever key they were read with", async () => {
    const [open, ...others] = stream.receipts;
    if (open === undefined) throw new Error("no such receipt");
    for (const reader of [readerWith(new NearThread()).reader, makeInlineReader()]) {
      expect(await verdict(reader.receipt(open.bytes, own))).toBe("apart");
      const among = await Promise.all(
        others
          .slice(0, 6)
          .map((one, i) => reader.receipt(one.bytes, i % 2 === 0 ? own : { stream: "0".repeat(64), key })),
      );
      const seqs = among.map((read) => read?.link.seq);
      expect(seqs).toEqual([1, undefined, 3, undefined, 5, undefined]);
      expect(among[4]?.link.prev).toBe(others[4]?.receipt.prev);
    }
  });

  it("go alone when nothing is under way, and together when the thread is busy; each key goes once", async () => {
    const thread = new NearThread();
    const { reader } = readerWith(thread);
    await reader.receipt(bytes, source);
    await Promise.all(Array.from({ length: 100 }, () => reader.receipt(bytes, source)));
    const sizes = thread.jobs.map((job) => (job.kind === "receipts" ? job.ends.length : 0));
    expect(sizes[0]).toBe(1);
    expect(sizes.length).toBeLessThanOrEqual(5);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(101);
    expect(thread.jobs.map(({ newSources }) => newSources.length)).toEqual([1, ...sizes.slice(1).map(() => 0)]);
  });

  it("and segments take turns", async () => {
    const thread = new NearThread();
    const { reader } = readerWith(thread);
    const wire = segmentOf(stream, 0, 6);
    const reads = [...Array(70).keys()].map(() => reader.receipt(bytes, source));
    const segments = [1, 2, 3].map(() => reader.segment(wire, own, LEDGER_ORIGIN));
    await Promise.all([...reads, ...segments]);
    const kinds = thread.jobs.map(({ kind }) => kind).slice(0, 4);
    expect(kinds).toEqual(["segment", "receipts", "segment", "receipts"]);
  });
});

describe("segments that are read in a thread", () => {
  it("come back with the leaves of their receipts, or with their fault", async () => {
    const { reader } = readerWith(new NearThread());
    const inline = makeInlineReader();
    const last = stream.receipts.length;
    for (const wire of [segmentOf(stream, 0, 40), segmentOf(stream, 40, last)]) {
      expect(await reader.segment(wire, own, LEDGER_ORIGIN)).toEqual(await inline.segment(wire, own, LEDGER_ORIGIN));
    }
    expect(await reader.segment(segmentOf(stream, 40, last), own, LEDGER_ORIGIN)).toMatchObject({ closes: true });
    const damaged = segmentOf(stream, 0, 40);
    damaged[damaged.length - 10] = 0x78;
    expect(await verdict(reader.segment(damaged, own, LEDGER_ORIGIN))).toBe("ERR_SEGMENT_ROOT");
    expect(await verdict(reader.segment(segmentOf(stream, 0, 4, "elsewhere"), own, LEDGER_ORIGIN))).toBe(
      "ERR_SEGMENT_ORIGIN",
    );
  });
});

describe("a thread that ends by itself", () => {
  it("fails what it had, and the next work starts another, which is told the keys again", async () => {
    const [first, second] = [new NearThread().hold(), new NearThread()];
    const { reader, failures } = readerWith(first, second);
    const read = verdict(reader.receipt(bytes, source));
    await new Promise((resolve) => setImmediate(resolve));
    expect(first.jobs).toHaveLength(1);
    first.emit("error", new Error("out of memory"));
    first.emit("exit", 1);
    expect(await read).toBe("ERR_LEDGER_STOPPED");
    expect(failures).toHaveLength(1);
    expect(await verdict(reader.receipt(bytes, source))).toBe("accepted");
    first.emit("exit", 1);
    expect(await verdict(reader.receipt(bytes, source))).toBe("accepted");
    expect(second.jobs.map(({ newSources }) => newSources.length)).toEqual([1, 0]);
  });

  it("as its owner wants it, fails what it had and what comes later, and is no fault", async () => {
    const thread = new NearThread().hold();
    const { reader, failures } = readerWith(thread);
    const read = verdict(reader.receipt(bytes, source));
    await new Promise((resolve) => setImmediate(resolve));
    await reader.close();
    expect(await read).toBe("ERR_LEDGER_STOPPED");
    expect(await verdict(reader.receipt(bytes, source))).toBe("ERR_LEDGER_STOPPED");
    expect(failures).toEqual([]);
  });

  it("or that does not keep up is no reason to hold everything: what waits is bounded", async () => {
    const { reader } = readerWith(new NearThread().hold());
    const large = new Uint8Array(60_000);
    const reads = Array.from({ length: 1300 }, () => verdict(reader.receipt(large, source)));
    await new Promise((resolve) => setImmediate(resolve));
    await reader.close();
    const codes = await Promise.all(reads);
    expect(codes.filter((code) => code === "ERR_QUEUE_FULL").length).toBeGreaterThan(100);
    expect(codes.slice(0, 1000)).not.toContain("ERR_QUEUE_FULL");
  });
});
