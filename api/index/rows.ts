/**
 * The rows of one followed ledger: text keys in byte order, values as bytes, written in atomic batches.
 *
 * A `Draft` collects the writes of one step over what is stored, so that reading one's own writes and the atomic commit
 * need no thought. A crash leaves the whole step or nothing of it.
 */

import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { readShape, type Shape } from "../../kernel/shape.ts";

/** One stored row. */
export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A run of keys; both ends exclusive. */
export interface KeyRange {
  readonly after: string;
  readonly before: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** Reads rows. */
export interface RowReader {
  /** Values in the order of `keys`; undefined where there is none. */
  readonly getMany: (keys: readonly string[]) => Promise<readonly (Uint8Array | undefined)[]>;
  /** Rows of the range in order; a consistent view of the moment of the call. */
  readonly range: (range: KeyRange) => AsyncIterable<Row>;
}

/** Reads and writes rows. */
export interface RowStore extends RowReader {
  /**
   * Writes all rows or none, durably; a row without a value is removed.
   *
   * @throws {StoreError} ERR_STORE_WRITE, fatal
   */
  readonly write: (rows: readonly { readonly key: string; readonly value?: Uint8Array }[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

const EMPTY = new Uint8Array(0);

/** Reads one row by a shape; undefined if there is none. @throws {FormatError} ERR_SHAPE, ERR_JSON_* for a damaged row */
export async function readRow<T>(reader: RowReader, key: string, shape: Shape<T>): Promise<T | undefined> {
  const [value] = await reader.getMany([key]);
  return value === undefined ? undefined : parseRow(value, shape);
}

/** The value of a row. @throws {FormatError} ERR_SHAPE, ERR_JSON_* */
export function parseRow<T>(value: Uint8Array, shape: Shape<T>): T {
  return readShape(shape, parseJson(value), "row");
}

/** Writes of one step that are not yet stored, over the rows that are. JSON rows become bytes once, when all is stored. */
export class Draft {
  readonly #store: RowStore;
  readonly #bytes = new Map<string, Uint8Array | undefined>();
  readonly #json = new Map<string, JsonObject>();
  readonly #fetched = new Map<string, Uint8Array | undefined>();

  constructor(store: RowStore) {
    this.#store = store;
  }

  /** Reads stored rows at once that will be asked for one by one. */
  async prefetch(keys: readonly string[]): Promise<void> {
    const values = await this.#store.getMany(keys);
    keys.forEach((key, i) => {
      this.#fetched.set(key, values[i]);
    });
  }

  /** Says that nothing is stored under the key, so that nobody has to look. */
  assumeMissing(key: string): void {
    this.#fetched.set(key, undefined);
  }

  /** The value as this draft leaves it. */
  async get(key: string): Promise<Uint8Array | undefined> {
    const json = this.#json.get(key);
    if (json !== undefined) return canonicalBytes(json);
    if (this.#bytes.has(key)) return this.#bytes.get(key);
    if (this.#fetched.has(key)) return this.#fetched.get(key);
    const [value] = await this.#store.getMany([key]);
    return value;
  }

  /** The row as this draft leaves it, by its shape. */
  async read<T>(key: string, shape: Shape<T>): Promise<T | undefined> {
    const json = this.#json.get(key);
    if (json !== undefined) return readShape(shape, json, "row");
    const value = await this.get(key);
    return value === undefined ? undefined : parseRow(value, shape);
  }

  /** Writes bytes. */
  put(key: string, value: Uint8Array = EMPTY): void {
    this.#json.delete(key);
    this.#bytes.set(key, value);
  }

  /** Writes a JSON row. */
  putJson(key: string, value: JsonObject): void {
    this.#bytes.delete(key);
    this.#json.set(key, value);
  }

  /** Removes a row. */
  remove(key: string): void {
    this.#json.delete(key);
    this.#bytes.set(key, undefined);
  }

  /** Stores everything at once. @throws {StoreError} ERR_STORE_WRITE, fatal */
  async commit(): Promise<void> {
    const rows = [...this.#bytes].map(([key, value]) => (value === undefined ? { key } : { key, value }));
    const json = [...this.#json].map(([key, value]) => ({ key, value: canonicalBytes(value) }));
    await this.#store.write([...rows, ...json]);
    this.#bytes.clear();
    this.#json.clear();
    this.#fetched.clear();
  }
}
