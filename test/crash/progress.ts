/** Waiting for something that takes as long as the machine makes it: it may, as long as it goes on. */

import { pause } from "./child.ts";

/** How something goes on. */
export interface Progress {
  /** How much is left; 0 when it is done. */
  readonly left: () => bigint | number;
  /** Longest time in which nothing of it is done. */
  readonly limitMs: number;
  readonly nowMs?: () => number;
  readonly rest?: () => Promise<void>;
}

const LOOK_MS = 20;

/** Resolves when nothing is left: true. Or when for `limitMs` no less was left than before: false. */
export async function untilDone({ left, limitMs, ...world }: Progress): Promise<boolean> {
  const { nowMs = () => performance.now(), rest = () => pause(LOOK_MS) } = world;
  let [least, deadline] = [left(), nowMs() + limitMs];
  for (;;) {
    const now = left();
    if (now <= 0) return true;
    if (now < least) [least, deadline] = [now, nowMs() + limitMs];
    if (nowMs() > deadline) return false;
    await rest();
  }
}
