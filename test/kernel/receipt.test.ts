/** Receipts of every kind: their bytes, and everything that a reader must refuse. */

import { describe, expect, it } from "vitest";
import { equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import {
  MAX_RECEIPT_BYTES,
  parseReceipt,
  type ReceiptBody,
  readReceipt,
  receiptBodyHash,
  receiptHash,
  type SignedReceipt,
  signReceipt,
} from "../../kernel/receipt/receipt.ts";
import { checkReceiptSignature, checkStreamOpen } from "../../kernel/stream/stream-state.ts";
import { codeOf } from "../support/code-of.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { digestOf, gatewayKeys, receiptBodies } from "../support/receipts.ts";
import { sampled } from "../support/sweep.ts";

const keys = gatewayKeys();
const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
const signersOf = (body: ReceiptBody) => (body.seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt]);
const sign = (body: ReceiptBody): SignedReceipt => signReceipt(body, signersOf(body));

const plain: readonly (readonly [string, ReceiptBody])[] = Object.values(receiptBodies()).map((body) => [
  body.kind,
  body,
]);
const full: readonly (readonly [string, ReceiptBody])[] = fullReceiptBodies().map((body) => [
  `full ${body.kind}`,
  body,
]);
const all = [...plain, ...full];

/** Reads a receipt and checks the signatures that it must have. */
function checkWhole(bytes: Uint8Array): void {
  const receipt = parseReceipt(bytes);
  if (receipt.kind === "stream-open") checkStreamOpen(receipt);
  else checkReceiptSignature(streamKeys, receipt);
}

/** Every way to an object inside a value, with a function that replaces it there. */
function* objectsIn(
  value: JsonValue,
  replace: (other: JsonValue) => JsonValue = (other) => other,
): Generator<{ readonly object: JsonObject; readonly replace: (other: JsonValue) => JsonValue }> {
  if (Array.isArray(value)) {
    const items: readonly JsonValue[] = value;
    for (const [i, item] of items.entries()) yield* objectsIn(item, (other) => replace(items.with(i, other)));
  } else if (isJsonObject(value)) {
    yield { object: value, replace };
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) yield* objectsIn(member, (other) => replace({ ...value, [key]: other }));
    }
  }
}

describe("the twelve kinds", () => {
  it("are these, and the builder has a body of each", () => {
    expect(plain.map(([kind]) => kind)).toEqual([
      "stream-open",
      "policy-load",
      "catalog-load",
      "session-open",
      "decision",
      "outcome",
      "session-seal",
      "heartbeat",
      "refusals",
      "drift",
      "operator-action",
      "admission",
      "stream-close",
    ]);
    expect(full.map(([kind]) => kind)).toEqual(plain.map(([kind]) => `full ${kind}`));
    const other = { ...receiptBodies().heartbeat, kind: "note", signatures: [] };
    expect(codeOf(() => readReceipt(other))).toBe("ERR_SHAPE");
  });
});

const MAY_BE_MISSING: ReadonlySet<string> = new Set(["predecessor", "session_artifact", "notified"]);

describe.each(all)("a receipt of kind %s", (_, body) => {
  const { receipt, bytes, hash } = sign(body);

  it("comes back from its bytes, and its bytes from it", () => {
    expect(parseReceipt(bytes)).toEqual(receipt);
    expect(canonicalBytes(parseReceipt(bytes))).toEqual(bytes);
    expect(receiptHash(bytes)).toEqual(hash);
    checkWhole(bytes);
  });

  it("has no member too many and none too few, at any depth", () => {
    let objects = 0;
    for (const { object, replace } of objectsIn(receipt)) {
      objects += 1;
      expect(codeOf(() => readReceipt(replace({ ...object, extra: 1 })))).toBe("ERR_SHAPE");
      for (const name of Object.keys(object)) {
        // What may be missing: a predecessor of the stream, an artifact of the session, how people were told of an approval.
        if (MAY_BE_MISSING.has(name)) continue;
        const { [name]: _dropped, ...rest } = object;
        expect(
          codeOf(() => readReceipt(replace(rest))),
          name,
        ).toBe("ERR_SHAPE");
      }
    }
    expect(objects).toBeGreaterThan(2);
  });

  it("has members of one type each", () => {
    const wrong: readonly JsonValue[] = [null, true, -1, 1.5, 2 ** 53, "", "x\n", [], {}];
    for (const { object, replace } of objectsIn(receipt)) {
      for (const [name, value] of Object.entries(object)) {
        for (const other of wrong.filter((item) => !isPlausible(item, value, name))) {
          const code = codeOf(() => readReceipt(replace({ ...object, [name]: other })));
          expect(["ERR_SHAPE", "ERR_KEY_INVALID"], `${name} = ${JSON.stringify(other)}`).toContain(code);
        }
      }
    }
  });
});

describe.each(plain)("a receipt of kind %s", (_, body) => {
  const { bytes } = sign(body);

  it("is refused after any change of one byte, and after any truncation", () => {
    const accepted: number[] = [];
    for (const at of sampled(bytes.keys(), 3)) {
      const changed = bytes.slice();
      changed[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      if (codeOf(() => checkWhole(changed)) === "accepted") accepted.push(at);
      if (codeOf(() => parseReceipt(bytes.subarray(0, at))) === "accepted") accepted.push(-at);
    }
    expect(accepted).toEqual([]);
    expect(codeOf(() => parseReceipt(new Uint8Array([...bytes, 0x0a])))).toBe("ERR_JSON_CANONICAL");
  });
});

/** Values of `wrong` that a member may really have. */
function isPlausible(other: JsonValue, value: JsonValue | undefined, name: string): boolean {
  if (typeof value === "boolean") return typeof other === "boolean";
  if (Array.isArray(value)) return Array.isArray(other);
  if (name === "pointer" || name === "sig") return other === "";
  return name === "value" && value === -32602 && other === -1;
}

describe("the bytes of a receipt", () => {
  it("are at most 65,535, and canonical", () => {
    const { bytes } = sign(receiptBodies().heartbeat);
    expect(MAX_RECEIPT_BYTES).toBe(65_535);
    expect(codeOf(() => parseReceipt(new Uint8Array(MAX_RECEIPT_BYTES + 1)))).toBe("ERR_ENTRY_LENGTH");
    expect(codeOf(() => parseReceipt(new Uint8Array(0)))).toBe("ERR_JSON_SYNTAX");
    const text = new TextDecoder().decode(bytes);
    expect(codeOf(() => parseReceipt(formatUtf8(` ${text}`)))).toBe("ERR_JSON_CANONICAL");
    expect(codeOf(() => parseReceipt(formatUtf8(text.replace('"v":1', '"v":1,"v":1'))))).toBe("ERR_JSON_DUPLICATE_KEY");
  });

  it("are not made of a body that no reader would take", () => {
    const { decision, heartbeat } = receiptBodies();
    expect(codeOf(() => sign({ ...decision, ruling: { ...decision.ruling, would_deny: true } }))).toBe("ERR_SHAPE");
    expect(codeOf(() => sign({ ...heartbeat, open_calls: -1 }))).toBe("ERR_SHAPE");
    // As many files as a manifest may list, all with the longest path, still fit into one entry.
    const files = Array.from({ length: 257 }, (_, i) => ({
      path: `${i + 1000}`.padStart(128, "x"),
      digest: digestOf(1),
    }));
    const load = receiptBodies()["policy-load"];
    expect(codeOf(() => sign({ ...load, files: files.slice(0, 256) }))).toBe("accepted");
    expect(codeOf(() => sign({ ...load, files }))).toBe("ERR_SHAPE");
  });

  it("are named by a body hash that two signings share", () => {
    const body = receiptBodies().heartbeat;
    const es256 = gatewayKeys(60, "es256");
    const [first, second] = [signReceipt(body, [es256.receipt]), signReceipt(body, [keys.receipt])];
    expect(equalBytes(first.hash, second.hash)).toBe(false);
    expect(receiptBodyHash(first.receipt)).toEqual(receiptBodyHash(second.receipt));
    const other = sign({ ...body, open_calls: 1 });
    expect(receiptBodyHash(other.receipt)).not.toEqual(receiptBodyHash(first.receipt));
  });
});
