/** Everything that one text is looked at for: places of secrets, personal data and odd characters, and known wordings. */

import { findDisguised } from "./disguised.ts";
import { ReadText } from "./encoded-runs.ts";
import { type Hit, NO_HITS, worse } from "./hit.ts";
import { type Count, findInjections, type InjectionContext } from "./injection.ts";
import { findSensitive, type TextContext } from "./sensitive.ts";
import type { Marks } from "./text-marks.ts";
import { findUnicode } from "./unicode-rules.ts";

/** What was found in a text. */
export interface TextFindings {
  /** With places. Those of values that stand openly do not overlap each other; a run that hides several has one for each. */
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
  const { surface } = context;
  const read = new ReadText(text);
  const sensitive = surface === "definition" ? NO_HITS : findValues(read, context);
  const odd = findUnicode(text, surface, read.marks);
  const counts = findInjections(text, context, read);
  const found = sensitive.length + odd.length;
  if (found + counts.length === 0) return NOTHING;
  return { hits: found === 0 ? NO_HITS : [...sensitive, ...odd], counts };
}

/** Values that may have to go: as they stand, and disguised. */
function findValues(read: ReadText, context: FindContext): readonly Hit[] {
  const { phoneRegion, ownRules } = context;
  const find = (inner: string, innerMarks: Marks, isWhole: boolean): readonly Hit[] => {
    const hits = findSensitive(inner, isWhole ? context : { phoneRegion }, innerMarks);
    const own = ownRules === undefined ? NO_HITS : ownRules(inner);
    return own.length === 0 ? hits : [...hits, ...own];
  };
  const plain = find(read.text, read.marks, true);
  const disguised = findDisguised(read, plain, find);
  return disguised.length === 0 ? plain : [...plain, ...disguised];
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
