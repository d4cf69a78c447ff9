/**
 * Observation states of receipt fields: what was seen, was determined not to be there, could not be established (with
 * the reason), or is not known yet. An omitted field is a format error, so silence never reads as "nothing happened".
 */

import { constant, constantFacts } from "../json/constant.ts";
import type { TextCursor } from "../json/cursor.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";
import type { TextWriter } from "../json/writer.ts";
import { literal, object, type Shape, tagged } from "../shape.ts";
import { formatBy, hasOnly, takeBy } from "../shape-members.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";

/** One observed field. JSON: `{"state": "present", "value": …}`, `{"state": "absent"}` and so on. */
export type Observed<T> =
  | { readonly state: "present"; readonly value: T }
  | { readonly state: "absent" }
  | { readonly state: "not_established"; readonly reason: ReasonCode }
  | { readonly state: "pending" };

/** The field was observed and has this value. */
export function present<T>(value: T): { readonly state: "present"; readonly value: T } {
  return { state: "present", value };
}

/** It was determined that there is none. */
export const ABSENT: { readonly state: "absent" } = constant({ state: "absent" });

/** It is not known yet; a later receipt says. */
export const PENDING: { readonly state: "pending" } = constant({ state: "pending" });

/** It could not be established whether there is one, or which. */
export function notEstablished(reason: ReasonCode): NotEstablished {
  const known = unknowns.get(reason);
  if (known !== undefined) return known;
  const made: NotEstablished = constant({ state: "not_established", reason });
  unknowns.set(reason, made);
  return made;
}

type NotEstablished = { readonly state: "not_established"; readonly reason: ReasonCode };

/** By reason, of which there are as many as the closed list has. */
const unknowns = new Map<ReasonCode, NotEstablished>();

/** The value of a present field, else undefined. */
export function observedValue<T>(field: Observed<T>): T | undefined {
  return field.state === "present" ? field.value : undefined;
}

/** The states without a value, which are the same for every field. */
const unobserved = {
  absent: object<{ readonly state: "absent" }>({ state: literal("absent") }),
  not_established: object<NotEstablished>({ state: literal("not_established"), reason: reasonShape }),
  pending: object<{ readonly state: "pending" }>({ state: literal("pending") }),
} as const;

/** The shape of an observed field whose values `shape` reads. */
export function observed<T>(shape: Shape<T>): Shape<Observed<T>> {
  const states = tagged("state", {
    present: object<{ readonly state: "present"; readonly value: T }>({ state: literal("present"), value: shape }),
    ...unobserved,
  });
  const format = (value: JsonValue, out: TextWriter): void => {
    if (!formatPresent(value, shape, out)) formatBy(states, value, out);
  };
  return { ...states, take: (cursor) => takeObserved(cursor, shape), format };
}

/**
 * Half of the objects of a receipt are fields that were observed, and most of the others constants. @returns false, and nothing
 * is written, of any other
 */
function formatPresent<T>(value: JsonValue, shape: Shape<T>, out: TextWriter): boolean {
  if (!isJsonObject(value) || value["state"] !== "present" || constantFacts(value) !== undefined) return false;
  const member = value["value"];
  if (member === undefined || !hasOnly(value, 2)) return false;
  out.text += '{"state":"present","value":';
  formatBy(shape, member, out);
  out.text += "}";
  return true;
}

/** The same from canonical text, which has four beginnings: half of the objects of a receipt are such fields. */
function takeObserved<T>(cursor: TextCursor, shape: Shape<T>): Observed<T> {
  if (cursor.skip('{"state":"present","value":')) {
    const value = takeBy(shape, cursor);
    cursor.closeObject();
    return { state: "present", value };
  }
  if (cursor.skip('{"state":"absent"}')) return ABSENT;
  if (cursor.skip('{"state":"pending"}')) return PENDING;
  if (!cursor.skip('{"reason":')) return cursor.refuse();
  const reason = takeBy(reasonShape, cursor);
  return cursor.skip(',"state":"not_established"}') ? { state: "not_established", reason } : cursor.refuse();
}
