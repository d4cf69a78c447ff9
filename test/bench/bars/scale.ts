/**
 * `growth` up to 10,000,000 entries, where DESIGN's bars about size and restart are: admission, log proofs, memory and start at each
 * power of ten from 10,000 on, in one log. Some minutes and 5 GB of disk, so it is measured only when it is named.
 */

import { statfs } from "node:fs/promises";
import { processIo } from "../../../cli/io.ts";
import { makeProgress } from "../../../cli/progress.ts";
import { type BarsContext, type Figure, formatQuantity, quantile } from "./frame.ts";
import { count, figuresOf, growTo, notedOf, type Stage } from "./growth.ts";

const SIZES = { full: [10_000, 100_000, 1_000_000, 10_000_000], quick: [1000, 5000, 20_000] };

/** Whether cost follows size: at each size, and as a multiple of what it is at the smallest; then the lines of `growth`. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const sizes = context.isQuick ? SIZES.quick : SIZES.full;
  const { bavail, bsize } = await statfs(context.folder);
  context.say(
    `  ${Math.round((bavail * bsize) / 1e9)} GB of disk free; the log takes some 4 of them at 10,000,000 entries`,
  );
  const progress = makeProgress("filling", processIo(), () => performance.now());
  try {
    const stages = await growTo(context, sizes, (size) => progress.update(size, sizes.at(-1) ?? 0));
    return [...flatness(stages), ...figuresOf(stages)];
  } finally {
    progress.end();
  }
}

/** Figures without a bar of their own: DESIGN wants them flat, and the ratios in the notes say whether they are. */
function flatness(stages: readonly Stage[]): readonly Figure[] {
  const [least, most] = [stages[0], stages.at(-1)];
  if (least === undefined || most === undefined) throw new Error("no stage");
  const against = (unit: Figure["unit"], read: (stage: Stage) => number): string =>
    notedOf(stages, (at) => `${formatQuantity(read(at), unit)} (${(read(at) / read(least)).toPrecision(2)}x)`);
  const figure = (what: string, unit: Figure["unit"], read: (stage: Stage) => number): Figure => {
    return { what: `${what} at ${count(most)} entries`, value: read(most), unit, note: against(unit, read) };
  };
  return [
    figure("admission in batches", "/s", (at) => at.perSecondHere),
    figure("processor time of an entry, all threads,", "us", (at) => at.entryUsHere),
    figure("log proof over HTTP, p50,", "ms", (at) => quantile(at.proofMs, 0.5)),
    figure("log proof over HTTP, p99,", "ms", (at) => quantile(at.proofMs, 0.99)),
  ];
}
