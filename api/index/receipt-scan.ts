/**
 * Pages of receipts. A question is answered from the smallest index that serves one of its filters; the others are
 * checked on the rows found there. A time range bounds the indexes by day and minute. What one page may cost is bounded:
 * a page may end early, and its end cursor says where to go on.
 */

import { countRowShape } from "./count-row.ts";
import {
  countKey,
  INDEXED_FILTERS,
  type IndexedFilter,
  numberedKey,
  numberOfKey,
  rangeUnder,
  receiptKey,
} from "./keys.ts";
import { filterValues } from "./receipt-row.ts";
import { type ReceiptRow, receiptRowShape } from "./row-shapes.ts";
import { parseRow, type RowReader, readRow } from "./rows.ts";
import { type IndexBounds, indexesOfTime } from "./time-index.ts";

/** What is asked for. Filters are conjunctive; `from` and `to` are inclusive timestamps. */
export interface ReceiptFilter {
  readonly values: Partial<Record<IndexedFilter, string>>;
  readonly from?: string;
  readonly to?: string;
}

/** Which page: `limit` receipts from one end of the open interval (after, before). */
export interface PageRequest {
  readonly limit: number;
  readonly direction: "forward" | "backward";
  readonly after?: number;
  readonly before?: number;
}

/** A page in ascending order of index. */
export interface ReceiptPage {
  readonly rows: readonly ReceiptRow[];
  /** True if there is more, or may be, beyond the page in its direction. */
  readonly hasMore: boolean;
  /** The last index that was looked at, if the page ended because of its cost. */
  readonly stoppedAt?: number;
}

/** Rows that one page looks at, at most. */
const MAX_SCANNED = 20_000;
const BATCH = 128;

/**
 * Reads a page.
 *
 * @param checkTime  throws when the request has taken too long
 */
export async function scanReceipts(
  rows: RowReader,
  filter: ReceiptFilter,
  page: PageRequest,
  checkTime: () => void = () => undefined,
): Promise<ReceiptPage> {
  const bounds = await boundsOf(rows, filter, page);
  if (bounds === undefined) return { rows: [], hasMore: false };
  const indexes = candidates(rows, await bestIndex(rows, filter), bounds, page.direction);
  const { found, stoppedAt } = await collect(rows, indexes, filter, page.limit + 1, checkTime);
  const kept = found.slice(0, page.limit);
  if (page.direction === "backward") kept.reverse();
  const hasMore = found.length > page.limit || stoppedAt !== undefined;
  return { rows: kept, hasMore, ...(stoppedAt === undefined ? {} : { stoppedAt }) };
}

/** Matching rows in the order of `indexes`, until there are `wanted` or too many were looked at. */
async function collect(
  rows: RowReader,
  indexes: AsyncIterable<number>,
  filter: ReceiptFilter,
  wanted: number,
  checkTime: () => void,
): Promise<{ readonly found: readonly ReceiptRow[]; readonly stoppedAt?: number }> {
  const found: ReceiptRow[] = [];
  let scanned = 0;
  for await (const batch of batches(indexes)) {
    checkTime();
    const matching = (await readRows(rows, batch)).filter((row) => matches(row, filter));
    found.push(...matching.slice(0, wanted - found.length));
    if (found.length === wanted) return { found };
    scanned += batch.length;
    const last = batch.at(-1);
    if (scanned >= MAX_SCANNED && last !== undefined) return { found, stoppedAt: last };
  }
  return { found };
}

/** The number of receipts that match, where one count answers it; undefined otherwise. */
export async function countReceipts(rows: RowReader, filter: ReceiptFilter): Promise<number | undefined> {
  const terms = termsOf(filter);
  if (filter.from !== undefined || filter.to !== undefined || terms.length > 1) return undefined;
  const [term] = terms;
  return countOf(rows, term === undefined ? countKey("all", "") : countKey(term[0], term[1]));
}

type Term = readonly [IndexedFilter, string];

function termsOf({ values }: ReceiptFilter): readonly Term[] {
  return INDEXED_FILTERS.flatMap((filter) => {
    const value = values[filter];
    return value === undefined ? [] : [[filter, value] as const];
  });
}

async function countOf(rows: RowReader, key: string): Promise<number> {
  return (await readRow(rows, key, countRowShape))?.count ?? 0;
}

/** Prefix of the index with the fewest rows: that of the rarest filter, or all receipts if there is no filter. */
async function bestIndex(rows: RowReader, filter: ReceiptFilter): Promise<readonly string[]> {
  let best: { readonly count: number; readonly parts: readonly string[] } | undefined;
  for (const [name, value] of termsOf(filter)) {
    const count = await countOf(rows, countKey(name, value));
    if (best === undefined || count < best.count) best = { count, parts: ["f", name, value] };
  }
  return best?.parts ?? ["r"];
}

async function boundsOf(rows: RowReader, filter: ReceiptFilter, page: PageRequest): Promise<IndexBounds | undefined> {
  const time = await indexesOfTime(rows, filter.from, filter.to);
  if (time === undefined) return undefined;
  const first = Math.max(time.first, (page.after ?? -1) + 1);
  const last = Math.min(time.last, (page.before ?? Number.MAX_SAFE_INTEGER) - 1);
  return first > last ? undefined : { first, last };
}

async function* candidates(
  rows: RowReader,
  parts: readonly string[],
  { first, last }: IndexBounds,
  direction: PageRequest["direction"],
): AsyncIterable<number> {
  const all = rangeUnder(...parts);
  const after = first === 0 ? all.after : numberedKey(parts, first - 1);
  const before = last === Number.MAX_SAFE_INTEGER ? all.before : numberedKey(parts, last + 1);
  for await (const { key } of rows.range({ after, before, reverse: direction === "backward" })) yield numberOfKey(key);
}

async function* batches(indexes: AsyncIterable<number>): AsyncIterable<readonly number[]> {
  let batch: number[] = [];
  for await (const index of indexes) {
    batch.push(index);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function readRows(rows: RowReader, indexes: readonly number[]): Promise<readonly ReceiptRow[]> {
  const values = await rows.getMany(indexes.map(receiptKey));
  return values.flatMap((value) => (value === undefined ? [] : [parseRow(value, receiptRowShape)]));
}

function matches(row: ReceiptRow, filter: ReceiptFilter): boolean {
  const own = new Map<string, string>(filterValues(row));
  if (termsOf(filter).some(([name, value]) => own.get(name) !== value)) return false;
  return (filter.from === undefined || row.time >= filter.from) && (filter.to === undefined || row.time <= filter.to);
}
