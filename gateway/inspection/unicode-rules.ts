/** All rules about characters on one text, with the weight that they have where the text stands. */

import type { Severity } from "../../kernel/receipt/vocabulary.ts";
import { type Hit, NO_HITS } from "./hit.ts";
import type { Surface } from "./injection.ts";
import { EXTRAORDINARY, MARK, type Marks, marksOf } from "./text-marks.ts";
import { findControls } from "./unicode-control.ts";
import { findConfusableDomains } from "./unicode-domain.ts";
import { findInvisible } from "./unicode-invisible.ts";
import { findOddLetters } from "./unicode-letters.ts";

/** Rules that block in a definition and only warn in data: pages and documents of honest people hold such characters. */
const COMMON_IN_DATA: ReadonlySet<Hit["rule"]> = new Set([
  "unicode.zero-width",
  "unicode.bidi",
  "unicode.invisible-operator",
  "unicode.unassigned",
]);

/** Finds what no honest text of that place needs. */
export function findUnicode(text: string, surface: Surface, marks: Marks = marksOf(text)): readonly Hit[] {
  const domains = (marks & MARK.punycode) === 0 ? NO_HITS : findConfusableDomains(text);
  if ((marks & EXTRAORDINARY) === 0) return domains;
  const hits = [
    ...findInvisible(text),
    ...findControls(text, surface === "definition" ? "block" : "warn"),
    ...findOddLetters(text),
    ...domains,
  ];
  return surface === "definition" ? hits : hits.map((hit) => ({ ...hit, severity: weightInData(hit, surface) }));
}

function weightInData({ rule, severity, start, end }: Hit, surface: Surface): Severity {
  if (severity !== "block" || surface === "argument" || COMMON_IN_DATA.has(rule))
    return severity === "block" ? "warn" : severity;
  // One stray selector is a rendering accident; a run of them is a message.
  return rule === "unicode.variation" && end - start < 3 ? "warn" : "block";
}
