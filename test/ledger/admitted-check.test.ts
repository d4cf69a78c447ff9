import { describe, expect, it } from "vitest";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { type AdmittedVerdict, checkAdmitted } from "../../ledger/checks/admitted-check.ts";
import { EntryChecker, type KnownStream } from "../../ledger/fsck/entry-check.ts";
import { damagedStream } from "../support/damaged-stream.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { registrationOf } from "../support/ledger-submitter.ts";
import { gatewayKeys } from "../support/receipts.ts";

const FIRST = 100;
const FALSE = { 3: "signature", 6: "prev", 8: "syntax" } as const;
const keys = [10, 20].map((seed) => gatewayKeys(seed));
const [one, other] = keys.map((each, i) => damagedStream(each, 12, i === 0 ? FALSE : {}));
const [oneKeys, otherKeys] = keys.map((each) => parseRegistration(registrationOf(each)).registration);
if (one === undefined || other === undefined || oneKeys === undefined || otherKeys === undefined) throw new Error();
const STREAMS: readonly KnownStream[] = [
  { stream: one.stream, keys: oneKeys },
  { stream: other.stream, keys: otherKeys },
];

function bytesOf(of: typeof one, from: number, to: number): readonly Uint8Array[] {
  return of?.receipts.slice(from, to).map(({ bytes }) => bytes) ?? [];
}

function check(entries: readonly Uint8Array[], streams: readonly KnownStream[], isTold: boolean): AdmittedVerdict {
  const checker = new EntryChecker({ origin: LEDGER_ORIGIN });
  const bundle = formatEntryBundle(entries);
  return checkAdmitted(checker, { firstIndex: FIRST, bundle, count: entries.length, streams, isTold });
}

const hashOf = (bytes: Uint8Array | undefined): string => formatHex(receiptHash(bytes ?? new Uint8Array(0)));

describe("a stretch of what segments brought in", () => {
  const mixed = [...bytesOf(one, 1, 7), ...bytesOf(other, 1, 5), ...bytesOf(one, 7, 12), Buffer.from("no receipt")];

  it("names the streams whose keys are wanted first, and nothing else", () => {
    expect(check(mixed, [], false)).toEqual({ kind: "unknown", streams: STREAMS.map(({ stream }) => stream) });
    expect(check(mixed, STREAMS.slice(1), false)).toEqual({ kind: "unknown", streams: [one.stream] });
  });

  it("has a fault for each false receipt, and both ends of each stream, whatever stands between", () => {
    const verdict = check(mixed, STREAMS, false);
    if (verdict.kind !== "checked") throw new Error("not checked");
    expect(verdict.faults.map(({ index, seq, code, stream }) => [index, seq, code, stream === one.stream])).toEqual([
      [FIRST + 2, 3, "ERR_SIGNATURE_INVALID", true],
      [FIRST + 5, 6, "ERR_STREAM_PREV", true],
      [FIRST + 11, 8, "ERR_JSON_SYNTAX", true],
    ]);
    expect(verdict.ends.map(({ stream, first, last }) => [stream, first.index, first.seq, last])).toEqual([
      [one.stream, FIRST, 1, { seq: 11, hash: hashOf(one.receipts[11]?.bytes) }],
      [other.stream, FIRST + 6, 1, { seq: 4, hash: hashOf(other.receipts[4]?.bytes) }],
    ]);
    expect(verdict.ends[0]?.first.prev).toBe(hashOf(one.receipts[0]?.bytes));
  });

  it("of which a stream is not registered has a fault for each of its receipts", () => {
    const verdict = check(mixed, STREAMS.slice(0, 1), true);
    if (verdict.kind !== "checked") throw new Error("not checked");
    const strange = verdict.faults.filter(({ stream }) => stream === other.stream);
    expect(strange.map(({ code, seq }) => [code, seq])).toEqual([1, 2, 3, 4].map((seq) => ["ERR_STREAM_UNKNOWN", seq]));
  });

  it("has a fault for a receipt that names another hash than that of the one before it, which cannot be read", () => {
    // Made anew in front of a follower that was made for other bytes.
    const broken = bytesOf(one, 7, 10).map((bytes, i) =>
      i === 1 ? Buffer.concat([bytes.subarray(0, -1), Buffer.from("]}")]) : bytes,
    );
    const verdict = check(broken, STREAMS, false);
    if (verdict.kind !== "checked") throw new Error("not checked");
    expect(verdict.faults.map(({ seq, code }) => [seq, code])).toContainEqual([9, "ERR_STREAM_PREV"]);
  });
});
