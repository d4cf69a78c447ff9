/**
 * Rules about wording: patterns over folded text (`fold.ts`), lower case, with one space or line end between words. Every
 * quantifier has a bound, so a pattern costs a constant for each character of the text; a test computes that constant.
 */

import type { FindingCode } from "../../kernel/receipt/findings.ts";

/** A rule and the wordings that it knows. */
export interface WordRule {
  readonly rule: FindingCode;
  readonly patterns: readonly RegExp[];
}

/**
 * A pattern of words. A space stands for one space or line end; the match starts and ends at word boundaries where it starts
 * or ends with a letter.
 */
export function phrase(source: string): RegExp {
  const widened = source.replace(/\[(?:[^\]\\]|\\.){0,200}\]| /gu, (part) =>
    part === " " ? "[ \\n]" : part.replaceAll(" ", " \\n"),
  );
  return new RegExp(widened, "gu");
}
