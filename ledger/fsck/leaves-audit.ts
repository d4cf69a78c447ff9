/**
 * Checks every byte of the leaf tables against the log: checksums, order, and that the records of a table are those of the leaves
 * that it covers, each once.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";
import { type LeafRange, parseTableName, RECORD_BYTES } from "../leaves/leaf-table.ts";
import { LEAVES_FOLDER } from "../leaves/leaf-tables.ts";
import { OpenTable } from "../leaves/open-table.ts";
import type { Fault, Findings } from "./finding.ts";

/** A table, and what the walk has seen of its range. */
interface Audited extends LeafRange {
  readonly path: string;
  /** The two first words of each leaf. */
  readonly words: Uint32Array;
  readonly root: CompactRange;
}

/** A table that the walk has not reached. */
interface TableAhead {
  readonly path: string;
  readonly range: LeafRange;
}

/** Follows the walk over the log; mutable. Holds 8 bytes for each leaf of the table that the walk is in. */
export class LeavesAudit {
  readonly #dataDir: string;
  readonly #findings: Findings;
  /** Tables that the walk has not passed, in the order of the log. */
  #ahead: readonly TableAhead[];
  #current: Audited | undefined;
  readonly #complaints: Fault[] = [];

  private constructor(dataDir: string, findings: Findings, ahead: readonly TableAhead[]) {
    [this.#dataDir, this.#findings, this.#ahead] = [dataDir, findings, ahead];
  }

  /** Looks which tables there are. */
  static async open(dataDir: string, findings: Findings): Promise<LeavesAudit> {
    const names = await readdir(join(dataDir, LEAVES_FOLDER)).catch(() => []);
    const tables = names.flatMap((name) => {
      const range = parseTableName(name);
      return range === undefined ? [] : [{ path: `${LEAVES_FOLDER}/${name}`, range }];
    });
    tables.sort((a, b) => a.range.first - b.range.first || b.range.count - a.range.count);
    for (const name of names) {
      if (parseTableName(name) === undefined)
        findings.remark(`${LEAVES_FOLDER}/${name}`, "no leaf table; a start removes it");
    }
    let end = 0;
    const used: TableAhead[] = [];
    const covered: TableAhead[] = [];
    for (const table of tables) {
      (table.range.first < end ? covered : used).push(table);
      end = Math.max(end, table.range.first + table.range.count);
    }
    for (const { path } of covered) findings.remark(path, "a larger one covers it; a start removes it");
    return new LeavesAudit(dataDir, findings, used);
  }

  /** Takes the next leaf of the log; undefined where its entry is missing or damaged. */
  async take(index: number, leaf: LeafHash | undefined): Promise<void> {
    this.#current ??= this.#begin(index);
    const table = this.#current;
    if (table === undefined) return;
    if (leaf !== undefined) {
      const view = new DataView(leaf.buffer, leaf.byteOffset, leaf.byteLength);
      const at = 2 * (index - table.first);
      table.words[at] = view.getUint32(0);
      table.words[at + 1] = view.getUint32(4);
      table.root.append(leaf);
    }
    if (index + 1 < table.first + table.count) return;
    this.#current = undefined;
    await this.#judge(table);
  }

  /** Call it behind the last entry. Where entries are damaged, tables differ because of that, and are not judged. */
  finish(size: bigint): void {
    for (const { path } of this.#current === undefined ? this.#ahead : [this.#current, ...this.#ahead]) {
      const message = `it goes beyond the ${size} entries of the log: it is of another log, or entries are lost`;
      this.#findings.add({ path, code: "ERR_LOG_BEHIND", message });
    }
    const [first] = this.#complaints;
    if (!this.#findings.hasDamagedEntries) for (const fault of this.#complaints) this.#findings.add(fault);
    else if (first !== undefined) this.#findings.remark(first.path, `differs from the damaged log: ${first.message}`);
  }

  /** The table that begins here, if one does. */
  #begin(index: number): Audited | undefined {
    const [next] = this.#ahead;
    if (next?.range.first !== index) return undefined;
    this.#ahead = this.#ahead.slice(1);
    const words = new Uint32Array(2 * next.range.count);
    return { ...next.range, path: next.path, words, root: CompactRange.empty() };
  }

  async #judge(table: Audited): Promise<void> {
    let open: OpenTable | undefined;
    try {
      open = await OpenTable.open(join(this.#dataDir, table.path), table);
      if (!equalBytes(open.root, table.root.root())) this.#add(table, "its root is not that of the leaves");
      await this.#judgeRecords(table, open);
    } catch (error) {
      this.#add(table, isCodedError(error) ? error.message : String(error));
    } finally {
      await open?.close();
    }
  }

  async #judgeRecords(table: Audited, open: OpenTable): Promise<void> {
    let last: readonly [number, number, number] = [0, 0, -1];
    for await (const page of open.pages()) {
      for (let at = 0; at < page.byteLength; at += RECORD_BYTES) {
        const [high, low, offset] = [page.getUint32(at), page.getUint32(at + 4), page.getUint32(at + 8)];
        const isRight = table.words[2 * offset] === high && table.words[2 * offset + 1] === low;
        // As many records as leaves, each greater than the one before: so each leaf has its own.
        if (!isRight || !isBelow(last, [high, low, offset])) {
          this.#add(table, `the record of leaf ${table.first + offset} is not that of the log`, table.first + offset);
          return;
        }
        last = [high, low, offset];
      }
    }
  }

  #add({ path }: Audited, message: string, index?: number): void {
    const place = index === undefined ? {} : { index: BigInt(index) };
    this.#complaints.push({ path, code: "ERR_INDEX_ROW", ...place, message });
  }
}

function isBelow(a: readonly [number, number, number], b: readonly [number, number, number]): boolean {
  return a[0] < b[0] || (a[0] === b[0] && (a[1] < b[1] || (a[1] === b[1] && a[2] < b[2])));
}
