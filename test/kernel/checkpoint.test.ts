/** Checkpoints and cosignatures. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatCheckpoint, parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import {
  checkCosignatureLine,
  cosignatureMessage,
  MAX_TIMESTAMP_SECONDS,
  subtreeMessage,
} from "../../kernel/checkpoint/cosignature.ts";
import type { Cosigner } from "../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { asRootHash, EMPTY_ROOT, hashLeaf, parseRootHash } from "../../kernel/merkle/hash.ts";
import { formatNote, formatSignatureLine, parseSignatureLine } from "../../kernel/note/signed-note.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import {
  checkpointText,
  logMlDsaSigner,
  logSigner,
  mlDsaWitness,
  ORIGIN,
  seedOf,
  TIME,
  witnessedNote,
  witnesses,
} from "../support/log-keys.ts";

const ROOT = asRootHash(hashLeaf(new Uint8Array(0)));
const TEXT = checkpointText(300n, ROOT);
const [witness] = witnesses;
if (witness === undefined) throw new Error("no witness");

describe("a checkpoint", () => {
  test("of any origin, size, root and extension lines comes back from its text", () => {
    const line = fc.string({ minLength: 1 }).filter((text) => !text.includes("\n"));
    fc.assert(
      fc.property(
        fc.record({
          origin: line,
          size: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
          root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(parseRootHash),
          extensions: fc.array(line, { maxLength: 3 }),
        }),
        (checkpoint) => {
          expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("that is damaged is refused, or is the one spelling of another checkpoint", () => {
    for (const bad of [...truncations(TEXT), ...oneCharacterChanges(TEXT)]) {
      if (codeOf(() => parseCheckpoint(bad)) === "accepted") expect(formatCheckpoint(parseCheckpoint(bad))).toBe(bad);
    }
  });

  test("that a log signed is refused with any damage", () => {
    const note = witnessedNote(TEXT, []);
    for (const bad of [...truncations(note), ...oneCharacterChanges(note)]) {
      expect(codeOf(() => openLogCheckpoint(bad, [logSigner.key]))).not.toBe("accepted");
    }
  });

  const [origin, size, root] = TEXT.split("\n");
  test.each([
    ["of two lines", `${origin}\n${size}\n`, "ERR_CHECKPOINT"],
    ["without a final newline", TEXT.slice(0, -1), "ERR_CHECKPOINT"],
    ["with an empty origin", `\n${size}\n${root}\n`, "ERR_CHECKPOINT"],
    ["with an empty extension line", `${TEXT}\n`, "ERR_CHECKPOINT"],
    ["with a leading zero in the size", `${origin}\n0300\n${root}\n`, "ERR_DECIMAL"],
    ["with a sign in the size", `${origin}\n+300\n${root}\n`, "ERR_DECIMAL"],
    ["with a negative size", `${origin}\n-1\n${root}\n`, "ERR_DECIMAL"],
    ["with an empty size", `${origin}\n\n${root}\n`, "ERR_DECIMAL"],
    ["with spaces around the size", `${origin}\n 300\n${root}\n`, "ERR_DECIMAL"],
    ["with a size in another notation", `${origin}\n0x12c\n${root}\n`, "ERR_DECIMAL"],
    ["with digits of another script", `${origin}\n٣٠٠\n${root}\n`, "ERR_DECIMAL"],
    ["with a size of 2^64", `${origin}\n18446744073709551616\n${root}\n`, "ERR_DECIMAL"],
    ["with a root of 31 bytes", `${origin}\n${size}\n${"A".repeat(42)}==\n`, "ERR_BYTES_LENGTH"],
    ["with spare bits in the root", `${origin}\n${size}\n${root?.replace(/.=$/u, "/=")}\n`, "ERR_BASE64"],
    ["longer than a note may be", TEXT + "x".repeat(131_072), "ERR_NOTE_SIZE"],
  ])("is refused %s", (_, text, code) => {
    expect(codeOf(() => parseCheckpoint(text))).toBe(code);
  });

  test("may have an extension line, which has no meaning", () => {
    expect(parseCheckpoint(`${TEXT}extension\n`)).toEqual({ ...parseCheckpoint(TEXT), extensions: ["extension"] });
  });

  test("of a log with two keys opens with both lines, or with either key alone", () => {
    const note = formatNote(TEXT, [logSigner.signLine(TEXT), logMlDsaSigner.cosign(TEXT, TIME)]);
    expect(openNote(note, [logSigner.key, logMlDsaSigner.key]).verified.map(({ key }) => key.type)).toEqual([
      0x01, 0x06,
    ]);
    expect(openLogCheckpoint(note, [logMlDsaSigner.key]).logKey).toBe(logMlDsaSigner.key);
    expect(openLogCheckpoint(note, [logSigner.key]).checkpoint.size).toBe(300n);
  });
});

describe("the message of a cosignature", () => {
  test("of Ed25519 is the header, the time and the whole note text", () => {
    const text = new TextDecoder().decode(cosignatureMessage(`${TEXT}extension\n`, 5n));
    expect(text).toBe(`cosignature/v1\ntime 5\n${TEXT}extension\n`);
  });

  test("of ML-DSA-44 has 70 bytes and the two names", () => {
    const statement = { cosigner: "abc", timestampSeconds: 1n, origin: "defgh", start: 0n, end: 2n, hash: ROOT };
    expect(subtreeMessage(statement).length).toBe(70 + 3 + 5);
    expect(Buffer.from(subtreeMessage(statement)).subarray(0, 38).toString("latin1")).toBe(
      "subtree/v1\n\0\u0003abc\0\0\0\0\0\0\0\u0001\u0005defgh\0\0\0\0\0\0\0\0",
    );
  });

  test("is refused for a name of 0 or 256 bytes, for a time above 2^63 - 1, and for a timed subtree", () => {
    const statement = { cosigner: "a", timestampSeconds: 0n, origin: "b", start: 0n, end: 2n, hash: ROOT };
    const codes = [
      { ...statement, cosigner: "" },
      { ...statement, origin: "é".repeat(128) },
      { ...statement, timestampSeconds: MAX_TIMESTAMP_SECONDS + 1n },
      { ...statement, timestampSeconds: -1n },
      { ...statement, start: 1n, timestampSeconds: 1n },
    ].map((bad) => codeOf(() => subtreeMessage(bad)));
    expect(new Set(codes)).toEqual(new Set(["ERR_COSIGNATURE"]));
    expect(codeOf(() => subtreeMessage({ ...statement, start: 1n }))).toBe("accepted");
    expect(codeOf(() => subtreeMessage({ ...statement, timestampSeconds: MAX_TIMESTAMP_SECONDS }))).toBe("accepted");
    expect(codeOf(() => cosignatureMessage(TEXT, MAX_TIMESTAMP_SECONDS + 1n))).toBe("ERR_COSIGNATURE");
  });
});

describe.each([
  ["an Ed25519 cosignature", witness, 64],
  ["an ML-DSA-44 cosignature", mlDsaWitness, 2420],
] as const)("%s", (_, cosigner: Cosigner, signatureBytes) => {
  const line = cosigner.cosign(TEXT, TIME);
  const { payload } = parseSignatureLine(line);
  const check = (text: string, other: string): string =>
    codeOf(() => checkCosignatureLine(cosigner.key, text, parseSignatureLine(other)));

  test("verifies and tells the time that it claims", () => {
    expect(payload.length).toBe(8 + signatureBytes);
    expect(checkCosignatureLine(cosigner.key, TEXT, parseSignatureLine(line))).toEqual({ timestampSeconds: TIME });
  });

  test("is refused truncated, and with a character changed", () => {
    const step = Math.ceil(line.length / 100);
    const changes = [...oneCharacterChanges(line, "A")].filter((_change, i) => i % (4 * step) < 4);
    for (const bad of [...truncations(line)].filter((_cut, i) => i % step === 0))
      expect(check(TEXT, bad)).not.toBe("accepted");
    for (const bad of changes) expect(check(TEXT, bad)).not.toBe("accepted");
  });

  test("is refused over another size, root or origin", () => {
    const { key } = cosigner;
    for (const text of [
      checkpointText(301n, ROOT),
      checkpointText(300n, EMPTY_ROOT),
      TEXT.replace(ORIGIN, `${ORIGIN}2`),
    ]) {
      expect(check(text, line)).toBe("ERR_NOTE_SIGNATURE");
      expect(codeOf(() => openNote(formatNote(text, [line]), [key]))).toBe("ERR_NOTE_SIGNATURE");
    }
  });

  test("covers extension lines only where the source says so", () => {
    expect(check(`${TEXT}extension\n`, line)).toBe(cosigner.key.type === 0x04 ? "ERR_NOTE_SIGNATURE" : "accepted");
  });

  test("is refused with one byte less or more, and with a time above 2^63 - 1", () => {
    const { name, keyId } = cosigner.key;
    const longer = new Uint8Array([...payload, 0]);
    const late = Uint8Array.from(payload);
    late[0] = 0x80;
    for (const bad of [payload.slice(0, -1), longer, late]) {
      expect(check(TEXT, formatSignatureLine(name, keyId, bad))).toBe("ERR_COSIGNATURE");
    }
  });

  test("is no line of another key", () => {
    const { key } = cosigner;
    for (const other of [
      { ...key, name: "other.example" },
      { ...key, keyId: (key.keyId ^ 1) >>> 0 },
    ]) {
      expect(codeOf(() => checkCosignatureLine(other, TEXT, parseSignatureLine(line)))).toBe("ERR_NOTE_SIGNATURE");
    }
    expect(codeOf(() => checkCosignatureLine(logSigner.key, TEXT, parseSignatureLine(logSigner.signLine(TEXT))))).toBe(
      "ERR_NOTE_SIGNATURE",
    );
  });
});

test("a signer is the same for the same seed and no other", () => {
  expect(witness.cosign(TEXT, TIME)).toBe(witness.cosign(TEXT, TIME));
  expect(witness.cosign(TEXT, TIME)).not.toBe(witness.cosign(TEXT, TIME + 1n));
  expect(seedOf(1)).not.toEqual(seedOf(2));
});
