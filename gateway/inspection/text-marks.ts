/**
 * What stands in a text, so far as rules need to know it before they search: one walk finds marks, and a rule whose marks are not
 * there is not asked. A mark stands in everything that its rule finds. One that is set in vain costs time; one that were not set
 * where a rule would find something would be an evasion, so a test makes texts from the rules' own patterns.
 */

import { markAutomaton, type Sequence, type Step } from "./mark-automaton.ts";

/** Bits of `MARK`. */
export type Marks = number;

/** What may stand in a text. */
export const MARK = {
  /** A character beyond ASCII, and a control character but tab, line feed and carriage return. */
  wide: 0x1,
  control: 0x2,
  upper: 0x4,
  digit: 0x8,
  newline: 0x10,
  /** White space that is not one space or line feed between two words. */
  loose: 0x20,
  backtick: 0x40,
  percent: 0x80,
  backslash: 0x100,
  plus: 0x200,
  at: 0x400,
  /** `:` or `=`. */
  pair: 0x800,
  /** Tab, comma or semicolon. */
  separator: 0x1000,
  /** Runs of letters, digits and `+ / _ -`, of twenty and of forty characters. */
  token: 0x2000,
  longToken: 0x4000,
  pem: 0x8000,
  jwt: 0x10000,
  url: 0x20000,
  punycode: 0x40000,
  /** `&#`. */
  entity: 0x80000,
  /** Two letters, then two digits. */
  iban: 0x100000,
  /** Twelve digits, single spaces or hyphens between them. */
  card: 0x200000,
  /** `ddd-dd-dddd`. */
  ssn: 0x400000,
  /** A plus before a digit. */
  phone: 0x800000,
  /** Two points with one to three digits between them and digits around. */
  ipv4: 0x1000000,
  /** Two colons together, or seven with a group between each two. */
  ipv6: 0x2000000,
  /** A digit that passes for a letter between two letters. */
  digitInWord: 0x4000000,
  /** Runs as of tokens, of twelve characters. */
  run: 0x8000000,
} as const;

/** In both: the text is printable ASCII and plain white space. */
export const EXTRAORDINARY: Marks = MARK.wide | MARK.control;

const RUN_LENGTH = 12;
const TOKEN_LENGTH = 20;
const LONG_TOKEN_LENGTH = 40;

const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const DIGIT = "0123456789";
const LETTER: Step = { of: LOWER + UPPER };
const ONE_DIGIT: Step = { of: DIGIT };
const MAYBE_DIGIT: Step = { of: DIGIT, isOptional: true };
const HEX: Step = { of: `${DIGIT}abcdefABCDEF` };
const MAYBE_HEX: Step = { ...HEX, isOptional: true };
const COLON: Step = { of: ":" };

const SEQUENCES: readonly Sequence[] = [
  { bits: MARK.loose, steps: [{ of: "\t\r" }] },
  { bits: MARK.loose, steps: [{ of: " \n" }, { of: " \n" }] },
  { bits: MARK.pem, steps: literally("-----BEGIN ") },
  { bits: MARK.jwt, steps: literally("eyJ") },
  { bits: MARK.url, steps: literally("://") },
  { bits: MARK.punycode, steps: [{ of: "xX" }, { of: "nN" }, { of: "-" }, { of: "-" }] },
  { bits: MARK.entity, steps: literally("&#") },
  { bits: MARK.iban, steps: [LETTER, LETTER, ONE_DIGIT, ONE_DIGIT] },
  { bits: MARK.card, steps: [ONE_DIGIT, ...times(11, { of: " -", isOptional: true }, ONE_DIGIT)] },
  {
    bits: MARK.ssn,
    steps: [...times(3, ONE_DIGIT), { of: "-" }, ...times(2, ONE_DIGIT), { of: "-" }, ...times(4, ONE_DIGIT)],
  },
  { bits: MARK.phone, steps: [{ of: "+" }, ONE_DIGIT] },
  {
    bits: MARK.ipv4,
    steps: [ONE_DIGIT, { of: "." }, ONE_DIGIT, MAYBE_DIGIT, MAYBE_DIGIT, { of: "." }, ONE_DIGIT],
  },
  { bits: MARK.ipv6, steps: [COLON, COLON] },
  { bits: MARK.ipv6, steps: [COLON, ...times(6, HEX, ...times(3, MAYBE_HEX), COLON)] },
  { bits: MARK.digitInWord, steps: [LETTER, { of: "013457$@" }, LETTER] },
];

function literally(text: string): readonly Step[] {
  return Array.from(text, (of) => ({ of }));
}

function times(count: number, ...steps: readonly Step[]): readonly Step[] {
  return Array.from({ length: count }, () => steps).flat();
}

const ASCII = 128;
/** Set for the characters of tokens; no mark of a text. */
const IN_TOKEN = 0x40000000;

/** Marks that one character is; index 128 is every character beyond ASCII. */
const OF_CHARACTER: Int32Array = Int32Array.from({ length: ASCII + 1 }, (_, code) => marksOfCharacter(code));

function marksOfCharacter(code: number): Marks {
  if (code === ASCII) return MARK.wide;
  const character = String.fromCharCode(code);
  const sets: readonly (readonly [string, Marks])[] = [
    [UPPER, MARK.upper],
    [DIGIT, MARK.digit],
    ["\n", MARK.newline],
    ["`", MARK.backtick],
    ["%", MARK.percent],
    ["\\", MARK.backslash],
    ["+", MARK.plus],
    ["@", MARK.at],
    [":=", MARK.pair],
    ["\t,;", MARK.separator],
    [`${LOWER}${UPPER}${DIGIT}+/_-`, IN_TOKEN],
  ];
  const control = (code < 0x20 && !"\t\n\r".includes(character)) || code === 0x7f ? MARK.control : 0;
  return sets.reduce((marks, [set, mark]) => (set.includes(character) ? marks | mark : marks), control);
}

const { classes: CLASSES, next: NEXT, firstEnd: FIRST_END, bits: BITS } = markAutomaton(SEQUENCES);

/** The marks of a text. */
export function marksOf(text: string): Marks {
  let marks = 0;
  let state = 0;
  let run = 0;
  let longest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const low = Math.min(code, ASCII);
    const own = OF_CHARACTER[low] ?? 0;
    marks |= own;
    run = (own & IN_TOKEN) === 0 ? 0 : run + 1;
    if (run > longest) longest = run;
    state = NEXT[state + (CLASSES[low] ?? 0)] ?? 0;
    if (state >= FIRST_END) marks |= BITS[state] ?? 0;
  }
  if (longest >= RUN_LENGTH) marks |= MARK.run;
  if (longest >= TOKEN_LENGTH) marks |= MARK.token;
  if (longest >= LONG_TOKEN_LENGTH) marks |= MARK.longToken;
  return marks & ~IN_TOKEN;
}
