/** Everything that one text is looked at for: places of secrets, personal data and odd characters, and known wordings. */

import { type Hit, NO_HITS, worse } from "./hit.ts";
import { type Count, findInjections, type InjectionContext } from "./injection.ts";
import { findSensitive, type TextContext } from "./sensitive.ts";
import { marksOf } from "./text-marks.ts";
import { findUnicode } from "./unicode-rules.ts";

/** What was found in a text. */
export interface TextFindings {
  /** With places. Places of sensitive data do not overlap each other. */
  readonly hits: readonly Hit[];
  /** Without: they are about the text as a whole. */
  readonly counts: readonly Count[];
}

/** Finds by the operator's own rules (`operator-rules.ts`). */
export type OwnRules = (text: string) => readonly Hit[];

/** What the rules may know beside the text. */
export type FindContext = TextContext & InjectionContext & { readonly ownRules?: OwnRules };

const NOTHING: TextFindings = { hits: NO_HITS, counts: [] };

/** Looks at one text. Definitions are not looked at for personal data: an example address is none. */
export function findInText(text: string, context: FindContext): TextFindings {
  if (text === "") return NOTHING;
  const { surface, ownRules } = context;
  const marks = marksOf(text);
  const sensitive = surface === "definition" ? NO_HITS : findSensitive(text, context, marks);
  const own = ownRules === undefined ? NO_HITS : ownRules(text);
  const odd = findUnicode(text, surface, marks);
  const counts = findInjections(text, context, marks);
  const found = sensitive.length + own.length + odd.length;
  if (found + counts.length === 0) return NOTHING;
  return { hits: found === 0 ? NO_HITS : [...sensitive, ...own, ...odd], counts };
}

/** Both kinds by rule: how often, and the weightiest severity. */
export function countByRule({ hits, counts }: TextFindings): readonly Count[] {
  const byRule = new Map<Count["rule"], Count>();
  for (const { rule, severity, count } of [...hits.map((hit) => ({ ...hit, count: 1 })), ...counts]) {
    const known = byRule.get(rule);
    byRule.set(rule, {
      rule,
      severity: known === undefined ? severity : worse(known.severity, severity),
      count: count + (known?.count ?? 0),
    });
  }
  return [...byRule.values()];
}
