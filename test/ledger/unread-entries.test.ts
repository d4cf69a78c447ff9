/**
 * What a hostile gateway can get into a log by signing a segment over it: bytes that claim a place in its stream at their top
 * level and are no receipt. Whoever reads entries says so, and nobody fails on them.
 */

import { describe, expect, it } from "vitest";
import { readEntry } from "../../api/follow/entry.ts";
import { concat, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { scanEntry } from "../../ledger/admission/scan-entry.ts";
import { EntryChecker } from "../../ledger/fsck/entry-check.ts";
import { codeOf } from "../support/code-of.ts";
import { damagedStream } from "../support/damaged-stream.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { registrationOf } from "../support/ledger-submitter.ts";
import { gatewayKeys } from "../support/receipts.ts";

const keys = gatewayKeys(10);
const stream = damagedStream(keys, 2);
const right = parseUtf8(stream.receipts[1]?.bytes ?? new Uint8Array(0));
const inside = (text: string): Uint8Array => formatUtf8(right.replace('"v":1', text));
const NESTED = 30_000;

const CASES: readonly (readonly [name: string, bytes: Uint8Array, code: string])[] = [
  ["a member twice", inside('"v":1,"v":1'), "ERR_JSON_DUPLICATE_KEY"],
  ["its kind twice, once escaped", inside('"v":1,"\\u006bind":"registration"'), "ERR_JSON_DUPLICATE_KEY"],
  ["a nested member twice", inside('"v":{"a":1,"a":2}'), "ERR_JSON_DUPLICATE_KEY"],
  ["deep arrays", inside(`"v":${"[".repeat(NESTED)}${"]".repeat(NESTED)}`), "ERR_JSON_DEPTH"],
  ["deep objects", inside(`"v":${'{"":'.repeat(NESTED / 5)}1${"}".repeat(NESTED / 5)}`), "ERR_JSON_DEPTH"],
  ["brackets that do not match", inside('"v":[}'), "ERR_JSON_SYNTAX"],
  ["no value", inside('"v":nothing'), "ERR_JSON_SYNTAX"],
  ["an unsafe number", inside('"v":1e999'), "ERR_JSON_NUMBER"],
  ["half a surrogate", inside('"v":"\\ud800"'), "ERR_JSON_SURROGATE"],
  ["another spelling", inside('"v": 1'), "ERR_JSON_CANONICAL"],
  ["a member that no receipt has", inside('"__proto__":{},"v":1'), "ERR_JSON_CANONICAL"],
  ["the mark of a trust record", inside('"eat_profile":"tag","v":1'), "ERR_JSON_CANONICAL"],
  ["another version", inside('"v":2'), "ERR_SHAPE"],
  [
    "bytes that are no text",
    concat(formatUtf8(right.slice(0, -1)), formatUtf8(',"z":"'), Uint8Array.of(0xff), formatUtf8('"}')),
    "ERR_UTF8",
  ],
];

function checker(): EntryChecker {
  return new EntryChecker({ origin: LEDGER_ORIGIN });
}

const { instance_key, receipt_key } = parseRegistration(registrationOf(keys)).registration;
const known = { stream: stream.stream, keys: { instance_key, receipt_key } };

describe("an entry that claims a place and is no receipt", () => {
  it.each(CASES)("with %s is what it is to every reader", (_, bytes, code) => {
    expect(scanEntry(bytes)).toMatchObject({ kind: "heartbeat", stream: stream.stream, seq: 1 });
    expect(codeOf(() => parseReceipt(bytes))).toBe(code);
    expect(codeOf(() => readSignedReceipt(bytes))).toBe(code);
    expect(readEntry(5, bytes)).toMatchObject({ type: "unreadable", code });
    const form = classifyEntry(bytes);
    expect(form.form === "unknown" || (form.form === "envelope" && form.kind === "heartbeat")).toBe(true);
    const bundle = formatEntryBundle([bytes]);
    const verdict = checker().check({ firstIndex: 5, bundle, count: 1, skip: [], holes: [], streams: [known] });
    expect(verdict).toMatchObject({ runs: [], others: [], faults: [{ index: 5, code }] });
  });
});
