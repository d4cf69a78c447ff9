/**
 * What differs between two JSON values that have their fields at the same places, as a message and what was made of it mostly
 * have: what they share is one object in both and is not looked at.
 */

import { type JsonField, pointerStep } from "./pointer.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./value.ts";

/**
 * The fields of `value` that are others than those of `before`.
 *
 * @returns undefined if one has a field at a place where the other has none
 */
export function changedFields(before: JsonValue, value: JsonValue): readonly JsonField[] | undefined {
  const changes: JsonField[] = [];
  return collect(before, value, "", changes) ? changes : undefined;
}

function collect(before: JsonValue, value: JsonValue, pointer: string, changes: JsonField[]): boolean {
  if (before === value) return true;
  if (isJsonObject(before)) return isJsonObject(value) && collectMembers(before, value, pointer, changes);
  if (isList(before)) return isList(value) && collectItems(before, value, pointer, changes);
  if (typeof value === "object" && value !== null) return false;
  changes.push({ pointer, value });
  return true;
}

function collectMembers(before: JsonObject, value: JsonObject, pointer: string, changes: JsonField[]): boolean {
  const keys = Object.keys(value);
  if (keys.length !== Object.keys(before).length) return false;
  for (const key of keys) {
    const was = Object.hasOwn(before, key) ? before[key] : undefined;
    const is = value[key];
    if (was === undefined || is === undefined) return false;
    if (was !== is && !collect(was, is, pointer + pointerStep(key), changes)) return false;
  }
  return true;
}

type List = readonly JsonValue[];

function collectItems(before: List, value: List, pointer: string, changes: JsonField[]): boolean {
  if (before.length !== value.length) return false;
  for (let i = 0; i < value.length; i += 1) {
    const [was, is] = [before[i], value[i]];
    if (was === undefined || is === undefined) return false;
    if (was !== is && !collect(was, is, `${pointer}/${i}`, changes)) return false;
  }
  return true;
}

function isList(value: JsonValue): value is List {
  return Array.isArray(value);
}
