/** What lets a rule be passed over: marks are what they say, and stand in everything that a rule finds. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldText } from "../../gateway/inspection/fold.ts";
import { mayHint, PERSONAL_NAMES, PHONE_NAMES, SSN_NAMES, TELLING_NAMES } from "../../gateway/inspection/hint-words.ts";
import { isSensitiveName } from "../../gateway/inspection/key-hints.ts";
import { keyedValues } from "../../gateway/inspection/keyed-values.ts";
import { markAutomaton } from "../../gateway/inspection/mark-automaton.ts";
import { FORMS } from "../../gateway/inspection/sensitive.ts";
import { MARK, marksOf } from "../../gateway/inspection/text-marks.ts";
import { codeOf } from "../support/code-of.ts";

/** The same marks, each by a pattern of its own. */
const PATTERNS: Readonly<Record<keyof typeof MARK, RegExp>> = {
  wide: /[^\0-\x7f]/u,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  control: /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/u,
  upper: /[A-Z]/u,
  digit: /\d/u,
  newline: /\n/u,
  loose: /[\t\r]|[ \n]{2}/u,
  backtick: /`/u,
  percent: /%/u,
  backslash: /\\/u,
  plus: /\+/u,
  at: /@/u,
  pair: /[:=]/u,
  separator: /[\t,;]/u,
  token: /[A-Za-z0-9+/_-]{20}/u,
  run: /[A-Za-z0-9+/_-]{12}/u,
  longToken: /[A-Za-z0-9+/_-]{40}/u,
  pem: /-----BEGIN /u,
  jwt: /eyJ/u,
  url: /:\/\//u,
  punycode: /xn--/iu,
  entity: /&#/u,
  iban: /[A-Za-z]{2}\d{2}/u,
  card: /\d(?:[ -]?\d){11}/u,
  ssn: /\d{3}-\d{2}-\d{4}/u,
  phone: /\+\d/u,
  ipv4: /\d\.\d{1,3}\.\d/u,
  ipv6: /::|:(?:[0-9A-Fa-f]{1,4}:){6}/u,
  digitInWord: /[A-Za-z][013457$@][A-Za-z]/u,
};

/** Characters and pieces that marks are made of, so that random texts come near to all of them. */
const piece = fc.constantFrom(
  ..."aZexnJ019.: -+@=/&#%\\`\n\t\r,;_$",
  ...[
    "-----BEGIN",
    "eyJ",
    "://",
    "xn-",
    "12",
    "4711",
    "078-05-",
    "ab:",
    "1:2:3:",
    "dead:",
    "10.0",
    "qwertyuiop",
    "asdfghjkl/zxcvbnm_QWERTY-UIOP+ASDFGHJK",
    "4711 0815",
    "\u00e9",
    "\0",
    "\u{1f600}",
  ],
);
const texts = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

/** A text with every mark. */
const ALL = `-----BEGIN eyJ://xn--&#, GB12 4711 0815 1234 078-05-1120 +1 1.2.3 ::1 a0b @%\\ \`\u00e9\0\n${"t/0_-+aB".repeat(5)}  `;

describe("marks of a text", () => {
  it.each(Object.keys(PATTERNS))("%s is set where its pattern matches, and nowhere else", (name) => {
    const mark = Object.entries(MARK).find(([key]) => key === name)?.[1] ?? 0;
    const pattern = Object.entries(PATTERNS).find(([key]) => key === name)?.[1] ?? /$^/u;
    expect([pattern.test(ALL), (marksOf(ALL) & mark) !== 0]).toEqual([true, true]);
    fc.assert(
      fc.property(texts, (text) => {
        expect((marksOf(text) & mark) !== 0, JSON.stringify(text)).toBe(pattern.test(text));
      }),
      { numRuns: 2000 },
    );
  });

  it("are all different bits", () => {
    const bits = Object.values(MARK);
    expect(bits.reduce((all, bit) => all ^ bit, 0)).toBe(2 ** bits.length - 1);
  });
});

const RANDOM = "QmXrTzKpWvLsHdNbYcJgFaUeQiRoPkMx";
const HEADER = Buffer.from('{"alg":"none"}').toString("base64url");
/** For each form, in its order, something that it finds. */
const FOUND: readonly string[] = [
  `-----BEGIN ${"PRIVATE"} KEY-----\n${RANDOM}`,
  `ghp_${RANDOM.slice(0, 30)}3Ft8z0`,
  `AKIA${"QXRTZKPWVLSHDNBY"}`,
  `${HEADER}.e30.`,
  "amqp://app:s3cr3t-Value9@mq.example.org",
  "5581-0033-9075-7938",
  "GB58WEST91614610033076",
  "578-05-1120",
  "ann@example.org",
  "10.11.12.13",
  "2001:db8::1:2:3",
];

describe("an automaton", () => {
  it("that would have more states than its table can name is not made", () => {
    const steps = Array.from({ length: 700 }, (_, i) => ({ of: String.fromCharCode(i % 128) }));
    expect(codeOf(() => markAutomaton([{ bits: 1, steps }]))).toBe("ERR_BUG");
  });
});

describe("a form of secrets or personal data", () => {
  it.each(FORMS.map((form, index) => ({ form, sample: FOUND[index] ?? "" })))(
    "has its marks in what it finds, near $sample",
    ({ form, sample }) => {
      expect(form.find(sample).length, "the sample itself").toBeGreaterThan(0);
      const near = fc.tuple(texts, fc.nat(sample.length), fc.nat(3), fc.boolean(), texts);
      fc.assert(
        fc.property(near, ([before, at, cut, isWhole, behind]) => {
          const text = `${before}${isWhole ? sample : sample.slice(0, at) + sample.slice(at + cut)}${behind}`;
          if (form.find(text).length > 0) expect(marksOf(text) & form.marks, JSON.stringify(text)).toBe(form.marks);
        }),
        { numRuns: 500 },
      );
    },
  );
});

describe("the first words of telling names", () => {
  const known = [SSN_NAMES, PHONE_NAMES, PERSONAL_NAMES, TELLING_NAMES].flatMap((names) => names.split("|"));
  const spelled = fc
    .tuple(fc.constantFrom(...known), fc.constantFrom("snake", "camel", "words", "upper"))
    .map(([name, how]) => {
      if (how === "camel") return name.replace(/_([a-z])/gu, (_, letter: string) => letter.toUpperCase());
      if (how === "words") return name.replaceAll("_", " ");
      return how === "upper" ? name.toUpperCase() : name;
    });

  it("are seen in every spelling, alone and among other words", () => {
    const around = fc.constantFrom("", "my_", "Old ", "user.", "x", "\u00e9");
    fc.assert(
      fc.property(around, spelled, around, (before, name, behind) => {
        const text = `${before}${name}${behind}`;
        if (isSensitiveName(text)) expect(mayHint(text), text).toBe(true);
      }),
    );
  });

  it("are no parts of other words", () => {
    for (const name of ["hotel", "monkey", "update", "testing", "keyboard", "datetime"])
      expect(mayHint(name)).toBe(false);
  });

  it("lead to the same named values as a look at every pair", () => {
    const line = fc
      .tuple(spelled, fc.constantFrom(":", " = ", '": "', "\t:\t", "=="), texts)
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(fc.oneof(line, texts), { maxLength: 6 }), (lines) => {
        const text = lines.join("\n");
        const all = keyedValues(text, marksOf(text), () => true);
        const wanted = keyedValues(text, marksOf(text), mayHint);
        const telling = ({ key }: { readonly key: string }) => isSensitiveName(key);
        expect(wanted.filter(telling)).toEqual(all.filter(telling));
      }),
    );
  });
});

describe("the fold", () => {
  it("is the words of each line with one space between them, and the lines that have any", () => {
    const spaced = fc
      .array(fc.constantFrom("Word", "b", " ", "  ", "\n", "\r", "\t", "\v", "\u00a0", "\u2028", "`"), {
        maxLength: 30,
      })
      .map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(spaced, (text) => {
        const normal = text.normalize("NFKC");
        const lines = normal.split(/\r\n?|\n/u).map((line) =>
          line
            .split(/\s/u)
            .filter((word) => word !== "")
            .join(" "),
        );
        const plain = lines
          .filter((line) => line !== "")
          .join("\n")
          .toLowerCase()
          .replaceAll("`", "'");
        const isLeft = !/[\t\r\n]| {2}|[^\S ]/u.test(normal);
        expect(foldText(text)).toBe(isLeft ? normal.toLowerCase().replaceAll("`", "'") : plain);
      }),
      { numRuns: 2000 },
    );
  });
});
