/**
 * The rules about wording on one text (mcp-gateway §14.1): on its fold, on the text as it stands, and on what it encodes or hides.
 * They find known wordings; a paraphrase or another language passes them, and the figures say how many.
 */

import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { Severity } from "../../kernel/receipt/vocabulary.ts";
import { ReadText } from "./encoded-runs.ts";
import { foldText, plainText } from "./fold.ts";
import { hiddenPayloads } from "./hidden-payload.ts";
import { worse } from "./hit.ts";
import { ADDRESS } from "./inj-address.ts";
import { AUTHORITY } from "./inj-authority.ts";
import { CONCEAL } from "./inj-conceal.ts";
import { countHiddenEscapes, decodedRuns } from "./inj-encoded.ts";
import { EXFIL, SLOT_URL } from "./inj-exfil.ts";
import { IGNORE, UNBOUND } from "./inj-ignore.ts";
import { IGNORE_LANGUAGES } from "./inj-ignore-languages.ts";
import { ACTIVE_LINKS, type Markup, NO_MARKUP, readMarkup } from "./inj-markup.ts";
import { KEY_PLACE, SECRET_PLACE } from "./inj-path.ts";
import { PRECONDITION } from "./inj-precondition.ts";
import { joinedLetters, respelledTexts } from "./inj-respelled.ts";
import { CHAT_TOKENS, IMPERATIVE, ROLE_TAGS } from "./inj-tag.ts";
import { ORDERED_CALL } from "./inj-tool.ts";
import { INSTALL, UNPINNED } from "./supply.ts";
import { EXTRAORDINARY } from "./text-marks.ts";
import type { WordRule } from "./word-rule.ts";
import { type Match, WordSearch } from "./word-search.ts";

/** Where a text stands: the weight of a rule depends on it. */
export type Surface = "definition" | "result" | "argument";

/** Occurrences of a rule in one text, without their places: the fold has none. */
export interface Count {
  readonly rule: FindingCode;
  readonly severity: Severity;
  readonly count: number;
}

/** What the rules may know beside the text. */
export interface InjectionContext {
  readonly surface: Surface;
  /** Orders about tools of other servers (`inj-tool.ts`); undefined where no catalog is known. */
  readonly steering?: RegExp | undefined;
}

/** Weight of each rule on each surface; undefined where it says nothing. */
interface Weighted {
  readonly rule: WordRule;
  readonly definition: Severity | undefined;
  readonly result: Severity | undefined;
}

const RULES: readonly Weighted[] = [
  { rule: IGNORE, definition: "block", result: "block" },
  { rule: UNBOUND, definition: "block", result: "block" },
  { rule: IGNORE_LANGUAGES, definition: "block", result: "block" },
  { rule: CONCEAL, definition: "block", result: "block" },
  { rule: PRECONDITION, definition: "block", result: "warn" },
  { rule: ORDERED_CALL, definition: undefined, result: "block" },
  { rule: KEY_PLACE, definition: "block", result: "info" },
  { rule: SECRET_PLACE, definition: "block", result: "warn" },
  { rule: EXFIL, definition: "block", result: "block" },
  { rule: SLOT_URL, definition: "block", result: "block" },
  { rule: AUTHORITY, definition: "block", result: "warn" },
  { rule: ADDRESS, definition: "warn", result: "info" },
  { rule: ROLE_TAGS, definition: "warn", result: "warn" },
  { rule: CHAT_TOKENS, definition: "block", result: "block" },
  { rule: ACTIVE_LINKS, definition: "block", result: "block" },
  { rule: UNPINNED, definition: "warn", result: undefined },
  { rule: INSTALL, definition: "warn", result: undefined },
];

/** Finds known wordings. Arguments are the agent's own words: there everything is a warning at most. */
export function findInjections(
  text: string,
  context: InjectionContext,
  read: ReadText = new ReadText(text),
): readonly Count[] {
  const { marks } = read;
  const folded = foldText(text, marks);
  const wordings = countWordings(folded, context);
  const isPlain = (marks & EXTRAORDINARY) === 0;
  // What an agent says itself is not hidden from it.
  const isRespelled = context.surface !== "argument";
  const decoded = decodedRuns(read);
  const joined = isRespelled ? joinedLetters(text) : NO_TEXTS;
  const runs = joined.length === 0 ? decoded : [...decoded, ...joined];
  const respelled = isRespelled ? countRespelled(folded, context) : NO_COUNTS;
  const escapes = countHiddenEscapes(text, marks);
  if (isPlain && wordings.length + runs.length + respelled.length + escapes === 0) return NO_COUNTS;
  const found = new Counts(context.surface);
  for (const count of wordings) found.add(count);
  if (!isPlain) addUnseen(found, text, folded, context);
  addEncoded(found, runs, context);
  addInside(found, respelled);
  if (escapes > 0) found.add({ rule: "inj.encoded", severity: "warn", count: escapes });
  return found.list();
}

const NO_COUNTS: readonly Count[] = [];
const NO_TEXTS: readonly string[] = [];

/** What a reader of the text does not see. */
function addUnseen(found: Counts, text: string, folded: string, context: InjectionContext): void {
  const plain = plainText(text);
  if (plain !== folded) addHidden(found, plain, context);
  for (const decoded of hiddenPayloads(text)) {
    for (const count of countWordings(foldText(decoded), context))
      found.add(count, { rule: "unicode.hidden", severity: "block", count: 1 });
  }
}

/** A rule that fires on the fold only fires because something was hidden from a reader. */
function addHidden(found: Counts, plain: string, context: InjectionContext): void {
  const visible = new Set(countWordings(plain, context).map(({ rule }) => rule));
  if (found.list().some(({ rule }) => !visible.has(rule)))
    found.add({ rule: "unicode.hidden", severity: "block", count: 1 });
}

/** What stands in the text as well was found there. */
function addEncoded(found: Counts, runs: readonly string[], context: InjectionContext): void {
  let read: string | undefined;
  let wordings = NO_COUNTS;
  for (const decoded of runs) {
    // A text without the digit that passes for two letters reads the same twice.
    if (decoded !== read) wordings = countWordings(foldText(decoded), context);
    read = decoded;
    addInside(found, wordings);
  }
}

/** What a reading says that the text does not say openly. */
function addInside(found: Counts, wordings: readonly Count[]): void {
  const inside = wordings.filter(({ rule }) => !found.has(rule));
  const severity = inside.map((count) => count.severity).reduce(worse, "info");
  if (severity !== "info") found.add({ rule: "inj.encoded", severity, count: 1 });
}

function countRespelled(folded: string, context: InjectionContext): readonly Count[] {
  return respelledTexts(folded).flatMap((reading) => countWordings(reading, context));
}

/** Every pattern, and which rule it belongs to. Role tags are weighed by what follows them. */
const PATTERNS: readonly { readonly of: Weighted; readonly pattern: RegExp }[] = RULES.flatMap((of) =>
  of.rule.patterns.map((pattern) => ({ of, pattern })),
);
const SEARCH = new WordSearch(PATTERNS.map(({ pattern }) => pattern));

/** Counts on folded text. */
function countWordings(folded: string, context: InjectionContext): readonly Count[] {
  const matches = SEARCH.find(folded);
  const orders = context.steering === undefined ? 0 : [...folded.matchAll(context.steering)].length;
  const markup = readMarkup(folded);
  if (matches.length === 0 && orders === 0 && markup === NO_MARKUP) return NO_COUNTS;
  const found = new Counts(context.surface);
  addMatches(found, matches, folded, context);
  if (orders > 0) found.add({ rule: "inj.tool", severity: "block", count: orders });
  addMarkup(found, markup, context);
  return found.list().map((count) => (isAloud(count, found) ? { ...count, severity: "block" } : count));
}

function addMatches(found: Counts, matches: readonly Match[], folded: string, { surface }: InjectionContext): void {
  const side = surface === "definition" ? "definition" : "result";
  const ends = new Map<FindingCode, number>();
  for (const { pattern, start, end } of matches) {
    const weighted = PATTERNS[pattern]?.of;
    if (weighted === undefined) continue;
    const { rule } = weighted.rule;
    const severity = weighted.rule === ROLE_TAGS ? tagWeight(folded, end) : weighted[side];
    if (severity === undefined) continue;
    // Two wordings of one rule at one place are one occurrence, of the greater weight.
    found.add({ rule, severity, count: start < (ends.get(rule) ?? 0) ? 0 : 1 });
    ends.set(rule, Math.max(end, ends.get(rule) ?? 0));
  }
}

/** Text to the model weighs more beside what it is used for. */
function isAloud({ rule }: Count, found: Counts): boolean {
  return rule === "inj.address" && (found.has("inj.conceal") || found.has("inj.path") || found.has("inj.tool"));
}

/** A role tag blocks when a command follows it. */
function tagWeight(folded: string, end: number): Severity {
  IMPERATIVE.lastIndex = 0;
  return IMPERATIVE.test(folded.slice(end, end + COMMAND_RANGE)) ? "block" : "warn";
}

/** How far behind a tag its command may stand. */
const COMMAND_RANGE = 2000;

/** What hides text is a finding by what it hides; hiding alone is one in elements of a definition. */
function addMarkup(found: Counts, { active, comments, hidden }: Markup, { surface }: InjectionContext): void {
  const bad = [...comments, ...hidden].filter(holdsBlocked).length;
  if (active + bad > 0) found.add({ rule: "inj.markup", severity: "block", count: active + bad });
  if (surface === "definition" && hidden.length > 0)
    found.add({ rule: "inj.markup", severity: "warn", count: hidden.length });
}

function holdsBlocked(text: string): boolean {
  return SEARCH.find(text).some(({ pattern }) => PATTERNS[pattern]?.of.definition === "block");
}

/** Counts by rule, each with its weightiest severity. */
class Counts {
  readonly #counts = new Map<FindingCode, Count>();
  readonly #surface: Surface;

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  add(...counts: readonly Count[]): void {
    for (const { rule, severity, count } of counts) {
      const known = this.#counts.get(rule);
      if (count === 0 && known === undefined) continue;
      const weight = this.#surface === "argument" && severity === "block" ? "warn" : severity;
      this.#counts.set(rule, {
        rule,
        severity: known === undefined ? weight : worse(known.severity, weight),
        count: count + (known?.count ?? 0),
      });
    }
  }

  has(rule: FindingCode): boolean {
    return this.#counts.has(rule);
  }

  list(): readonly Count[] {
    return [...this.#counts.values()];
  }
}
