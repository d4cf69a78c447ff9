/** The resident memory of a process over the time (Linux). */

import { readFileSync } from "node:fs";

/** Samples of one process. */
export interface MemoryLog {
  /** MiB, in order. */
  readonly samples: readonly number[];
  readonly stop: () => void;
}

const SAMPLE_MS = 500;

/** Samples until it is stopped; while the process is not there, nothing is. */
export function watchMemory(pid: () => number | undefined): MemoryLog {
  const samples: number[] = [];
  const timer = setInterval(() => {
    const found = residentMiB(pid());
    if (found !== undefined) samples.push(found);
  }, SAMPLE_MS);
  return { samples, stop: () => clearInterval(timer) };
}

function residentMiB(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch {
    return undefined;
  }
}

/** The middle one of a part of the samples, from a share of them to another. */
export function medianOf(samples: readonly number[], from: number, to: number): number {
  const part = samples
    .slice(Math.floor(from * samples.length), Math.ceil(to * samples.length))
    .toSorted((a, b) => a - b);
  return part[Math.floor(part.length / 2)] ?? 0;
}
