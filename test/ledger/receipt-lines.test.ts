import { afterAll, describe, expect, it } from "vitest";
import { concat, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkLeafPromise, parseLeafPromise } from "../../kernel/promise.ts";
import { signReceipt } from "../../kernel/receipt/receipt.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { LedgerConfig } from "../../ledger/config.ts";
import {
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { registrationOf, Submitter, tipOf } from "../support/ledger-submitter.ts";
import { openStream } from "../support/long-request.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const stream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 8 });
const other = makeStream({ keys: gatewayKeys(20), log: LEDGER_ORIGIN, count: 4 });

const ledgers: TestLedger[] = [];
afterAll(() => removeLedgers(ledgers));

const KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const NOW_MS = 1_700_000_000_000;

async function start(config: Partial<LedgerConfig> = {}, nowMs: () => number = () => NOW_MS): Promise<TestLedger> {
  const ledger = await startTestLedger({
    config: { log_kind: "receipts", ...config },
    clock: { nowMs },
  });
  ledgers.push(ledger);
  for (const { keys } of [stream, other]) await new Submitter(ledger.url).register(registrationOf(keys));
  return ledger;
}

function lineOf(bytes: Uint8Array | undefined): Uint8Array {
  return concat(bytes ?? new Uint8Array(0), formatUtf8("\n"));
}

const right = (seq: number): Uint8Array => lineOf(stream.receipts[seq]?.bytes);

function changed(seq: number, from: string | RegExp, to: string): Uint8Array {
  return formatUtf8(parseUtf8(right(seq)).replace(from, to));
}

/** Another body at the same place, signed by the stream's key. */
function forked(seq: number): Uint8Array {
  const { signatures: _, ...body } = stream.receipts[seq]?.receipt ?? stream.receipts[1]?.receipt ?? {};
  const { time: _time, ...rest } = JSON.parse(JSON.stringify(body));
  return lineOf(signReceipt({ ...rest, time: "2026-01-01T00:00:00.000Z" }, [stream.keys.receipt]).bytes);
}

/** Lines by what they are, behind the receipt that opens the stream. */
const LINES: readonly (readonly [string, Uint8Array])[] = [
  ["next", right(1)],
  ["next", right(2)],
  ["next", right(3)],
  ["known", right(2)],
  ["falsely signed", changed(4, /"sig":"(.)/u, '"sig":"_')],
  ["behind a gap", right(12)],
  ["next", right(4)],
  ["next", right(5)],
  ["a fork", forked(3)],
  ["of a stream that is here too", lineOf(other.receipts[0]?.bytes)],
  ["next", right(6)],
  ["no JSON", formatUtf8("{,}\n")],
  ["next", right(7)],
  ["the same twice", right(7)],
  ["next", right(8)],
];

/** Answers to `LINES`: sent together, or each once the one before it is answered. */
async function answersTo(isTogether: boolean): Promise<readonly unknown[]> {
  const ledger = await start();
  const { send, line, request } = await openStream(ledger.url);
  send(right(0));
  expect(await line()).toMatchObject({ count: 1, tip: tipOf(stream, 1) });
  const answers: unknown[] = [];
  if (isTogether) send(concat(...LINES.map(([, bytes]) => bytes)));
  for (const [, bytes] of LINES) {
    if (!isTogether) send(bytes);
    answers.push(withoutTip(await line()));
  }
  request.destroy();
  return answers;
}

/** The tip in a refusal is that of the moment. */
function withoutTip(answer: unknown): unknown {
  const text = JSON.stringify(answer);
  return text.startsWith('{"error"')
    ? JSON.parse(text.replace(/,"tip":\{[^}]*\}/u, "").replace(/want seq \d+/u, "want seq"))
    : answer;
}

describe("single receipts on lines", () => {
  it("have the answers together that they have one after the other", async () => {
    const together = await answersTo(true);
    expect(together).toEqual(await answersTo(false));
    const codes = together.map((answer) => (JSON.stringify(answer).match(/ERR_[A-Z_]+/u) ?? ["admitted"])[0]);
    expect(codes).toEqual([
      "admitted",
      "admitted",
      "admitted",
      "admitted",
      expect.stringMatching(/ERR_(SHAPE|BASE64|SIGNATURE_INVALID|JSON)/u),
      "ERR_STREAM_GAP",
      "admitted",
      "admitted",
      "ERR_STREAM_FORK",
      "admitted",
      "admitted",
      "ERR_JSON_SYNTAX",
      "admitted",
      "admitted",
      "admitted",
    ]);
  });

  it("that follow each other each tell their own place and tip", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(`${ledger.url}`);
    send(right(0));
    expect(await line()).toMatchObject({ tip: tipOf(stream, 1) });
    send(concat(...[1, 2, 3, 4, 5, 6].map(right)));
    for (const seq of [1, 2, 3, 4, 5, 6]) {
      // Genesis and two registrations stand in front.
      expect(await line()).toEqual({ first_index: 3 + seq, count: 1, tip: tipOf(stream, seq + 1) });
    }
    send(concat(...[5, 6, 7, 8].map(right)));
    for (const seq of [5, 6, 7, 8]) expect(await line()).toMatchObject({ first_index: 3 + seq, count: 1 });
    request.destroy();
  });

  it("are paid for one by one: the quota lets as many through as it has left", async () => {
    const ledger = await start({ quota: { stream: { receipts_per_second: 4 } } });
    const { send, line, request } = await openStream(ledger.url);
    send(right(0));
    expect(await line()).toMatchObject({ count: 1 });
    send(concat(...[1, 2, 3, 4, 5].map(right)));
    for (const seq of [1, 2, 3]) expect(await line()).toMatchObject({ count: 1, tip: tipOf(stream, seq + 1) });
    const refused = { code: "ERR_QUOTA", limit: "stream.receipts_per_second" };
    for (const _ of [4, 5]) expect(await line()).toMatchObject({ error: refused });
    request.destroy();
  });

  it("that are in a log which takes nothing more keep their places, whatever new ones came with them", async () => {
    let nowMs = NOW_MS;
    const shard = { start: formatTimestamp(NOW_MS - 1000), end: formatTimestamp(NOW_MS + 1000) };
    const ledger = await start({ shard }, () => nowMs);
    const { send, line, request } = await openStream(ledger.url);
    send(right(0));
    expect(await line()).toMatchObject({ count: 1 });
    send(concat(...[1, 2, 3].map(right)));
    for (const seq of [1, 2, 3]) expect(await line()).toMatchObject({ first_index: 3 + seq });
    nowMs += 2000;
    send(concat(...[2, 3, 4, 5].map(right)));
    for (const seq of [2, 3]) expect(await line()).toMatchObject({ first_index: 3 + seq, count: 1 });
    for (const _ of [4, 5]) expect(await line()).toMatchObject({ error: { code: "ERR_SHARD_TIME" } });
    request.destroy();
  });

  it("have a promise each, of their own leaf, where promises are asked for", async () => {
    const ledger = await start();
    const { send, line, request } = await openStream(ledger.url, SUBMIT, "?promise=1");
    send(right(0));
    expect(await line()).toMatchObject({ count: 1, promise: {} });
    send(concat(...[1, 2, 3, 4].map(right)));
    for (const seq of [1, 2, 3, 4]) {
      const answer = await line();
      const promise = parseLeafPromise(canonicalBytes(JSON.parse(JSON.stringify(answer)).promise));
      expect([answer, promise.index]).toMatchObject([{ first_index: 3 + seq }, 3 + seq]);
      checkLeafPromise(promise, hashLeaf(stream.receipts[seq]?.bytes ?? new Uint8Array(0)), KEYS);
    }
    request.destroy();
  });
});
