/** Invisible characters by their definition, written down a second time character by character. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Hit } from "../../gateway/inspection/hit.ts";
import { findInvisible } from "../../gateway/inspection/unicode-invisible.ts";

const SUSPECTS = [
  ..."\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2064\u2066\u2069",
  ..."\u3164\ufe00\ufe0d\ufe0e\ufe0f\ufeff\uffa0\u{e0000}\u{e0067}\u{e007f}\u{e0100}\u{e01ef}",
];
const ENGLAND = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
const OTHERS = [
  "a",
  "1",
  "#",
  " ",
  "é",
  "\u0628",
  "\u05d0",
  "\u0915",
  "\u0e01",
  "\u1780",
  "\u6c34",
  "\u1000",
  "\u2211",
  "\u2764",
  "\u{1d400}",
  "\u{1f468}",
  "\u{1f3fd}",
  "\u{1f3f4}",
  "\u{1e900}",
  "\u{20000}",
  "\ud83d",
  "\ude00",
  "\ud83a",
  "\udd00",
  ENGLAND,
  ENGLAND.slice(0, -2),
];
const texts = fc
  .array(fc.oneof(fc.constantFrom(...SUSPECTS), fc.constantFrom(...OTHERS)), { maxLength: 16 })
  .map((pieces) => pieces.join(""));

type Judged = readonly [Hit["rule"], Hit["severity"]] | undefined;

/** @param head  all before the character; @param next  the one behind it */
function slowKind(character: string, head: string, next: string): Judged {
  const last = [...head].at(-1) ?? "";
  if (/[\u{e0000}-\u{e007f}]/u.test(character)) return ["unicode.tag", "block"];
  if (/[\u200b-\u200d\u2060\ufeff\u180e]/u.test(character)) {
    return isNeeded(character, head, last, next) ? undefined : ["unicode.zero-width", "block"];
  }
  if (/[\u200e\u200f\u061c]/u.test(character)) {
    const isBeside = /[\p{scx=Hebrew}\p{scx=Arabic}\p{scx=Syriac}\p{scx=Thaana}\p{scx=Nko}\p{Script=Adlam}]/u.test(
      last + next,
    );
    return isBeside ? undefined : ["unicode.bidi-mark", "warn"];
  }
  if (/[\u202a-\u202e\u2066-\u2069]/u.test(character)) return ["unicode.bidi", "block"];
  if (/[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]/u.test(character)) {
    return isVaried(character, last) ? undefined : ["unicode.variation", "block"];
  }
  if (/[\u00ad\u17b4\u17b5]|\u034f/u.test(character)) return ["unicode.invisible-operator", "warn"];
  return /[\u115f\u1160\u2061-\u2064\u3164\uffa0]/u.test(character)
    ? ["unicode.invisible-operator", "block"]
    : undefined;
}

function isNeeded(character: string, head: string, last: string, next: string): boolean {
  const unspaced = /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
  if (character === "\u200b") return unspaced.test(last) && unspaced.test(next);
  if (character !== "\u200c" && character !== "\u200d") return false;
  if (character === "\u200d" && endsInPictograph(head) && /^\p{Extended_Pictographic}/u.test(next)) return true;
  const joined =
    /[\p{scx=Arab}\p{scx=Syrc}\p{scx=Nkoo}\p{scx=Mong}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}]/u;
  return last > "\x7f" && joined.test(last);
}

/** Character by character: Node 26.10 does not find a pair of surrogates again by looking behind it. */
function endsInPictograph(head: string): boolean {
  const [last = "", base = ""] = [...head].reverse();
  if (last <= "\x7f") return false;
  const isChange = last === "\ufe0f" || /\p{Emoji_Modifier}/u.test(last);
  return /\p{Extended_Pictographic}/u.test(last) || (isChange && /\p{Extended_Pictographic}/u.test(base));
}

function isVaried(character: string, last: string): boolean {
  if (character === "\ufe0e" || character === "\ufe0f") return /\p{Emoji}/u.test(last);
  if (/[\u{e0100}-\u{e01ef}]/u.test(character)) return /\p{Script=Han}/u.test(last);
  return (
    character <= "\ufe0d" &&
    /[\p{Script=Han}\p{Script=Myanmar}\p{Script=Phags_Pa}\p{Sm}\u{1d400}-\u{1d7ff}]/u.test(last)
  );
}

function slowHits(text: string): readonly Hit[] {
  const flags = [...text.matchAll(/\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}/gu)];
  const hits: Hit[] = [];
  let start = 0;
  for (const character of text) {
    const end = start + character.length;
    const isInFlag = flags.some(({ 0: flag, index }) => index <= start && start < index + flag.length);
    const judged = isInFlag ? undefined : slowKind(character, text.slice(0, start), [...text.slice(end)][0] ?? "");
    const last = hits.at(-1);
    if (judged !== undefined) {
      const [rule, severity] = judged;
      const goesOn = last?.end === start && last.rule === rule && last.severity === severity;
      if (goesOn && last !== undefined) hits[hits.length - 1] = { ...last, end };
      else hits.push({ rule, severity, start, end });
    }
    start = end;
  }
  return hits;
}

describe("invisible characters", () => {
  it("are found as their definition says, beside whatever they stand", () => {
    fc.assert(
      fc.property(texts, (text) => void expect(findInvisible(text)).toEqual(slowHits(text))),
      { numRuns: 3_000 },
    );
  });

  it("are one hit for a run of a million, and as many as there are where each stands alone", () => {
    expect(findInvisible("\u200b".repeat(1_000_000))).toEqual([
      { rule: "unicode.zero-width", severity: "block", start: 0, end: 1_000_000 },
    ]);
    expect(findInvisible("a\u200b".repeat(50_000))).toHaveLength(50_000);
    expect(findInvisible(ENGLAND.repeat(20_000))).toEqual([]);
  });
});
