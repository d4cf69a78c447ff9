/**
 * Where the receipts of a time range stand in the log. Gateways' clocks differ, so times are not in the order of
 * indexes; each day and each minute remembers the first and the last index of its receipts.
 */

import { bucketKey } from "./keys.ts";
import { type BucketRow, bucketRowShape } from "./row-shapes.ts";
import { parseRow, type Row, type RowReader, readRow } from "./rows.ts";

/** Indexes from `first` to `last`, both inclusive. */
export interface IndexBounds {
  readonly first: number;
  readonly last: number;
}

const DAY = "YYYY-MM-DD".length;
const MINUTE = "YYYY-MM-DDTHH:MM".length;
const ALL: IndexBounds = { first: 0, last: Number.MAX_SAFE_INTEGER };
/** Below and above every time. */
const FIRST_TIME = "0000-01-01T00:00";
const LAST_TIME = "9999-12-31T23:59";

/**
 * Bounds of the receipts with a time from `from` to `to`; undefined if there are none. Reads at most two days' minutes
 * and one row for each day between.
 */
export async function indexesOfTime(
  rows: RowReader,
  from: string | undefined,
  to: string | undefined,
): Promise<IndexBounds | undefined> {
  if (from === undefined && to === undefined) return ALL;
  const [start, end] = [(from ?? FIRST_TIME).slice(0, MINUTE), (to ?? LAST_TIME).slice(0, MINUTE)];
  if (start > end) return undefined;
  const [startDay, endDay] = [start.slice(0, DAY), end.slice(0, DAY)];
  if (startDay === endDay) return widest(await minutes(rows, start, end));
  const between = rows.range({ after: bucketKey("d", startDay), before: bucketKey("d", endDay) });
  return widest([
    ...(await minutes(rows, start, `${startDay}T23:59`)),
    ...(await readBuckets(between)),
    ...(await minutes(rows, `${endDay}T00:00`, end)),
  ]);
}

/** The buckets of the minutes from `from` to `to`, both inclusive. */
async function minutes(rows: RowReader, from: string, to: string): Promise<readonly BucketRow[]> {
  const first = await readRow(rows, bucketKey("m", from), bucketRowShape);
  const rest = await readBuckets(rows.range({ after: bucketKey("m", from), before: `${bucketKey("m", to)}\u0001` }));
  return first === undefined ? rest : [first, ...rest];
}

async function readBuckets(range: AsyncIterable<Row>): Promise<readonly BucketRow[]> {
  const buckets: BucketRow[] = [];
  for await (const { value } of range) buckets.push(parseRow(value, bucketRowShape));
  return buckets;
}

function widest(buckets: readonly BucketRow[]): IndexBounds | undefined {
  if (buckets.length === 0) return undefined;
  return { first: Math.min(...buckets.map(({ first }) => first)), last: Math.max(...buckets.map(({ last }) => last)) };
}
