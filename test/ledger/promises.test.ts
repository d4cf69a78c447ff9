/** Promises over HTTP: what a ledger signs for what it has made durable, and for whoever asks. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseBase64 } from "../../kernel/base64.ts";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import {
  type BatchPromise,
  checkBatchPromise,
  checkLeafPromise,
  type LeafPromise,
  parseLeafPromise,
  readBatchPromise,
} from "../../kernel/promise.ts";
import { appraisePromise } from "../../kernel/promise-breach.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  NO_WITNESSES,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { openStream as openLong } from "../support/long-request.ts";
import { gatewayKeys, type MadeStream, makeStream } from "../support/receipts.ts";

const NOW_MS = 1_800_000_000_000;
const KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const POLICY = parseWitnessPolicy(`${KEYS.map((key) => `log ${formatVerifierKey(key)}\n`).join("")}${NO_WITNESSES}`);
const clock = { nowMs: (): number => NOW_MS };

let raw: TestLedger;
let receipts: TestLedger;

beforeAll(async () => {
  raw = await startTestLedger({ clock });
  receipts = await startTestLedger({ clock, config: { log_kind: "receipts", promise_seconds: 60 } });
});
afterAll(() => removeLedgers([raw, receipts]));

function promiseIn(answer: Response): LeafPromise {
  return parseLeafPromise(parseBase64(answer.headers.get("countersign-promise") ?? ""));
}

async function signedPromises(ledger: TestLedger): Promise<number> {
  const text = await (await ledger.get("/metrics")).text();
  return Number(/^ledger_promises_total (\d+)$/mu.exec(text)?.[1]);
}

async function post(path: string, body: Uint8Array, type: string): Promise<{ readonly [name: string]: JsonValue }> {
  const answer = await receipts.post(path, body, { "content-type": type, ...SUBMIT });
  expect(answer.status).toBe(200);
  return (await answer.json()) as { readonly [name: string]: JsonValue };
}

const postReceipt = (body: Uint8Array) => post("/receipts?promise=1", body, "application/json");
const postSegment = (body: Uint8Array) => post("/segments?promise=1", body, "application/x-ndjson");

async function promisesOf(body: Uint8Array): Promise<readonly BatchPromise[]> {
  const { promises } = await postSegment(body);
  return (promises as readonly JsonValue[]).map(readBatchPromise);
}

function leafPromiseIn(answer: { readonly [name: string]: JsonValue }): LeafPromise {
  return parseLeafPromise(canonicalBytes(answer["promise"] ?? null));
}

async function openStream(seed: number, alg?: "es256"): Promise<MadeStream> {
  const stream = makeStream({ keys: gatewayKeys(seed, alg), log: LEDGER_ORIGIN });
  return new Submitter(receipts.url).open(stream);
}

const leavesIn = ({ receipts: all }: MadeStream, first: number, end: number) =>
  all.slice(first, end).map(({ bytes }) => hashLeaf(bytes));

describe("promises of a raw log", () => {
  it("are in a header, the body stays the index, and hold for the leaf at that index", async () => {
    const entry = formatUtf8("one entry");
    const answer = await raw.post("/add?promise=1", entry, SUBMIT);
    const promise = promiseIn(answer);
    expect([answer.status, await answer.text()]).toEqual([200, String(promise.index)]);
    checkLeafPromise(promise, hashLeaf(entry), KEYS);
    expect(promise.promise).toMatchObject({ origin: LEDGER_ORIGIN, deadline: formatTimestamp(NOW_MS + 3_600_000) });
  });

  it("are given only when they are asked for, and asking is spelled in one way", async () => {
    const before = await signedPromises(raw);
    const answer = await raw.post("/add", "not asked", SUBMIT);
    expect([answer.status, answer.headers.has("countersign-promise")]).toEqual([200, false]);
    for (const query of ["promise=0", "promise=", "promise=1&promise=1", "promise=true"]) {
      const refused = await raw.post(`/add?${query}`, `asked by ${query}`, SUBMIT);
      expect([refused.status, await errorCode(refused)]).toEqual([400, "ERR_REQUEST"]);
    }
    expect(await signedPromises(raw)).toBe(before);
  });

  it("are signed once for all that share a flush, each with its own path", async () => {
    const before = await signedPromises(raw);
    const entries = Array.from({ length: 100 }, (_, i) => formatUtf8(`together ${i}`));
    const answers = await Promise.all(entries.map((entry) => raw.post("/add?promise=1", entry, SUBMIT)));
    const promises = answers.map(promiseIn);
    for (const [i, promise] of promises.entries()) checkLeafPromise(promise, hashLeaf(entries[i] ?? entry0), KEYS);
    expect(new Set(promises.map(({ index }) => index)).size).toBe(entries.length);
    const batches = new Map(promises.map(({ promise }) => [promise.first_index, promise.count]));
    expect(await signedPromises(raw)).toBe(before + batches.size);
    expect([...batches.values()].reduce((total, count) => total + count, 0)).toBe(entries.length);
  });

  it("are given again for a known entry, of its first place", async () => {
    const entry = formatUtf8("twice");
    const first = promiseIn(await raw.post("/add?promise=1", entry, SUBMIT));
    const second = promiseIn(await raw.post("/add?promise=1", entry, SUBMIT));
    expect(second.index).toBe(first.index);
    expect(second.promise.count).toBe(1);
    checkLeafPromise(second, hashLeaf(entry), KEYS);
  });

  it("hold for both of two equal entries that share a flush", async () => {
    const entry = formatUtf8("at the same time");
    const answers = await Promise.all([1, 2].map(() => raw.post("/add?promise=1", entry, SUBMIT)));
    const [one, other] = answers.map(promiseIn);
    expect(one?.index).toBe(other?.index);
    for (const promise of [one, other]) if (promise !== undefined) checkLeafPromise(promise, hashLeaf(entry), KEYS);
  });

  it("are kept: the log's own proof is of the promised leaf at the promised index", async () => {
    const entry = formatUtf8("kept");
    const promise = promiseIn(await raw.post("/add?promise=1", entry, SUBMIT));
    const answer = await raw.get(`/log-proof/${promise.index}?wait_ms=5000`);
    const evidence = { type: "proof", proof: parseLogProof(await answer.text()), leaf: hashLeaf(entry) } as const;
    expect(appraisePromise({ promise, leaf: hashLeaf(entry), evidence: [evidence], policy: POLICY }).verdict).toBe(
      "pass",
    );
  });
});

const entry0 = formatUtf8("");

describe("promises of a log of receipts", () => {
  it("tell their delay in the metadata", async () => {
    expect(await (await receipts.get("/metadata")).json()).toMatchObject({ promise_seconds: 60 });
    expect(await (await raw.get("/metadata")).json()).toMatchObject({ promise_seconds: 3600 });
  });

  it("are one for a segment, of exactly its leaves, also when it is sent again", async () => {
    const stream = await openStream(20);
    const [promise, ...more] = await promisesOf(segmentOf(stream, 0, 6));
    expect([promise?.count, more.length]).toEqual([6, 0]);
    if (promise === undefined) throw new Error("no promise");
    checkBatchPromise(promise, leavesIn(stream, 0, 6), KEYS);
    expect(promise.deadline).toBe(formatTimestamp(NOW_MS + 60_000));
    expect(await promisesOf(segmentOf(stream, 0, 6))).toEqual([promise]);
  });

  it("are one for a segment that continues its stream, whose receipts are read later", async () => {
    const stream = await openStream(30);
    await postSegment(segmentOf(stream, 0, 2));
    const [promise, ...more] = await promisesOf(segmentOf(stream, 2, 8));
    if (promise === undefined) throw new Error("no promise");
    expect([promise.count, more.length]).toEqual([6, 0]);
    checkBatchPromise(promise, leavesIn(stream, 2, 8), KEYS);
  });

  it("stand in the lines of a stream, as in the answers of single posts", async () => {
    const stream = await openStream(32);
    const { send, line, request } = await openLong(receipts.url, SUBMIT, "?promise=1");
    send(concat(segmentOf(stream, 0, 3), stream.receipts[3]?.bytes ?? entry0, formatUtf8("\n")));
    const [ofSegment, ofReceipt] = [await line(), await line()] as readonly { readonly [name: string]: JsonValue }[];
    const [promise] = (ofSegment?.["promises"] ?? []) as readonly JsonValue[];
    checkBatchPromise(readBatchPromise(promise ?? null), leavesIn(stream, 0, 3), KEYS);
    const [leaf = hashLeaf(entry0)] = leavesIn(stream, 3, 4);
    checkLeafPromise(leafPromiseIn(ofReceipt ?? {}), leaf, KEYS);
    request.destroy();
    const refused = await openLong(receipts.url, SUBMIT, "?promise=2");
    expect(refused.response.statusCode).toBe(400);
  });

  it("are one for each run of a segment of which a part was known", async () => {
    const [stream, other] = [await openStream(22), await openStream(24)];
    const [head] = await promisesOf(segmentOf(stream, 0, 3));
    await postSegment(segmentOf(other, 0, 2));
    const [first, second, ...more] = await promisesOf(segmentOf(stream, 0, 7));
    if (first === undefined || second === undefined) throw new Error("want two promises");
    expect([first, more.length]).toEqual([head, 0]);
    checkBatchPromise(second, leavesIn(stream, 3, 7), KEYS);
    expect(second.first_index).toBe(first.first_index + 5);
  });

  it("come with a single receipt and hold for it", async () => {
    const stream = await openStream(26);
    const [first, second] = stream.receipts;
    for (const receipt of [first, second, first]) {
      const bytes = receipt?.bytes ?? entry0;
      const answer = await postReceipt(bytes);
      const promise = leafPromiseIn(answer);
      expect(promise.index).toBe(answer["index"]);
      checkLeafPromise(promise, hashLeaf(bytes), KEYS);
    }
    expect(await post("/receipts", first?.bytes ?? entry0, "application/json")).not.toHaveProperty("promise");
    expect(await post("/segments", segmentOf(stream, 0, 2), "application/x-ndjson")).not.toHaveProperty("promises");
  });

  it("are never given for a receipt that is in the log with another signature: its leaf is not there", async () => {
    const stream = await openStream(28, "es256");
    await postSegment(segmentOf(stream, 0, 4));
    const receipt = stream.receipts[3]?.receipt;
    if (receipt === undefined) throw new Error("no such receipt");
    const again = canonicalBytes(signEnvelope(receipt, [stream.keys.receipt]));
    const answer = await postReceipt(again);
    expect(answer).toHaveProperty("index");
    expect(answer).not.toHaveProperty("promise");
  });

  it("outlive the process that gave them", async () => {
    const first = await startTestLedger({ clock });
    const entry = formatUtf8("before the restart");
    const promise = promiseIn(await first.post("/add?promise=1", entry, SUBMIT));
    await first.close();
    const second = await startTestLedger({ clock, dataDir: first.dataDir });
    const proof = await eventually(async () => {
      const answer = await second.get(`/log-proof/${promise.index}`);
      return answer.status === 200 ? parseLogProof(await answer.text()) : undefined;
    });
    const leaf = hashLeaf(entry);
    const verdict = appraisePromise({ promise, leaf, evidence: [{ type: "proof", proof, leaf }], policy: POLICY });
    await removeLedgers([second]);
    expect(verdict.verdict).toBe("pass");
  });
});
