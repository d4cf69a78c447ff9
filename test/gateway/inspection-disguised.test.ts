/** Values that a text holds encoded, or in characters that only look like theirs: found as what they are, and taken out as a whole. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readOwnRules } from "../../gateway/inspection/operator-rules.ts";
import { plainView, ViewPlaces } from "../../gateway/inspection/plain-view.ts";
import { findInText } from "../../gateway/inspection/text-findings.ts";
import { marksOf } from "../../gateway/inspection/text-marks.ts";

const VALUES = {
  "pii.us_ssn": "219-09-9999",
  "pii.iban": "DE89370400440532013000",
  "pii.card": "4111 1111 1111 1111",
  "pii.email": "erika@example.com",
  "secret.stripe-key": `sk_${"live"}_4eC39HqLyjWDarjtT1zdp7dc`,
};

const each = (text: string, change: (code: number, character: string) => string): string =>
  [...text].map((character) => change(character.codePointAt(0) ?? 0, character)).join("");
const hex = (code: number, length: number): string => code.toString(16).padStart(length, "0");
const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64");
const digitsFrom = (zero: number) => (text: string) =>
  text.replace(/\d/gu, (digit) => String.fromCodePoint(zero + Number(digit)));

const ENCODINGS: Readonly<Record<string, (text: string) => string>> = {
  base64,
  "base64url inside a path": (text) => `a/b/${Buffer.from(`??>: ${text}`).toString("base64url")}/c`,
  "base64 without its padding": (text) => base64(text).replace(/=+$/u, ""),
  "base64 in wrapped lines": (text) =>
    base64(`${"x".repeat(50)} ${text} ${"y".repeat(50)}`).replace(/.{76}/gu, "$&\r\n"),
  "base64 of base64": (text) => base64(base64(text)),
  "base64 of a JSON document": (text) => base64(JSON.stringify({ patient: text })),
  "base64 of UTF-16": (text) => base64(Buffer.from(text, "utf16le")),
  "base64 with escaped padding": (text) => base64(text).replaceAll("=", "%3D"),
  hexadecimal: (text) => Buffer.from(text).toString("hex"),
  "capital hexadecimal": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  percent: (text) => each(text, (code) => `%${hex(code, 2)}`),
  "backslash u": (text) => each(text, (code) => `\\u${hex(code, 4)}`),
  "backslash u in braces": (text) => each(text, (code) => `\\u{${hex(code, 1)}}`),
  "backslash x": (text) => each(text, (code) => `\\x${hex(code, 2)}`),
  "decimal entities": (text) => each(text, (code) => `&#${code};`),
  "hexadecimal entities": (text) => each(text, (code) => `&#x${hex(code, 2)};`),
};

const LOOK_ALIKES: Readonly<Record<string, (text: string) => string>> = {
  "zero-width characters": (text) => [...text].join("\u200b"),
  "soft hyphens": (text) => [...text].join("\u00ad"),
  "fullwidth forms": (text) => each(text, (code, own) => (code > 0x20 ? String.fromCodePoint(code + 0xfee0) : own)),
  "other hyphens and spaces": (text) => text.replaceAll("-", "\u2011").replaceAll(" ", "\u202f"),
  "Arabic digits": digitsFrom(0x660),
  "Devanagari digits": digitsFrom(0x966),
  "bold digits": digitsFrom(0x1d7ce),
  "struck-through characters": (text) => [...text].map((character) => `${character}\u0336\u0332`).join(""),
  "Cyrillic letters": (text) => text.replaceAll("e", "\u0435").replaceAll("E", "\u0415"),
};

const WAYS = [ENCODINGS, LOOK_ALIKES].flatMap((ways) =>
  Object.entries(ways).flatMap(([way, write]) =>
    Object.entries(VALUES).map(([rule, value]) => ({ way, rule, written: write(value) })),
  ),
);

describe.each(["argument", "result"] as const)("a value of an %s", (surface) => {
  it.each(WAYS)("in $way is found as $rule", ({ rule, written }) => {
    const text = `note (${written})`;
    const hits = findInText(text, { surface }).hits.filter((hit) => hit.rule === rule);
    expect(hits).toHaveLength(1);
    const [{ start, end } = { start: 0, end: 0 }] = hits;
    // What is left holds nothing of it any more.
    const left = `${text.slice(0, start)}[redacted]${text.slice(end)}`;
    expect(findInText(left, { surface }).hits.filter((hit) => hit.rule === rule)).toEqual([]);
    expect(left.startsWith("note (")).toBe(true);
  });
});

describe("rules of an operator", () => {
  const ownRules = readOwnRules([
    {
      path: "a.rules.json",
      content: Buffer.from('{"rules":[{"id":"kd","pattern":"KD-[0-9]{8}","severity":"block"}]}'),
    },
  ]);

  it.each(Object.entries({ ...ENCODINGS, ...LOOK_ALIKES }).map(([way, write]) => [way, write("KD-12345678")]))(
    "find in %s",
    (_way, written) => {
      const { hits } = findInText(written, { surface: "argument", ownRules });
      expect(hits.filter(({ rule }) => rule === "op.kd")).toHaveLength(1);
    },
  );
});

describe("what reads like a disguise", () => {
  it.each([
    ["a long word", "AbstractAuthenticationManagerFactoryBean"],
    ["a commit", "c06e007865946898e5bfd36c693030942b9dba03"],
    ["a random token", "QmXrTzKpWvLsHdNbYcJgFaUeQiRoPkMx"],
    ["base64 of plain words", base64("Nothing of anybody stands in here.")],
    ["text of another script", "Номер 12 — не секрет: 2 × 3 = 6"],
    ["a picture", base64(Uint8Array.from({ length: 300 }, (_, i) => (i * 97) % 256))],
  ])("%s is nothing", (_what, text) => {
    expect(findInText(text, { surface: "argument" }).hits.filter(({ rule }) => !rule.startsWith("unicode."))).toEqual(
      [],
    );
  });

  it("is said once where it stands openly, and its name still counts inside", () => {
    expect(findInText("219-09-9999 — \u00e9", { surface: "argument" }).hits).toHaveLength(1);
    const named = findInText(base64('{"ssn":"219099999"}'), { surface: "argument" }).hits;
    expect(named.map(({ rule }) => rule)).toEqual(["pii.us_ssn"]);
    expect(findInText(base64("219099999"), { surface: "argument", key: "ssn" }).hits.map(({ rule }) => rule)).toContain(
      "pii.us_ssn",
    );
  });
});

describe("the view of a text", () => {
  const piece = fc.constantFrom(
    "a",
    "1",
    "-",
    "%32",
    "\\u0033",
    "&#52;",
    "\u200b",
    "\uff15",
    "\u2011",
    "\u0336",
    "\u00e9",
    "\u{1d7d2}",
  );

  it("has each of its characters at a place of the text that reads so", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join("");
        const view = plainView(text, marksOf(text));
        if (view === undefined) return;
        const places = new ViewPlaces(text);
        for (let at = 0; at < view.length; at += 1) {
          const source = text.slice(places.start(at), places.end(at + 1));
          expect(plainView(source, marksOf(source)) ?? source, JSON.stringify([text, view, at])).toContain(
            view.charAt(at),
          );
        }
      }),
    );
  });
});
