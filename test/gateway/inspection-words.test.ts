/** The walk over the beginnings of patterns passes over nothing that a pattern matches by itself. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ADDRESS } from "../../gateway/inspection/inj-address.ts";
import { AUTHORITY } from "../../gateway/inspection/inj-authority.ts";
import { CONCEAL } from "../../gateway/inspection/inj-conceal.ts";
import { EXFIL, SLOT_URL } from "../../gateway/inspection/inj-exfil.ts";
import { IGNORE, UNBOUND } from "../../gateway/inspection/inj-ignore.ts";
import { IGNORE_LANGUAGES } from "../../gateway/inspection/inj-ignore-languages.ts";
import { ACTIVE_LINKS } from "../../gateway/inspection/inj-markup.ts";
import { KEY_PLACE, SECRET_PLACE } from "../../gateway/inspection/inj-path.ts";
import { PRECONDITION } from "../../gateway/inspection/inj-precondition.ts";
import { CHAT_TOKENS, ROLE_TAGS } from "../../gateway/inspection/inj-tag.ts";
import { ORDERED_CALL } from "../../gateway/inspection/inj-tool.ts";
import { INSTALL, UNPINNED } from "../../gateway/inspection/supply.ts";
import { WordSearch } from "../../gateway/inspection/word-search.ts";

const RULES = [IGNORE, UNBOUND, IGNORE_LANGUAGES, CONCEAL, PRECONDITION, ORDERED_CALL, KEY_PLACE, SECRET_PLACE, EXFIL];
const MORE = [SLOT_URL, AUTHORITY, ADDRESS, ROLE_TAGS, CHAT_TOKENS, ACTIVE_LINKS, UNPINNED, INSTALL];
const patterns = [...RULES, ...MORE].flatMap((rule) => rule.patterns);
const sticky = patterns.map(({ source }) => new RegExp(source, "uy"));
const search = new WordSearch(patterns);

/** Every pattern at every place. */
function alone(text: string): readonly string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length; start += 1) {
    sticky.forEach((regex, pattern) => {
      regex.lastIndex = start;
      if (regex.test(text)) found.push(`${pattern} ${start} ${regex.lastIndex}`);
    });
  }
  return found;
}

function walked(text: string): readonly string[] {
  return search.find(text).map(({ pattern, start, end }) => `${pattern} ${start} ${end}`);
}

/** Texts of a pattern's own language, but for what it looks for around itself. */
function textsOf(source: string): fc.Arbitrary<string> {
  const bare = source.replace(
    /\(\?<?[=!](?:\[[^\]]*\]|\([^)]*\)|[^()])*\)|\\b|\^|(?<=[|(])\$|\$(?=\)|$)/gu,
    (part, at: number) => (part === "^" && source[at - 1] === "[" ? "^" : ""),
  );
  return fc.stringMatching(new RegExp(`^(?:${bare})$`, "u"));
}

describe("the walk over beginnings", () => {
  it.each(patterns.map(({ source }) => source))(
    "finds what every pattern finds by itself, in texts of %s",
    (source) => {
      const around = fc.constantFrom("", " ", "x", "\n", ". ", "_", "é", "<");
      let matched = 0;
      fc.assert(
        fc.property(around, textsOf(source), around, (before, text, behind) => {
          const whole = `${before}${text}${behind}`;
          const expected = alone(whole);
          matched += expected.length;
          expect([...walked(whole)].sort()).toEqual([...expected].sort());
        }),
        { numRuns: 25, seed: 1 },
      );
      expect(matched).toBeGreaterThan(0);
    },
  );
});
