/** Every small damage of a JSON value: each member changed, removed, and one added; for formats whose bytes are signed. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** Every place of a value, and the value with something else there. */
export function* damagedValues(value: JsonValue): Generator<JsonValue> {
  if (Array.isArray(value)) yield* damagedArray(value);
  else if (isJsonObject(value)) yield* damagedObject(value);
  else yield damagedScalar(value as Exclude<JsonValue, object>);
}

function* damagedArray(items: readonly JsonValue[]): Generator<JsonValue> {
  for (const [i, item] of items.entries()) {
    for (const other of damagedValues(item)) yield items.toSpliced(i, 1, other);
  }
  yield [...items, "more"];
  if (items.length > 0) yield items.slice(1);
}

function* damagedObject(object: { readonly [key: string]: JsonValue | undefined }): Generator<JsonValue> {
  for (const [key, item] of Object.entries(object)) {
    if (item === undefined) continue;
    for (const other of damagedValues(item)) yield { ...object, [key]: other };
    yield Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
  }
}

/** Of the same form where there is one: another digit for a digit, another letter for a letter. */
function damagedScalar(value: null | boolean | number | string): JsonValue {
  if (value === null) return 0;
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return value + 1;
  const at = value.length - 1 - [...value].reverse().findIndex((c) => /[0-9a-f]/u.test(c));
  if (at >= value.length || at < 0) return `${value}x`;
  const other = value[at] === "1" ? "2" : "1";
  return `${value.slice(0, at)}${/[0-9]/u.test(value[at] ?? "") ? other : value[at] === "a" ? "b" : "a"}${value.slice(at + 1)}`;
}
