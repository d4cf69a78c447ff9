import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkInLog } from "../../gateway/receipts/batch-proof.ts";
import { makeLedgerClient } from "../../gateway/receipts/ledger-client.ts";
import { makeOutbox, type ReceiptOutbox } from "../../gateway/receipts/outbox.ts";
import type { WrittenReceipt } from "../../gateway/receipts/written-receipt.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatSegment, makeSegment, parseSegment } from "../../kernel/segment.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { type FakeLedger, SUBMIT_TOKEN, startFakeLedger } from "../support/fake-ledger.ts";
import { ORIGIN, policyText, seedOf } from "../support/log-keys.ts";

const instance = createSigner("ed25519", seedOf(1));
const receipt = createSigner("ed25519", seedOf(2));
const STREAM = instance.publicKey.kid;

interface Bench {
  readonly outbox: ReceiptOutbox;
  readonly faults: string[];
  readonly pauses: number[];
}

let ledger: FakeLedger;
let running: ReceiptOutbox[] = [];
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  for (const outbox of running) await outbox.stop();
  running = [];
  await ledger.close();
});

/** Receipts as bytes that only their number tells apart; the fake does not read them. */
function receiptsOf(first: number, count: number, text = "receipt"): readonly WrittenReceipt[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = formatUtf8(`${text} ${first + i}`);
    return { seq: first + i, bytes, hash: createHash("sha256").update(bytes).digest("hex") };
  });
}

function makeBench(
  options: {
    readonly maxReceipts?: number;
    readonly threshold?: number;
    readonly url?: string;
    /** Told how many receipts are proven together. */
    readonly onProof?: (count: number) => void;
  } = {},
): Bench {
  const faults: string[] = [];
  const pauses: number[] = [];
  const client = makeLedgerClient({ url: options.url ?? ledger.url, submitToken: SUBMIT_TOKEN, fetch });
  const policy = parseWitnessPolicy(policyText(options.threshold ?? 2));
  const outbox = makeOutbox({
    stream: STREAM,
    client,
    registration: async () =>
      signRegistration(
        { kind: "registration", v: 1, origin: ORIGIN, evidence: { type: "software" }, time: formatTimestamp(0) },
        instance,
        receipt,
      ),
    makeSegment: async (receipts, prev) => {
      const bytes = receipts.map((one) => one.bytes);
      const firstSeq = receipts[0]?.seq ?? 0;
      const before = prev === undefined ? {} : { prev: parseHex(prev, 32) };
      return formatSegment(
        makeSegment({ origin: ORIGIN, stream: STREAM, firstSeq, receipts: bytes, ...before }, receipt),
        bytes,
      );
    },
    checkInLog: (admitted) => {
      options.onProof?.(admitted.length);
      return checkInLog(client, policy, admitted);
    },
    maxReceipts: options.maxReceipts ?? 100_000,
    // A pause is a turn of the event loop and a bit; how long it was to be is kept.
    sleep: async (ms) => {
      pauses.push(ms);
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
    random: () => 0.5,
    onFault: ({ code }) => faults.push(code),
  });
  running.push(outbox);
  return { outbox, faults, pauses };
}

/** Waits for a state, at most five seconds. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function addAll(outbox: ReceiptOutbox, receipts: readonly WrittenReceipt[]): void {
  for (const one of receipts) outbox.add(one);
}

const requestsTo = (path: string): number => ledger.requests.filter((request) => request.path.startsWith(path)).length;

describe("the outbox", () => {
  it("registers, sends everything in order, and lets it go when a witnessed proof covers it", async () => {
    const { outbox, faults } = makeBench();
    const receipts = receiptsOf(0, 700);
    addAll(outbox, receipts);
    expect(outbox.status()).toEqual({ written: 700, acknowledged: 0, proven: 0, pending: 700 });
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 700);
    expect(outbox.status()).toEqual({ written: 700, acknowledged: 700, proven: 700, pending: 0 });
    expect(ledger.receiptsOf(STREAM)).toEqual(receipts.map(({ bytes }) => bytes));
    expect(requestsTo("/register")).toBe(1);
    const counts = ledger.requests
      .filter(({ path }) => path === "/segments")
      .map(({ body }) => parseSegment(body).segment.count);
    expect(Math.max(...counts)).toBeLessThanOrEqual(256);
    expect(counts.length).toBeLessThanOrEqual(4);
    expect(faults).toEqual([]);
  });

  it("sends over one long request where the ledger offers that", async () => {
    const streaming = await startFakeLedger({ offersStream: true });
    const { outbox, faults } = makeBench({ url: streaming.url });
    const receipts = receiptsOf(0, 700);
    addAll(outbox, receipts);
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 700);
    expect(streaming.receiptsOf(STREAM)).toEqual(receipts.map(({ bytes }) => bytes));
    expect(streaming.requests.filter(({ path }) => path === "/segments")).toEqual([]);
    expect(faults).toEqual([]);
    await outbox.stop();
    await streaming.close();
  });

  it("reads few tiles for many receipts", async () => {
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 600));
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 600);
    expect(requestsTo("/tile/")).toBeLessThan(60);
  });

  it("proves a long backlog in parts, so that a ledger which goes away costs one of them", async () => {
    const counts: number[] = [];
    const { outbox } = makeBench({ onProof: (count) => counts.push(count) });
    for (const one of receiptsOf(0, 2_500)) outbox.add(one);
    outbox.start();
    await until("everything is proven", () => outbox.status().pending === 0);
    expect(counts.reduce((total, count) => total + count, 0)).toBeGreaterThanOrEqual(2_500);
    expect(Math.max(...counts)).toBeLessThanOrEqual(1_024);
  });

  it("sends what arrives later, and links it to what it has let go", async () => {
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 3));
    outbox.start();
    await until("the first are proven", () => outbox.status().proven === 3);
    addAll(outbox, receiptsOf(3, 2));
    await until("the rest is proven", () => outbox.status().proven === 5);
    const last = ledger.requests.filter(({ path }) => path === "/segments").at(-1);
    const { segment } = parseSegment(last?.body ?? new Uint8Array());
    expect(segment.prev).toBe(receiptsOf(2, 1)[0]?.hash);
  });

  it("holds what is acknowledged until it is proven, and does not hammer the ledger meanwhile", async () => {
    ledger.holdProofs();
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 10));
    outbox.start();
    await until("all is acknowledged", () => outbox.status().acknowledged === 10);
    const before = requestsTo("/log-proof");
    for (let i = 0; i < 200; i += 1) await new Promise((resolve) => setImmediate(resolve));
    // Each question is followed by a pause; without one there would be a question a turn.
    expect(requestsTo("/log-proof") - before).toBeLessThan(60);
    expect(outbox.status()).toMatchObject({ proven: 0, pending: 10 });
    ledger.releaseProofs();
    await until("all is proven", () => outbox.status().proven === 10);
  });

  it("never lets go by a proof over other entries", async () => {
    ledger.lieInProofs();
    const { outbox, faults } = makeBench();
    addAll(outbox, receiptsOf(0, 3));
    outbox.start();
    await until("the fault is reported", () => faults.length > 0);
    expect(outbox.status()).toMatchObject({ acknowledged: 3, proven: 0, pending: 3 });
    expect(faults[0]).toMatch(/^ERR_(ROOT_MISMATCH|LEDGER_ANSWER|PROOF_LENGTH)$/u);
  });

  it("never lets go by a checkpoint that too few witnesses cosigned", async () => {
    const { outbox, faults } = makeBench({ threshold: 3 });
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("all is proven by three", () => outbox.status().proven === 1);
    expect(faults).toEqual([]);
  });

  it("above its bound has no room, and has room again when receipts are proven", async () => {
    ledger.holdProofs();
    const { outbox } = makeBench({ maxReceipts: 100 });
    addAll(outbox, receiptsOf(0, 30));
    outbox.requireRoom(2);
    addAll(outbox, receiptsOf(30, 6));
    expect(() => outbox.requireRoom(2)).toThrow(expect.objectContaining({ code: "ERR_OUTBOX_FULL" }));
    // The reserve still takes seals and aggregates.
    addAll(outbox, receiptsOf(36, 10));
    outbox.start();
    ledger.releaseProofs();
    await until("all is proven", () => outbox.status().proven === 46);
    outbox.requireRoom(2);
  });
});

describe("the outbox and a ledger in trouble", () => {
  it("resends the same receipts when an answer is lost, whether or not they were admitted", async () => {
    ledger.fail({ path: "/segments", applied: true });
    ledger.fail({ path: "/segments" });
    const { outbox, faults } = makeBench();
    const receipts = receiptsOf(0, 5);
    addAll(outbox, receipts);
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 5);
    expect(ledger.receiptsOf(STREAM)).toEqual(receipts.map(({ bytes }) => bytes));
    expect(faults.length).toBeGreaterThan(0);
    expect(outbox.status().fault).toBeUndefined();
  });

  it("registers again when the first answer was lost, with no second entry", async () => {
    ledger.fail({ path: "/register", applied: true });
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 1);
    expect(ledger.registered()).toEqual([STREAM]);
  });

  it("waits as long as the ledger asks", async () => {
    ledger.fail({ path: "/segments", answer: { status: 429, headers: { "retry-after": "3" } } });
    ledger.fail({ path: "/segments", answer: { status: 503, headers: { "retry-after": "7" } } });
    const { outbox, pauses } = makeBench();
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 1);
    expect(pauses).toContain(3_000);
    expect(pauses).toContain(7_000);
  });

  it("backs off, longer each time", async () => {
    for (let i = 0; i < 4; i += 1) ledger.fail({ path: "/segments" });
    const { outbox, pauses } = makeBench();
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 1);
    expect(pauses.filter((ms) => ms >= 100).slice(0, 4)).toEqual([100, 200, 400, 800]);
  });

  it("goes back to where the ledger is after a gap", async () => {
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 4));
    outbox.start();
    ledger.holdProofs();
    await until("all is acknowledged", () => outbox.status().acknowledged === 4);
    // The ledger lost the last two, which it had not proven to anyone.
    ledger.rewriteStream(STREAM, ledger.receiptsOf(STREAM).slice(0, 2));
    addAll(outbox, receiptsOf(4, 2));
    await until("all is there again", () => ledger.receiptsOf(STREAM).length === 6);
    ledger.releaseProofs();
    await until("all is proven", () => outbox.status().proven === 6);
    expect(ledger.receiptsOf(STREAM)).toEqual(receiptsOf(0, 6).map(({ bytes }) => bytes));
  });

  it("does not spin when the ledger names the same gap again and again", async () => {
    const { outbox } = makeBench();
    const tip = { next_seq: 0 };
    const gap = { status: 409, body: { error: { code: "ERR_STREAM_GAP", message: "gap", tip } } };
    for (let i = 0; i < 500; i += 1) ledger.fail({ path: "/segments", answer: gap });
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    for (let i = 0; i < 400; i += 1) await new Promise((resolve) => setImmediate(resolve));
    const { length } = ledger.requests;
    // The pauses of this test are a millisecond; without any there would be a request for every turn or two.
    expect(length).toBeLessThan(400);
    expect(outbox.status().acknowledged).toBe(0);
  });

  it("on a fork stops for good: it says so, sends nothing more, and has no room", async () => {
    const { outbox, faults } = makeBench();
    addAll(outbox, receiptsOf(0, 2));
    const fork = { status: 409, body: { error: { code: "ERR_STREAM_FORK", message: "fork" } } };
    ledger.fail({ path: "/segments", answer: fork });
    outbox.start();
    await until("the fork is reported", () => faults.includes("ERR_STREAM_FORK"));
    const { length } = ledger.requests;
    addAll(outbox, receiptsOf(2, 1));
    for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(ledger.requests.length).toBe(length);
    expect(() => outbox.requireRoom(2)).toThrow(expect.objectContaining({ code: "ERR_STREAM_FORK" }));
    expect(outbox.status().fault).toBe("ERR_STREAM_FORK");
  });

  it("started again over unproven receipts, goes on from the ledger's tip and sends unchanged bytes", async () => {
    ledger.holdProofs();
    const first = makeBench();
    const receipts = receiptsOf(0, 8);
    addAll(first.outbox, receipts.slice(0, 5));
    first.outbox.start();
    await until("five are acknowledged", () => first.outbox.status().acknowledged === 5);
    await first.outbox.stop();
    ledger.releaseProofs();

    const second = makeBench();
    addAll(second.outbox, receipts);
    second.outbox.start();
    await until("all is proven", () => second.outbox.status().proven === 8);
    expect(ledger.receiptsOf(STREAM)).toEqual(receipts.map(({ bytes }) => bytes));
    const last = ledger.requests.filter(({ path }) => path === "/segments").at(-1);
    expect(parseSegment(last?.body ?? new Uint8Array()).segment.first_seq).toBe(5);
  });

  it("started again over a long backlog, asks for few proofs: receipts are looked for behind each other", async () => {
    ledger.holdProofs();
    const first = makeBench();
    const receipts = receiptsOf(0, 700);
    addAll(first.outbox, receipts.slice(0, 400));
    first.outbox.start();
    await until("400 are acknowledged", () => first.outbox.status().acknowledged === 400);
    ledger.admitOther(formatUtf8("of another stream"));
    addAll(first.outbox, receipts.slice(400));
    await until("all are acknowledged", () => first.outbox.status().acknowledged === 700);
    await first.outbox.stop();
    ledger.releaseProofs();
    const asked = requestsTo("/log-proof");

    const second = makeBench();
    addAll(second.outbox, receipts);
    second.outbox.start();
    await until("all is proven", () => second.outbox.status().proven === 700);
    // The newest and the first of each part, and one behind what another stream has in between.
    expect(requestsTo("/log-proof") - asked).toBeLessThanOrEqual(8);
    expect(second.faults).toEqual([]);
  });

  it("stops at once while the ledger is unreachable", async () => {
    const { outbox, faults } = makeBench({ url: "http://127.0.0.1:9" });
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("the fault is reported", () => faults.length > 0);
    await outbox.stop();
    expect(outbox.status()).toMatchObject({ acknowledged: 0, pending: 1, fault: "ERR_LEDGER_ANSWER" });
  });

  it("sends the submit token to the routes that need it, and to no other", async () => {
    const { outbox } = makeBench();
    addAll(outbox, receiptsOf(0, 1));
    outbox.start();
    await until("all is proven", () => outbox.status().proven === 1);
    for (const { path, authorization } of ledger.requests) {
      const needsToken = path.startsWith("/streams/") || path === "/register" || path === "/segments";
      expect([path, authorization]).toEqual([path, needsToken ? `Bearer ${SUBMIT_TOKEN}` : undefined]);
    }
  });
});
