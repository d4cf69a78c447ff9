/**
 * Keeps the newest cosignature of each witness, and finds those that fell behind: a quorum hides a witness that is down
 * or that refuses, until one more is gone.
 */

import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { HeadFact, WitnessRow } from "../index/row-shapes.ts";

/** The newest cosignatures after one more checkpoint. */
export function seenWitnesses(
  before: readonly WitnessRow[],
  policy: WitnessPolicy,
  { size, cosignatures }: HeadFact,
): readonly WitnessRow[] {
  return namesOf(policy).flatMap((name) => {
    const times = cosignatures.filter(({ witness }) => witness === name).map(({ seconds }) => seconds);
    const known = before.find((row) => row.name === name);
    if (times.length === 0) return known === undefined ? [] : [known];
    return [{ name, seconds: Math.max(...times, known?.seconds ?? 0), size: Math.max(size, known?.size ?? 0) }];
  });
}

/**
 * Names of the witnesses whose newest cosignature is more than `limitSeconds` older than the median of all. The clocks
 * compared are the witnesses' own, and one that runs ahead moves no median; a log that is idle makes nobody stale.
 */
export function staleWitnesses(
  seen: readonly WitnessRow[],
  policy: WitnessPolicy,
  limitSeconds: number,
): readonly string[] {
  const times = seen.map(({ seconds }) => seconds).toSorted((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  // One that was never seen has no time to be compared: it is late once the others have a history of that length.
  const oldest = times[0] ?? 0;
  return namesOf(policy).filter((name) => {
    const seconds = seen.find((row) => row.name === name)?.seconds ?? oldest;
    return median - seconds > limitSeconds;
  });
}

function namesOf(policy: WitnessPolicy): readonly string[] {
  return [...new Set(policy.witnesses.map(({ name }) => name))];
}
