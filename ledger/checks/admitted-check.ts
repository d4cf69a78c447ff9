/**
 * Checks one stretch of what segments brought in, whole in one thread: which entries claim to be receipts and of which place,
 * what is wrong with them, and how they follow each other. What comes back is small: faults, and both ends of each stream in the
 * stretch, so that the owner joins stretches without a look at their entries.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash } from "../../kernel/receipt/receipt.ts";
import type { ReceiptPlace } from "../../kernel/receipt/scan.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { scanEntry } from "../admission/scan-entry.ts";
import type { EntryChecker, KnownStream } from "../fsck/entry-check.ts";

/** Admitted entries to check. */
export interface AdmittedJob {
  /** Index of the first entry. */
  readonly firstIndex: number;
  /** 1 to 256 entries in the form of an entry bundle. */
  readonly bundle: Uint8Array;
  readonly count: number;
  /** Streams that the checker was not told of before. */
  readonly streams: readonly KnownStream[];
  /** True if the checker was told of every stream in the stretch that is registered. */
  readonly isTold: boolean;
}

/** A receipt that is false. */
export interface AdmittedFault {
  readonly index: number;
  readonly code: ErrorCode;
  readonly stream: string;
  readonly seq: number;
}

/** The first and the last receipt of a stream in the stretch. */
export interface StreamEnds {
  readonly stream: string;
  readonly first: { readonly index: number; readonly seq: number; readonly prev: string | undefined };
  /** With its hash, which the next one names. */
  readonly last: { readonly seq: number; readonly hash: string };
}

/** What came of a job; `unknown` names streams that the checker has to be told of first, if they are registered. */
export type AdmittedVerdict =
  | { readonly kind: "unknown"; readonly streams: readonly string[] }
  | {
      readonly kind: "checked";
      /** In the order of the log, one for an entry. */
      readonly faults: readonly AdmittedFault[];
      readonly ends: readonly StreamEnds[];
    };

/** Checks a job; faults of entries are data. */
export function checkAdmitted(checker: EntryChecker, job: AdmittedJob): AdmittedVerdict {
  checker.learn(job.streams);
  const entries = parseEntryBundle(job.bundle, job.count);
  const places = entries.map(scanEntry);
  const unknown = job.isTold ? [] : unknownOf(checker, places);
  if (unknown.length > 0) return { kind: "unknown", streams: unknown };
  const codes = faultsOf(checker, job, places);
  const streams = new Map<string, OpenStream>();
  const faults: AdmittedFault[] = [];
  for (const [i, place] of places.entries()) {
    if (place === undefined) continue;
    const index = job.firstIndex + i;
    const isLinked = follow(streams, place, index, entries[i], codes.has(index));
    const code = codes.get(index) ?? (isLinked ? undefined : "ERR_STREAM_PREV");
    if (code !== undefined) faults.push({ index, code, stream: place.stream, seq: place.seq });
  }
  return { kind: "checked", faults, ends: [...streams.values()].map(endsOf) };
}

/** A stream as far as the stretch was looked at. */
interface OpenStream {
  readonly first: StreamEnds["first"];
  readonly stream: string;
  seq: number;
  entry: Uint8Array | undefined;
  /** True if the last receipt is false: what follows it is not judged by the check of the entries. */
  isFalse: boolean;
}

/** Takes the next receipt of its stream; false if the one before it is false, and it names another hash than that one's. */
function follow(
  streams: Map<string, OpenStream>,
  { stream, seq, prev }: ReceiptPlace,
  index: number,
  entry: Uint8Array | undefined,
  isFalse: boolean,
): boolean {
  const known = streams.get(stream);
  if (known === undefined) {
    streams.set(stream, { stream, first: { index, seq, prev }, seq, entry, isFalse });
    return true;
  }
  const isLinked = !known.isFalse || known.seq !== seq - 1 || hashOf(known.entry) === prev;
  [known.seq, known.entry, known.isFalse] = [seq, entry, isFalse];
  return isLinked;
}

function endsOf({ stream, first, seq, entry }: OpenStream): StreamEnds {
  return { stream, first, last: { seq, hash: hashOf(entry) } };
}

function hashOf(entry: Uint8Array | undefined): string {
  return entry === undefined ? "" : formatHex(receiptHash(entry));
}

function unknownOf(checker: EntryChecker, places: readonly (ReceiptPlace | undefined)[]): readonly string[] {
  const named = new Set(places.flatMap((place) => (place === undefined ? [] : [place.stream])));
  return [...named].filter((stream) => !checker.knows(stream));
}

/** The first fault of each receipt, by its index. */
function faultsOf(
  checker: EntryChecker,
  { firstIndex, bundle, count }: AdmittedJob,
  places: readonly (ReceiptPlace | undefined)[],
): ReadonlyMap<number, ErrorCode> {
  const skip = places.flatMap((place, i) => (place === undefined ? [i] : []));
  const { faults } = checker.check({ firstIndex, bundle, count, skip, holes: [], streams: [] });
  const codes = new Map<number, ErrorCode>();
  for (const { index, code } of faults) {
    // Admission gave each receipt its seq: behind one that cannot be read, only this check misses one.
    if (code !== "ERR_STREAM_GAP" && !codes.has(index)) codes.set(index, code);
  }
  return codes;
}
