/** Verifier keys and signed notes. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { concat } from "../../kernel/bytes.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import {
  formatNote,
  formatSignatureLine,
  MAX_NOTE_BYTES,
  MAX_SIGNATURE_LINES,
  parseNote,
} from "../../kernel/note/signed-note.ts";
import { formatVerifierKey, makeVerifierKey, parseVerifierKey } from "../../kernel/note/verifier-key.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { logMlDsaSigner, logSigner, mlDsaWitness, ORIGIN, seedOf, witnesses } from "../support/log-keys.ts";

const VKEY = formatVerifierKey(logSigner.key);
const TEXT = "first line\n\nafter an empty line\n";
const LINE = logSigner.signLine(TEXT);
const NOTE = formatNote(TEXT, [LINE]);

describe("a verifier key", () => {
  test("comes back from its text, for each type", () => {
    for (const { key } of [logSigner, logMlDsaSigner, mlDsaWitness, ...witnesses]) {
      expect(parseVerifierKey(formatVerifierKey(key))).toEqual(key);
    }
  });

  test("has another id under another type or name", () => {
    const bytes = logSigner.key.publicKey;
    const ids = [
      makeVerifierKey(ORIGIN, 0x01, bytes),
      makeVerifierKey(ORIGIN, 0x04, bytes),
      makeVerifierKey("b", 0x01, bytes),
    ];
    expect(new Set(ids.map(({ keyId }) => keyId)).size).toBe(3);
  });

  test("is refused truncated anywhere, and with any one character changed", () => {
    for (const bad of truncations(VKEY)) expect(codeOf(() => parseVerifierKey(bad))).not.toBe("accepted");
    for (const bad of oneCharacterChanges(VKEY, "0A+"))
      expect(codeOf(() => parseVerifierKey(bad))).not.toBe("accepted");
  });

  const [name, id, base64] = [ORIGIN, VKEY.slice(ORIGIN.length + 1, ORIGIN.length + 9), VKEY.slice(ORIGIN.length + 10)];
  const typed = (type: number): string => formatBase64(concat(Uint8Array.of(type), logSigner.key.publicKey));
  test.each([
    ["without an id", `${name}+${base64}`, "ERR_VKEY"],
    ["with an id in capitals", `${name}+${id.toUpperCase()}+${base64}`, "ERR_HEX"],
    ["with the id of another key", `${name}+00000000+${base64}`, "ERR_VKEY_ID"],
    ["with an empty name", `+${id}+${base64}`, "ERR_KEY_NAME"],
    ["with a space in the name", `a b+${id}+${base64}`, "ERR_KEY_NAME"],
    ["with a no-break space in the name", `a\u00a0b+${id}+${base64}`, "ERR_KEY_NAME"],
    ["with an ideographic space in the name", `a\u3000b+${id}+${base64}`, "ERR_KEY_NAME"],
    ["with a control character in the name", `a\u0001b+${id}+${base64}`, "ERR_KEY_NAME"],
    ["with a lone surrogate in the name", `a\ud800b+${id}+${base64}`, "ERR_KEY_NAME"],
    ["of type 0x02", `${name}+${id}+${typed(2)}`, "ERR_VKEY_TYPE"],
    ["of type 0x05", `${name}+${id}+${typed(5)}`, "ERR_VKEY_TYPE"],
    ["of a reserved type", `${name}+${id}+${typed(0xfa)}`, "ERR_VKEY_TYPE"],
    ["without a type", `${name}+${id}+`, "ERR_VKEY_TYPE"],
    ["with a key of 31 bytes", `${name}+${id}+${formatBase64(parseBase64(base64).slice(0, -1))}`, "ERR_VKEY"],
    ["with an Ed25519 key as ML-DSA-44", `${name}+${id}+${typed(6)}`, "ERR_VKEY"],
    ["without base64 padding", `${name}+${id}+${typed(1).slice(0, -1)}`, "ERR_BASE64"],
    ["longer than any key is", `${name}+${id}+${"A".repeat(8192)}`, "ERR_VKEY"],
    [
      "of small order",
      `${name}+${id}+${formatBase64(concat(Uint8Array.of(1, 1), new Uint8Array(31)))}`,
      "ERR_KEY_WEAK",
    ],
  ])("is refused %s", (_, vkey, code) => {
    expect(codeOf(() => parseVerifierKey(vkey))).toBe(code);
  });
});

describe("a signed note", () => {
  test("comes back from its text: the last empty line separates", () => {
    const parsed = parseNote(NOTE);
    expect(parsed.text).toBe(TEXT);
    expect(parsed.signatures.map(({ line }) => line)).toEqual([LINE]);
    expect(parseNote(new TextEncoder().encode(NOTE))).toEqual(parsed);
  });

  test("is refused truncated anywhere, and with any one character changed", () => {
    for (const bad of truncations(NOTE)) expect(codeOf(() => openNote(bad, [logSigner.key]))).not.toBe("accepted");
    for (const bad of oneCharacterChanges(NOTE))
      expect(codeOf(() => openNote(bad, [logSigner.key]))).not.toBe("accepted");
  });

  const other = witnesses[0]?.key ?? logSigner.key;
  const stranger = formatSignatureLine("stranger.example", 7, seedOf(7).slice(1));
  test.each([
    ["without an empty line", `${TEXT.trim().replace("\n\n", "\n")}\n${LINE}`, "ERR_NOTE"],
    ["without a signature line", `${TEXT}\n`, "ERR_NOTE"],
    ["without a final newline", NOTE.slice(0, -1), "ERR_NOTE"],
    ["with an empty line between signatures", `${TEXT}\n${LINE}\n${LINE}`, "ERR_NOTE_SIGNATURE"],
    ["with carriage returns", NOTE.replaceAll("\n", "\r\n"), "ERR_NOTE"],
    ["with a tab", NOTE.replace("line", "li\tne"), "ERR_NOTE"],
    ["with a hyphen for the em dash", NOTE.replace("— ", "- "), "ERR_NOTE"],
    ["with two spaces before the signature", NOTE.replace(`${ORIGIN} `, `${ORIGIN}  `), "ERR_BASE64"],
    ["with a plus sign in a name", NOTE + stranger.replace("stranger", "str+nger"), "ERR_KEY_NAME"],
    ["with a no-break space in a name", NOTE + stranger.replace("stranger", "str\u00a0nger"), "ERR_KEY_NAME"],
    [
      "with a signature of no bytes after the id",
      NOTE + formatSignatureLine("a.example", 7, new Uint8Array(0)),
      "ERR_NOTE",
    ],
    ["with base64 that is not canonical", NOTE + stranger.replace(/=\n$/u, "\n"), "ERR_BASE64"],
    ["with a lone surrogate", NOTE.replace("first", "f\ud800rst"), "ERR_UTF8"],
    ["of more lines than the limit", NOTE + stranger.repeat(MAX_SIGNATURE_LINES), "ERR_NOTE_SIZE"],
    ["of more bytes than the limit", "é".repeat(MAX_NOTE_BYTES / 2) + NOTE, "ERR_NOTE_SIZE"],
    ["with no line of a known key", formatNote(TEXT, [stranger]), "ERR_NOTE_UNSIGNED"],
  ])("is refused %s", (_, note, code) => {
    expect(codeOf(() => openNote(note, [logSigner.key, other]))).toBe(code);
  });

  test("that is not UTF-8 is refused", () => {
    expect(codeOf(() => parseNote(concat(Uint8Array.of(0xc3, 0x28), new TextEncoder().encode(NOTE))))).toBe("ERR_UTF8");
  });

  test("opens with lines of unknown keys around the known one, however many up to the limit", () => {
    const lines = [...new Array<string>(MAX_SIGNATURE_LINES - 1).fill(stranger), LINE];
    expect(openNote(formatNote(TEXT, lines), [logSigner.key]).verified.map(({ key }) => key)).toEqual([logSigner.key]);
  });

  test("is refused whole if one of two known keys' lines is false", () => {
    const second = makeVerifierKey("second.example", 0x01, logSigner.key.publicKey);
    const forged = formatSignatureLine(second.name, second.keyId, new Uint8Array(64));
    expect(codeOf(() => openNote(formatNote(TEXT, [LINE, forged]), [logSigner.key, second]))).toBe(
      "ERR_NOTE_SIGNATURE",
    );
    expect(codeOf(() => openNote(formatNote(TEXT, [LINE, forged]), [logSigner.key]))).toBe("accepted");
  });

  test("ignores a line of which only the name or only the id is known", () => {
    const { name, keyId } = logSigner.key;
    const lines = [
      formatSignatureLine(name, (keyId ^ 1) >>> 0, seedOf(1)),
      formatSignatureLine("a.example", keyId, seedOf(1)),
    ];
    expect(codeOf(() => openNote(formatNote(TEXT, lines), [logSigner.key]))).toBe("ERR_NOTE_UNSIGNED");
    expect(openNote(formatNote(TEXT, [...lines, LINE]), [logSigner.key]).verified.length).toBe(1);
  });

  test("opens when two keys share name and id and the line is of either", () => {
    const collision = { ...other, name: ORIGIN, type: 0x01, keyId: logSigner.key.keyId } as const;
    for (const keys of [
      [collision, logSigner.key],
      [logSigner.key, collision],
    ]) {
      expect(openNote(NOTE, keys).verified.map(({ key }) => key)).toEqual([logSigner.key]);
    }
    expect(codeOf(() => openNote(NOTE, [collision]))).toBe("ERR_NOTE_SIGNATURE");
  });

  test("of any text and lines comes back from its parts", () => {
    const texts = fc.string({ unit: "binary" }).map((text) => `${text.replaceAll(/\p{Cc}|\p{Cs}/gu, "\n")}\n`);
    const lines = fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(texts, lines, fc.nat(0xffffffff), (text, payloads, keyId) => {
        const note = formatNote(
          text,
          payloads.map((payload) => formatSignatureLine("a.example", keyId, payload)),
        );
        const parsed = parseNote(note);
        expect(parsed.text).toBe(text);
        expect(parsed.signatures.map(({ payload }) => [...payload])).toEqual(payloads.map((payload) => [...payload]));
        expect(parsed.signatures.every((signature) => signature.keyId === keyId)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("is not made of parts that do not come back", () => {
    expect(codeOf(() => formatNote("no newline", [LINE]))).toBe("ERR_NOTE");
    expect(codeOf(() => formatNote(TEXT, []))).toBe("ERR_NOTE");
    expect(codeOf(() => formatNote(TEXT, [LINE + LINE]))).toBe("ERR_NOTE");
  });
});
