/**
 * How old the newest checkpoint is by its cosignatures. A ledger has an idle checkpoint cosigned again every half hour
 * (docs/ledger.md), so that an old one means that the log stands still or that somebody shows an old view of it.
 */

import type { HeadFact } from "../index/row-shapes.ts";

/** A checkpoint must have been the newest for so long before its age counts: a ledger that just starts has an old one. */
const SETTLE_MS = 60_000;

/** The age of one ledger's newest checkpoint. */
export class Freshness {
  readonly #limitSeconds: number;
  #note = "";
  #sinceMs = 0;
  #told = false;

  constructor(limitSeconds: number) {
    this.#limitSeconds = limitSeconds;
  }

  /** Seconds since the median cosignature, once for each checkpoint that is too old; else undefined. */
  lateSeconds({ note, cosignatures }: HeadFact, nowMs: number): number | undefined {
    if (note !== this.#note) [this.#note, this.#sinceMs, this.#told] = [note, nowMs, false];
    const age = Math.floor(nowMs / 1000) - medianSeconds(cosignatures);
    if (this.#told || age <= this.#limitSeconds || nowMs - this.#sinceMs < SETTLE_MS) return undefined;
    this.#told = true;
    return age;
  }
}

/** One witness whose clock is wrong does not move it. */
function medianSeconds(cosignatures: HeadFact["cosignatures"]): number {
  const times = cosignatures.map(({ seconds }) => seconds).toSorted((a, b) => a - b);
  return times[Math.floor((times.length - 1) / 2)] ?? 0;
}
