/**
 * Leaf tables whose making is a step of a `PowerCutDisk`, in a folder of their own for each process. A table is durable once it is
 * made, and its removal is not: after a power cut any that was removed may be there again, beside the one that replaced it. One whose
 * making failed in the middle has half of its bytes, under its name.
 */

import { cpSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { LEAVES_FOLDER, LeafTables } from "../../ledger/leaves/leaf-tables.ts";
import { makeInlineTableMaker, type TableMaker } from "../../ledger/leaves/table-thread.ts";
import { buildTable, mergeTables } from "../../ledger/leaves/table-writer.ts";
import type { PowerCutDisk, Survives } from "./power-cut-disk.ts";

const RUN_ENTRIES = 256;

/** The tables of one process. */
export class PowerCutTables {
  readonly store: LeafTables;
  readonly #root: string;
  readonly #folder: string;
  readonly #made: Map<string, Uint8Array>;

  /**
   * @param root  a folder that the test removes
   * @param number  of the process: its folder in there
   */
  constructor(disk: PowerCutDisk, root: string, number = 0, made: ReadonlyMap<string, Uint8Array> = new Map()) {
    [this.#root, this.#folder, this.#made] = [root, join(root, String(number)), new Map(made)];
    mkdirSync(join(this.#folder, LEAVES_FOLDER), { recursive: true });
    const maker: TableMaker = {
      ...makeInlineTableMaker(),
      build: (job) => this.#make(disk, "table", job.path, () => buildTable(job)),
      merge: (job) => this.#make(disk, "merged table", job.path, () => mergeTables(job)),
    };
    this.store = new LeafTables({ dataDir: this.#folder, maker, runEntries: RUN_ENTRIES });
  }

  /** What the next process finds. @param survives  where the power was cut: asked of each table that was removed */
  next(disk: PowerCutDisk, number: number, survives?: Survives): PowerCutTables {
    const tables = new PowerCutTables(disk, this.#root, number, this.#made);
    cpSync(this.#folder, tables.#folder, { recursive: true });
    for (const [name, bytes] of this.#made) {
      const path = join(tables.#folder, LEAVES_FOLDER, name);
      if (survives !== undefined && !existsSync(path) && survives()) writeFileSync(path, bytes);
    }
    return tables;
  }

  #make(disk: PowerCutDisk, what: string, path: string, make: () => void): Promise<void> {
    return disk.step(`${what} ${basename(path)}`, (part) => {
      if (part === "nothing") return;
      make();
      const bytes = readFileSync(path);
      this.#made.set(basename(path), bytes);
      if (part === "half") truncateSync(path, bytes.length >> 1);
    });
  }
}
