/** Processor time of a process, by Linux' /proc: what an operation costs, whatever else the machine does meanwhile. */

import { readFile } from "node:fs/promises";

/** Seconds used since its start: by the thread that serves, and by all threads. 0 where the system does not say. */
export interface ProcessorTime {
  readonly serving: number;
  readonly all: number;
}

const TICKS_A_SECOND = 100;

/** What process `pid` has used until now. */
export async function processorTimeOf(pid: number): Promise<ProcessorTime> {
  const [serving = 0, all = 0] = await Promise.all([`task/${pid}/stat`, "stat"].map((name) => secondsOf(pid, name)));
  return { serving, all };
}

/** Peak of the memory that process `pid` had at once, in MB. 0 where the system does not say. */
export async function peakMemoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmHWM:\s+(\d+)/u.exec(status)?.[1] ?? 0) / 1024;
}

/** User and system time: fields 14 and 15, counted behind the name, which may hold spaces. */
async function secondsOf(pid: number, name: string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_A_SECOND;
}
