/**
 * Findings of one message: every string and number that one side gives the other, within a bound. What is reported are rules,
 * counts and places as far as the approved schema declares them; what is kept for a redaction stays in memory.
 */

import type { JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";
import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { Finding, Inspection } from "../../kernel/receipt/inspection.ts";
import { type Hit, worse } from "./hit.ts";
import type { Count, Surface } from "./injection.ts";
import type { LongList, LongText } from "./result-needs.ts";
import { isSpoken, keyOf, leavesOf, namesOf } from "./strings.ts";
import { type FindContext, findInText, type OwnRules } from "./text-findings.ts";

/** Version of the rules, in every inspection of a receipt. */
export const INSPECTOR = "countersign-rules-1";

/** Characters of a message that are looked at; the rest is counted as uninspected. */
const MAX_CHARACTERS = 1024 * 1024;
/** Findings of one receipt (kernel/receipt/inspection.ts). */
const MAX_FINDINGS = 64;

/** One part of a message. */
export interface MessagePart {
  /** Where the part stands in the message, if it can be changed there. */
  readonly at?: readonly string[];
  readonly value: JsonValue | undefined;
  /** The place of a path below the part, as a receipt may name it. */
  readonly pointer: (path: readonly string[]) => DeclaredPointer;
  /** Paths of members that the schema does not declare. */
  readonly surplus: readonly (readonly string[])[];
  /** Lists that are longer than needed, and texts with such lists in them. */
  readonly long?: readonly (LongList | LongText)[];
  /** True for a path whose text is no text, as base64 of a picture. */
  readonly isMedia?: (path: readonly string[]) => boolean;
}

/** What was found at one place. */
export interface Place {
  readonly part: number;
  readonly path: readonly string[];
  readonly hits: readonly Hit[];
  readonly counts: readonly Count[];
  /** True if it was found in the name of the member at `path`, and not in its value. */
  readonly isName?: true;
  /** What may stay of lists at the place. */
  readonly long?: LongList | LongText;
}

/** Everything found in a message. */
export interface MessageFindings {
  readonly inspection: Inspection;
  /** Rules that are more than a note, sorted: for policy. */
  readonly rules: readonly string[];
  /** Rules that block, sorted. */
  readonly blocking: readonly FindingCode[];
  readonly places: readonly Place[];
}

/** What the texts of a message are looked at with. */
export type MessageContext = Pick<FindContext, "phoneRegion"> & {
  readonly surface: Surface;
  readonly ownRules: OwnRules;
};

/**
 * Looks at the parts of a message.
 *
 * @param whole  what was found in the message as a whole
 */
export function findInMessage(
  parts: readonly MessagePart[],
  context: MessageContext,
  uninspectedBytes: number,
  whole: readonly Finding[] = [],
): MessageFindings {
  const budget = { left: MAX_CHARACTERS, cut: 0 };
  const places = parts.flatMap((part, index) => placesOf(part, index, context, budget));
  const rows: Finding[] = places.flatMap(({ part, path, hits, counts }) => {
    const pointer = parts[part]?.pointer(path) ?? "";
    return [
      ...hits.map(({ rule, severity }) => ({ rule, severity, pointer, count: 1 })),
      ...counts.map((count) => ({ ...count, pointer })),
    ];
  });
  rows.push(...whole);
  if (budget.cut > 0) rows.push({ rule: "inspect.budget", severity: "warn", pointer: "", count: 1 });
  const findings = mergeFindings(rows);
  return {
    inspection: { inspector: INSPECTOR, findings, uninspected_bytes: uninspectedBytes + budget.cut },
    rules: rulesOf(rows.filter(({ severity }) => severity !== "info")),
    blocking: rulesOf(rows.filter(({ severity }) => severity === "block")),
    places,
  };
}

function rulesOf(rows: readonly Finding[]): readonly FindingCode[] {
  return [...new Set(rows.map(({ rule }) => rule))].sort();
}

function placesOf(
  part: MessagePart,
  index: number,
  context: MessageContext,
  budget: { left: number; cut: number },
): readonly Place[] {
  const places: Place[] = [
    ...part.surplus.map((path): Place => {
      return { part: index, path, hits: [], counts: [{ rule: "surplus.undeclared", severity: "warn", count: 1 }] };
    }),
    ...(part.long ?? []).map((long): Place => {
      return { part: index, path: long.path, hits: [], counts: [longCount(long)], long };
    }),
  ];
  const look = (text: string, path: readonly string[], key: string | undefined, isName: boolean): void => {
    const seen = text.slice(0, budget.left);
    budget.left -= seen.length;
    budget.cut += text.length - seen.length;
    const { hits, counts } = findInText(seen, { ...context, ...(key === undefined ? {} : { key }) });
    if (hits.length + counts.length === 0) return;
    places.push({ part: index, path, hits, counts, ...(isName ? { isName } : {}) });
  };
  for (const { path, value } of leavesOf(part.value)) {
    if (part.isMedia?.(path) !== true) look(String(value), path, keyOf(path), false);
  }
  // Short plain names say nothing that a value could not.
  for (const path of namesOf(part.value, isSpoken)) look(path.at(-1) ?? "", path, undefined, true);
  return places;
}

function longCount(long: LongList | LongText): Count {
  const over = "lists" in long ? long.lists.reduce((sum, list) => sum + list.over, 0) : long.over;
  return { rule: "surplus.items", severity: "block", count: over };
}

/** One finding for each rule and place; beyond the bound they are merged by rule under the pointer "". */
function mergeFindings(rows: readonly Finding[]): readonly Finding[] {
  const exact = merge(rows);
  return exact.length <= MAX_FINDINGS
    ? exact
    : merge(rows.map((row) => ({ ...row, pointer: "" }))).slice(0, MAX_FINDINGS);
}

function merge(rows: readonly Finding[]): readonly Finding[] {
  const merged = new Map<string, Finding>();
  for (const row of rows) {
    const key = `${row.rule} ${row.pointer}`;
    const known = merged.get(key);
    const severity = known === undefined ? row.severity : worse(known.severity, row.severity);
    merged.set(key, { ...row, severity, count: row.count + (known?.count ?? 0) });
  }
  return [...merged.values()].sort((a, b) => (`${a.rule} ${a.pointer}` < `${b.rule} ${b.pointer}` ? -1 : 1));
}
