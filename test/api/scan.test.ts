import { describe, expect, it } from "vitest";
import { bucketKey, countKey, filterKey, receiptKey } from "../../api/index/keys.ts";
import { filterValues } from "../../api/index/receipt-row.ts";
import { countReceipts, type ReceiptFilter, scanReceipts } from "../../api/index/receipt-scan.ts";
import type { ReceiptRow } from "../../api/index/row-shapes.ts";
import { Draft, type KeyRange } from "../../api/index/rows.ts";
import { indexesOfTime } from "../../api/index/time-index.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { MemoryRows } from "../support/memory-rows.ts";
import { hex64 } from "../support/receipts.ts";

const PASS = { verdict: "pass" } as const;
const START = Date.UTC(2024, 1, 27, 22, 0);

/** Every 20,000th receipt is of the rare tool; times are an hour apart, and every tenth clock is a day late. */
function rowAt(index: number, hourly: boolean): ReceiptRow {
  const late = index % 10 === 3 ? 86_400_000 : 0;
  return {
    index,
    leaf: hex64(1),
    stream: hex64(2),
    seq: index,
    kind: "decision",
    time: formatTimestamp(START + index * (hourly ? 3_600_000 : 1) - late),
    tool: index % 20_000 === 0 ? "rare" : "common",
    server: index % 2 === 0 ? "even" : "odd",
    action: "forward",
    checks: { inclusion: PASS, signature: PASS, continuity: PASS },
  };
}

/** A store of `count` rows with their secondary indexes, as the follower would leave it. */
async function makeRows(count: number, hourly: boolean): Promise<{ store: CountingRows; rows: readonly ReceiptRow[] }> {
  const store = new CountingRows();
  const draft = new Draft(store);
  const counts = new Map<string, number>();
  const buckets = new Map<string, { first: number; last: number }>();
  const rows = Array.from({ length: count }, (_, index) => rowAt(index, hourly));
  for (const row of rows) {
    draft.putJson(receiptKey(row.index), row);
    for (const [filter, value] of filterValues(row)) {
      draft.put(filterKey(filter, value, row.index));
      counts.set(countKey(filter, value), (counts.get(countKey(filter, value)) ?? 0) + 1);
    }
    for (const key of [bucketKey("d", row.time.slice(0, 10)), bucketKey("m", row.time.slice(0, 16))]) {
      buckets.set(key, { first: buckets.get(key)?.first ?? row.index, last: row.index });
    }
  }
  for (const [key, value] of counts) draft.putJson(key, { count: value });
  for (const [key, value] of buckets) draft.putJson(key, value);
  await draft.commit();
  store.seal();
  return { store, rows };
}

/** Counts the rows that are read. Sorted once: scans of large tables stay quick. */
class CountingRows extends MemoryRows {
  reads = 0;
  #sorted: readonly string[] = [];

  seal(): void {
    this.#sorted = [...this.table.keys()].toSorted();
  }

  override readonly getMany = async (keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> => {
    this.reads += keys.length;
    return keys.map((key) => this.table.get(key));
  };

  override readonly range = (range: KeyRange): ReturnType<MemoryRows["range"]> => this.#walk(range);

  async *#walk({ after, before, reverse = false, limit = -1 }: KeyRange): ReturnType<MemoryRows["range"]> {
    const keys = this.#sorted.filter((key) => key > after && key < before);
    if (reverse) keys.reverse();
    for (const key of limit < 0 ? keys : keys.slice(0, limit)) {
      this.reads += 1;
      yield { key, value: this.table.get(key) ?? new Uint8Array() };
    }
  }
}

describe("a page of receipts", () => {
  // One more page than may be walked for one request; made once, and left as it is.
  const large = makeRows(20_500, false);

  it("is read from the index of its rarest filter, not from all receipts", async () => {
    const { store } = await large;
    store.reads = 0;
    const page = await scanReceipts(
      store,
      { values: { kind: "decision", tool: "rare", server: "even" } },
      { limit: 10, direction: "forward" },
    );
    expect(page.rows.map(({ index }) => index)).toEqual([0, 20_000]);
    expect(page.hasMore).toBe(false);
    expect(store.reads).toBeLessThan(20);
  });

  it("ends after 20,000 rows that do not match, and goes on where it stopped", async () => {
    const store = new CountingRows(new Map((await large).store.table));
    store.seal();
    const filter: ReceiptFilter = { values: {}, from: formatTimestamp(START + 20_400) };
    // One receipt with a wrong clock makes the whole log a candidate.
    store.table.set(bucketKey("m", "2024-02-27T22:00"), new TextEncoder().encode('{"first":0,"last":20499}'));
    const page = await scanReceipts(store, filter, { limit: 5, direction: "forward" });
    expect(page).toMatchObject({ rows: [], hasMore: true });
    const next = await scanReceipts(store, filter, { limit: 5, direction: "forward", after: page.stoppedAt ?? -1 });
    expect(next.rows[0]?.index).toBe(20_400);
  });

  it("is cut off when the request has taken too long", async () => {
    const { store } = await makeRows(500, false);
    const late = (): void => {
      throw new Error("late");
    };
    await expect(scanReceipts(store, { values: {} }, { limit: 1, direction: "forward" }, late)).rejects.toThrow("late");
  });

  it("equals a plain search, for every filter and time range, forward and backward", async () => {
    const { store, rows } = await makeRows(120, true);
    const times = [0, 1, 5, 30, 49, 80, 119, 400].map((hours) =>
      formatTimestamp(START + hours * 3_600_000 - 3_600_000),
    );
    for (const from of [undefined, ...times]) {
      for (const to of [undefined, ...times]) {
        for (const server of [undefined, "even"]) {
          const filter = { values: server === undefined ? {} : { server }, ...(from && { from }), ...(to && { to }) };
          const want = rows
            .filter(
              (row) =>
                (server === undefined || row.server === server) &&
                (!from || row.time >= from) &&
                (!to || row.time <= to),
            )
            .map(({ index }) => index);
          for (const direction of ["forward", "backward"] as const) {
            const { rows: got } = await scanReceipts(store, filter, { limit: 1000, direction });
            expect(got.map(({ index }) => index)).toEqual(want);
          }
        }
      }
    }
  });

  it("knows that nothing is in an empty range, without reading receipts", async () => {
    const { store } = await makeRows(10, true);
    expect(await indexesOfTime(store, "2030-01-01T00:00:00.000Z", "2030-12-31T00:00:00.000Z")).toBe(undefined);
    expect(await countReceipts(store, { values: {}, from: "2030-01-01T00:00:00.000Z" })).toBe(undefined);
  });
});
