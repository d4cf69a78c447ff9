/**
 * When the background checks go on. They yield to admission, which somebody waits for: while segments come they rest, as long
 * as what waits is far from its bound and they have not rested for long. So a burst of segments is admitted at the speed of
 * admission, and what it left is read as soon as it is over.
 */

import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";

/** Where time comes from. */
export interface PaceClock {
  readonly nowMs: () => number;
  /** Resolves after a time. */
  readonly rest: (ms: number) => Promise<unknown>;
}

/** Segments count as coming for so long after the last one. */
const QUIET_MS = 200;
/** What waits is read whatever comes once it fills so much of its bound. */
const PRESSING_SHARE = 0.5;
/** Longest time that the checks rest in one piece; then they catch up with all that is there. */
const MAX_REST_MS = 5000;
const LOOK_MS = 20;

const SYSTEM_CLOCK: PaceClock = { nowMs: () => performance.now(), rest: setTimeout };

/** Mutable. */
export class CheckPace {
  readonly #clock: PaceClock;
  #lastSegmentAt = Number.NEGATIVE_INFINITY;
  #isCatchingUp = false;

  constructor(clock: PaceClock = SYSTEM_CLOCK) {
    this.#clock = clock;
  }

  /** Told of each segment that is admitted unread. */
  admitted(): void {
    this.#lastSegmentAt = this.#clock.nowMs();
  }

  /** Told that nothing waits. */
  caughtUp(): void {
    this.#isCatchingUp = false;
  }

  /**
   * Resolves when the next entries may be read.
   *
   * @param share  share of its bound that what waits fills, 0 to 1; asked again and again
   * @param isStopped  true once nobody wants to go on
   */
  async turn(share: () => number, isStopped: () => boolean): Promise<void> {
    const { nowMs, rest } = this.#clock;
    const started = nowMs();
    while (!isStopped() && !this.#isCatchingUp && share() < PRESSING_SHARE) {
      if (nowMs() - this.#lastSegmentAt >= QUIET_MS) return;
      if (nowMs() - started >= MAX_REST_MS) this.#isCatchingUp = true;
      else await rest(LOOK_MS);
    }
  }
}
