/** Puts a function in the place of another one, so that it can be neither taken off nor replaced. */

import { invariant } from "../../kernel/errors.ts";

/** Any function, as it is called. */
export type Replaced = (this: unknown, ...args: readonly unknown[]) => unknown;

/** True for a function. */
export function isCallable(value: unknown): value is Replaced {
  return typeof value === "function";
}

/** What a runtime's inner parts are taken for: an object, or nothing is guarded. */
export function objectOf(value: unknown): object {
  invariant(
    (typeof value === "object" && value !== null) || typeof value === "function",
    "no such part of this runtime",
  );
  return value;
}

/**
 * Locks `make(original)` at `target[name]`.
 *
 * A runtime that has no such function is not the one that this was written for: then nothing may run unguarded.
 */
export function lock(target: object, name: string, make: (original: Replaced) => Replaced): void {
  const original: unknown = Reflect.get(target, name);
  invariant(isCallable(original), `this runtime has no ${name} where the egress guard stands`);
  const value = make(original);
  // What says how it is promisified, and the like.
  for (const symbol of Object.getOwnPropertySymbols(original)) {
    Object.defineProperty(value, symbol, { value: Reflect.get(original, symbol) });
  }
  Object.defineProperty(target, name, { value, writable: false, configurable: false, enumerable: true });
}
