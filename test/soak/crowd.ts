/**
 * When agents come: evenly over the time, and a part of them all at once. Nobody comes while as many are there as there may
 * be; who comes late makes one call only, so that a slow machine gets through them all.
 */

import { type AgentDeps, drawKind, runAgent } from "./agents.ts";

/** How many, and in which time. */
export interface CrowdPlan {
  readonly agents: number;
  readonly milliseconds: number;
  /** Those of them that come at once. */
  readonly atOnce: number;
  readonly maxAlive: number;
}

const MAX_CALLS = 8;
/** Share of the time after which the crowd comes. */
const CROWD_AT = 0.35;
const LATE_MS = 3_000;
const TURN_MS = 20;

/** Resolves when the last agent is gone. @param onDone  told how many are */
export async function runCrowd(
  plan: CrowdPlan,
  deps: Omit<AgentDeps, "calls">,
  onDone: (agents: number) => void,
): Promise<void> {
  const started = performance.now();
  const alive = new Set<Promise<void>>();
  const starts = startsOf(plan);
  let done = 0;
  for (const { atMs, isLate } of starts) {
    while (performance.now() - started < atMs || alive.size >= plan.maxAlive) await pause();
    const isBehind = performance.now() - started - atMs > LATE_MS;
    const calls = isLate || isBehind ? 1 : 1 + deps.random.below(MAX_CALLS);
    const life = runAgent(isLate ? "late" : drawKind(deps.random), { ...deps, calls }).finally(() => {
      alive.delete(life);
      done += 1;
      onDone(done);
    });
    alive.add(life);
  }
  await Promise.all(alive);
}

function startsOf({ agents, milliseconds, atOnce }: CrowdPlan): readonly { atMs: number; isLate: boolean }[] {
  const even = agents - atOnce;
  const single = Array.from({ length: even }, (_, i) => ({ atMs: (i * milliseconds) / even, isLate: false }));
  const crowd = Array.from({ length: atOnce }, () => ({ atMs: CROWD_AT * milliseconds, isLate: true }));
  return [...single, ...crowd].sort((a, b) => a.atMs - b.atMs);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TURN_MS));
}
