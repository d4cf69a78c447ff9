/**
 * Changes of one message: in its text, where every other byte stays as it was received, and in its value, so that what is made
 * of a message that was read need not be read again.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseSpelledJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue, newObject } from "../../kernel/json/value.ts";
import { keepMessage, MAX_MESSAGE_DEPTH } from "./message-value.ts";
import { recentText } from "./recent-texts.ts";
import { applyEdits, type Edit, editMembers, memberSpans, removeMember, spanOf } from "./spans.ts";

/** New JSON texts of members, by their keys. */
export type MemberTexts = Readonly<Record<string, string>>;

type Path = readonly string[];

/** The members of an object that become others. */
interface MemberChange {
  readonly set: MemberTexts;
  readonly drop: (key: string) => boolean;
  /** True if members that are added stand in front of the others. */
  readonly isFront: boolean;
}

/** Edits of one text, which must not overlap; paths are those of the text as it was given. */
export class MessageEdits {
  readonly #text: string;
  readonly #edits: Edit[] = [];
  /** The value as it is changed so far; undefined if what is made must be read to know it. */
  #value: JsonValue | undefined;

  /** @param text  one that the strict scan accepted; what is known of it in this turn is used */
  constructor(text: string) {
    this.#text = text;
    const { message } = recentText(text);
    if (message?.isExact === true) this.#value = message.value;
  }

  /** Replaces the member at `path`, if it is there. */
  replace(path: Path, json: string): void {
    const span = spanOf(this.#text, path);
    const key = path.at(-1);
    if (span === undefined || key === undefined) return;
    this.#edits.push({ start: span.start, end: span.end, text: json });
    this.#change(path.slice(0, -1), { set: { [key]: json }, drop: keepAll, isFront: false });
  }

  /** As `editMembers`, of the object at `path`; nothing if it is not there. */
  setMembers(path: Path, set: MemberTexts, drop: (key: string) => boolean): void {
    const span = spanOf(this.#text, path);
    const edit = span === undefined ? undefined : editMembers(this.#text, span, set, drop);
    if (edit === undefined) return;
    this.#edits.push(edit);
    this.#change(path, { set, drop, isFront: false });
  }

  /** Takes the member `key` out of the object at `path`, if both are there. */
  remove(path: Path, key: string): void {
    const span = spanOf(this.#text, path);
    const edit = span === undefined ? undefined : removeMember(this.#text, span, key);
    if (edit === undefined) return;
    this.#edits.push(edit);
    this.#change(path, { set: {}, drop: (name) => name === key, isFront: false });
  }

  /** Puts a member that is not there yet in front of the others of the object at `path`, which must be there. */
  addFirst(path: Path, key: string, json: string): void {
    const start = spanOf(this.#text, path)?.start ?? 0;
    const comma = memberSpans(this.#text, start).length === 0 ? "" : ",";
    this.#edits.push({ start: start + 1, end: start + 1, text: `${JSON.stringify(key)}:${json}${comma}` });
    this.#change(path, { set: { [key]: json }, drop: keepAll, isFront: true });
  }

  /**
   * The bytes of the message with all edits.
   *
   * @param isLine  true if it must fit on one line: line ends stand between tokens only, since JSON escapes them in strings
   */
  format(isLine: boolean): Uint8Array {
    const edited = applyEdits(this.#text, this.#edits);
    const text = isLine ? edited.replace(/[\r\n]/gu, " ") : edited;
    const bytes = formatUtf8(text);
    if (this.#value !== undefined) keepMessage(bytes, { text, value: this.#value, isExact: true });
    return bytes;
  }

  #change(path: Path, change: MemberChange): void {
    if (this.#value !== undefined) this.#value = withChange(this.#value, path, 0, change);
  }
}

function keepAll(): boolean {
  return false;
}

/** A copy of `value`, of which `path` is followed from step `depth`; undefined if it cannot be told what it would be. */
function withChange(
  value: JsonValue | undefined,
  path: Path,
  depth: number,
  change: MemberChange,
): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined;
  const step = path[depth];
  if (step === undefined) return changed(value, change, depth + 1);
  const inner = withChange(value[step], path, depth + 1, change);
  if (inner === undefined) return undefined;
  const copy = newObject();
  for (const key of Object.keys(value)) {
    const member = key === step ? inner : value[key];
    if (member !== undefined) copy[key] = member;
  }
  return copy;
}

/** @param depth  of the members */
function changed(object: JsonObject, { set, drop, isFront }: MemberChange, depth: number): JsonObject | undefined {
  const made = newObject();
  if (isFront && !addMembers(made, set, depth)) return undefined;
  for (const key of Object.keys(object)) {
    if (drop(key)) continue;
    const json = Object.hasOwn(set, key) ? set[key] : undefined;
    const value = json === undefined ? object[key] : partValue(json, depth);
    if (value === undefined) return undefined;
    made[key] = value;
  }
  return isFront || addMembers(made, set, depth, object) ? made : undefined;
}

/** Adds what `there` has not; false if the value of one cannot be told. */
function addMembers(made: Record<string, JsonValue>, set: MemberTexts, depth: number, there: JsonObject = {}): boolean {
  for (const [key, json] of Object.entries(set)) {
    if (Object.hasOwn(there, key)) continue;
    const value = partValue(json, depth);
    if (value === undefined) return false;
    made[key] = value;
  }
  return true;
}

/** The value of a part of a message in its place; undefined if it has a fault there, or not the value that it spells. */
function partValue(json: string, depth: number): JsonValue | undefined {
  try {
    const limits = {
      maxBytes: Number.MAX_SAFE_INTEGER,
      maxDepth: MAX_MESSAGE_DEPTH - depth,
      numbers: "rounded",
    } as const;
    const { value, isExact } = parseSpelledJson(json, limits);
    return isExact ? value : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
