/**
 * Changes of one message: in its text, where every other byte stays as it was received, and in its value, so that what is made
 * of a message that was read need not be read again.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseSpelledJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue, newObject } from "../../kernel/json/value.ts";
import { keepMessage, MAX_MESSAGE_DEPTH } from "./message-value.ts";
import { oneLine } from "./one-line.ts";
import { recentText } from "./recent-texts.ts";
import { applyEdits, type Edit, editMembers, memberSpans, removeMember, spanOf } from "./spans.ts";

/** New JSON texts of members, by their keys. */
export type MemberTexts = Readonly<Record<string, string>>;

type Path = readonly string[];

/** The members of an object that become others. */
interface MemberChange {
  /** Members that are set, and their new texts. */
  readonly names: readonly string[];
  readonly texts: readonly string[];
  /** True for members that go; none by default. */
  readonly drop?: (key: string) => boolean;
  /** True if members that are added stand in front of the others. */
  readonly isFront?: true;
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
    this.#change(path, path.length - 1, { names: [key], texts: [json] });
  }

  /** As `editMembers`, of the object at `path`; nothing if it is not there. */
  setMembers(path: Path, set: MemberTexts, drop: (key: string) => boolean): void {
    const span = spanOf(this.#text, path);
    const edit = span === undefined ? undefined : editMembers(this.#text, span, set, drop);
    if (edit === undefined) return;
    this.#edits.push(edit);
    this.#change(path, path.length, { names: Object.keys(set), texts: Object.values(set), drop });
  }

  /** Takes the member `key` out of the object at `path`, if both are there. */
  remove(path: Path, key: string): void {
    const span = spanOf(this.#text, path);
    const edit = span === undefined ? undefined : removeMember(this.#text, span, key);
    if (edit === undefined) return;
    this.#edits.push(edit);
    this.#change(path, path.length, { names: [], texts: [], drop: (name) => name === key });
  }

  /** Puts a member that is not there yet in front of the others of the object at `path`, which must be there. */
  addFirst(path: Path, key: string, json: string): void {
    const start = spanOf(this.#text, path)?.start ?? 0;
    const comma = memberSpans(this.#text, start).length === 0 ? "" : ",";
    this.#edits.push({ start: start + 1, end: start + 1, text: `${JSON.stringify(key)}:${json}${comma}` });
    this.#change(path, path.length, { names: [key], texts: [json], isFront: true });
  }

  /**
   * The bytes of the message with all edits.
   *
   * @param isLine  true if it must fit on one line
   */
  format(isLine: boolean): Uint8Array {
    const edited = applyEdits(this.#text, this.#edits);
    const text = isLine ? oneLine(edited) : edited;
    const bytes = formatUtf8(text);
    if (this.#value !== undefined) keepMessage(bytes, { text, value: this.#value, isExact: true });
    return bytes;
  }

  /** Changes the object that the first `steps` of a path lead to. */
  #change(path: Path, steps: number, change: MemberChange): void {
    if (this.#value !== undefined) this.#value = withChange(this.#value, path, steps, 0, change);
  }
}

/** A copy of `value`, from which `path` is followed on at `depth`; undefined if it cannot be told what it would be. */
function withChange(
  value: JsonValue | undefined,
  path: Path,
  steps: number,
  depth: number,
  change: MemberChange,
): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined;
  if (depth === steps) return changed(value, change, depth + 1);
  const step = path[depth] ?? "";
  const inner = withChange(value[step], path, steps, depth + 1, change);
  if (inner === undefined) return undefined;
  const copy = newObject();
  for (const key of Object.keys(value)) {
    const member = key === step ? inner : value[key];
    if (member !== undefined) copy[key] = member;
  }
  return copy;
}

/** @param depth  of the members */
function changed(object: JsonObject, change: MemberChange, depth: number): JsonObject | undefined {
  const { names, drop, isFront } = change;
  const made = newObject();
  if (isFront === true && !addMembers(made, change, depth)) return undefined;
  for (const key of Object.keys(object)) {
    if (drop?.(key) === true) continue;
    const at = names.indexOf(key);
    const value = at === -1 ? object[key] : partValue(change.texts[at], depth);
    if (value === undefined) return undefined;
    made[key] = value;
  }
  return isFront === true || addMembers(made, change, depth, object) ? made : undefined;
}

/** Adds what `there` has not; false if the value of one cannot be told. */
function addMembers(
  made: Record<string, JsonValue>,
  { names, texts }: MemberChange,
  depth: number,
  there?: JsonObject,
): boolean {
  for (const [at, name] of names.entries()) {
    if (there !== undefined && Object.hasOwn(there, name)) continue;
    const value = partValue(texts[at], depth);
    if (value === undefined) return false;
    made[name] = value;
  }
  return true;
}

/** The value of a part of a message in its place; undefined if it has a fault there, or not the value that it spells. */
function partValue(json: string | undefined, depth: number): JsonValue | undefined {
  if (json === undefined) return undefined;
  try {
    const { value, isExact } = parseSpelledJson(json, {
      maxDepth: MAX_MESSAGE_DEPTH - depth,
      numbers: "rounded",
    });
    return isExact ? value : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
