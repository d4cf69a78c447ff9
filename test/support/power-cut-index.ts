/**
 * An index in memory whose writes are steps of a `PowerCutDisk`. After a power cut it is as bad as index-store.ts allows: any of the
 * updates that no sync covered may be missing, also one between two others, while the watermark is that of the newest that is there.
 */

import type { IndexUpdate } from "../../ledger/sequence/index-store.ts";
import { MemoryIndex } from "./ledger-memory.ts";
import type { PowerCutDisk, Survives } from "./power-cut-disk.ts";

/** What is on the platter: updates that a sync covered, and those that none did, in their order. */
interface Written {
  readonly covered: readonly IndexUpdate[];
  readonly unsynced: readonly IndexUpdate[];
  /** Size that the last sync recorded. */
  readonly durable: bigint;
}

const NOTHING: Written = { covered: [], unsynced: [], durable: 0n };

/** The index of one process. */
export class PowerCutIndex extends MemoryIndex {
  readonly #disk: PowerCutDisk;
  #written: Written;

  constructor(disk: PowerCutDisk, written: Written = NOTHING) {
    super();
    [this.#disk, this.#written] = [disk, written];
    for (const { rows, watermark } of [...written.covered, ...written.unsynced]) {
      for (const { key, value } of rows) this.table.set(key, value);
      this.watermark = watermark;
    }
    this.durable = this.watermark;
    if (written.durable < this.watermark) this.durable = written.durable;
  }

  /** What the next process finds. @param survives  where the power was cut: asked of each update that no sync covered */
  next(disk: PowerCutDisk, survives?: Survives): PowerCutIndex {
    if (survives === undefined) return new PowerCutIndex(disk, this.#written);
    const { covered, unsynced, durable } = this.#written;
    return new PowerCutIndex(disk, { covered: [...covered, ...unsynced.filter(survives)], unsynced: [], durable });
  }

  /** One batch: all of it, or nothing. */
  override write(update: IndexUpdate): Promise<void> {
    return this.#disk.step("write index", (part) => {
      if (part !== "all") return;
      this.#written = { ...this.#written, unsynced: [...this.#written.unsynced, update] };
      void super.write(update);
    });
  }

  /** In two halves: what was written, then the size that it covers. */
  override sync(): Promise<void> {
    return this.#disk.step("sync index", (part) => {
      if (part === "nothing") return;
      const { covered, unsynced, durable } = this.#written;
      const size = part === "all" ? this.watermark : durable;
      this.#written = { covered: [...covered, ...unsynced], unsynced: [], durable: size };
      this.durable = size;
    });
  }

  override clear(): Promise<void> {
    return this.#disk.step("clear index", (part) => {
      if (part === "nothing") return;
      this.#written = NOTHING;
      void super.clear();
    });
  }
}
