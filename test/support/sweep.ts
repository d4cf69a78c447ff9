/**
 * Sweeps: tests that damage, cut or kill at every place there is. The quick suite tries every n-th place and the ends; the
 * slow suite runs the same tests over all of them (vitest.slow.config.ts names the files).
 */

import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Set by the configuration that runs. */
    readonly isWholeSweep: boolean;
  }
}

/** Whether every place is tried. */
export const isWholeSweep: boolean = inject("isWholeSweep");

/**
 * The places that are tried: all of them in the slow suite, else every `step`-th from the first on, and the last.
 *
 * @param step  with no divisor in common with a period of the places, so that each kind is met
 * @param shift  begins behind the first, so that the sweeps of one test try different places
 */
export function sampled<T>(places: Iterable<T>, step: number, shift = 0): readonly T[] {
  const all = [...places];
  return isWholeSweep ? all : all.filter((_, i) => i % step === shift % step || i === all.length - 1);
}

/** `whole` in the slow suite, else `quick`. */
export function sweepSize(quick: number, whole: number): number {
  return isWholeSweep ? whole : quick;
}
