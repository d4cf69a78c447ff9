/** The examples of the documents about CBOR, COSE and TRACE anchors are what the code makes and accepts. */

import { describe, expect, test } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import { parseCbor } from "../../kernel/cbor/parse.ts";
import type { CborKey, CborValue } from "../../kernel/cbor/value.ts";
import { formatCoseKey, parseCoseKey } from "../../kernel/cose/cose-key.ts";
import { checkInclusionReceipt } from "../../kernel/cose/inclusion-receipt.ts";
import { parseStatement, statementLeaf } from "../../kernel/cose/statement.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import {
  anchorLeaf,
  checkAnchorReceipt,
  formatAnchorReceipt,
  formatTraceHash,
  parseAnchorReceipt,
} from "../../kernel/trace/anchor.ts";
import { anchorBytes, parseTraceDocument } from "../../kernel/trace/anchor-form.ts";
import { derivedName, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { checkRecordSignature, readRecordKey } from "../../kernel/trace/record-key.ts";
import { checkRevocation, parseRevocation } from "../../kernel/trace/revocation.ts";
import { COSE_ISSUER, coseSigners, makeReceipt, makeStatement } from "../support/cose.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { makeNamedRecord, makeRevocation, revocationSigner } from "../support/trace.ts";

const bytesOf = (block: string): Uint8Array => parseHex(block.replaceAll("\n", ""));

describe("docs/formats/cbor.md", () => {
  test("shows a map", () => {
    const map = new Map<CborKey, CborValue>([
      ["x", { tag: 18n, value: true }],
      [1n, [formatUtf8("abc"), "def", -65_537n]],
    ]);
    const shown = bytesOf(fencedBlocks("docs/formats/cbor.md")("map"));
    expect(formatHex(formatCbor(map))).toBe(formatHex(shown));
    expect(parseCbor(shown)).toEqual(map);
  });
});

describe("docs/formats/cose-receipt.md", () => {
  const block = fencedBlocks("docs/formats/cose-receipt.md");

  test("shows the keys of both algorithms", () => {
    for (const [name, signer] of [
      ["key-ed25519", coseSigners.ed25519],
      ["key-p256", coseSigners.es256],
    ] as const) {
      expect(parseCoseKey(bytesOf(block(name))).key).toEqual(signer.publicKey);
      expect(formatHex(formatCoseKey(signer.publicKey))).toBe(formatHex(bytesOf(block(name))));
    }
  });

  test("shows a statement, its leaf and its receipt", async () => {
    const statement = bytesOf(block("statement"));
    expect(formatHex(makeStatement(5))).toBe(formatHex(statement));
    const leaf = statementLeaf(parseStatement(statement));
    expect(formatHex(leaf)).toBe(block("statement-leaf"));
    const receipt = bytesOf(block("receipt"));
    expect(formatHex(await makeReceipt(5, 12))).toBe(formatHex(receipt));
    const { key } = parseCoseKey(bytesOf(block("key-ed25519")));
    const { size, index } = checkInclusionReceipt(receipt, leaf, { key, issuer: COSE_ISSUER });
    expect([size, index]).toEqual([12n, 5n]);
  });
});

describe("docs/formats/trace-anchor.md", () => {
  const block = fencedBlocks("docs/formats/trace-anchor.md");

  test("shows a record, its name and its leaf", () => {
    const record = parseTraceDocument(block("record"));
    expect(record).toEqual(makeNamedRecord("log.example/a", {}));
    expect(formatHex(anchorBytes(record))).toBe(formatHex(formatUtf8(block("record"))));
    checkRecordSignature(record, readRecordKey(record));
    expect(derivedName(record)).toBe(block("record-name"));
    expect(record["transparency"]).toBe(trustRecordUri("log.example/a", block("record-name")));
    expect(formatTraceHash(anchorLeaf(record))).toBe(block("record-leaf"));
  });

  test("shows an anchor receipt that replays", () => {
    const receipt = parseAnchorReceipt(block("anchor-receipt"));
    checkAnchorReceipt(parseTraceDocument(block("record")), receipt);
    expect(JSON.stringify(formatAnchorReceipt(receipt))).toBe(block("anchor-receipt"));
  });

  test("shows a revocation", () => {
    checkRevocation(parseRevocation(block("revocation")), revocationSigner.publicKey);
    expect(parseTraceDocument(block("revocation"))).toEqual(makeRevocation({}));
  });
});
