/**
 * The frame of `npm run bench:ledger`: what a row of the table is made of, and the table.
 *
 * A row is a file of this folder with one function that measures and returns figures. Ratios are "times as good": above 1
 * the figure is better than the bar, or than the peer, whether more or less of it is better.
 */

import { availableParallelism, cpus, loadavg } from "node:os";
import type { Server } from "../load.ts";

/** What every row gets. */
export interface BarsContext {
  /** A smoke run: every part runs, on little data and for a moment. */
  readonly isQuick: boolean;
  /** Milliseconds of one load; a row runs several. */
  readonly loadMs: number;
  /** Loads of each contender, in turn with the others; the median counts. */
  readonly rounds: number;
  /** An empty folder of this row, removed afterwards. */
  readonly folder: string;
  /** Starts the peer on a folder; undefined when it cannot be built here. */
  readonly startPeer: ((folder: string, batch?: PeerBatch) => Promise<Server>) | undefined;
  /** Tells what is going on; not part of the table. */
  readonly say: (line: string) => void;
}

/** Batches of the peer, where not its defaults. */
export interface PeerBatch {
  readonly entries: number;
  readonly milliseconds: number;
}

/** One line of the table. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  /** What DESIGN §10 asks for, in the same unit; absent where it asks for nothing. */
  readonly bar?: number;
  /** The same by the peer, in the same run. */
  readonly peer?: number;
  /** Latencies, processor time an operation, sizes: what makes the figure understood. */
  readonly note?: string;
}

/** Units, and which way is better. */
export type Unit = "/s" | "ms" | "s" | "us" | "MB";

/** What a row's file exports as `measure`. */
export type Measure = (context: BarsContext) => Promise<readonly Figure[]>;

const MORE_IS_BETTER: Readonly<Record<Unit, boolean>> = { "/s": true, ms: false, s: false, us: false, MB: false };
const HEADINGS = ["What", "Bar", "Here", "× bar", "Peer", "× peer", "Note"] as const;

/** Times as good as `other`. */
export function timesAsGood({ value, unit }: Figure, other: number): number {
  return MORE_IS_BETTER[unit] ? value / other : other / value;
}

/** The table as Markdown, and under it the notes of its lines. */
export function formatTable(figures: readonly Figure[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rows = figures.map((figure, i) =>
    line([
      figure.what,
      figure.bar === undefined ? "" : formatQuantity(figure.bar, figure.unit),
      formatQuantity(figure.value, figure.unit),
      formatRatio(figure, figure.bar),
      figure.peer === undefined ? "" : formatQuantity(figure.peer, figure.unit),
      formatRatio(figure, figure.peer),
      figure.note === undefined ? "" : String(i + 1),
    ]),
  );
  const notes = figures.flatMap(({ note }, i) => (note === undefined ? [] : [`- ${i + 1}: ${note}`]));
  return [line(HEADINGS), line(HEADINGS.map(() => "---")), ...rows, "", ...notes].join("\n");
}

/** The machine, in one line. */
export function formatMachine(): string {
  const cpu = cpus()[0]?.model.trim() ?? "unknown processor";
  const load = loadavg()[0]?.toFixed(1) ?? "?";
  return `${availableParallelism()} cores, ${cpu}, Node ${process.versions.node}, ${process.platform}, load ${load} at the start`;
}

/** A figure with its unit: thousands apart from a hundred on, else two digits that say something. */
export function formatQuantity(value: number, unit: Unit): string {
  const digits = value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(value >= 10 ? 3 : 2);
  return unit === "/s" ? `${digits}/s` : `${digits} ${unit}`;
}

/** The middle of some values; 0 of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** The value that this share of sorted values does not exceed; 0 of none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function formatRatio(figure: Figure, other: number | undefined): string {
  return other === undefined ? "" : timesAsGood(figure, other).toPrecision(2);
}
