/**
 * Findings of one message: every string and number that one side gives the other, within a bound. What is reported are rules,
 * counts and places as far as the approved schema declares them; what is kept for a redaction stays in memory.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { DeclaredPointer } from "../../kernel/receipt/fields.ts";
import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { Finding, Inspection } from "../../kernel/receipt/inspection.ts";
import { mediaText } from "../wire/media-text.ts";
import { type Hit, worse } from "./hit.ts";
import type { Count, Surface } from "./injection.ts";

import type { LongList, LongText } from "./result-needs.ts";
import { isIndex, isJsonArray, isSpoken } from "./strings.ts";
import type { SurplusText } from "./surplus.ts";
import { countByRule, type FindContext, findInText, type OwnRules, type TextFindings } from "./text-findings.ts";

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
  /** Texts that are JSON, with the members in them that the schema does not declare. */
  readonly surplusTexts?: readonly SurplusText[];
  /** A member of the value that is no part of it. */
  readonly without?: string;
  /** True for a path below the value that is base64 of media: what it holds is read if it is text. */
  readonly isMedia?: (value: JsonValue | undefined, path: readonly string[]) => boolean;
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
  /** True if it was found in text that stands as base64 there. */
  readonly isMedia?: true;
  /** Members that go from the JSON that the text at the place is. */
  readonly inner?: readonly (readonly string[])[];
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
  const look = new MessageLook(context);
  for (let part = 0; part < parts.length; part += 1) look.at(parts[part], part);
  const { places, cut } = look;
  if (places.length === 0 && whole.length === 0 && cut === 0) return nothingIn(uninspectedBytes);
  const rows: Finding[] = places.flatMap(({ part, path, hits, counts }) => {
    const pointer = parts[part]?.pointer(path) ?? "";
    return [
      ...hits.map(({ rule, severity }) => ({ rule, severity, pointer, count: 1 })),
      ...counts.map((count) => ({ ...count, pointer })),
    ];
  });
  rows.push(...whole);
  if (cut > 0) rows.push({ rule: "inspect.budget", severity: "warn", pointer: "", count: 1 });
  const findings = mergeFindings(rows);
  return {
    inspection: inspectionOf(findings, uninspectedBytes + cut),
    rules: rulesOf(rows.filter(({ severity }) => severity !== "info")),
    blocking: rulesOf(rows.filter(({ severity }) => severity === "block")),
    places,
  };
}

function rulesOf(rows: readonly Finding[]): readonly FindingCode[] {
  return [...new Set(rows.map(({ rule }) => rule))].sort();
}

/** Most messages: nothing was found in them. */
function nothingIn(uninspectedBytes: number): MessageFindings {
  return uninspectedBytes === 0 ? NOTHING : { ...NOTHING, inspection: inspectionOf([], uninspectedBytes) };
}

function inspectionOf(findings: readonly Finding[], uninspectedBytes: number): Inspection {
  return { inspector: INSPECTOR, findings, uninspected_bytes: uninspectedBytes };
}

const NOTHING: MessageFindings = { inspection: inspectionOf([], 0), rules: [], blocking: [], places: [] };

/** One look at a message. A path is written down only where something was found. */
class MessageLook {
  readonly places: Place[] = [];
  /** Characters beyond the bound. */
  cut = 0;
  #left = MAX_CHARACTERS;
  #part = 0;
  /** Of the value that is looked at; the same list on the whole way. */
  readonly #path: string[] = [];
  /** Names to read when the values were. */
  #names: (readonly string[])[] = [];
  /** With the name that the text of the moment stands under. */
  readonly #context: MessageContext & { key: string | undefined };

  constructor(context: MessageContext) {
    const { surface, ownRules, phoneRegion } = context;
    this.#context = { surface, ownRules, phoneRegion, key: undefined };
  }

  at(part: MessagePart | undefined, index: number): void {
    if (part === undefined) return;
    this.#part = index;
    for (const path of part.surplus) this.#add(path, [], UNDECLARED);
    for (const { path, members } of part.surplusTexts ?? [])
      this.#add(path, [], [{ ...UNDECLARED_ONE, count: members.length }], { inner: members });
    for (const long of part.long ?? []) this.#add(long.path, [], [longCount(long)], { long });
    this.#walk(part, part.value, undefined);
    if (this.#names.length === 0) return;
    for (const path of this.#names) this.#look(path.at(-1) ?? "", path, undefined, true);
    this.#names = [];
  }

  #walk(part: MessagePart, value: JsonValue | undefined, key: string | undefined): void {
    if (typeof value === "string" || typeof value === "number") {
      if (part.isMedia?.(part.value, this.#path) === true) this.#lookAtMedia(String(value));
      else this.#look(String(value), this.#path, key, false);
    } else if (isJsonArray(value)) {
      for (let at = 0; at < value.length; at += 1) this.#enter(part, String(at), value[at], key);
    } else if (isJsonObject(value)) this.#walkMembers(part, value, key);
  }

  #walkMembers(part: MessagePart, value: JsonObject, key: string | undefined): void {
    const left = this.#path.length === 0 ? part.without : undefined;
    for (const name of Object.keys(value)) {
      if (name === left) continue;
      // Short plain names say nothing that a value could not.
      if (isSpoken(name)) this.#names.push([...this.#path, name]);
      this.#enter(part, name, value[name], isIndex(name) ? key : name);
    }
  }

  #enter(part: MessagePart, step: string, value: JsonValue | undefined, key: string | undefined): void {
    this.#path.push(step);
    this.#walk(part, value, key);
    this.#path.pop();
  }

  #look(text: string, path: readonly string[], key: string | undefined, isName: boolean): void {
    const { hits, counts } = this.#findIn(text, key);
    if (hits.length + counts.length > 0) this.#add([...path], hits, counts, isName ? { isName } : {});
  }

  /** What is found in there is about all of it: only the whole can be replaced. */
  #lookAtMedia(value: string): void {
    const text = mediaText(value);
    if (text === undefined) return;
    const counts = countByRule(this.#findIn(text, undefined));
    if (counts.length > 0) this.#add([...this.#path], [], counts, { isMedia: true });
  }

  #findIn(text: string, key: string | undefined): TextFindings {
    const seen = text.length <= this.#left ? text : text.slice(0, this.#left);
    this.#left -= seen.length;
    this.cut += text.length - seen.length;
    this.#context.key = key;
    return findInText(seen, this.#context);
  }

  #add(
    path: readonly string[],
    hits: readonly Hit[],
    counts: readonly Count[],
    more: Pick<Place, "isName" | "long" | "inner" | "isMedia"> = {},
  ): void {
    this.places.push({ part: this.#part, path, hits, counts, ...more });
  }
}

const UNDECLARED_ONE: Count = { rule: "surplus.undeclared", severity: "warn", count: 1 };
const UNDECLARED: readonly Count[] = [UNDECLARED_ONE];

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
