/**
 * Reads in the background what segments brought in: form, place after the receipt before, signatures, by the same check
 * that `fsck` uses. A false receipt stays in the log, which is append-only; a durable finding says that it is false, and the
 * signed segment says who submitted it.
 *
 * Durable are a watermark and the findings, as rows of the index. After a crash the checks go on from the last durable
 * watermark; a finding that is made twice is the same row.
 */

import { setImmediate } from "node:timers/promises";
import { invariant } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { scanEntry } from "../admission/scan-entry.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { AdmittedPool } from "../fsck/check-pool.ts";
import type { EntryIndex } from "../sequence/entry-index.ts";
import type { Tree } from "../tree/tree.ts";
import type { AdmittedJob, AdmittedVerdict, StreamEnds } from "./admitted-check.ts";
import type { Backlog } from "./backlog.ts";
import { type CheckFinding, checkedRow, findingRow } from "./check-rows.ts";
import type { CheckPace } from "./pace.ts";

/** What the checks work with. */
export interface CheckParts {
  readonly tree: Tree;
  readonly index: EntryIndex;
  readonly streams: StreamBook;
  readonly pool: AdmittedPool;
  readonly backlog: Backlog;
  /** When the checks go on; without it, at once. */
  readonly pace: CheckPace | undefined;
  /** Entries of one job: at most a bundle. */
  readonly jobEntries: number;
  readonly onFinding: (finding: CheckFinding) => void;
  /** Whether there is a finding about a receipt of the stream. */
  readonly hasFinding: (stream: string) => boolean;
  readonly onFatal: (error: unknown) => void;
}

/** Entries of one job. */
interface Job {
  readonly first: bigint;
  readonly end: bigint;
  readonly bundle: Uint8Array;
  /** Of the entries themselves. */
  readonly bytes: number;
}

/** A verdict about entries. */
type Checked = AdmittedVerdict & { readonly kind: "checked" };

/** The background checks of one log. */
export class ReceiptChecks {
  readonly #parts: CheckParts;
  /** Streams whose keys the pool has. */
  readonly #told = new Set<string>();
  /** The last receipt of each stream in the jobs so far, and its hash: its follower is in another job. */
  readonly #lastOf: Map<string, { readonly seq: number; readonly hash: string }> = new Map();
  #recorded: bigint;
  #running: Promise<void> | undefined;
  #isStopped = false;

  /** @param recorded  the durable watermark */
  constructor(parts: CheckParts, recorded: bigint) {
    this.#parts = parts;
    this.#recorded = recorded;
  }

  /** Begins with what an earlier run left: it may have stopped in the middle of a segment. */
  async start(): Promise<void> {
    const { backlog, tree } = this.#parts;
    const before = backlog.first === undefined || backlog.first === 0n ? undefined : backlog.first - 1n;
    const entry = before === undefined ? undefined : await tree.readEntry(before);
    const place = entry === undefined ? undefined : scanEntry(entry);
    if (entry !== undefined && place !== undefined) {
      this.#remember(place.stream, { seq: place.seq, hash: formatHex(receiptHash(entry)) });
    }
    this.wake();
  }

  /** Every receipt below this index was read. */
  get checkedSize(): bigint {
    const { backlog, tree } = this.#parts;
    return backlog.first !== undefined && backlog.first < tree.size ? backlog.first : tree.size;
  }

  /** Entries and bytes that were admitted in this run and wait. */
  get waiting(): { readonly entries: number; readonly bytes: number } {
    const { entries, bytes } = this.#parts.backlog;
    return { entries, bytes };
  }

  /** @throws {StoreError} ERR_CHECK_BACKLOG while too much waits */
  requireRoom(): void {
    this.#parts.backlog.requireRoom();
  }

  /** True for a stream of which a false receipt was found. */
  distrusts(stream: string): boolean {
    return this.#parts.hasFinding(stream);
  }

  /** Takes a run of new receipts in the turn that decides them. */
  expect({ firstIndex, count, bytes }: { firstIndex: bigint; count: number; bytes: number }): void {
    this.#parts.backlog.add(firstIndex, count, bytes);
    this.#parts.pace?.admitted();
  }

  /** Goes on if something durable waits. */
  wake(): void {
    if (this.#running !== undefined || this.#isStopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // What became durable while the last look was taken.
      if (this.#next(0n) !== undefined) this.wake();
    });
  }

  /** Makes the watermark durable if it moved. */
  record(): void {
    const size = this.checkedSize;
    if (size === this.#recorded) return;
    this.#recorded = size;
    this.#parts.index.record({ rows: [checkedRow(size)], size: this.#parts.tree.size });
  }

  /** Resolves when nothing is being checked any more; what waits is left to the next run. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.#parts.pool.close();
  }

  async #run(): Promise<void> {
    try {
      for (let jobs = await this.#readJobs(); jobs.length > 0; jobs = await this.#readJobs()) {
        const verdicts = await Promise.all(jobs.map((job) => this.#check(job)));
        for (const [i, job] of jobs.entries()) {
          const verdict = verdicts[i];
          if (verdict !== undefined) this.#take(job, verdict);
        }
      }
    } catch (error) {
      if (!this.#isStopped) this.#parts.onFatal(error);
      this.#isStopped = true;
    }
  }

  #next(from: bigint): { readonly first: bigint; readonly end: bigint } | undefined {
    const { backlog, tree, jobEntries } = this.#parts;
    return this.#isStopped ? undefined : backlog.peek(from, tree.size, jobEntries, TILE_WIDTH);
  }

  /** As many jobs as the pool works on at the same time; others get the thread first. */
  async #readJobs(): Promise<readonly Job[]> {
    await setImmediate();
    const { backlog, pace, pool } = this.#parts;
    await pace?.turn(
      () => backlog.share,
      () => this.#isStopped,
    );
    const jobs: Job[] = [];
    for (let from = 0n; jobs.length < pool.width; ) {
      const span = this.#next(from);
      if (span === undefined) break;
      jobs.push(await this.#readJob(span.first, span.end));
      from = span.end;
    }
    if (jobs.length === 0) pace?.caughtUp();
    return jobs;
  }

  async #readJob(first: bigint, end: bigint): Promise<Job> {
    const whole = await this.#parts.tree.readBundle(first / BigInt(TILE_WIDTH));
    const start = Number(first % BigInt(TILE_WIDTH));
    const entries = whole.slice(start, start + Number(end - first));
    const bytes = entries.reduce((total, entry) => total + entry.length, 0);
    return { first, end, bytes, bundle: formatEntryBundle(entries) };
  }

  async #check({ first, end, bundle }: Job): Promise<Checked> {
    const job: Omit<AdmittedJob, "streams" | "isTold"> = {
      firstIndex: Number(first),
      bundle,
      count: Number(end - first),
    };
    const verdict = await this.#parts.pool.check({ ...job, isTold: false });
    if (verdict.kind === "checked") return verdict;
    for (const stream of verdict.streams) this.#tell(stream);
    // Every thread of the pool is told with its next job; what is named now and not registered is a fault.
    const second = await this.#parts.pool.check({ ...job, isTold: true });
    invariant(second.kind === "checked", "a checker that was told every stream checks");
    return second;
  }

  #tell(stream: string): void {
    const account = this.#told.has(stream) ? undefined : this.#parts.streams.find(stream);
    if (account === undefined) return;
    this.#told.add(account.stream);
    this.#parts.pool.addStream({ stream: account.stream, keys: account.registration.keys });
  }

  #take(job: Job, { faults, ends }: Checked): void {
    const findings = new Map<number, CheckFinding>();
    for (const { index, code, stream, seq } of faults) {
      findings.set(index, { index, code, stream: this.#ownString(stream), seq });
    }
    for (const { stream, first, last } of ends) {
      if (!this.#isLinked(stream, first) && !findings.has(first.index)) {
        const { index, seq } = first;
        findings.set(index, { index, code: "ERR_STREAM_PREV", stream: this.#ownString(stream), seq });
      }
      this.#remember(stream, last);
    }
    this.#report([...findings.values()].toSorted((a, b) => a.index - b.index));
    this.#parts.backlog.drop(job.end, job.bytes, Number(job.end - job.first));
  }

  /** False if the receipt names another hash before it than that of the one before it, where that is remembered. */
  #isLinked(stream: string, { seq, prev }: StreamEnds["first"]): boolean {
    const last = this.#lastOf.get(stream);
    return last?.seq !== seq - 1 || last.hash === prev;
  }

  #remember(stream: string, { seq, hash }: StreamEnds["last"]): void {
    this.#lastOf.set(this.#ownString(stream), { seq, hash });
  }

  /** Of a stream, the string that the book holds anyway. */
  #ownString(stream: string): string {
    return this.#parts.streams.find(stream)?.stream ?? stream;
  }

  #report(findings: readonly CheckFinding[]): void {
    if (findings.length === 0) return;
    const { index, tree, onFinding } = this.#parts;
    index.record({ rows: findings.map(findingRow), size: tree.size });
    for (const finding of findings) onFinding(finding);
  }
}
