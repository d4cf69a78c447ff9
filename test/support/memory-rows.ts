/** Rows in memory, with a write that can be cut off. */

import type { KeyRange, Row, RowStore } from "../../api/index/rows.ts";

/** A store that survives its "process": make another one of the same map. */
export class MemoryRows implements RowStore {
  readonly table: Map<string, Uint8Array>;
  /** Writes until the process dies; undefined: it lives. A dying write leaves all or nothing. */
  livesFor: number | undefined;
  readonly dyingWrite: "lost" | "kept";

  constructor(table: Map<string, Uint8Array> = new Map(), dyingWrite: "lost" | "kept" = "lost") {
    this.table = table;
    this.dyingWrite = dyingWrite;
  }

  readonly getMany = async (keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> =>
    keys.map((key) => this.table.get(key));

  readonly range = (range: KeyRange): AsyncIterable<Row> => this.#iterate(range);

  readonly write = async (rows: readonly { readonly key: string; readonly value?: Uint8Array }[]): Promise<void> => {
    const isDying = this.livesFor === 0;
    if (this.livesFor !== undefined) this.livesFor -= 1;
    if (!isDying || this.dyingWrite === "kept") {
      for (const { key, value } of rows) {
        if (value === undefined) this.table.delete(key);
        else this.table.set(key, value);
      }
    }
    if (isDying) throw new Error("killed");
  };

  readonly close = async (): Promise<void> => undefined;

  async *#iterate({ after, before, reverse = false, limit = -1 }: KeyRange): AsyncIterable<Row> {
    const keys = [...this.table.keys()].filter((key) => key > after && key < before).toSorted();
    if (reverse) keys.reverse();
    for (const key of limit < 0 ? keys : keys.slice(0, limit)) {
      const value = this.table.get(key);
      if (value !== undefined) yield { key, value };
    }
  }
}
