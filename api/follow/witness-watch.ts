/**
 * Keeps the newest cosignature of each witness, and finds those that fell behind: a quorum hides a witness that is down
 * or that refuses, until one more is gone.
 */

import type { WitnessedCheckpoint, WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { WitnessRow } from "../index/row-shapes.ts";

/** The newest cosignatures after one more checkpoint. */
export function seenWitnesses(
  before: readonly WitnessRow[],
  policy: WitnessPolicy,
  { checkpoint, cosignatures }: WitnessedCheckpoint,
): readonly WitnessRow[] {
  const size = Number(checkpoint.size);
  const names = [...new Set(policy.witnesses.map(({ name }) => name))];
  return names.flatMap((name) => {
    const times = cosignatures.filter(({ witness }) => witness === name).map((line) => Number(line.timestampSeconds));
    const known = before.find((row) => row.name === name);
    if (times.length === 0) return known === undefined ? [] : [known];
    const seconds = Math.max(...times, known?.seconds ?? 0);
    return [{ name, seconds, size: Math.max(size, known?.size ?? 0) }];
  });
}

/**
 * Names of the witnesses whose newest cosignature is more than `limitSeconds` older than the newest of all. The clocks
 * compared are the witnesses' own; a log that is idle makes nobody stale.
 */
export function staleWitnesses(
  seen: readonly WitnessRow[],
  policy: WitnessPolicy,
  limitSeconds: number,
): readonly string[] {
  const newest = Math.max(0, ...seen.map(({ seconds }) => seconds));
  // One that was never seen has no time to be compared: it is late once the others have a history of that length.
  const oldest = Math.min(newest, ...seen.map(({ seconds }) => seconds));
  const names = [...new Set(policy.witnesses.map(({ name }) => name))];
  return names.filter((name) => {
    const seconds = seen.find((row) => row.name === name)?.seconds ?? oldest;
    return newest - seconds > limitSeconds;
  });
}
