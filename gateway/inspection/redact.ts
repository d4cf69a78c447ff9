/**
 * Takes out of a message what rules found (mcp-gateway §15.3): texts become `[redacted:<rule>]` wherever the same value stands,
 * numbers and undeclared members go with their names, long lists lose their last items. The JSON stays valid, and what is not touched keeps its bytes.
 */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { commitBytes } from "../../kernel/commitment.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { FindingCode } from "../../kernel/receipt/findings.ts";
import type { RedactedPlace, Redactions } from "../../kernel/receipt/inspection.ts";
import { ABSENT, type Observed, present } from "../../kernel/receipt/observed.ts";
import { itemSpans, memberSpans, type Span, spanOf } from "../wire/spans.ts";
import type { MessagePart, Place } from "./message-findings.ts";
import { NEUTRALISED, neutraliseText } from "./neutralise.ts";
import { type LongList, type LongText, readText } from "./result-needs.ts";
import { isJsonArray, leavesOf, valueAt } from "./strings.ts";
import { renewTextCopies } from "./text-copies.ts";
import { ValueCopies } from "./value-copies.ts";

/** What is asked for. */
export interface RedactionOrder {
  /** Finding codes and `<family>.*`. */
  readonly redact: readonly string[];
  readonly neutralise: boolean;
}

/** What was taken out at one place. */
export interface Removal {
  readonly rule: FindingCode;
  readonly part: number;
  readonly path: readonly string[];
  readonly count: number;
  readonly values: readonly JsonValue[];
}

/** The message after it, and what is gone. */
interface Redacted {
  readonly text: string;
  readonly removals: readonly Removal[];
}

/** True if an order covers a rule. */
export function isOrdered({ redact: rules }: RedactionOrder, rule: FindingCode): boolean {
  return rules.some((pattern) => pattern === rule || (pattern.endsWith(".*") && rule.startsWith(pattern.slice(0, -1))));
}

/** Carries an order out on the message's parts that have a place in it (`at`). */
function carryOut(
  text: string,
  parts: readonly MessagePart[],
  places: readonly Place[],
  order: RedactionOrder,
): Redacted {
  const removals: Removal[] = [];
  const plan = emptyPlan(order.neutralise);
  for (const place of places) planPlace(plan, parts, place, order, removals);
  planGone(plan, parts);
  let result = text;
  for (const at of rootsOf(parts)) {
    const span = spanOf(result, at);
    if (span !== undefined)
      result = `${result.slice(0, span.start)}${rewrite(result, span, at, plan)}${result.slice(span.end)}`;
  }
  return { text: result, removals };
}

/** Places of parts, without those inside another one. */
function rootsOf(parts: readonly MessagePart[]): readonly (readonly string[])[] {
  const all = parts.flatMap(({ at }) => (at === undefined ? [] : [at]));
  return all.filter((at) => !all.some((other) => other.length < at.length && other.every((step, i) => step === at[i])));
}

interface Plan {
  /** Members that go, and texts that become others, by path in the message. */
  readonly dropped: Set<string>;
  readonly texts: Map<string, string>;
  /** Items that stay, by path of their list. */
  readonly kept: Map<string, number>;
  /** Texts that are JSON, with the lists in them that are cut, and the members that go. */
  readonly inner: Map<string, InnerCut>;
  /** Values that are taken out wherever they stand. */
  readonly copies: ValueCopies;
  /** Values of members that went, which are taken out of texts outside of structured content. */
  readonly gone: ValueCopies;
  readonly neutralise: boolean;
}

interface InnerCut {
  readonly lists: readonly LongList[];
  readonly members: readonly (readonly string[])[];
}

function emptyPlan(neutralise: boolean): Plan {
  return {
    dropped: new Set(),
    texts: new Map(),
    kept: new Map(),
    inner: new Map(),
    copies: new ValueCopies(),
    gone: new ValueCopies(),
    neutralise,
  };
}

function planPlace(
  plan: Plan,
  parts: readonly MessagePart[],
  place: Place,
  order: RedactionOrder,
  removals: Removal[],
): void {
  const path = [...(parts[place.part]?.at ?? []), ...place.path];
  const value = valueAt(parts[place.part]?.value, place.path);
  const hits = place.hits.filter(({ rule }) => isOrdered(order, rule));
  const [whole] = place.counts.filter(({ rule }) => isOrdered(order, rule) || isStripped(order, place, rule));
  const first = hits[0]?.rule ?? whole?.rule;
  if (first === undefined || value === undefined) return;
  const remove = (rule: FindingCode, values: readonly JsonValue[], count = values.length): void => {
    removals.push({ rule, part: place.part, path: place.path, count, values });
  };
  if (place.long !== undefined) {
    planCut(plan, path, place.long);
    remove("surplus.items", itemsBeyond(value, place.long), place.counts[0]?.count);
  } else if (place.inner !== undefined) {
    const inside = typeof value === "string" ? readText(value) : undefined;
    addInner(plan, path, { lists: [], members: place.inner });
    remove(
      "surplus.undeclared",
      place.inner.map((member) => valueAt(inside, member) ?? null),
    );
  } else if (typeof value !== "string" || place.isName === true || whole?.rule === "surplus.undeclared") {
    plan.dropped.add(keyOf(path));
    remove(first, [value]);
  } else if (whole !== undefined) {
    plan.texts.set(keyOf(path), putFor(whole.rule, place));
    remove(whole.rule, [value]);
  } else {
    for (const { rule, start, end } of hits) {
      const found = value.slice(start, end);
      plan.copies.add(found, `[redacted:${rule}]`);
      remove(rule, [found]);
    }
    plan.texts.set(keyOf(path), replaceSpans(value, hits));
  }
}

function putFor(rule: FindingCode, { isMedia }: Place): string {
  const put = `[redacted:${rule}]`;
  return isMedia === true ? Buffer.from(put).toString("base64") : put;
}

/** Nothing can be stripped from text that stands as base64: it goes. */
function isStripped({ neutralise }: RedactionOrder, { isMedia }: Place, rule: FindingCode): boolean {
  return isMedia === true && neutralise && NEUTRALISED.has(rule);
}

function planCut(plan: Plan, path: readonly string[], long: LongList | LongText): void {
  if ("lists" in long) addInner(plan, path, { lists: long.lists, members: [] });
  else plan.kept.set(keyOf(path), long.keep);
}

function addInner({ inner }: Plan, path: readonly string[], { lists, members }: InnerCut): void {
  const known = inner.get(keyOf(path));
  inner.set(keyOf(path), {
    lists: [...(known?.lists ?? []), ...lists],
    members: [...(known?.members ?? []), ...members],
  });
}

/** What went from structured content goes from texts beside it, too, unless it stands in what is left. */
function planGone({ dropped, gone }: Plan, parts: readonly MessagePart[]): void {
  for (const { at, value, surplus } of parts) {
    if (at?.at(-1) !== "structuredContent" || surplus.length === 0) continue;
    const all = leavesOf(value).map((leaf) => ({ said: String(leaf.value), isGone: isBelow(dropped, at, leaf.path) }));
    const left = new Set(all.flatMap(({ said, isGone }) => (isGone ? [] : [said])));
    for (const { said, isGone } of all) if (isGone && !left.has(said)) gone.add(said, "[redacted:surplus.undeclared]");
  }
}

function isBelow(dropped: ReadonlySet<string>, at: readonly string[], path: readonly string[]): boolean {
  return path.some((_, i) => dropped.has(keyOf([...at, ...path.slice(0, i + 1)])));
}

/** What goes of long lists. */
function itemsBeyond(value: JsonValue, long: LongList | LongText): readonly JsonValue[] {
  if ("lists" in long) {
    const inner = typeof value === "string" ? readText(value) : undefined;
    return long.lists.flatMap((list) => itemsBeyond(valueAt(inner, list.path) ?? null, list));
  }
  return isJsonArray(value) ? value.slice(long.keep) : [];
}

function replaceSpans(
  text: string,
  hits: readonly { readonly rule: string; readonly start: number; readonly end: number }[],
): string {
  let result = "";
  let at = 0;
  for (const { rule, start, end } of hits.toSorted((a, b) => a.start - b.start)) {
    if (start < at) continue;
    result += `${text.slice(at, start)}[redacted:${rule}]`;
    at = end;
  }
  return result + text.slice(at);
}

/** The text of a value with the plan carried out in it. */
function rewrite(text: string, { start, end }: Span, path: readonly string[], plan: Plan): string {
  if (text[start] === "{") {
    const members = memberSpans(text, start).filter(({ key }) => !plan.dropped.has(keyOf([...path, key])));
    return `{${members.map((member) => `${text.slice(member.keyStart, member.start)}${rewrite(text, member, [...path, member.key], plan)}`).join(",")}}`;
  }
  if (text[start] === "[") {
    const most = plan.kept.get(keyOf(path)) ?? Number.POSITIVE_INFINITY;
    const kept = itemSpans(text, start).flatMap((item, index) => {
      const here = [...path, String(index)];
      return index >= most || plan.dropped.has(keyOf(here)) ? [] : [rewrite(text, item, here, plan)];
    });
    return `[${kept.join(",")}]`;
  }
  const raw = text.slice(start, end);
  return raw.startsWith('"') ? rewriteText(raw, path, plan) : raw;
}

function rewriteText(raw: string, path: readonly string[], plan: Plan): string {
  const value = readValue(raw);
  if (typeof value !== "string") return raw;
  const key = keyOf(path);
  let now = plan.copies.replaceIn(plan.texts.get(key) ?? value);
  if (plan.neutralise) now = neutraliseText(now);
  const inner = plan.inner.get(key);
  if (inner !== undefined) now = cutText(now, inner);
  if (path[1] === "content") now = plan.gone.replaceIn(now);
  return now === value ? raw : JSON.stringify(now);
}

/** A text that is JSON, without what is not needed or not declared. One that is no JSON any more goes as a whole. */
function cutText(text: string, { lists, members }: InnerCut): string {
  const span = readText(text) === undefined ? undefined : spanOf(text, []);
  if (span === undefined) return `[redacted:${members.length === 0 ? "surplus.items" : "surplus.undeclared"}]`;
  const plan = emptyPlan(false);
  for (const path of members) plan.dropped.add(keyOf(path));
  for (const { path, keep } of lists) plan.kept.set(keyOf(path), keep);
  return rewrite(text, span, [], plan);
}

function keyOf(path: readonly string[]): string {
  return JSON.stringify(path);
}

const readJson: (text: string) => JsonValue = JSON.parse;

function readValue(raw: string): JsonValue {
  return readJson(raw);
}

/** The bytes that a commitment to what is gone covers: places and values, in their order. */
function removedBytes(removals: readonly Removal[]): Uint8Array {
  return canonicalBytes(removals.map(({ rule, path, values }) => ({ rule, path: [...path], values: [...values] })));
}

/** How an order was carried out on a message. */
export type RedactionResult =
  | { readonly kind: "done"; readonly bytes: Uint8Array; readonly removals: readonly Removal[] }
  /** The message cannot be what the order wants: a place that cannot change, or a value that its schema does not admit. */
  | { readonly kind: "failed" };

/**
 * Carries an order out on the bytes of a message.
 *
 * @param isAdmitted  judges the message afterwards
 */
export function redactMessage(
  bytes: Uint8Array,
  parts: readonly MessagePart[],
  places: readonly Place[],
  order: RedactionOrder,
  isAdmitted: (message: JsonObject) => boolean,
): RedactionResult {
  const isFixed = places.some(
    ({ part, hits, counts }) =>
      parts[part]?.at === undefined && [...hits, ...counts].some(({ rule }) => isOrdered(order, rule)),
  );
  if (isFixed) return { kind: "failed" };
  const text = parseUtf8(bytes);
  const redacted = carryOut(text, parts, places, order);
  if (redacted.text === text) return { kind: "done", bytes, removals: redacted.removals };
  const changed = formatUtf8(renewTextCopies(text, redacted.text));
  const message = parseJson(changed, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  if (!isJsonObject(message) || !isAdmitted(message)) return { kind: "failed" };
  return { kind: "done", bytes: changed, removals: redacted.removals };
}

/** What a receipt says of removals. */
export function redactionsOf(
  secret: Uint8Array,
  removals: readonly Removal[],
  parts: readonly MessagePart[],
): Observed<Redactions> {
  if (removals.length === 0) return ABSENT;
  const rows = new Map<string, RedactedPlace>();
  for (const { rule, part, path, count } of removals) {
    const pointer = parts[part]?.pointer(path) ?? "";
    const known = rows.get(`${rule} ${pointer}`)?.count ?? 0;
    rows.set(`${rule} ${pointer}`, { rule, pointer, count: count + known });
  }
  const removed = {
    scheme: "countersign/bytes/v1",
    root: commitBytes(secret, "removed", removedBytes(removals)),
  } as const;
  return present({ places: [...rows.values()].slice(0, MAX_PLACES), removed });
}

/** Places of one receipt (kernel/receipt/inspection.ts). */
const MAX_PLACES = 64;
