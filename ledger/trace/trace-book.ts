/**
 * What the log knows of names and revocations. Rebuilt from the entries and kept in the index between runs:
 *
 *     n/<name>      → u64 index of the trust record that has the name
 *     m/<name>      → u64 index of the reservation, u64 milliseconds of its expiry, its stream
 *     x/<name>      → u64 index of the expiry
 *     r/<index>     → nothing: the entry at the index (20 digits) is a revocation
 *
 * Rows that the index has not taken yet are held in memory.
 */

import { concat, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { parseTimestamp, timestampMs } from "../../kernel/time.ts";
import { nameInLog } from "../../kernel/trace/entry-name.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { EntryReplay } from "../recovery/catch-up-index.ts";
import type { IndexRow, RowReader } from "../sequence/index-store.ts";

const INDEX_DIGITS = 20;
const NOTHING = new Uint8Array(0);

/** A reserved name. */
export interface Reservation {
  readonly index: bigint;
  readonly expiresMs: number;
  readonly stream: string;
}

/** What a name stands for. */
export interface NameState {
  /** Index of the record that has the name. */
  readonly record?: bigint;
  readonly reservation?: Reservation;
  /** Index of the entry that ended the reservation. */
  readonly expiry?: bigint;
}

interface RecentRow {
  readonly value: Uint8Array;
  readonly index: bigint;
}

/** Names and revocations of the log of `origin`. */
export class TraceBook implements EntryReplay {
  readonly #origin: string;
  readonly #isHolding: boolean;
  readonly #recent = new Map<string, RecentRow>();
  #store: RowReader | undefined;

  /** @param isHolding  false where the store has the rows of an entry as soon as it is durable */
  constructor(origin: string, isHolding = true) {
    this.#origin = origin;
    this.#isHolding = isHolding;
  }

  load(store: RowReader): Promise<void> {
    this.#store = store;
    return Promise.resolve();
  }

  /** Rows that an entry adds; the first record with a name has it. Admission lets no second one in. */
  replay(entry: Uint8Array, index: bigint): readonly IndexRow[] {
    const found = classifyEntry(entry);
    if (found.form === "revocation") return [{ key: `r/${padded(index)}`, value: NOTHING }];
    if (found.form === "trust-record") return this.#recordRows(found.value, index);
    if (found.form !== "envelope") return [];
    const { name, stream, expires } = found.value;
    if (typeof name !== "string") return [];
    if (found.kind === "name-expiry") return [{ key: `x/${name}`, value: formatUint64(index) }];
    if (found.kind !== "name-reservation" || typeof stream !== "string" || typeof expires !== "string") return [];
    const expiresMs = formatUint64(BigInt(timestampMs(parseTimestamp(expires))));
    return [{ key: `m/${name}`, value: concat(formatUint64(index), expiresMs, formatUtf8(stream)) }];
  }

  /**
   * Holds rows of a durable entry until the index has them.
   *
   * @param covered  size of the log that the index covers: rows below it are in the store
   */
  remember(rows: readonly IndexRow[], index: bigint, covered: bigint): void {
    for (const [key, row] of this.#recent) {
      if (row.index >= covered) break;
      this.#recent.delete(key);
    }
    if (!this.#isHolding) return;
    for (const { key, value } of rows) this.#recent.set(key, { value, index });
  }

  /** What `name` stands for; no member for a name that nothing stands for. */
  async lookUp(name: string): Promise<NameState> {
    const [record, reservation, expiry] = [
      await this.#row(`n/${name}`),
      await this.#row(`m/${name}`),
      await this.#row(`x/${name}`),
    ];
    return {
      ...(record === undefined ? {} : { record: readUint64(record, 0) }),
      ...(reservation === undefined ? {} : { reservation: readReservation(reservation) }),
      ...(expiry === undefined ? {} : { expiry: readUint64(expiry, 0) }),
    };
  }

  /** Indexes of revocations from `from` on, in log order, at most `limit`. */
  async revocations(from: bigint, limit: number): Promise<readonly bigint[]> {
    // Before the store is read: a row that moves there meanwhile is found here, and counts once.
    const recent = [...this.#recent].flatMap(([key, row]) => (key.startsWith("r/") ? [row.index] : []));
    const found = new Set<bigint>();
    for await (const { key } of this.#store?.rows(`r/${padded(from)}`, "r0") ?? []) {
      if (found.size >= limit) break;
      found.add(BigInt(key.slice(2)));
    }
    for (const index of recent) if (index >= from) found.add(index);
    return [...found].sort((a, b) => (a < b ? -1 : 1)).slice(0, limit);
  }

  #recordRows({ transparency }: JsonObject, index: bigint): readonly IndexRow[] {
    const name = typeof transparency === "string" ? nameInLog(transparency, this.#origin) : undefined;
    return name === undefined ? [] : [{ key: `n/${name}`, value: formatUint64(index) }];
  }

  async #row(key: string): Promise<Uint8Array | undefined> {
    const recent = this.#recent.get(key);
    return recent === undefined ? (await this.#store?.lastRow(key, key))?.value : recent.value;
  }
}

/** Replays receipts and registrations into one book, and what is none of them into the other. */
export function replayBoth(streams: StreamBook, traces: TraceBook): EntryReplay {
  return {
    load: async (store) => {
      await streams.load(store);
      await traces.load(store);
    },
    replay: (entry, index) => {
      const rows = streams.replay(entry, index);
      return rows.length > 0 ? rows : traces.replay(entry, index);
    },
  };
}

function padded(index: bigint): string {
  return index.toString().padStart(INDEX_DIGITS, "0");
}

function readUint64({ buffer, byteOffset, byteLength }: Uint8Array, at: number): bigint {
  return new DataView(buffer, byteOffset, byteLength).getBigUint64(at);
}

function readReservation(row: Uint8Array): Reservation {
  return {
    index: readUint64(row, 0),
    expiresMs: Number(readUint64(row, 8)),
    stream: parseUtf8(row.subarray(16)),
  };
}
