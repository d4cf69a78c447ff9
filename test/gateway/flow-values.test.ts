/** Values of texts by their definitions, written down a second time with nothing but patterns; and a map that forgets the oldest. */

import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataClassOf } from "../../gateway/catalog/data-class.ts";
import { decodings } from "../../gateway/flow/decodings.ts";
import { normalise, valuesOfText } from "../../gateway/flow/normalise.ts";
import { MAX_RESULT_VALUES, MAX_SEARCHED_CHARACTERS, ValueMemory } from "../../gateway/flow/value-memory.ts";
import { OldestFirst } from "../../gateway/oldest-first.ts";

const PIECES = [
  ..."ab1@_-.,;/?&=#(){}\"'%+ \t\n",
  "Order",
  "12 chairs",
  "jane@example.org",
  "cust_12345",
  "averyveryverylongword",
  "one Two three",
  "é",
  "\ufb01",
  "\ufdfa",
  "\u0130",
  "\u03a3",
  "\u00a0",
  "\u2028",
  "\u2026",
  "\uff12",
  "\u0661",
  "\u{1f600}",
  "\ud83d",
  "\ude00",
  "\u0000",
  "\u007f",
  "application/pdf",
  "2026-11-27",
  "aGVsbG8gd29ybGQh",
  "68656c6c6f20776f726c64",
  "%e4%bd%a0",
];
const texts = fc.array(fc.constantFrom(...PIECES), { maxLength: 24 }).map((pieces) => pieces.join(""));

function slowNormalise(text: string): string {
  const spaced = text.normalize("NFKC").toLowerCase().replace(/\s+/gu, " ");
  return spaced.replace(/^[\p{P}\p{S}\s]+|[\p{P}\p{S}\s]+$/gu, "");
}

/** @param value  normalised */
function isTelling(value: string): boolean {
  const isTime = /^\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:z|[+-]\d{2}:?\d{2})?)?$/u.test(value);
  return value.length >= 8 && !isTime && value !== "application/pdf";
}

function slowTokens(text: string): readonly string[] {
  const tokens = text.split(/[\s,;|"'<>()[\]{}=]+/u).map(slowNormalise);
  return [...new Set(tokens)].filter((token) => isTelling(token) && (/[\p{Nd}@_]/u.test(token) || token.length >= 16));
}

function slowRuns(text: string): readonly string[] {
  const words = text
    .normalize("NFKC")
    .toLowerCase()
    .split(/[^\p{L}\p{Nd}]+/u)
    .filter((word) => word !== "");
  return [...new Set(words.slice(4).map((_, i) => words.slice(i, i + 5).join(" ")))];
}

describe("the values of a text", () => {
  it("are normalised as NFKC, case, white space and the punctuation at both ends say", () => {
    fc.assert(fc.property(texts, (text) => void expect(normalise(text)).toBe(slowNormalise(text))));
  });

  it("are the whole of it, if that tells something", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const whole = slowNormalise(text);
        expect(valuesOfText(text).whole).toBe(isTelling(whole) ? whole : undefined);
      }),
    );
  });

  it("are its telling tokens, each once and in their order", () => {
    fc.assert(fc.property(texts, (text) => void expect([...valuesOfText(text).tokens]).toEqual(slowTokens(text))));
  });

  it("are its runs of five words, each once and in their order", () => {
    fc.assert(fc.property(texts, (text) => void expect([...valuesOfText(text).runs]).toEqual(slowRuns(text))));
  });

  it("beyond the characters that are looked at are the whole alone, and no half of a token is one", () => {
    fc.assert(
      fc.property(texts, fc.nat(40), (text, most) => {
        const { whole, tokens, runs, isCut } = valuesOfText(text, most);
        const separator = text.slice(0, most + 1).search(/[\t-\r ,;|"'<>()[\]{}=][^\t-\r ,;|"'<>()[\]{}=]*$/u);
        const looked = text.length > most ? text.slice(0, Math.max(0, separator)) : text;
        expect(whole).toBe(valuesOfText(text).whole);
        expect([[...tokens], [...runs]]).toEqual([slowTokens(looked), slowRuns(looked)]);
        if (!isCut && looked !== text) expect(text.length).toBeLessThan(8);
      }),
    );
  });

  it("are found in every coding of the text or of one of its parts, and prose hides none", () => {
    const hidden = "jane@example.org";
    const coded = [
      Buffer.from(hidden).toString("base64"),
      Buffer.from(hidden).toString("base64url"),
      Buffer.from(hidden).toString("hex"),
      "jane%40example%2eorg",
    ];
    for (const code of coded) {
      for (const text of [code, `https://x.example/?v=${code}`, `/a/${code}/b`, `${code}#end`, `x.${code}`]) {
        expect(decodings(text).some((found) => found.includes(hidden))).toBe(true);
      }
    }
    expect(decodings("Please order twelve comfortable chairs for the meeting room.")).toEqual([]);
    expect(decodings("engineering")).toEqual([]);
  });

  it("are kept up to their number, and a token that is the whole text counts as it stands", () => {
    const numbered = Array.from({ length: MAX_RESULT_VALUES }, (_, i) => `value_${1000 + i}`);
    const memory = new ValueMemory(new Uint8Array(32));
    expect(memory.hashValues(numbered.slice(1))).toMatchObject({ bounded: false });
    const full = memory.hashValues(numbered);
    expect(full.hashes.size).toBe(MAX_RESULT_VALUES);
    expect(full.bounded).toBe(true);
  });

  it("of a message are looked for in its beginning, across its texts; what is not looked at is said", () => {
    const half = "so it goes on and on, ".repeat(MAX_SEARCHED_CHARACTERS / 44 + 1);
    const found = (text: string, texts: readonly string[]): readonly [number, boolean] => {
      const memory = new ValueMemory(new Uint8Array(32));
      memory.keep(memory.hashValues(texts), 1);
      return [memory.search(memory.prepare([{ path: [], text }])).length, memory.bounded];
    };
    expect(found("cust_12345", [`cust_12345 ${half}`])).toEqual([1, false]);
    expect(found("cust_12345", [half, `cust_12345 ${half}`])).toEqual([1, true]);
    expect(found("cust_12345", [half, half, `see cust_12345`])).toEqual([0, true]);
    expect(found("cust_12345", [half, half, "cust_12345"])).toEqual([1, true]);
    const asking = new ValueMemory(new Uint8Array(32));
    asking.keep(asking.hashValues(["cust_12345"]), 1);
    expect([asking.search(asking.prepare([{ path: [], text: half + half }])), asking.bounded]).toEqual([[], true]);
  });

  it("are found by whoever asks next, whether or not there was a turn of the event loop to hash them in", async () => {
    const values = fc.array(fc.constantFrom("order-1001", "order-1002", "jane@example.org", "short", ""), {
      maxLength: 3,
    });
    const steps = fc.array(fc.record({ given: values, asked: values, waits: fc.boolean() }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const [late, atOnce] = [new ValueMemory(new Uint8Array(32)), new ValueMemory(new Uint8Array(32))];
        const matchesOf = (memory: ValueMemory, texts: readonly string[]): unknown =>
          memory.search(memory.prepare(texts.map((text) => ({ path: [], text }))));
        for (const [source, { given, asked, waits }] of list.entries()) {
          late.keepTexts(given, source);
          atOnce.keep(atOnce.hashValues(given), source);
          if (waits) await setImmediate();
          expect(matchesOf(late, asked)).toEqual(matchesOf(atOnce, asked));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("that cannot be hashed end nobody's turn: others are kept, and it is said that a match may be missed", async () => {
    const memory = new ValueMemory(new Uint8Array(32));
    const every = (): never => {
      throw new RangeError("no memory");
    };
    memory.keepTexts(Object.assign(["value_1000"], { every }), 1);
    memory.keepTexts(["value_2000"], 2);
    await setImmediate();
    const matches = memory.search(memory.prepare([{ path: [], text: "value_2000" }]));
    expect([matches.map(({ source }) => source), memory.bounded]).toEqual([[2], true]);
  });

  it("beyond their number say so at once", () => {
    const memory = new ValueMemory(new Uint8Array(32));
    memory.keepTexts(
      Array.from({ length: MAX_RESULT_VALUES + 1 }, (_, i) => `value_${1000 + i}`),
      1,
    );
    expect(memory.bounded).toBe(true);
  });
});

describe("a map that forgets the oldest", () => {
  it("keeps what was set last, as a list of the keys does", () => {
    const steps = fc.array(fc.record({ key: fc.nat(12), trims: fc.boolean() }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 6 }), (list, max) => {
        const map = new OldestFirst<number, number>(max);
        let keys: number[] = [];
        const gone: (number | undefined)[] = [];
        const told: number[] = [];
        list.forEach(({ key, trims }, i) => {
          map.set(key, i);
          keys = [...keys.filter((one) => one !== key), key];
          if (!trims) return;
          const surplus = Math.max(0, keys.length - max);
          gone.push(...keys.slice(0, surplus).map((one) => map.get(one)));
          expect(map.trim((value) => told.push(value))).toBe(surplus);
          expect(told).toEqual(gone);
          keys = keys.slice(-max);
          for (let one = 0; one <= 12; one += 1) expect(map.has(one)).toBe(keys.includes(one));
        });
        expect([...map.values()]).toEqual(keys.map((key) => map.get(key)));
      }),
    );
  });
});

describe("the class of a tool's data", () => {
  it("is one object for a declaration, and another where the same tool is declared under another server", () => {
    const tool = { labels: ["secret"] };
    const [a, b] = [
      { domain: "clinical", tools: { read: tool } },
      { domain: "advertising", tools: { read: tool } },
    ];
    expect(dataClassOf(a, "read")).toBe(dataClassOf(a, "read"));
    expect(dataClassOf(a, "read")).toEqual({ domain: "clinical", labels: ["secret"], subjects: [] });
    expect(dataClassOf(b, "read")).toEqual({ domain: "advertising", labels: ["secret"], subjects: [] });
    expect(dataClassOf(a, "other")).toEqual({ domain: "clinical", labels: [], subjects: [] });
    expect(dataClassOf(a, "toString")).toBe(dataClassOf(a, undefined));
    expect(dataClassOf(undefined, "read")).toEqual({ labels: [], subjects: [] });
  });
});
