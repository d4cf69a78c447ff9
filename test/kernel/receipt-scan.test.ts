import { describe, expect, it } from "vitest";
import { concat, equalBytes, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseReceipt, receiptBodyHash, type StreamReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { type ReceiptPlace, scanReceipt } from "../../kernel/receipt/scan.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { gatewayKeys, hex64, receiptBodies } from "../support/receipts.ts";
import { sampled } from "../support/sweep.ts";

const keys = gatewayKeys();
const receipts = [...Object.values(receiptBodies()), ...fullReceiptBodies()].map((body) =>
  signReceipt(body, body.kind === "stream-open" ? [keys.instance, keys.receipt] : [keys.receipt]),
);

const scan = (bytes: Uint8Array): ReceiptPlace | undefined => scanReceipt(Buffer.from(bytes).toString("latin1"));

function tryParse(bytes: Uint8Array): StreamReceipt | undefined {
  try {
    return parseReceipt(bytes);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** Places where the scan and the parsers contradict each other about these bytes. */
function contradictions(bytes: Uint8Array): readonly string[] {
  const [place, receipt, entry] = [scan(bytes), tryParse(bytes), classifyEntry(bytes)];
  const found: string[] = [];
  if (receipt !== undefined) {
    const { kind, stream, seq, prev } = receipt;
    const isSame = place?.kind === kind && place.stream === stream && place.seq === seq && place.prev === prev;
    if (!isSame) found.push("a receipt at another place, or at none");
  }
  // What the scan takes for a receipt is never anything else to anybody.
  if (place !== undefined && entry.form !== "unknown") {
    const { kind, seq, stream } = entry.form === "envelope" ? entry.value : {};
    if (kind !== place.kind || seq !== place.seq || stream !== place.stream)
      found.push(`an entry of form ${entry.form}`);
  }
  return found;
}

describe("a scan of a receipt", () => {
  it("finds the place of every kind, and the bytes that are signed", () => {
    for (const { receipt, bytes } of receipts) {
      const { kind, stream, seq, prev } = receipt;
      expect(scan(bytes)).toMatchObject({ kind, stream, seq, prev });
      const form = readSignedReceipt(bytes);
      expect(form.receipt).toEqual(receipt);
      expect(equalBytes(form.bodyHash, receiptBodyHash(receipt))).toBe(true);
    }
  });

  it("finds it inside a longer text, and bytes that are not ASCII in front of it", () => {
    const [first, second] = receipts;
    if (first === undefined || second === undefined) throw new Error("no receipts");
    const text = Buffer.from(concat(first.bytes, formatUtf8("\n"), second.bytes)).toString("latin1");
    expect(scanReceipt(text, first.bytes.length + 1)).toEqual(scan(second.bytes));
    expect(scanReceipt(text, 0, first.bytes.length)).toEqual(scan(first.bytes));
    expect(scanReceipt(text, 0, first.bytes.length - 1)).toBeUndefined();
    expect(scanReceipt(text, 0, first.bytes.length + 1)).toBeUndefined();
  });

  it.each([
    ["cut", (bytes: Uint8Array, at: number) => bytes.subarray(0, at)],
    ["with a bit flipped", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))],
    ["with a quote", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x22 : byte))],
    ["with a backslash", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x5c : byte))],
    ["with a brace", (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? 0x7d : byte))],
  ])("never contradicts a parser about a receipt %s anywhere", (_, change) => {
    for (const { bytes } of receipts.slice(0, 11)) {
      for (const at of sampled(bytes.keys(), 17)) expect(contradictions(change(bytes, at))).toEqual([]);
    }
  });

  it("takes nothing whose members are there twice, escaped, nested or of another form", () => {
    const bytes = receipts.find(({ receipt }) => receipt.kind === "heartbeat")?.bytes ?? new Uint8Array(0);
    const text = parseUtf8(bytes);
    const changed = (from: string | RegExp, to: string): Uint8Array => formatUtf8(text.replace(from, to));
    const twice = [
      changed('"kind":', '"k\\u0069nd":"registration","kind":'),
      changed('"kind":', '"kind":"registration","kind":'),
      changed('"seq":', '"seq":1,"seq":'),
      changed('"stream":', `"stream":"${hex64(1)}","stream":`),
    ];
    for (const one of twice) expect([contradictions(one), tryParse(one)]).toEqual([[], undefined]);
    const refused = [
      ...twice.slice(1),
      changed('"kind":"heartbeat"', '"k\\u0069nd":"heartbeat"'),
      changed('"kind":"heartbeat"', '"kind":"registration"'),
      changed('"kind":"heartbeat"', '"eat_profile":"x"'),
      changed('"kind":"heartbeat"', '"kind":"stream-open"'),
      changed(/"seq":\d+/, '"seq":07'),
      changed(/"seq":\d+/, '"seq":1e3'),
      changed(/"seq":\d+/, '"seq":0'),
      changed(/"seq":\d+/, '"seq":1234567890123456'),
      changed(/"prev":"[0-9a-f]+",/, ""),
      changed(/"prev":"[0-9a-f]/, '"prev":"G'),
      formatUtf8(`[${text}]`),
      formatUtf8(`{"a":${text}}`),
      formatUtf8(`${text} `),
      formatUtf8(`{"signatures":[],${text.slice(1)}`),
      new Uint8Array(0),
    ];
    for (const one of refused) expect(scan(one)).toBeUndefined();
  });
});
