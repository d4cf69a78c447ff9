/**
 * All registered streams. The book is rebuilt from the log's entries and kept in the index between runs:
 *
 *     s/<stream>               → where and with which keys it was registered
 *     t/<stream>               → its tip
 *     u/<stream>/<seq>         → u64 index of the receipt at this seq (16 digits); those after it follow without a gap, up to
 *                                the next such row
 */

import { formatUint64 } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import { invariant } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { parseReceipt, receiptHash } from "../../kernel/receipt/receipt.ts";
import type { ReceiptPlace } from "../../kernel/receipt/scan.ts";
import { type CheckedRegistration, readRegistration } from "../../kernel/registration.ts";
import { nextStreamState, type StreamState } from "../../kernel/stream/stream-state.ts";
import type { EntryReplay } from "../recovery/catch-up-index.ts";
import type { IndexRow, RowReader } from "../sequence/index-store.ts";
import { scanEntry } from "./scan-entry.ts";
import {
  formatRegistrationRow,
  formatTipRow,
  makeRegistrationRow,
  parseRegistrationRow,
  StreamAccount,
} from "./stream-account.ts";

const SEQ_DIGITS = 16;

/** The registered streams of a log. */
export class StreamBook implements EntryReplay {
  readonly #accounts = new Map<string, StreamAccount>();
  #store: RowReader | undefined;

  /** The stream's account, also if its registration is not durable yet: for the sequencer's turn. */
  decided(stream: string): StreamAccount | undefined {
    return this.#accounts.get(stream);
  }

  /** The stream's account, once its registration is durable. */
  find(stream: string): StreamAccount | undefined {
    const account = this.#accounts.get(stream);
    return account?.isShown === true ? account : undefined;
  }

  /** Opens an account in the sequencer's turn; it is not shown before `StreamAccount.show`. */
  register({ registration, keys }: CheckedRegistration, index: bigint, leaf: LeafHash): StreamAccount {
    const account = new StreamAccount(keys.instance.kid, makeRegistrationRow(registration, index, leaf), keys);
    this.#accounts.set(account.stream, account);
    return account;
  }

  /**
   * Takes over what is durable of a stream, instead of what this process decided about it; only between turns. Where other
   * processes decide too.
   *
   * @param registration  its row; without it, that of the account stays
   * @param tip  its row; undefined if the stream has no receipt
   */
  adopt(stream: string, registration: Uint8Array | undefined, tip: Uint8Array | undefined): void {
    const known = this.#accounts.get(stream);
    const isOurs = known?.isShown === true || registration === undefined;
    const account = isOurs ? known : new StreamAccount(stream, parseRegistrationRow(registration));
    invariant(account !== undefined, "a tip of a stream that is not registered");
    this.#accounts.set(stream, account);
    account.show();
    account.rewind(tip);
  }

  /** Forgets a stream whose registration did not become durable; only between turns. */
  forget(stream: string): void {
    this.#accounts.delete(stream);
  }

  /** Index of the durable receipt at `seq`, which must be below the stream's next one. */
  async indexOf(stream: string, seq: number): Promise<bigint> {
    const row = await this.#store?.lastRow(formatRunKey(stream, 0), formatRunKey(stream, seq));
    invariant(row !== undefined, `no receipt of stream ${stream} is in the index`);
    const first = Number(row.key.slice(-SEQ_DIGITS));
    const { buffer, byteOffset, byteLength } = row.value;
    return new DataView(buffer, byteOffset, byteLength).getBigUint64(0) + BigInt(seq - first);
  }

  async load(store: RowReader): Promise<void> {
    this.#store = store;
    this.#accounts.clear();
    for await (const { key, value } of store.rows("s/", "s0")) {
      const account = new StreamAccount(key.slice(2), parseRegistrationRow(value));
      this.#accounts.set(account.stream, account);
      account.show();
    }
    for await (const { key, value } of store.rows("t/", "t0")) this.#accounts.get(key.slice(2))?.restore(value);
  }

  /** Receipts are placed by what they claim, as admission placed them: what else they say is judged by the checks. */
  replay(entry: Uint8Array, index: bigint): readonly IndexRow[] {
    const place = scanEntry(entry);
    if (place !== undefined) return this.#replayReceipt(place, entry, index);
    const found = classifyEntry(entry);
    // Genesis, reservations of names and their like are of no sequence.
    if (found.form !== "envelope" || found.kind !== "registration") return [];
    return this.#replayRegistration(found.value, entry, index);
  }

  #replayReceipt({ stream, seq, kind }: ReceiptPlace, entry: Uint8Array, index: bigint): readonly IndexRow[] {
    const account = this.#accounts.get(stream);
    invariant(account !== undefined, `entry ${index} is of a stream that is not registered before it`);
    if (seq < account.nextSeq) return [runRow(stream, seq, index)];
    const { newest } = account;
    const isNext = newest === undefined ? seq === 0 : seq === newest.nextSeq && !newest.closed;
    invariant(isNext, `entry ${index} does not continue its stream`);
    const state =
      newest === undefined
        ? nextStreamState(undefined, parseReceipt(entry), entry)
        : { ...newest, nextSeq: seq + 1, last: receiptHash(entry), closed: kind === "stream-close" };
    account.decide(state);
    account.show(state);
    return [runRow(stream, seq, index), new TipRow(state)];
  }

  #replayRegistration(value: JsonObject, entry: Uint8Array, index: bigint): readonly IndexRow[] {
    const checked = readRegistration(value);
    const known = this.#accounts.get(checked.keys.instance.kid);
    const account = known ?? this.register(checked, index, hashLeaf(entry));
    account.show();
    return [registrationRow(account)];
  }
}

/** Row that a registration adds. */
export function registrationRow({ stream, registration }: StreamAccount): IndexRow {
  return { key: `s/${stream}`, value: formatRegistrationRow(registration) };
}

/**
 * Rows that a run of new receipts adds, in the turn that decides them: the first at `index`, the others behind it. A run that
 * goes on right where the last one ended needs no row of its own.
 *
 * @param state  behind the last of them
 */
export function receiptRows(
  account: StreamAccount,
  state: StreamState,
  firstSeq: number,
  index: bigint,
): readonly IndexRow[] {
  const tip = new TipRow(state);
  const isSameRun = account.extendRun(firstSeq, index, state.nextSeq - firstSeq);
  return isSameRun ? [tip] : [runRow(state.stream, firstSeq, index), tip];
}

/** Row of a tip. Its bytes are made when it is written: of the tips that one turn decides for a stream, only the last is. */
class TipRow implements IndexRow {
  readonly key: string;
  readonly #state: StreamState;

  constructor(state: StreamState) {
    this.key = `t/${state.stream}`;
    this.#state = state;
  }

  get value(): Uint8Array {
    return formatTipRow(this.#state);
  }
}

function runRow(stream: string, seq: number, index: bigint): IndexRow {
  return { key: formatRunKey(stream, seq), value: formatUint64(index) };
}

/** Key of the row of the receipt at `seq`. */
export function formatRunKey(stream: string, seq: number): string {
  return `u/${stream}/${String(seq).padStart(SEQ_DIGITS, "0")}`;
}
