/**
 * Checks the streams of a log of receipts from its first entry to its last: registrations, every receipt's signature,
 * and that each stream is one sequence without a gap or a fork.
 */

import { classifyEntry } from "../../kernel/entry-kind.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { NamedKeys } from "../admission/stream-account.ts";
import type { CheckPool } from "./check-pool.ts";
import type { EntryFault, Run } from "./entry-check.ts";
import type { Findings } from "./finding.ts";
import type { FoundEntry, Group } from "./log-walk.ts";
import { ReceiptPlaces } from "./receipt-places.ts";

const REGISTRATION = Buffer.from('"kind":"registration"');

/** A stream as the log bears it out. */
export interface AuditedStream {
  readonly receiptKid: string;
  readonly keys: NamedKeys;
  /** Origin of its home log. */
  readonly log: string;
  readonly registeredIndex: number;
  readonly leaf: Uint8Array;
  nextSeq: number;
  /** Receipt hash of the last receipt, in hexadecimal. */
  last: string | undefined;
  closed: boolean;
  /** Index of the last receipt. */
  lastIndex: number;
  /** False behind a hole: what the next receipt must continue is unknown. */
  isKnown: boolean;
}

/** A part of a group whose receipts were checked. */
export interface CheckedPart {
  readonly group: Group;
  /** Places of the group: from `start` to `end`, exclusive. */
  readonly start: number;
  readonly end: number;
  readonly runs: readonly Run[];
  /** Places of the group with entries of other forms, sound by themselves. */
  readonly others: readonly number[];
  /** Runs whose first receipt does not stand right behind the receipt before it. */
  readonly detached: ReadonlySet<Run>;
}

/** Follows all streams; mutable. */
export class StreamAudit {
  readonly streams: Map<string, AuditedStream> = new Map();
  readonly places: ReceiptPlaces = new ReceiptPlaces();
  readonly #findings: Findings;
  readonly #pool: CheckPool;
  readonly #endedAt: (stream: string) => number | undefined;
  #receipts = 0;
  #unjudged = 0;
  #hasHoles = false;

  /** @param endedAt  index at which a stream's registration ended, as far as the walk has come */
  constructor(findings: Findings, pool: CheckPool, endedAt: (stream: string) => number | undefined) {
    this.#endedAt = endedAt;
    this.#findings = findings;
    this.#pool = pool;
  }

  /** Receipts that were checked. */
  get receipts(): number {
    return this.#receipts;
  }

  /**
   * Begins the check of places [start, end) of a group; call in the order of the log. The returned function joins the
   * verdict to what came before; call those in the same order.
   */
  begin(group: Group, start: number, end: number): () => Promise<CheckedPart> {
    const entries = group.entries.slice(start, end);
    const first = Number(group.index) * TILE_WIDTH + start;
    const skip: number[] = [];
    const holes: number[] = [];
    for (const [i, entry] of entries.entries()) {
      if (entry === undefined) holes.push(i);
      else if (first + i === 0 || this.#register(first + i, entry)) skip.push(i);
    }
    const bundle = formatEntryBundle(entries.map((entry) => entry?.bytes ?? new Uint8Array(0)));
    const verdict = this.#pool.check({ firstIndex: first, bundle, count: entries.length, skip, holes });
    return async () => {
      const { runs, faults, others, hasHole } = await verdict;
      if (hasHole) this.#hasHoles = true;
      const detached = this.#join(group, runs, faults);
      if (hasHole) this.#forget();
      return { group, start, end, runs, others: others.map((place) => start + place), detached };
    };
  }

  /** Says what could not be judged. */
  finish(): void {
    if (this.#unjudged === 0) return;
    this.#findings.remark(
      "tile",
      `${this.#unjudged} receipts are of streams whose registration may be in what is missing`,
    );
  }

  /** Takes a registration; false if the entry is none. */
  #register(index: number, entry: FoundEntry): boolean {
    if (!Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.length).includes(REGISTRATION))
      return false;
    // A statement or a trust record may quote one.
    const found = classifyEntry(entry.bytes);
    if (found.form !== "envelope" || found.kind !== "registration") return false;
    try {
      const { registration, keys } = parseRegistration(entry.bytes);
      const { kid } = keys.instance;
      const known = this.streams.get(kid);
      if (known !== undefined) {
        if (known.receiptKid !== keys.receipt.kid)
          this.#add(entry, index, "ERR_REGISTRATION_CONFLICT", "registered before with another receipt key");
        return true;
      }
      const fresh = { nextSeq: 0, last: undefined, closed: false, lastIndex: -1, isKnown: true };
      const { instance_key, receipt_key, origin: log } = registration;
      const named = { keys: { instance_key, receipt_key }, receiptKid: keys.receipt.kid, log };
      this.streams.set(kid, { ...named, registeredIndex: index, leaf: entry.leaf, ...fresh });
      this.#pool.addStream({ stream: kid, keys: named.keys });
      return true;
    } catch (error) {
      if (!isCodedError(error)) throw error;
      this.#add(entry, index, error.code, error.message);
      this.#hasHoles = true;
      return true;
    }
  }

  /** After a hole in the log no stream's tip is known. */
  #forget(): void {
    for (const stream of this.streams.values()) stream.isKnown = false;
  }

  #join(group: Group, runs: readonly Run[], faults: readonly EntryFault[]): ReadonlySet<Run> {
    const first = Number(group.index) * TILE_WIDTH;
    for (const { index, code, message } of faults) {
      // A registration may stand in what is missing.
      if (code === "ERR_STREAM_UNKNOWN" && this.#hasHoles) this.#unjudged += 1;
      else this.#add(group.entries[index - first], index, code, message);
    }
    const detached = new Set<Run>();
    for (const run of runs) if (this.#joinRun(group.entries[run.firstIndex - first], run)) detached.add(run);
    return detached;
  }

  /** @returns true unless the run's first receipt stands right behind its predecessor in the log */
  #joinRun(entry: FoundEntry | undefined, run: Run): boolean {
    const stream = this.streams.get(run.stream);
    this.places.add(run);
    this.#receipts += run.count;
    if (stream === undefined) return true;
    if (stream.isKnown && !run.isPlaced) this.#checkPlace(stream, entry, run);
    if ((this.#endedAt(run.stream) ?? run.firstIndex) < run.firstIndex) {
      this.#add(entry, run.firstIndex, "ERR_STREAM_ENDED", "the registration of its stream had ended");
    }
    const isDetached = stream.lastIndex + 1 !== run.firstIndex || stream.nextSeq === 0;
    stream.nextSeq = run.firstSeq + run.count;
    stream.last = run.last;
    stream.closed = run.closed;
    stream.lastIndex = run.firstIndex + run.count - 1;
    stream.isKnown = true;
    return isDetached;
  }

  #checkPlace(stream: AuditedStream, entry: FoundEntry | undefined, { firstSeq, firstIndex, prev }: Run): void {
    const want = `want seq ${stream.nextSeq}, got ${firstSeq}`;
    if (firstSeq > stream.nextSeq) this.#add(entry, firstIndex, "ERR_STREAM_GAP", want);
    else if (firstSeq < stream.nextSeq) this.#add(entry, firstIndex, "ERR_STREAM_FORK", want);
    else if (stream.closed) this.#add(entry, firstIndex, "ERR_STREAM_CLOSED", "the stream was closed before it");
    else if (prev !== stream.last)
      this.#add(entry, firstIndex, "ERR_STREAM_PREV", "it names another receipt before it");
  }

  #add(entry: FoundEntry | undefined, index: number, code: ErrorCode, message: string): void {
    const { path = "tile", offset } = entry ?? {};
    this.#findings.add({ path, code, ...(offset === undefined ? {} : { offset }), index: BigInt(index), message });
  }
}
