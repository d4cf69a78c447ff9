/**
 * What the ledger knows of one registered stream: its keys, and its tip in two views. The turn of the sequencer decides
 * on the newest one; the durable one is all that is shown.
 */

import { formatHex, parseHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";
import { hex64Shape, publicKeyJsonShape } from "../../kernel/receipt/fields.ts";
import { originShape } from "../../kernel/receipt/stream-open.ts";
import type { RegistrationBody } from "../../kernel/registration.ts";
import { boolean, integer, object, readShape, type Shape } from "../../kernel/shape.ts";
import { readStreamKeys, type StreamKeys } from "../../kernel/stream/stream-keys.ts";
import type { StreamState } from "../../kernel/stream/stream-state.ts";
import type { ReceiptSource } from "../reading/read.ts";

/** The keys as the registration names them. */
export type NamedKeys = Pick<RegistrationBody, "instance_key" | "receipt_key">;

/** Where and with which keys a stream was registered. Row of the index, written and read by us alone. */
export type RegistrationRow = {
  readonly index: number;
  /** Leaf hash of the registration entry, in hexadecimal. */
  readonly leaf: string;
  readonly keys: NamedKeys;
};

/** How far a stream is. Row of the index, written and read by us alone. */
type TipRow = {
  readonly log: string;
  readonly next_seq: number;
  readonly last: string;
  readonly closed: boolean;
};

const registrationRowShape: Shape<RegistrationRow> = object<RegistrationRow>({
  index: integer(),
  leaf: hex64Shape,
  keys: object<NamedKeys>({ instance_key: publicKeyJsonShape, receipt_key: publicKeyJsonShape }),
});

const tipRowShape: Shape<TipRow> = object<TipRow>({
  log: originShape,
  next_seq: integer({ min: 1 }),
  last: hex64Shape,
  closed: boolean(),
});

/** A stream's tip as clients see it. */
export interface ShownTip {
  readonly next_seq: number;
  /** Receipt hash of the last receipt; absent before the first. */
  readonly last?: string;
}

/** Different refused receipts of a fork that are kept for one stream while the process runs; more prove nothing more. */
const MAX_CONFLICTS = 16;

/** One registered stream; mutable. */
export class StreamAccount {
  readonly stream: string;
  readonly registration: RegistrationRow;
  #keys: StreamKeys | undefined;
  #source: ReceiptSource | undefined;
  #restored: TipRow | undefined;
  #newest: StreamState | undefined;
  #durable: StreamState | undefined;
  /** Where the receipt behind the last one that was decided here would go on in its run. */
  #runEnd: { readonly seq: number; readonly index: bigint } | undefined;
  #isShown = false;
  readonly #conflicts = new Set<string>();

  constructor(stream: string, registration: RegistrationRow, keys?: StreamKeys) {
    this.stream = stream;
    this.registration = registration;
    this.#keys = keys;
  }

  /** The stream's keys, guarded at their first use: that takes most of a millisecond a key. */
  get keys(): StreamKeys {
    this.#keys ??= readStreamKeys(this.registration.keys);
    return this.#keys;
  }

  /** What its receipts are read with; one object. */
  get source(): ReceiptSource {
    this.#source ??= { stream: this.stream, key: this.keys.receipt };
    return this.#source;
  }

  /** False while the registration is not durable. */
  get isShown(): boolean {
    return this.#isShown;
  }

  /** The state that the next receipt must continue; only in the sequencer's turn. */
  get newest(): StreamState | undefined {
    this.#restore();
    return this.#newest;
  }

  /** Seq of the next receipt, durable. */
  get nextSeq(): number {
    return this.#restored?.next_seq ?? this.#durable?.nextSeq ?? 0;
  }

  /** True once the close receipt is durable. */
  get isClosed(): boolean {
    return this.#restored?.closed ?? this.#durable?.closed ?? false;
  }

  /** The durable tip. */
  tip(): ShownTip {
    const last = this.#restored?.last ?? (this.#durable === undefined ? undefined : formatHex(this.#durable.last));
    return { next_seq: this.nextSeq, ...(last === undefined ? {} : { last }) };
  }

  /** Takes the state that the turn decided on. */
  decide(state: StreamState): void {
    this.#restore();
    this.#newest = state;
  }

  /**
   * Takes a run of new receipts; true if it goes on right behind the one before, in the stream and in the log, so that one row
   * says the places of both. Only in the sequencer's turn.
   */
  extendRun(seq: number, index: bigint, count: number): boolean {
    const isSameRun = this.#runEnd?.seq === seq && this.#runEnd.index === index;
    this.#runEnd = { seq: seq + count, index: index + BigInt(count) };
    return isSameRun;
  }

  /** Shows the registration, and the tip up to `state`, once both are durable. */
  show(state?: StreamState): void {
    this.#restore();
    this.#isShown = true;
    if (state !== undefined) this.#durable = state;
  }

  /** True for the first few refused receipts of a fork, each once: those are worth keeping. Only in the sequencer's turn. */
  takeConflict(leaf: LeafHash): boolean {
    const key = formatHex(leaf);
    if (this.#conflicts.has(key) || this.#conflicts.size >= MAX_CONFLICTS) return false;
    this.#conflicts.add(key);
    return true;
  }

  /** Takes over a tip that the index kept; its keys are looked at when they are needed. @throws {FormatError} */
  restore(row: Uint8Array): void {
    this.#restored = readShape(tipRowShape, parseJson(row), "tip");
  }

  /** Goes back to the durable tip; without a row, to none. What was kept of forks may have been lost and is taken again. */
  rewind(row: Uint8Array | undefined): void {
    [this.#newest, this.#durable, this.#restored, this.#runEnd] = [undefined, undefined, undefined, undefined];
    this.#conflicts.clear();
    if (row !== undefined) this.restore(row);
  }

  #restore(): void {
    if (this.#restored === undefined) return;
    const { log, next_seq: nextSeq, last, closed } = this.#restored;
    this.#restored = undefined;
    const { keys } = this;
    this.#newest = { stream: keys.instance.kid, log, keys, nextSeq, last: parseHex(last, 32), closed };
    this.#durable = this.#newest;
  }
}

/** Row of a tip; `StreamAccount.restore` reads it. */
export function formatTipRow({ log, nextSeq, last, closed }: StreamState): Uint8Array {
  const row: TipRow = { log, next_seq: nextSeq, last: formatHex(last), closed };
  return canonicalBytes(row);
}

/** The row that `formatRegistrationRow` made. @throws {FormatError} */
export function parseRegistrationRow(row: Uint8Array): RegistrationRow {
  return readShape(registrationRowShape, parseJson(row), "registration");
}

/** Bytes of the row of a registration. */
export function formatRegistrationRow(row: RegistrationRow): Uint8Array {
  return canonicalBytes(row);
}

/** Row of a registration. */
export function makeRegistrationRow(keys: NamedKeys, index: bigint, leaf: LeafHash): RegistrationRow {
  const { instance_key, receipt_key } = keys;
  return { index: Number(index), leaf: formatHex(leaf), keys: { instance_key, receipt_key } };
}
