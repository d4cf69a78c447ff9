/** The ledger's promises, as an outbox keeps them: until they are proven, and on disk once they are late. */

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkInLog } from "../../gateway/receipts/batch-proof.ts";
import { type LedgerClient, makeLedgerClient } from "../../gateway/receipts/ledger-client.ts";
import { makeOutbox, type ReceiptOutbox } from "../../gateway/receipts/outbox.ts";
import { PromiseBook } from "../../gateway/receipts/promise-book.ts";
import type { WrittenReceipt } from "../../gateway/receipts/written-receipt.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { entryAt, hashLeaf } from "../../kernel/merkle/hash.ts";
import { LeafTree } from "../../kernel/merkle/leaf-tree.ts";
import { type BatchPromise, checkLeafPromise, parseLeafPromise, signPromise } from "../../kernel/promise.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatSegment, makeSegment, parseSegment } from "../../kernel/segment.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp, timestampMs } from "../../kernel/time.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { type FakeLedger, SUBMIT_TOKEN, startFakeLedger } from "../support/fake-ledger.ts";
import { logSigner, ORIGIN, policyText, seedOf } from "../support/log-keys.ts";
import { DEADLINE, promiseSigner } from "../support/promises.ts";

const LATE_MS = timestampMs(DEADLINE) + 1;
let folder = "";
let nowMs = 0;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "countersign-promises-")), "promises");
  nowMs = timestampMs(DEADLINE);
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true, force: true }));

function entriesOf(segment: Uint8Array): readonly Uint8Array[] {
  const { entries } = parseSegment(segment);
  return Array.from(entries.starts, (_, i) => entryAt(entries, i));
}

const receiptsOf = (first: number, count: number): readonly WrittenReceipt[] =>
  Array.from({ length: count }, (_, i) => {
    const bytes = formatUtf8(`receipt ${first + i}`);
    return { seq: first + i, bytes, hash: createHash("sha256").update(bytes).digest("hex") };
  });

function promiseOf(firstIndex: number, entries: readonly Uint8Array[]): BatchPromise {
  const root = new LeafTree(entries.map(hashLeaf)).root();
  const parts = { origin: ORIGIN, firstIndex: BigInt(firstIndex), count: entries.length, root, deadline: DEADLINE };
  return signPromise(parts, promiseSigner);
}

const bytesOf = (receipts: readonly WrittenReceipt[]): readonly Uint8Array[] => receipts.map(({ bytes }) => bytes);
const makeBook = (): PromiseBook => new PromiseBook({ logKeys: [logSigner.key], nowMs: () => nowMs, folder });
const written = (): readonly string[] => readdirSync(folder);

describe("a book of promises", () => {
  it("writes each promise once when its deadline passes, in the form that anybody can check", () => {
    const book = makeBook();
    const receipts = receiptsOf(0, 5);
    book.take(receipts, [promiseOf(7, bytesOf(receipts.slice(0, 3))), promiseOf(20, bytesOf(receipts.slice(3)))]);
    expect(book.overdue()).toBe(0);
    nowMs = LATE_MS;
    expect([book.overdue(), book.overdue()]).toEqual([2, 2]);
    expect(written().length).toBe(2);
    for (const [name, receipt] of [["9-", receipts[2]] as const, ["21-", receipts[4]] as const]) {
      const file = written().find((each) => each.startsWith(name)) ?? "";
      const leaf = hashLeaf(receipt?.bytes ?? new Uint8Array());
      expect(file).toBe(`${name}${Buffer.from(leaf).toString("hex")}.json`);
      checkLeafPromise(parseLeafPromise(new Uint8Array(readFileSync(join(folder, file)))), leaf, [logSigner.key]);
    }
  });

  it("forgets what is proven as a whole, and nothing else", () => {
    const book = makeBook();
    const receipts = receiptsOf(0, 5);
    book.take(receipts, [promiseOf(7, bytesOf(receipts.slice(0, 3))), promiseOf(20, bytesOf(receipts.slice(3)))]);
    nowMs = LATE_MS;
    book.release(2);
    expect(book.overdue()).toBe(2);
    book.release(3);
    expect(book.overdue()).toBe(1);
    book.release(5);
    expect(book.overdue()).toBe(0);
  });

  it("takes no promise of other receipts, or of another log's key", () => {
    const book = makeBook();
    const receipts = receiptsOf(0, 3);
    expect(codeOf(() => book.take(receipts, [promiseOf(7, bytesOf(receiptsOf(1, 3)))]))).toBe("ERR_PROMISE_LEAF");
    expect(codeOf(() => book.take(receipts, [promiseOf(7, bytesOf(receiptsOf(0, 4)))]))).toBe("ERR_PROMISE_LEAF");
    const stranger = new PromiseBook({ logKeys: [], nowMs: () => nowMs, folder });
    expect(codeOf(() => stranger.take(receipts, [promiseOf(7, bytesOf(receipts))]))).toBe("ERR_ORIGIN");
    nowMs = LATE_MS;
    expect(book.overdue()).toBe(0);
  });

  it("is a fault where the disk does not take what is late", () => {
    const book = new PromiseBook({ logKeys: [logSigner.key], nowMs: () => LATE_MS, folder: "/dev/null/promises" });
    const receipts = receiptsOf(0, 1);
    book.take(receipts, [promiseOf(7, bytesOf(receipts))]);
    expect(codeOf(() => book.overdue())).toBe("ERR_FILE_WRITE");
  });
});

describe("an outbox with a book of promises", () => {
  const [instance, receiptKey] = [createSigner("ed25519", seedOf(1)), createSigner("ed25519", seedOf(2))];
  let ledger: FakeLedger;
  let outbox: ReceiptOutbox;
  let faults: string[] = [];
  let isLying = false;

  /** The fake ledger, which promises what it acknowledges, or something else. */
  function promising(client: LedgerClient): LedgerClient {
    return {
      ...client,
      submit: async (segment) => {
        const answer = await client.submit(segment);
        if (answer.type !== "admitted") return answer;
        const entries = isLying ? [formatUtf8("else")] : entriesOf(segment);
        return { ...answer, promises: [promiseOf(Number(answer.firstIndex), entries)] };
      },
    };
  }

  beforeEach(async () => {
    [faults, isLying] = [[], false];
    ledger = await startFakeLedger();
    const client = promising(
      makeLedgerClient({ url: ledger.url, submitToken: SUBMIT_TOKEN, asksPromises: true, fetch }),
    );
    const body = { kind: "registration", v: 1, origin: ORIGIN, evidence: { type: "software" } } as const;
    outbox = makeOutbox({
      stream: instance.publicKey.kid,
      client,
      registration: async () => signRegistration({ ...body, time: formatTimestamp(0) }, instance, receiptKey),
      makeSegment: async (receipts) => {
        const bytes = bytesOf(receipts);
        const parts = { origin: ORIGIN, stream: instance.publicKey.kid, firstSeq: 0, receipts: bytes };
        return formatSegment(makeSegment(parts, receiptKey), bytes);
      },
      checkInLog: (admitted) => checkInLog(client, parseWitnessPolicy(policyText(2)), admitted),
      promises: makeBook(),
      maxReceipts: 1000,
      sleep: () => new Promise((resolve) => setTimeout(resolve, 1)),
      random: () => 0.5,
      onFault: ({ code }) => faults.push(code),
    });
  });
  afterEach(async () => {
    await outbox.stop();
    await ledger.close();
  });

  async function until(isSo: () => boolean): Promise<void> {
    const limit = performance.now() + 5000;
    while (!isSo()) {
      if (performance.now() > limit) throw new Error("it did not happen within five seconds");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it("asks for promises, and is at fault from the deadline until the proof", async () => {
    ledger.holdProofs();
    for (const receipt of receiptsOf(0, 3)) outbox.add(receipt);
    outbox.start();
    await until(() => outbox.status().acknowledged === 3);
    expect(ledger.requests.some(({ path }) => path === "/segments?promise=1")).toBe(true);
    expect(outbox.status().fault).toBeUndefined();
    nowMs = LATE_MS;
    await until(() => outbox.status().fault === "ERR_PROOF_LATE");
    expect(written().length).toBe(1);
    ledger.releaseProofs();
    await until(() => outbox.status().pending === 0 && outbox.status().fault === undefined);
    expect(faults.filter((code) => code === "ERR_PROOF_LATE").length).toBe(1);
  });

  it("reports a promise of something else, and goes on", async () => {
    isLying = true;
    for (const receipt of receiptsOf(0, 3)) outbox.add(receipt);
    outbox.start();
    await until(() => outbox.status().pending === 0);
    expect(faults).toEqual(["ERR_PROMISE_LEAF"]);
  });
});
