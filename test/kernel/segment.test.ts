/** Segments: one signature over consecutive receipts, and their wire form. */

import { describe, expect, it } from "vitest";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { entryAt, hashLeaf, joinLeaves } from "../../kernel/merkle/hash.ts";
import {
  checkSegment,
  formatSegment,
  MAX_SEGMENT_BYTES,
  MAX_SEGMENT_RECEIPTS,
  makeSegment,
  parseSegment,
  type Segment,
  type SegmentBody,
} from "../../kernel/segment.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { codeOf } from "../support/code-of.ts";
import { ORIGIN } from "../support/log-keys.ts";
import { gatewayKeys, hex64, makeStream } from "../support/receipts.ts";
import { SlowTree, slowLeafHash } from "../support/slow-merkle.ts";

const made = makeStream({ calls: 0 });
const { keys, stream } = made;
const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
const bytesOf = (from: number, to: number): readonly Uint8Array[] =>
  made.receipts.slice(from, to).map(({ bytes }) => bytes);
const receipts = bytesOf(3, 6);
const before = made.receipts[2]?.hash ?? new Uint8Array();
const parts = { origin: ORIGIN, stream, firstSeq: 3, prev: before, receipts };
const segment = makeSegment(parts, keys.receipt);
const wire = formatSegment(segment, receipts);

/** Reads a segment from its wire form and checks it for the log. */
const take = (bytes: Uint8Array): unknown => checkSegment(parseSegment(bytes), streamKeys, ORIGIN);

/** The segment with other members, signed by the receipt key. */
function changed(members: Partial<SegmentBody>, signers = [keys.receipt]): Segment {
  const { signatures: _, ...body } = segment;
  return signEnvelope<SegmentBody>({ ...body, ...members }, signers);
}

describe("a segment", () => {
  it("is put where there is room for it, over what was there", () => {
    const memory = new Uint8Array(wire.length + 1).fill(0xff);
    const put = formatSegment(segment, receipts, memory);
    expect(put).toEqual(wire);
    expect([put.buffer === memory.buffer, memory.at(-1)]).toEqual([true, 0xff]);
    const small = new Uint8Array(wire.length - 1);
    expect(formatSegment(segment, receipts, small)).toEqual(wire);
    expect(small).toEqual(new Uint8Array(wire.length - 1));
  });

  it("comes back from its wire form with the exact bytes of its receipts", () => {
    const parsed = parseSegment(wire);
    expect(parsed.segment).toEqual(segment);
    expect(receipts.map((_, i) => entryAt(parsed.entries, i))).toEqual(receipts);
    expect(parsed.entries.starts).toHaveLength(receipts.length);
    expect(formatSegment(segment, receipts)).toEqual(wire);
    expect(take(wire)).toEqual(joinLeaves(receipts.map((bytes) => hashLeaf(bytes))));
    expect(segment.last).toBe(Buffer.from(made.receipts[5]?.hash ?? []).toString("hex"));
    expect(parseHex(segment.root, 32)).toEqual(new SlowTree(receipts.map(slowLeafHash)).mth(0, receipts.length));
  });

  it("starts a stream without prev, and any other place with it", () => {
    const first = makeSegment({ origin: ORIGIN, stream, firstSeq: 0, receipts: bytesOf(0, 2) }, keys.receipt);
    expect(codeOf(() => take(formatSegment(first, bytesOf(0, 2))))).toBe("accepted");
    expect(codeOf(() => parseSegment(formatSegment(changed({ first_seq: 0 }), receipts)))).toBe("ERR_SHAPE");
    const { signatures: _, prev: _prev, ...body } = segment;
    expect(codeOf(() => parseSegment(formatSegment(signEnvelope(body, [keys.receipt]), receipts)))).toBe("ERR_SHAPE");
    expect(codeOf(() => makeSegment({ ...parts, firstSeq: 0 }, keys.receipt))).toBe("ERR_BUG");
    expect(codeOf(() => makeSegment({ ...parts, receipts: [] }, keys.receipt))).toBe("ERR_BUG");
  });

  it("is refused after any change of one byte, and after any truncation", () => {
    const accepted: number[] = [];
    for (let place = 0; place < wire.length; place += 1) {
      const damaged = wire.slice();
      damaged[place] = (wire[place] ?? 0) ^ (1 << (place % 8));
      if (codeOf(() => take(damaged)) === "accepted") accepted.push(place);
      if (codeOf(() => parseSegment(wire.subarray(0, place))) === "accepted") accepted.push(-place);
    }
    expect(accepted).toEqual([]);
    expect(codeOf(() => parseSegment(concat(wire, formatUtf8("\n"))))).toBe("ERR_SEGMENT");
    expect(codeOf(() => parseSegment(concat(wire, formatUtf8("{}\n"))))).toBe("ERR_SEGMENT");
  });

  it("is for one log, of one stream, signed by its receipt key alone", () => {
    const other = gatewayKeys(90);
    const of = (one: Segment): string => codeOf(() => take(formatSegment(one, receipts)));
    expect(of(changed({ origin: "log.example/other" }))).toBe("ERR_SEGMENT_ORIGIN");
    expect(of(changed({ stream: other.instance.publicKey.kid }))).toBe("ERR_STREAM_KEY");
    expect(of(changed({}, [other.receipt]))).toBe("ERR_STREAM_KEY");
    expect(of(changed({}, [keys.instance]))).toBe("ERR_STREAM_KEY");
    expect(of(changed({}, [keys.receipt, keys.instance]))).toBe("ERR_STREAM_KEY");
    const moved = { ...changed({}), signatures: changed({ first_seq: 4 }).signatures };
    expect(of(moved)).toBe("ERR_SIGNATURE_INVALID");
  });

  it("speaks for these receipts in this order", () => {
    const of = (lines: readonly Uint8Array[]): string => codeOf(() => take(formatSegment(segment, lines)));
    expect(of(receipts)).toBe("accepted");
    expect(of(receipts.toReversed())).toBe("ERR_SEGMENT_ROOT");
    expect(of(receipts.with(1, receipts[0] ?? new Uint8Array()))).toBe("ERR_SEGMENT_ROOT");
    expect(of(receipts.slice(1))).toBe("ERR_SEGMENT");
    expect(of([...receipts, ...receipts])).toBe("ERR_SEGMENT");
    const only = (members: Partial<SegmentBody>): string =>
      codeOf(() => take(formatSegment(changed(members), receipts)));
    expect(only({ root: hex64(1) })).toBe("ERR_SEGMENT_ROOT");
    expect(only({ last: hex64(1) })).toBe("ERR_SEGMENT_ROOT");
  });
});

describe("the wire form of a segment", () => {
  const many = (count: number): Uint8Array => {
    const lines = Array.from({ length: count }, () => formatUtf8("x"));
    const envelope = makeSegment({ ...parts, receipts: lines.slice(0, MAX_SEGMENT_RECEIPTS) }, keys.receipt);
    return formatSegment(changed({ count, root: envelope.root, last: envelope.last }), lines);
  };

  it("has 1 to 1,024 receipts of 1 to 65,535 bytes, in at most 8 MiB", () => {
    expect([MAX_SEGMENT_RECEIPTS, MAX_SEGMENT_BYTES]).toEqual([1024, 8 * 1024 * 1024]);
    expect(codeOf(() => parseSegment(many(1024)))).toBe("accepted");
    expect(codeOf(() => parseSegment(many(1025)))).toBe("ERR_SHAPE");
    expect(codeOf(() => parseSegment(formatSegment(changed({ count: 0 }), [])))).toBe("ERR_SHAPE");
    const withLine = (line: Uint8Array): string =>
      codeOf(() => parseSegment(formatSegment(changed({ count: 1 }), [line])));
    expect(withLine(new Uint8Array(0))).toBe("ERR_SEGMENT");
    expect(withLine(new Uint8Array(65_535).fill(0x78))).toBe("accepted");
    expect(withLine(new Uint8Array(65_536).fill(0x78))).toBe("ERR_SEGMENT");
    expect(codeOf(() => parseSegment(new Uint8Array(MAX_SEGMENT_BYTES + 1).fill(0x0a)))).toBe("ERR_SEGMENT");
  });

  it("reads no more lines than a segment can have", () => {
    const flood = concat(canonicalBytes(segment), new Uint8Array(1_000_000).fill(0x0a));
    expect(codeOf(() => parseSegment(flood))).toBe("ERR_SEGMENT");
  });

  it("begins with a canonical envelope of at most 16 KiB", () => {
    const line = (text: string): string => codeOf(() => parseSegment(formatUtf8(`${text}\nx\n`)));
    expect(line("")).toBe("ERR_JSON_SYNTAX");
    expect(line("{}")).toBe("ERR_SHAPE");
    expect(line(` ${new TextDecoder().decode(canonicalBytes(segment))}`)).toBe("ERR_JSON_CANONICAL");
    expect(line(`"${"x".repeat(20_000)}"`)).toBe("ERR_JSON_SIZE");
    expect(codeOf(() => parseSegment(new Uint8Array(0)))).toBe("ERR_SEGMENT");
    expect(codeOf(() => parseSegment(wire.subarray(0, -1)))).toBe("ERR_SEGMENT");
    expect(codeOf(() => parseSegment(formatUtf8("\n")))).toBe("ERR_JSON_SYNTAX");
  });
});
