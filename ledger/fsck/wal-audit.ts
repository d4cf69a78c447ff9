/**
 * Reads every frame of the write-ahead log and goes on behind a bad one. What is free in these files, because it holds
 * no truth: the files of wal-spares.ts as a whole, and in the last file what stands behind the last batch (zeros, or what an earlier
 * use of the file left there). Every frame carries the salt of the log; where its own file is lost, the first readable
 * frame of the oldest file shows it, so that the batches are checked all the same.
 */

import {
  countEntries,
  type FoundFrame,
  FRAME_HEADER_BYTES,
  FRAME_OFFSETS,
  PAYLOAD_HEADER_BYTES,
  readFrame,
  type WalRecord,
} from "../storage/wal-frame.ts";
import { parseSalt, SALT_PATH } from "../storage/wal-salt.ts";
import { findNewerFrame, firstPosition, isTornBatch } from "../storage/wal-scan.ts";
import { isSparePath } from "../storage/wal-spares.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";

const NAME = /^wal\/(\d{16})\.wal$/;

/** One batch, and where it stands. */
export interface WalPart {
  readonly path: string;
  /** Byte of the frame in its file. */
  readonly offset: number;
  /** Index of its first entry. */
  readonly firstIndex: bigint;
  readonly entries: readonly Uint8Array[];
  /** Segments and refused receipts. */
  readonly beside: readonly WalRecord[];
}

/** Walks the write-ahead log; `next` is known once the walk has ended. */
export class WalAudit {
  readonly #folder: DataFolder;
  readonly #findings: Findings;
  /** What the next batch must be; its index is unknown behind damage at the very start. */
  #next: { readonly batch: bigint; readonly index: bigint | undefined } | undefined;
  #last: { readonly path: string; readonly end: number } | undefined;
  #salt = 0n;

  constructor(folder: DataFolder, findings: Findings) {
    this.#folder = folder;
    this.#findings = findings;
  }

  /** Size of the log by its last batch; undefined if no batch could be read. */
  get size(): bigint | undefined {
    return this.#next?.index;
  }

  /** All readable batches, in order. */
  async *parts(): AsyncGenerator<WalPart, void, undefined> {
    const paths = await this.#folder.list("wal");
    const files = paths.filter((path) => NAME.test(path));
    for (const path of paths) if (!NAME.test(path) && !isSparePath(path) && path !== SALT_PATH) this.#addStray(path);
    if (files.length === 0) this.#damage("wal", 0, "no file says where the log goes on");
    this.#salt = await this.#readSalt(files[0]);
    for (const path of files) yield* this.#file(path, path === files.at(-1));
  }

  /** The salt of the log, or, if its file is damaged, the one that the oldest frame carries. */
  async #readSalt(oldest: string | undefined): Promise<bigint> {
    const bytes = await this.#folder.read(SALT_PATH);
    const salt = bytes === undefined ? undefined : parseSalt(bytes);
    if (salt !== undefined) return salt;
    if (bytes !== undefined || oldest !== undefined) {
      const what = bytes === undefined ? "the file is missing" : "the file is damaged";
      this.#damage(SALT_PATH, 0, `${what}; the batches are read with the salt that the oldest one carries`);
    }
    const first = oldest === undefined ? undefined : await this.#folder.read(oldest);
    if (first === undefined || first.length < FRAME_HEADER_BYTES + PAYLOAD_HEADER_BYTES) return 0n;
    return new DataView(first.buffer, first.byteOffset, first.byteLength).getBigUint64(FRAME_OFFSETS.salt);
  }

  async *#file(path: string, isLast: boolean): AsyncGenerator<WalPart, void, undefined> {
    const bytes = await this.#folder.read(path);
    const named = BigInt(NAME.exec(path)?.[1] ?? 0);
    this.#begin(path, named, bytes);
    if (bytes === undefined) return;
    let offset = 0;
    for (;;) {
      const found = this.#findFrame(path, bytes, offset);
      if (found === undefined) break;
      const { at, frame } = found;
      this.#accept(path, at, frame);
      offset = at + frame.length;
      yield {
        path,
        offset: at,
        firstIndex: frame.firstIndex,
        entries: frame.records.filter(({ kind }) => kind === "entry").map((record) => record.bytes),
        beside: frame.records.filter(({ kind }) => kind !== "entry"),
      };
    }
    this.#last = { path, end: offset };
    if (isLast) this.#judgeEnd(path, bytes, offset);
  }

  /** A file goes on where the one before it ended: if it does not, that one has lost batches at its end. */
  #begin(path: string, named: bigint, bytes: Uint8Array | undefined): void {
    const next = this.#next;
    if (next !== undefined && next.batch < named) {
      const { path: where, end } = this.#last ?? { path, end: 0 };
      this.#damage(where, end, `batches ${next.batch} to ${named - 1n} cannot be read`);
    } else if (next !== undefined && next.batch > named) {
      this.#damage(path, 0, `want batch ${next.batch} in the next file`);
    }
    const isJoined = next?.batch === named;
    const first = bytes === undefined ? undefined : firstPosition(bytes, this.#salt);
    const index = isJoined ? next.index : first?.batch === named ? first.index : named === 1n ? 0n : undefined;
    this.#next = { batch: named, index };
  }

  /** The frame at `offset`, or the next readable one behind damage; undefined at the end. */
  #findFrame(path: string, bytes: Uint8Array, offset: number): { at: number; frame: FoundFrame } | undefined {
    const batch = this.#next?.batch ?? 1n;
    const frame = readFrame(bytes, offset, this.#salt);
    if (frame !== undefined && frame.batch === batch) return { at: offset, frame };
    const at = findNewerFrame(bytes, offset, batch, this.#salt);
    const newer = at === undefined ? undefined : readFrame(bytes, at, this.#salt);
    if (at === undefined || newer === undefined) return undefined;
    this.#damage(path, offset, `batch ${batch} cannot be read; batch ${newer.batch} stands at byte ${at}`);
    this.#next = { batch: newer.batch, index: newer.firstIndex };
    return { at, frame: newer };
  }

  #accept(path: string, offset: number, frame: FoundFrame): void {
    const want = this.#next?.index;
    if (want !== undefined && want !== frame.firstIndex) {
      this.#damage(path, offset, `want entry ${want}, got ${frame.firstIndex}`);
    }
    this.#next = { batch: frame.batch + 1n, index: frame.firstIndex + countEntries(frame.records) };
  }

  /** Behind the last batch stands nothing, or the rest of an earlier use. */
  #judgeEnd(path: string, bytes: Uint8Array, offset: number): void {
    const next = this.#next;
    if (next === undefined) return;
    if (!isTornBatch(bytes, offset, { batch: next.batch, index: next.index ?? 0n }, this.#salt)) return;
    const message = `batch ${next.batch} is not whole: a crash tore it, or it was damaged; a start would cut it`;
    this.#findings.add({ path, code: "ERR_WAL_TORN", offset, message });
  }

  #damage(path: string, offset: number, message: string): void {
    this.#findings.add({ path, code: "ERR_WAL_DAMAGE", offset, message });
  }

  #addStray(path: string): void {
    if (path.endsWith(".tmp")) this.#findings.remark(path, "left by a crash; nothing reads it");
    else this.#findings.add({ path, code: "ERR_FILE_STRAY", message: "not a file of the write-ahead log" });
  }
}
