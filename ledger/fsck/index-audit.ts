/**
 * Compares every row of the index with what the log derives. The files of the index hold no truth: what LevelDB keeps
 * there beside the rows (checksums it does not read, filters, its own log text) is judged by its rows alone.
 */

import { equalBytes, formatUint64, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatRunKey } from "../admission/stream-book.ts";
import { isCheckRow } from "../checks/check-rows.ts";
import type { IndexRow } from "../sequence/index-store.ts";
import type { IndexReader } from "../sequence/level-index.ts";
import { TraceBook } from "../trace/trace-book.ts";
import { Complaints } from "./complaints.ts";
import type { Findings } from "./finding.ts";
import type { StatementAudit } from "./statement-audit.ts";
import type { AuditedStream, CheckedPart } from "./stream-audit.ts";

const FORMAT = 2;
const [ROW] = formatUtf8("r");
/** Keys of the two rows that hold sizes: the watermark, and what was synced. */
const SIZE_KEYS = new Set(formatUtf8("wd"));

/** Second bytes of the keys of names and revocations (trace-book.ts), and of statements (statement-book.ts). */
const OTHER_ROWS = new Set(formatUtf8("nmxrl"));
const SLASH = 0x2f;

/** Follows the walk over the log; mutable. */
export class IndexAudit {
  /** Size of the log that the index says it covers. */
  readonly watermark: bigint;
  readonly #reader: IndexReader;
  readonly #findings: Findings;
  readonly #path: string;
  readonly #complaints: Complaints;
  readonly #traces: TraceBook;
  #runRows = 0;
  #otherRows = 0;
  #isReadable = true;

  /**
   * @param origin  of the log: names are those of its own entries
   * @param path  what findings name
   */
  constructor(reader: IndexReader, findings: Findings, origin: string, path = "index") {
    this.#path = path;
    this.#complaints = new Complaints(findings, path);
    this.#traces = new TraceBook(origin);
    this.#reader = reader;
    this.#findings = findings;
    this.watermark = this.#readSize(reader.watermark, "watermark");
    const durable = this.#readSize(reader.durable, "durable size");
    if (durable > this.watermark) this.#add(`the durable size ${durable} is above the watermark ${this.watermark}`);
  }

  #readSize(value: Uint8Array | undefined, name: string): bigint {
    if (value === undefined) return 0n;
    if (value.length === 9 && value[8] === FORMAT) return readUint64(value);
    this.#add(`the row of the ${name} is damaged`);
    return 0n;
  }

  /** True while every row could be read. */
  get isReadable(): boolean {
    return this.#isReadable;
  }

  /** Checks the rows that say where a stream's receipts are. */
  takeRuns({ runs, detached }: CheckedPart): Promise<void> {
    return this.#guarded(async () => {
      const keys = runs.flatMap((run) =>
        Array.from({ length: run.count }, (_, i) => formatRunKey(run.stream, run.firstSeq + i)),
      );
      const values = await this.#reader.rows(keys);
      let at = 0;
      for (const run of runs) {
        for (let i = 0; i < run.count; i += 1, at += 1) {
          const index = BigInt(run.firstIndex + i);
          this.#judgeRun(index, keys[at] ?? "", values[at], i === 0 && detached.has(run));
        }
      }
    });
  }

  /** Checks the rows of names and revocations that entries of other forms add. */
  takeOthers({ group, others }: CheckedPart): Promise<void> {
    return this.#guarded(async () => {
      for (const place of others) {
        const entry = group.entries[place];
        if (entry === undefined) continue;
        const index = group.index * BigInt(TILE_WIDTH) + BigInt(place);
        const rows = this.#traces.replay(entry.bytes, index);
        const values = await this.#reader.rows(rows.map(({ key }) => key));
        for (const [i, row] of rows.entries()) this.#judgeOther(index, row, values[i]);
      }
    });
  }

  /** Checks the rows of the genesis entry and of the statements behind it. */
  takeStatements({ rows }: Pick<StatementAudit, "rows">): Promise<void> {
    return this.#guarded(async () => {
      const values = await this.#reader.rows(rows.map(({ row }) => row.key));
      for (const [i, { index, row }] of rows.entries()) this.#judgeOther(index, row, values[i]);
    });
  }

  /** Checks registrations and tips; call when the walk is exactly at the watermark. */
  takeTips(streams: ReadonlyMap<string, AuditedStream>): Promise<void> {
    return this.#guarded(async () => {
      for (const [stream, audited] of streams) {
        const [registered, tip] = await this.#reader.rows([`s/${stream}`, `t/${stream}`]);
        this.#judgeRegistration(stream, audited, registered);
        this.#judgeTip(stream, audited, tip);
      }
    });
  }

  /** Looks at every row once, and finds those that no entry derives. */
  finish(size: bigint, streams: ReadonlyMap<string, AuditedStream>): Promise<void> {
    return this.#guarded(async () => {
      if (this.watermark > size) {
        const message = `it covers ${this.watermark} entries, the log has ${size}: it is of another log, or entries are lost`;
        this.#findings.add({ path: this.#path, code: "ERR_LOG_BEHIND", message });
      }
      const { runRows, otherRows } = await this.#countRows(streams);
      if (runRows !== this.#runRows) this.#add(`${runRows - this.#runRows} rows u/… are of no receipt of the log`);
      if (otherRows !== this.#otherRows) {
        this.#add(`${otherRows - this.#otherRows} rows n/…, m/…, x/…, r/… or l/… are of no entry of the log`);
      }
    });
  }

  async #countRows(
    streams: ReadonlyMap<string, AuditedStream>,
  ): Promise<{ readonly runRows: number; readonly otherRows: number }> {
    let [runRows, otherRows] = [0, 0];
    for await (const [key] of this.#reader.all()) {
      const kind = key[0];
      if (kind === ROW && OTHER_ROWS.has(key[1] ?? 0) && key[2] === SLASH) otherRows += 1;
      else if (kind === ROW) runRows += this.#countRow(key, streams);
      else if (!SIZE_KEYS.has(kind ?? 0) || key.length !== 1) this.#add(`a row with the unknown key ${shorten(key)}`);
    }
    return { runRows, otherRows };
  }

  #judgeRun(index: bigint, key: string, value: Uint8Array | undefined, isNeeded: boolean): void {
    if (value !== undefined) {
      this.#runRows += 1;
      if (!equalBytes(value, formatUint64(index))) this.#add(`the row ${key} names another entry`, index);
    } else if (isNeeded && index < this.watermark) this.#add(`no row ${key}`, index);
  }

  #judgeOther(index: bigint, { key, value: want }: IndexRow, value: Uint8Array | undefined): void {
    if (value === undefined) {
      if (index < this.watermark) this.#add(`no row ${key}`, index);
      return;
    }
    this.#otherRows += 1;
    if (!equalBytes(value, want)) this.#add(`the row ${key} says something else than the entry`, index);
  }

  #judgeRegistration(stream: string, audited: AuditedStream, value: Uint8Array | undefined): void {
    const row = readJson(value);
    const isRight =
      row?.["index"] === audited.registeredIndex &&
      row["leaf"] === formatHex(audited.leaf) &&
      JSON.stringify(row["keys"]) === JSON.stringify(audited.keys);
    if (!isRight) this.#add(`the row s/${stream} is not that of its registration`, BigInt(audited.registeredIndex));
  }

  #judgeTip(stream: string, audited: AuditedStream, value: Uint8Array | undefined): void {
    if (audited.nextSeq === 0 && value === undefined) return;
    if (!audited.isKnown) return;
    const row = readJson(value);
    const { nextSeq, last, closed } = audited;
    const isRight =
      row?.["next_seq"] === nextSeq && row["last"] === last && row["closed"] === closed && row["log"] === audited.log;
    if (!isRight) this.#add(`the row t/${stream} is not the tip of the stream`);
  }

  /** @returns 1 for a row of a receipt, 0 for any other of a known stream */
  #countRow(key: Uint8Array, streams: ReadonlyMap<string, AuditedStream>): number {
    const [kind, stream = "", ...rest] = readText(key.subarray(1)).split("/");
    const isKnown = streams.has(stream);
    if (kind === "u" && isKnown && rest.length === 1) return 1;
    // Of the background checks: how far they are, what they found, and which segment brought what.
    if (isCheckRow(readText(key.subarray(1)))) return 0;
    if ((kind === "s" || kind === "t") && isKnown && rest.length === 0) return 0;
    this.#add(`a row with the unknown key ${shorten(key)}`);
    return 0;
  }

  /** LevelDB refuses what its checksums cover only when it meets it; then nothing more can be said of the index. */
  async #guarded(step: () => Promise<void>): Promise<void> {
    if (!this.#isReadable) return;
    try {
      await step();
    } catch (error) {
      // A database that does not answer now says nothing of what is in it.
      if (isCodedError(error) && error.code === "ERR_DATABASE") throw error;
      this.#isReadable = false;
      this.#add(`it cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Turns what was found into findings. */
  report(): void {
    this.#complaints.report();
  }

  #add(message: string, index?: bigint): void {
    this.#complaints.add(message, index);
  }
}

function readUint64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0);
}

/** Rows of JSON are ours alone; anything else in their place is damage. */
function readJson(value: Uint8Array | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const row: unknown = JSON.parse(parseUtf8(value ?? new Uint8Array(0)));
    return typeof row === "object" && row !== null ? Object.fromEntries(Object.entries(row)) : undefined;
  } catch {
    return undefined;
  }
}

function readText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function shorten(key: Uint8Array): string {
  return formatHex(key.subarray(0, 40));
}
