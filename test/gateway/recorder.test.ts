import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { makeGroupCommit } from "../../gateway/receipts/group-commit.ts";
import { makeRecorder, type Recorded, type Recorder } from "../../gateway/receipts/recorder.ts";
import { makeLocalSealer, ReceiptChain } from "../../gateway/receipts/sealer.ts";
import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import type { Vault } from "../../gateway/receipts/vault.ts";
import type { WrittenReceipt } from "../../gateway/receipts/written-receipt.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { checkSignedBy } from "../../kernel/signature/envelope.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { codeFrom } from "../support/code-of.ts";
import { seedOf } from "../support/log-keys.ts";
import { openingThenHeartbeats } from "../support/receipts.ts";

const instanceSigner = createSigner("ed25519", seedOf(1));
const receiptSigner = createSigner("ed25519", seedOf(2));
const STREAM = instanceSigner.publicKey.kid;
/** A stream-open receipt first, then heartbeats: the kernel refuses any other first receipt. */
const next = openingThenHeartbeats({ instance: instanceSigner, receipt: receiptSigner });

/** A file in memory; `gate`, while set, holds back every write, and `fault` fails the next one. */
class MemoryLog implements StreamLog {
  readonly frames: Uint8Array[] = [];
  readonly batches: number[] = [];
  fault: Error | undefined;
  gate: Promise<void> | undefined;

  readonly append = async (payloads: readonly Uint8Array[]): Promise<void> => {
    this.batches.push(payloads.length);
    await this.gate;
    // A file answers in a later turn of the event loop, never in this one.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fault !== undefined) throw this.fault;
    this.frames.push(...payloads);
  };
  readonly rotate = async (): Promise<void> => undefined;
  readonly close = async (): Promise<void> => undefined;
}

interface Bench {
  readonly recorder: Recorder;
  readonly log: MemoryLog;
  readonly written: readonly WrittenReceipt[];
  readonly recorded: readonly Recorded[];
  readonly placed: readonly number[];
  readonly failures: readonly string[];
}

/** @param last  hash that the chain goes on from, which is none of this recorder's */
function makeBench(vault: Partial<Vault> = {}, last?: string): Bench {
  const log = new MemoryLog();
  const written: WrittenReceipt[] = [];
  const recorded: Recorded[] = [];
  const placed: number[] = [];
  const failures: string[] = [];
  const recorder = makeRecorder({
    stream: STREAM,
    nextSeq: 0,
    sealer: makeLocalSealer({
      chain: new ReceiptChain({ instanceSigner, receiptSigner }, last),
      commit: makeGroupCommit(log, ({ code }) => failures.push(code)),
      onWritten: (receipt) => written.push(receipt),
    }),
    vault: { prepare: async () => undefined, secret: (seq) => seedOf(seq & 0xff), ...vault },
    receiptKey: receiptSigner.publicKey,
    instanceKey: instanceSigner.publicKey,
    attestation: { state: "not_available", reason: "attestation.software" },
    nowMs: () => 1_700_000_000_000,
    onPlaced: ({ seq }) => placed.push(seq),
    onWritten: (receipt) => recorded.push(receipt),
  });
  return { recorder, log, written, recorded, placed, failures };
}

function bodyOf(bytes: Uint8Array | undefined): JsonObject {
  const value = parseCanonical(bytes ?? new Uint8Array());
  if (!isJsonObject(value)) throw new Error("not an object");
  return value;
}

describe("the recorder", () => {
  it("takes nothing behind the receipt that closes the stream", async () => {
    const { recorder, written } = makeBench();
    await recorder.append(next);
    await recorder.append((_secret, seq) => ({ kind: "stream-close", reason: "shutdown", receipts: seq + 1 }));
    await expect(recorder.append(next)).rejects.toMatchObject({ code: "ERR_STREAM_CLOSED" });
    expect(written.length).toBe(2);
  });

  it("numbers, links and signs: 200 concurrent appends lose none, and share writes", async () => {
    const { recorder, log, written, recorded } = makeBench();
    const receipts = await Promise.all(Array.from({ length: 200 }, () => recorder.append(next)));
    expect(receipts.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(written.map(({ seq }) => seq)).toEqual(receipts.map(({ seq }) => seq));
    expect(log.frames.length).toBe(200);
    expect(log.batches.length).toBeLessThan(100);
    let previous: string | undefined;
    for (const [seq, frame] of log.frames.entries()) {
      const body = bodyOf(frame);
      expect(body["seq"]).toBe(seq);
      expect(body["prev"]).toBe(previous);
      checkSignedBy(body, receiptSigner.publicKey);
      previous = createHash("sha256").update(frame).digest("hex");
    }
    expect(recorder.nextSeq()).toBe(200);
    expect(recorded).toEqual(written.map(({ seq, hash }) => ({ seq, hash })));
    expect(recorded.at(-1)?.hash).toBe(previous);
  });

  it("signs the first receipt by the instance key too, and no other", async () => {
    const { recorder, log } = makeBench();
    await recorder.append(next);
    await recorder.append(next);
    checkSignedBy(bodyOf(log.frames[0]), instanceSigner.publicKey);
    expect(() => checkSignedBy(bodyOf(log.frames[1]), instanceSigner.publicKey)).toThrow(
      expect.objectContaining({ code: "ERR_SIGNATURE_MISSING" }),
    );
  });

  it("resolves only when the write has come back, and tells nobody before", async () => {
    const { recorder, log, written } = makeBench();
    let open: () => void = () => undefined;
    log.gate = new Promise((resolve) => {
      open = resolve;
    });
    let isDone = false;
    const appended = recorder.append(next).then(() => {
      isDone = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([isDone, written.length, log.batches.length]).toEqual([false, 0, 1]);
    open();
    await appended;
    expect([isDone, written.length]).toEqual([true, 1]);
  });

  it("tells of each receipt in order when it gets its number, and when it is durable, with the hash that the next one names", async () => {
    const { recorder, written, placed, recorded } = makeBench();
    await Promise.all(Array.from({ length: 20 }, () => recorder.append(next)));
    expect(placed).toEqual(written.map(({ seq }) => seq));
    expect(recorded).toEqual(written.map(({ seq, hash }) => ({ seq, hash })));
  });

  it("is dead after a failed write: that receipt, those behind it and all later ones are refused", async () => {
    const { recorder, log, written, failures } = makeBench();
    await recorder.append(next);
    log.fault = new Error("disk");
    const codes = await Promise.all(
      Array.from({ length: 5 }, () => recorder.append(next).catch((error: { code: string }) => error.code)),
    );
    expect(codes).toEqual(Array.from({ length: 5 }, () => "ERR_STREAM_FAILED"));
    log.fault = undefined;
    await expect(recorder.append(next)).rejects.toMatchObject({ code: "ERR_STREAM_FAILED", fatal: true });
    expect([written.length, log.frames.length, recorder.isFailed()]).toEqual([1, 1, true]);
    expect(failures).toEqual(["ERR_STREAM_FAILED"]);
  });

  it("is dead after a receipt that has a number and cannot be sealed: nothing is written behind the gap", async () => {
    const { recorder, log, failures } = makeBench({}, "ab".repeat(32));
    const codes = [1, 2, 3].map(() => codeFrom(recorder.append(next)));
    expect(await Promise.all(codes)).toEqual(Array.from({ length: 3 }, () => "ERR_STREAM_FAILED"));
    expect([log.frames.length, recorder.isFailed()]).toEqual([0, true]);
    expect(failures).toEqual(["ERR_STREAM_FAILED"]);
  });

  it("asks the vault first, so no receipt is made under a secret that is not durable", async () => {
    const steps: string[] = [];
    const { recorder } = makeBench({
      prepare: async (seq) => {
        await Promise.resolve();
        steps.push(`prepared ${seq}`);
      },
      secret: (seq) => {
        steps.push(`used ${seq}`);
        return seedOf(1);
      },
    });
    await Promise.all([recorder.append(next), recorder.append(next)]);
    expect(steps).toEqual(["prepared 0", "used 0", "prepared 1", "used 1"]);
  });

  it("makes no receipt and uses no number when the vault fails or the body cannot be made", async () => {
    let isFailing = true;
    const { recorder, log } = makeBench({
      prepare: async () => {
        if (isFailing) throw new Error("disk");
      },
    });
    await expect(recorder.append(next)).rejects.toThrow("disk");
    isFailing = false;
    await expect(
      recorder.append(() => {
        throw new Error("body");
      }),
    ).rejects.toThrow("body");
    expect((await recorder.append(next)).seq).toBe(0);
    expect(log.frames.length).toBe(1);
  });

  it("keeps appending when one append follows another at once, turn after turn", async () => {
    const { recorder } = makeBench();
    // Each append starts in the very turn in which the last one resolved: none may be left without a flush.
    for (let i = 0; i < 300; i += 1) expect((await recorder.append(next)).seq).toBe(i);
  });
});
