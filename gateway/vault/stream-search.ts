/** Finds receipts in the streams of a data folder: those of a call, of a session, about a data subject, or before a time. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "../../kernel/errors.ts";
import type { SeqRange } from "../../kernel/receipt/operator-action.ts";
import { parseReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { parseTimestamp, timestampMs } from "../../kernel/time.ts";
import { walkStream } from "../receipts/stream-log.ts";

/** Whose secrets are meant. */
export type VaultTarget =
  | { readonly scope: "call"; readonly stream: string; readonly seq: number }
  | { readonly scope: "session"; readonly id: string }
  /** `hash`: keyed, as receipts have it. */
  | { readonly scope: "data-subject"; readonly hash: string }
  | { readonly scope: "age"; readonly beforeMs: number };

/** What was found in one stream. */
export interface FoundReceipts {
  readonly stream: string;
  readonly ranges: readonly SeqRange[];
  readonly count: number;
  /** Decisions among them whose outcome is still to come, ascending. */
  readonly open: readonly number[];
}

const REF = /^([0-9a-f]{64})\/(\d{1,16})$/u;
const HEX64 = /^[0-9a-f]{64}$/u;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u;
const OUTCOME = /"decision_seq":(\d+)/u;

/** A receipt as agents are told it, `<stream>/<seq>`. @throws {FormatError} ERR_CONTROL_TARGET */
export function parseReceiptRef(text: string): { readonly stream: string; readonly seq: number } {
  const [, stream, seq] = REF.exec(text) ?? [];
  if (stream === undefined || seq === undefined || !Number.isSafeInteger(Number(seq))) {
    throw new FormatError("ERR_CONTROL_TARGET", "want a receipt as <stream>/<seq>");
  }
  return { stream, seq: Number(seq) };
}

/**
 * The target that an operator's text names: `call:<stream>/<seq>`, `session:<uuid>`, `data-subject:<value>`,
 * `data-subject-hash:<64 hex>` or `before:<time>`.
 *
 * @param subjectHash  keyed hash of a value, as receipts have it
 * @throws {FormatError} ERR_CONTROL_TARGET, ERR_TIMESTAMP
 */
export function parseVaultTarget(text: string, subjectHash: (value: string) => string): VaultTarget {
  const colon = text.indexOf(":");
  const [kind, value] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  if (kind === "call") return { scope: "call", ...parseReceiptRef(value) };
  if (kind === "session" && UUID.test(value)) return { scope: "session", id: value };
  if (kind === "data-subject" && value !== "") return { scope: "data-subject", hash: subjectHash(value) };
  if (kind === "data-subject-hash" && HEX64.test(value)) return { scope: "data-subject", hash: value };
  if (kind === "before") return { scope: "age", beforeMs: timestampMs(parseTimestamp(value)) };
  throw new FormatError(
    "ERR_CONTROL_TARGET",
    "want call:<stream>/<seq>, session:<uuid>, data-subject:<value>, data-subject-hash:<hex> or before:<time>",
  );
}

/** The streams of a data folder, sorted. */
export async function streamsIn(dataDir: string): Promise<readonly string[]> {
  const names = await readdir(join(dataDir, "streams")).catch(() => []);
  return names.filter((name) => HEX64.test(name)).toSorted();
}

/** Folder of a stream. */
export function streamFolder(dataDir: string, stream: string): string {
  return join(dataDir, "streams", stream);
}

/**
 * Finds what a target means, in every stream.
 *
 * @param from  the first receipt of a stream that is looked at
 * @throws {StoreError} ERR_STREAM_FILE
 */
export async function findReceipts(
  dataDir: string,
  target: VaultTarget,
  from: (stream: string) => number = () => 0,
): Promise<readonly FoundReceipts[]> {
  const streams = target.scope === "call" ? [target.stream] : await streamsIn(dataDir);
  const found: FoundReceipts[] = [];
  for (const stream of streams) {
    const one = await findInStream({ folder: streamFolder(dataDir, stream), stream, target, from: from(stream) });
    if (one.count > 0) found.push(one);
  }
  return found;
}

/** One stream that is searched. */
interface Search {
  readonly folder: string;
  readonly stream: string;
  readonly target: VaultTarget;
  readonly from: number;
}

async function findInStream({ folder, stream, target, from }: Search): Promise<FoundReceipts> {
  const matches = target.scope === "call" ? await callMatcher(folder, target.seq) : matcherOf(target);
  const finds = new Finds();
  if (matches === undefined) return { stream, ranges: [], count: 0, open: [] };
  for await (const { seq, bytes } of walkStream(folder, from)) {
    const text = textOf(bytes);
    if (finds.addOutcome(seq, text)) continue;
    if (matches.mayMatch(text) && matches.isMatch(parseReceipt(bytes))) finds.add(seq, text);
    else if (target.scope === "age") break;
  }
  return { stream, ...finds.all() };
}

/** The decision whose outcome these entry bytes are; undefined of every other receipt. */
export function outcomeOf(bytes: Uint8Array): number | undefined {
  const [, decision] = OUTCOME.exec(textOf(bytes)) ?? [];
  return decision === undefined ? undefined : Number(decision);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** What was found in a stream; the outcomes of found decisions come with them. */
class Finds {
  readonly #seqs: number[] = [];
  readonly #decisions = new Set<number>();
  readonly #open = new Set<number>();

  add(seq: number, text: string): void {
    this.#seqs.push(seq);
    if (!text.includes('"kind":"decision"')) return;
    this.#decisions.add(seq);
    if (text.includes('"outcome":{"state":"pending"}')) this.#open.add(seq);
  }

  /** @returns true if it is the outcome of a found decision */
  addOutcome(seq: number, text: string): boolean {
    const decision = Number(OUTCOME.exec(text)?.[1] ?? Number.NaN);
    if (!this.#decisions.has(decision)) return false;
    this.#seqs.push(seq);
    this.#open.delete(decision);
    return true;
  }

  all(): Omit<FoundReceipts, "stream"> {
    return { ranges: rangesOf(this.#seqs), count: this.#seqs.length, open: [...this.#open] };
  }
}

/** What a receipt is asked: first its text, which is cheap. */
interface Matcher {
  readonly mayMatch: (text: string) => boolean;
  readonly isMatch: (receipt: StreamReceipt) => boolean;
}

function matcherOf(target: Exclude<VaultTarget, { readonly scope: "call" }>): Matcher {
  switch (target.scope) {
    case "session":
      return {
        mayMatch: (text) => text.includes(target.id),
        isMatch: (receipt) =>
          receipt.kind === "decision" && receipt.session.state === "present" && receipt.session.value.id === target.id,
      };
    case "data-subject":
      return {
        mayMatch: (text) => text.includes(target.hash),
        isMatch: (receipt) =>
          receipt.kind === "decision" &&
          receipt.data_subjects.state === "present" &&
          receipt.data_subjects.value.includes(target.hash),
      };
    // The first receipt that is not older ends the search: what a clock put behind it by mistake is found the next time.
    case "age":
      return { mayMatch: () => true, isMatch: ({ time }) => timestampMs(time) < target.beforeMs };
  }
}

/** All rounds of the call that a receipt is of; their outcomes come with them. */
async function callMatcher(folder: string, seq: number): Promise<Matcher | undefined> {
  const named = await receiptAt(folder, seq);
  const decision = named?.kind === "outcome" ? await receiptAt(folder, named.call.decision_seq) : named;
  if (decision?.kind !== "decision") return undefined;
  const { first_round: first } = decision.call;
  const base = first.state === "present" ? first.value : decision.seq;
  const isRound = (each: StreamReceipt): boolean =>
    each.kind === "decision" &&
    (each.seq === base || (each.call.first_round.state === "present" && each.call.first_round.value === base));
  return { mayMatch: (text) => text.includes('"kind":"decision"'), isMatch: isRound };
}

async function receiptAt(folder: string, seq: number): Promise<StreamReceipt | undefined> {
  for await (const { seq: at, bytes } of walkStream(folder, seq)) return at === seq ? parseReceipt(bytes) : undefined;
  return undefined;
}

/** Ascending numbers as ranges. */
export function rangesOf(seqs: readonly number[]): readonly SeqRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const seq of seqs) {
    const open = ranges.at(-1);
    if (open !== undefined && open.last + 1 === seq) open.last = seq;
    else ranges.push({ first: seq, last: seq });
  }
  return ranges;
}

/** The numbers of ranges. */
export function seqsOf(ranges: readonly SeqRange[]): readonly number[] {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}
