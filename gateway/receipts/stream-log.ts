/**
 * The receipts of a stream on disk, the truth of it, as files of a bounded size:
 *
 *     receipts.log                     frames, from receipt 0 on
 *     receipts-<number>.log            frames, from that receipt on; 16 digits
 *     receipts-<number>.state          what was open before that receipt (StreamState, JSON)
 *
 * A start reads the last file whole and of the others what is not proven or still open, so that its cost and its memory
 * stay flat however long a stream is. A state that is removed is replaced by reading from the file before.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { sha256 } from "#crypto";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";
import { readShape } from "../../kernel/shape.ts";
import {
  type Appending,
  damaged,
  type FrameLog,
  type FrameRoom,
  type OpenedFrameLog,
  openFrameLog,
  resumeFrameLog,
  scanFrames,
} from "./frame-log.ts";
import { readIfThere } from "./read-if-there.ts";
import { StreamBook, type StreamState, streamStateShape } from "./stream-book.ts";
import { writeDurably } from "./write-durably.ts";
import type { StreamTip, WrittenReceipt } from "./written-receipt.ts";

/** A stream's files, open at the end of the last one. */
export interface StreamLog extends Pick<FrameLog, "append" | "close"> {
  /** Goes on in a new file; `state` is what stands before its first receipt. @throws if that may not be durable */
  readonly rotate: (state: StreamState) => Promise<void>;
}

/** A stream's files, whose end the one who writes them lends and takes back (FrameLog). */
export interface LendingStreamLog extends StreamLog, Pick<FrameLog, "takeBack"> {
  readonly lend: () => StreamRoom;
}

/** Room for frames in a stream's last file. */
export interface StreamRoom extends FrameRoom {
  /** Number of the file's first receipt. */
  readonly file: number;
}

/** What a stream's files held. */
export interface OpenedStreamLog {
  readonly log: StreamLog;
  readonly tip: StreamTip;
  readonly book: StreamBook;
  /** Length of the last file. */
  readonly fileBytes: number;
  /** Receipts from `from` on, oldest first. */
  readonly written: readonly WrittenReceipt[];
  /** Any receipt of the stream; undefined beyond its end. @throws {StoreError} ERR_STREAM_FILE */
  readonly receiptAt: (seq: number) => Promise<WrittenReceipt | undefined>;
}

/** What opening is told. */
export interface StreamLogOptions {
  readonly folder: string;
  readonly isDurable: boolean;
  /** Receipts below this number are not wanted in `written`. */
  readonly from: number;
}

const WALK_TURN = 256;
const READ_TRIES = 3;
const NAME = /^receipts(?:-(\d{16}))?\.log$/u;

/** Opens or creates the files. @throws {StoreError} ERR_STREAM_FILE */
export async function openStreamLog(options: StreamLogOptions): Promise<OpenedStreamLog> {
  const { folder, isDurable } = options;
  const files = new StreamFiles(folder, await firstsIn(folder));
  const opened = await openFrameLog(files.path(files.last), { isDurable, writesOn: "pool" });
  try {
    return await readStreamLog(files, opened, options);
  } catch (error) {
    await opened.log.close();
    throw error;
  }
}

/** Where a stream's files end, for whoever goes on with them and need not read them. */
export interface StreamLogEnd {
  readonly folder: string;
  readonly isDurable: boolean;
  /** Length of the last file; what stands behind it is cut off. */
  readonly fileBytes: number;
}

/**
 * Opens the files of a stream at their end, after `openStreamLog` has read them and its log was closed, for a thread that has
 * nothing else to do than to write them.
 */
export async function resumeStreamLog({ folder, isDurable, fileBytes }: StreamLogEnd): Promise<LendingStreamLog> {
  const files = new StreamFiles(folder, await firstsIn(folder));
  const appending = { isDurable, writesOn: "caller" } as const;
  return makeStreamLog(files, await resumeFrameLog(files.path(files.last), fileBytes, appending), appending);
}

async function readStreamLog(
  files: StreamFiles,
  { log, payloads, bytes }: OpenedFrameLog,
  { isDurable, from }: StreamLogOptions,
): Promise<OpenedStreamLog> {
  const last = payloads.map((payload, i) => writtenOf(files.last + i, payload));
  const read = async (first: number): Promise<readonly WrittenReceipt[]> =>
    first === files.last ? last : files.read(first);
  const receiptAt = async (seq: number): Promise<WrittenReceipt | undefined> => {
    const first = files.holding(seq);
    return first === undefined ? undefined : (await read(first))[seq - first];
  };
  const { book, state, first } = await files.bookBefore(receiptAt);
  let lastHash = state?.last_hash;
  let nextSeq = first;
  for (const file of files.from(first)) {
    for (const receipt of await read(file)) {
      if (receipt.seq !== nextSeq) throw damaged(files.path(file), 0);
      book.apply(parseReceipt(receipt.bytes), receipt.hash);
      [nextSeq, lastHash] = [nextSeq + 1, receipt.hash];
    }
  }
  const written: WrittenReceipt[] = [];
  for (const file of files.from(files.holding(from) ?? files.last)) {
    for (const receipt of await read(file)) if (receipt.seq >= from) written.push(receipt);
  }
  files.forget();
  const streamLog = makeStreamLog(files, log, { isDurable, writesOn: "pool" });
  return { log: streamLog, tip: { nextSeq, lastHash }, book, fileBytes: bytes, written, receiptAt };
}

function makeStreamLog(files: StreamFiles, first: FrameLog, appending: Appending): LendingStreamLog {
  let log = first;
  return {
    append: (payloads) => log.append(payloads),
    rotate: async (state) => {
      // What the new file stands on is durable before the file is there, also where appends are not synced.
      await log.finish();
      await files.writeState(state);
      const next = await openFrameLog(files.path(state.next_seq), appending);
      files.add(state.next_seq);
      await log.close();
      log = next.log;
    },
    lend: () => ({ file: files.last, ...log.lend() }),
    takeBack: (end) => log.takeBack(end),
    close: () => log.close(),
  };
}

/** The files of one stream, by the numbers of their first receipts. */
class StreamFiles {
  readonly #folder: string;
  readonly #firsts: number[];
  /** The file that was read last: what is open stands close together. */
  #recent: { readonly first: number; readonly receipts: readonly WrittenReceipt[] } | undefined;

  constructor(folder: string, firsts: readonly number[]) {
    this.#folder = folder;
    this.#firsts = [...firsts];
  }

  get last(): number {
    return this.#firsts.at(-1) ?? 0;
  }

  path(first: number): string {
    return join(this.#folder, `${nameOf(first)}.log`);
  }

  /** Lets go of what was read. */
  forget(): void {
    this.#recent = undefined;
  }

  add(first: number): void {
    this.#firsts.push(first);
  }

  from(first: number): readonly number[] {
    return this.#firsts.filter((each) => each >= first);
  }

  /** The file that would hold a receipt. */
  holding(seq: number): number | undefined {
    return this.#firsts.findLast((first) => first <= seq);
  }

  /** Receipts of a file that is not the last. @throws {StoreError} ERR_STREAM_FILE */
  async read(first: number): Promise<readonly WrittenReceipt[]> {
    if (this.#recent?.first === first) return this.#recent.receipts;
    const path = this.path(first);
    const content = new Uint8Array(await readFile(path));
    const { payloads, end } = scanFrames(content, path);
    const next = this.#firsts.find((each) => each > first);
    if (end !== content.length || first + payloads.length !== next) throw damaged(path, end);
    const receipts = payloads.map((payload, i) => writtenOf(first + i, payload));
    this.#recent = { first, receipts };
    return receipts;
  }

  /** The newest state that is there, and the file it stands before; an empty book before the first file. */
  async bookBefore(receiptAt: OpenedStreamLog["receiptAt"]): Promise<{
    readonly book: StreamBook;
    readonly state: StreamState | undefined;
    readonly first: number;
  }> {
    for (const first of this.#firsts.toReversed()) {
      const state = first === 0 ? undefined : await this.#readState(first);
      if (state !== undefined) return { book: await StreamBook.restore(state, receiptAt), state, first };
    }
    return { book: new StreamBook(), state: undefined, first: 0 };
  }

  writeState(state: StreamState): Promise<void> {
    return writeDurably(this.#folder, `${nameOf(state.next_seq)}.state`, `${JSON.stringify(state)}\n`);
  }

  async #readState(first: number): Promise<StreamState | undefined> {
    const path = join(this.#folder, `${nameOf(first)}.state`);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    try {
      const state = readShape(streamStateShape, parseJson(text), path);
      if (state.next_seq === first) return state;
    } catch (cause) {
      throw new StoreError("ERR_STREAM_FILE", `${path} is damaged; remove it and the file before is read`, { cause });
    }
    throw new StoreError("ERR_STREAM_FILE", `${path} is the state of another file; remove it`);
  }
}

/**
 * Reads a stream's receipts from `from` on, file by file, beside whoever writes it. Turns are given up in between: a stream
 * can be long.
 *
 * @throws {StoreError} ERR_STREAM_FILE
 */
export async function* walkStream(folder: string, from: number): AsyncGenerator<Omit<WrittenReceipt, "hash">> {
  const firsts = await firstsIn(folder);
  const start = firsts.findLast((first) => first <= from) ?? 0;
  for (const first of firsts.filter((each) => each >= start)) {
    const payloads = await readBeside(join(folder, `${nameOf(first)}.log`));
    for (const [i, bytes] of payloads.entries()) {
      if (i % WALK_TURN === 0) await setImmediate();
      if (first + i >= from) yield { seq: first + i, bytes };
    }
  }
}

/** A frame that is being written while it is read looks like damage, once. */
async function readBeside(path: string): Promise<readonly Uint8Array[]> {
  for (let tries = 1; ; tries += 1) {
    const content = await readIfThere(path);
    if (content === undefined) return [];
    try {
      return scanFrames(new Uint8Array(content), path).payloads;
    } catch (error) {
      if (tries === READ_TRIES) throw error;
    }
  }
}

/** Name of the file that begins with this receipt, without its ending. */
export function nameOf(first: number): string {
  return first === 0 ? "receipts" : `receipts-${String(first).padStart(16, "0")}`;
}

/** Numbers of the first receipts of a stream's files, ascending. */
export async function firstsIn(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder).catch(() => []);
  const firsts = names.flatMap((name) => {
    const match = NAME.exec(name);
    return match === null ? [] : [Number(match[1] ?? "0")];
  });
  return firsts.length === 0 ? [0] : firsts.toSorted((a, b) => a - b);
}

/** A receipt as it was read. */
function writtenOf(seq: number, bytes: Uint8Array): WrittenReceipt {
  return { seq, bytes, hash: formatHex(sha256(bytes)) };
}
