/** What fsck found: faults, each with its file, place and code, and remarks on what is no fault. */

import type { ErrorCode } from "../../kernel/error-codes.ts";

/** One fault of a data folder. */
export interface Fault {
  /** The file, relative to the data folder. */
  readonly path: string;
  readonly code: ErrorCode;
  /** Byte of the file at which the fault is, or where what is faulty begins. */
  readonly offset?: number;
  /** 0-based index of the entry that is concerned. */
  readonly index?: bigint;
  readonly message: string;
}

/** Something to know that is no fault: what was not checked, what a crash left. */
export interface Remark {
  readonly path: string;
  readonly message: string;
}

/** Faults that are kept one by one; all are counted. */
const MAX_KEPT = 10_000;

/** Collects faults and remarks; mutable. */
export class Findings {
  readonly faults: Fault[] = [];
  readonly remarks: Remark[] = [];
  #count = 0;

  /** Number of faults, those that were not kept included. */
  get count(): number {
    return this.#count;
  }

  /** Adds a fault. */
  add(fault: Fault): void {
    this.#count += 1;
    if (this.faults.length < MAX_KEPT) this.faults.push(fault);
  }

  /** Adds a remark. */
  remark(path: string, message: string): void {
    if (this.remarks.length < MAX_KEPT) this.remarks.push({ path, message });
  }

  /** True if entries themselves are damaged or missing: what is only derived from them cannot be judged then. */
  get hasDamagedEntries(): boolean {
    return this.faults.some(({ path }) =>
      /^(?:wal|tile\/entries|database\/batch|database\/sequence)(?:\/|$)/u.test(path),
    );
  }

  /** True if a fault of this file was found. */
  names(path: string): boolean {
    return this.faults.some((fault) => fault.path === path);
  }
}
