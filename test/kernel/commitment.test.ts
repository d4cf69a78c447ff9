import { hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { commitBytes, commitJson, jsonLeaves, MAX_COMMITTED_FIELDS } from "../../kernel/commitment.ts";
import { hmacSha256, sha256 } from "../../kernel/crypto/node.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonPointer, listFields } from "../../kernel/json/pointer.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import {
  type CommitmentRoot,
  checkOpening,
  checkPayload,
  type Opening,
  openBytes,
  openField,
  openingShape,
} from "../../kernel/opening.ts";
import { readShape } from "../../kernel/shape.ts";
import { codeOf } from "../support/code-of.ts";

const secret = new Uint8Array(hkdfSync("sha256", "commitment test", "", "", 32));
const name = "request_received";
const value = parseJson(
  '{"z":[],"a":{"b":[1,true,null],"":"x","~/":"y"},"n":1.5,"o":{},"\\ue000":1,"\\ud83d\\ude00":2}',
);
const bytes = canonicalBytes(value);

const fields = (root: string): CommitmentRoot => ({ scheme: "countersign/fields/v1", root });
const onlyBytes = (root: string): CommitmentRoot => ({ scheme: "countersign/bytes/v1", root });
const pointers = (of: JsonValue): readonly string[] => jsonLeaves(secret, name, of, bytes).map((leaf) => leaf.pointer);

/** u32be length ‖ bytes, written again from the format's description. */
function lp(part: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, part.length);
  return concat(length, part);
}

/** RFC 6962 §2.1, by its definition. */
function slowRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return sha256(concat(Uint8Array.of(0), only));
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return sha256(concat(Uint8Array.of(1), slowRoot(leaves.slice(0, k)), slowRoot(leaves.slice(k))));
}

function slowCommit(pairs: readonly (readonly [string, Uint8Array])[]): string {
  const leaves = pairs.map(([pointer, content]) => {
    const salt = hmacSha256(secret, concat(lp(formatUtf8(name)), lp(formatUtf8(pointer))));
    return concat(lp(salt), lp(formatUtf8(pointer)), lp(content));
  });
  return formatHex(slowRoot(leaves));
}

describe("a commitment to a JSON value", () => {
  it("is the RFC 6962 root over its salted fields in byte order of their pointers, then the exact bytes", () => {
    const order = ["/a/", "/a/b/0", "/a/b/1", "/a/b/2", "/a/~0~1", "/n", "/o", "/z", "/\ue000", "/😀"];
    expect(pointers(value)).toEqual([...order, "bytes"]);
    const contents = ['"x"', "1", "true", "null", '"y"', "1.5", "{}", "[]", "1", "2"];
    const pairs = order.map((pointer, i): readonly [string, Uint8Array] => [pointer, formatUtf8(contents[i] ?? "")]);
    expect(commitJson(secret, name, value, bytes)).toBe(slowCommit([...pairs, ["bytes", bytes]]));
  });

  it("is the root over its leaves, of any number, length and script, one after the other", () => {
    const values: readonly JsonValue[] = [
      ...Array.from({ length: 70 }, (_, n) => Object.fromEntries(Array.from({ length: n }, (__, i) => [`k${i}`, i]))),
      { ["é".repeat(40)]: "ü", ["k".repeat(5000)]: "v".repeat(20_000), a: "😀".repeat(60), b: "x".repeat(97) },
      { a: 1 },
      "x".repeat(95),
      "é",
    ];
    for (const one of values) {
      for (const exact of [bytes, new Uint8Array(0), new Uint8Array(40_000).fill(7)]) {
        const leaves = jsonLeaves(secret, name, one, exact);
        const pairs = leaves.map(({ pointer, value: content }): readonly [string, Uint8Array] => [pointer, content]);
        expect(commitJson(secret, name, one, exact)).toBe(slowCommit(pairs));
        expect(commitBytes(secret, name, exact)).toBe(slowCommit([["bytes", exact]]));
      }
    }
  });

  it("is the same after one that could not be made", () => {
    const root = commitJson(secret, name, value, bytes);
    expect(codeOf(() => commitJson(secret, name, { a: 1, b: "\ud800" }, bytes))).toBe("ERR_JSON_SURROGATE");
    expect(commitJson(secret, name, value, bytes)).toBe(root);
  });

  it("has the empty pointer for a value that is one field", () => {
    for (const one of [null, true, 0, "", [], {}]) expect(pointers(one)).toEqual(["", "bytes"]);
  });

  it("depends on secret, name, every field and every byte", () => {
    const root = commitJson(secret, name, value, bytes);
    const others = [
      commitJson(sha256(secret), name, value, bytes),
      commitJson(secret, "request_sent", value, bytes),
      commitJson(secret, name, parseJson(formatCanonical(value).replace("1.5", "1.25")), bytes),
      commitJson(secret, name, value, concat(bytes, formatUtf8(" "))),
      commitBytes(secret, name, bytes),
    ];
    expect(new Set([root, ...others]).size).toBe(6);
  });

  it("refuses a secret of another length and more fields than the bound", () => {
    expect(codeOf(() => commitJson(secret.subarray(1), name, value, bytes))).toBe("ERR_BYTES_LENGTH");
    expect(codeOf(() => commitBytes(new Uint8Array(33), name, bytes))).toBe("ERR_BYTES_LENGTH");
    const many = Array.from({ length: MAX_COMMITTED_FIELDS + 1 }, () => 0);
    expect(codeOf(() => commitJson(secret, name, many, bytes))).toBe("ERR_JSON_SIZE");
  });

  it("counts members that are undefined as absent", () => {
    expect(pointers({ a: undefined, b: 1 })).toEqual(["/b", "bytes"]);
    expect(pointers({ c: { a: undefined } })).toEqual(["/c", "bytes"]);
  });
});

describe("an opening", () => {
  const commitment = fields(commitJson(secret, name, value, bytes));

  it("of every field and of the exact bytes is accepted, also after a round trip through JSON", () => {
    const openings: readonly Opening[] = [
      ...listFields(value, 100).map(({ pointer }) => openField(secret, name, value, bytes, pointer)),
      openBytes(secret, name, value, bytes),
    ];
    for (const opening of openings) {
      const reread = readShape(openingShape, parseJson(canonicalBytes(opening)), "opening");
      expect(reread).toEqual({ ...opening });
      expect(codeOf(() => checkOpening(commitment, reread))).toBe("accepted");
    }
  });

  it("of bytes that are not JSON is accepted under their scheme alone", () => {
    const raw = Uint8Array.of(0xff, 0x00);
    const root = commitBytes(secret, name, raw);
    const opening = openBytes(secret, name, undefined, raw);
    expect(codeOf(() => checkOpening(onlyBytes(root), opening))).toBe("accepted");
    expect(codeOf(() => checkOpening(fields(root), opening))).toBe("ERR_OPENING_FIELD");
    expect(codeOf(() => checkOpening(onlyBytes(commitment.root), openBytes(secret, name, value, bytes)))).toBe(
      "ERR_OPENING_FIELD",
    );
  });

  it("is refused with another value, pointer, salt, place, proof or commitment", () => {
    const opening = openField(secret, name, value, bytes, "/a/b/1");
    const other = openField(secret, name, value, bytes, "/a/b/0");
    const cases: readonly (readonly [Partial<typeof opening>, string])[] = [
      [{ value: false }, "ERR_OPENING_MISMATCH"],
      [{ pointer: "/a/b/0" }, "ERR_OPENING_MISMATCH"],
      [{ salt: other.salt }, "ERR_OPENING_MISMATCH"],
      [{ index: 1 }, "ERR_OPENING_MISMATCH"],
      [{ proof: other.proof }, "ERR_OPENING_MISMATCH"],
      [{ leaves: 1 }, "ERR_OPENING_FIELD"],
      [{ leaves: 3 }, "ERR_OPENING_FIELD"],
      [{ leaves: 40 }, "ERR_PROOF_LENGTH"],
      [{ proof: opening.proof.slice(1) }, "ERR_PROOF_LENGTH"],
      [{ value: [1] }, "ERR_OPENING_FIELD"],
      [{ value: { a: 1 } }, "ERR_OPENING_FIELD"],
      [{ pointer: "bytes" }, "ERR_OPENING_FIELD"],
      [{ pointer: "a" }, "ERR_OPENING_FIELD"],
      [{ pointer: "/~2" }, "ERR_OPENING_FIELD"],
    ];
    for (const [change, code] of cases) {
      expect([change, codeOf(() => checkOpening(commitment, { ...opening, ...change }))]).toEqual([change, code]);
    }
    const elsewhere = fields(commitJson(secret, "request_sent", value, bytes));
    expect(codeOf(() => checkOpening(elsewhere, opening))).toBe("ERR_OPENING_MISMATCH");
  });

  it("of the exact bytes is the last leaf or nothing", () => {
    const opening = openBytes(secret, name, value, bytes);
    expect(codeOf(() => checkOpening(commitment, { ...opening, index: 0 }))).toBe("ERR_OPENING_FIELD");
    expect(codeOf(() => checkOpening(commitment, { ...opening, bytes: "AAAA" }))).toBe("ERR_OPENING_MISMATCH");
  });

  it("cannot be made of what is no field", () => {
    for (const pointer of ["", "/a", "/a/b", "/missing", "bytes"]) {
      expect(codeOf(() => openField(secret, name, value, bytes, pointer))).toBe("ERR_OPENING_FIELD");
    }
  });

  it("reveals neither the secret nor another field", () => {
    const guesses = Array.from({ length: 1000 }, (_, n) => ({ pin: n }));
    const pin = { pin: 417 };
    const root = commitJson(secret, name, pin, canonicalBytes(pin));
    const opening = openBytes(secret, name, pin, canonicalBytes(pin));
    const wrong = guesses.filter((guess) => {
      const field = { part: "field", pointer: "/pin", value: guess.pin, index: 0 } as const;
      return codeOf(() => checkOpening(fields(root), { ...opening, ...field })) !== "ERR_OPENING_MISMATCH";
    });
    expect(wrong).toEqual([]);
  });

  it("is read strictly", () => {
    const opening = openField(secret, name, value, bytes, "/n");
    const bad: readonly JsonValue[] = [
      { ...opening, part: "other" },
      { ...opening, more: 1 },
      { ...opening, salt: "AAAA" },
      { ...opening, index: -1 },
      { ...opening, leaves: 0 },
      { ...opening, proof: Array.from({ length: 14 }, () => opening.proof[0] ?? "") },
    ];
    for (const item of bad) expect(codeOf(() => readShape(openingShape, item, "opening"))).toBe("ERR_SHAPE");
  });

  it("holds for any value and any of its fields", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.nat(), (any, pick) => {
        const text = JSON.stringify(any);
        const parsed = codeOf(() => parseJson(text)) === "accepted" ? parseJson(text) : null;
        const all = listFields(parsed, 10_000);
        const pointer = all[pick % all.length]?.pointer ?? "";
        const exact = formatUtf8(text);
        const root = fields(commitJson(secret, name, parsed, exact));
        expect(isJsonPointer(pointer)).toBe(true);
        expect(codeOf(() => checkOpening(root, openField(secret, name, parsed, exact, pointer)))).toBe("accepted");
      }),
      { numRuns: 200 },
    );
  });
});

describe("a payload", () => {
  const commitment = fields(commitJson(secret, name, value, bytes));

  it("is accepted with its secret, under either scheme", () => {
    expect(codeOf(() => checkPayload(commitment, secret, name, bytes))).toBe("accepted");
    const raw = formatUtf8("not JSON");
    const root = onlyBytes(commitBytes(secret, name, raw));
    expect(codeOf(() => checkPayload(root, secret, name, raw))).toBe("accepted");
  });

  it("is refused if a byte, the name or the secret differs, or the fields are not those of the bytes", () => {
    const other = concat(bytes, formatUtf8("\n"));
    expect(codeOf(() => checkPayload(commitment, secret, name, other))).toBe("ERR_OPENING_MISMATCH");
    expect(codeOf(() => checkPayload(commitment, secret, "request_sent", bytes))).toBe("ERR_OPENING_MISMATCH");
    expect(codeOf(() => checkPayload(commitment, sha256(secret), name, bytes))).toBe("ERR_OPENING_MISMATCH");
    const lying = fields(commitJson(secret, name, { harmless: true }, bytes));
    expect(codeOf(() => checkPayload(lying, secret, name, bytes))).toBe("ERR_OPENING_MISMATCH");
    expect(codeOf(() => checkPayload(commitment, secret, name, formatUtf8("{")))).toBe("ERR_JSON_SYNTAX");
  });
});
