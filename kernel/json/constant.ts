/**
 * Values that stand in many documents and never change. One is frozen in depth, so what was found out about it once holds for
 * as long as it is there: its canonical text, and that a shape reads it.
 */

import type { JsonValue } from "./value.ts";

/** What is known of a constant. */
export interface ConstantFacts {
  /** Canonical text, once it was written. */
  text?: string;
  /** What has read it whole without a fault: functions of shapes. A value stands in documents of several kinds. */
  readonly readers: Set<unknown>;
}

const facts = new WeakMap<object, ConstantFacts>();

/** The same value, frozen in depth. Nobody may hold it and want to change it. */
export function constant<T extends object>(value: T): T {
  freeze(value);
  facts.set(value, { readers: new Set() });
  return value;
}

/** Constants that are told apart by a text. At most 1,024; beyond it they are made anew. */
export class Constants<T extends object> {
  readonly #made = new Map<string, T>();

  of(key: string, make: () => T): T {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    if (this.#made.size >= MAX_CONSTANTS) this.#made.clear();
    const made = constant(make());
    this.#made.set(key, made);
    return made;
  }
}

const MAX_CONSTANTS = 1024;

/** What is known of a value that is a constant; undefined of any other. */
export function constantFacts(value: JsonValue & object): ConstantFacts | undefined {
  return facts.get(value);
}

/** True for what stays what it is for as long as it is there: constants, and what is no object. */
export function isUnchanging(value: JsonValue): boolean {
  return typeof value !== "object" || value === null || facts.has(value);
}

function freeze(value: object): void {
  Object.freeze(value);
  const members: readonly unknown[] = Object.values(value);
  for (const member of members) if (typeof member === "object" && member !== null) freeze(member);
}
