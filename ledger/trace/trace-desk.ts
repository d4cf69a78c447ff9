/**
 * Takes trust records, reservations of names and revocations into the log.
 *
 * The entry of a record is its anchor form and nothing else, so that every inclusion proof of the log is an anchor receipt.
 * The signature under a registered key is checked before a name is taken: otherwise anybody who saw a record could take its
 * name with a garbage signature.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, FormatError, StoreError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import type { Clock } from "../../kernel/service/service.ts";
import { checkSignedBy } from "../../kernel/signature/envelope.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import { formatTimestamp, timestampMs } from "../../kernel/time.ts";
import { coincidentBytes, parseTraceDocument } from "../../kernel/trace/anchor-form.ts";
import { derivedName, nameForm, nameInLog } from "../../kernel/trace/entry-name.ts";
import { parseNameReservation, signNameExpiry } from "../../kernel/trace/name-reservation.ts";
import { checkRecordSignature, jwkThumbprint, readRecordKey } from "../../kernel/trace/record-key.ts";
import { checkRevocation, readEntryId, readRevocation, type TraceRevocation } from "../../kernel/trace/revocation.ts";
import {
  checkRevocationBundle,
  REVOCATION_BUNDLE_TYPE,
  readRevocationBundle,
  type TraceRevocationBundle,
} from "../../kernel/trace/revocation-bundle.ts";
import { Refusal } from "../admission/refusal.ts";
import type { StreamAccount } from "../admission/stream-account.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { LeafIndex } from "../sequence/entry-index.ts";
import type { Sequencer } from "../sequence/proposal.ts";
import type { Tree } from "../tree/tree.ts";
import { NamedTurns } from "./named-turns.ts";
import type { NameState, Reservation, TraceBook } from "./trace-book.ts";

/** Longest time that a name may be reserved for. */
const MAX_RESERVATION_MS = 31 * 86_400_000;

/** Refusals of a log that takes no entries, now or for good. */
const NO_ENTRIES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_LOG_CLOSED", "ERR_SHARD_TIME"]);

/** Looks again at a name that others changed, at most so often. */
const MAX_LOOKS = 8;

/** Whether others have changed what a name stands for since it was looked up. */
export interface NameGuard {
  /** Taken before a name is looked up. */
  readonly mark: () => number;
  /** Asked in the turn that changes the name. */
  readonly hasChanged: (name: string, mark: number) => boolean;
}

/** Where nobody else writes. */
const ALONE: NameGuard = { mark: () => 0, hasChanged: () => false };

/** Thrown in a turn: the name is to be looked up again. */
class NameChanged extends Error {}

/** What is asked before an entry is appended. @throws {NameChanged} */
type Guard = () => void;

/** What the desk works with. */
export interface TraceDeskParts {
  readonly origin: string;
  readonly sequencer: Sequencer;
  readonly index: LeafIndex;
  readonly tree: Tree;
  readonly streams: StreamBook;
  /** Whether a stream's registration has ended: its keys speak for nobody then. */
  readonly hasEnded: (stream: string) => boolean;
  readonly book: TraceBook;
  readonly operator: EnvelopeSigner;
  readonly revocationKeys: readonly PublicKey[];
  readonly clock: Clock;
  /** Needed where other processes write to the same log. */
  readonly guard?: NameGuard;
}

/** A record that is in the log, and the name that it has in this log, if it has one. */
export interface AnchoredRecord {
  readonly index: bigint;
  readonly name?: string;
}

/** Admission of TRACE entries to one log. */
export class TraceDesk {
  readonly #parts: TraceDeskParts;
  readonly #turns = new NamedTurns();

  constructor(parts: TraceDeskParts) {
    this.#parts = parts;
  }

  /**
   * Takes a signed trust record; resolves once it is durable. Equal bytes get the place of the first. A record that names
   * an entry of another log, or none, is taken without a name.
   *
   * @param stream  the stream whose key signed it; without it, the one whose instance key that is
   * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_TRACE_DOCUMENT, ERR_ANCHOR_FORM, ERR_JSON_*
   * @throws {CheckError} ERR_SIGNATURE_INVALID; ERR_STREAM_UNKNOWN, ERR_STREAM_KEY, ERR_TRUST_RECORD_NAME
   * @throws {Refusal} ERR_TRUST_RECORD_CONFLICT: the name is that of other bytes, at `index`
   */
  async anchor(bytes: Uint8Array, stream?: string): Promise<AnchoredRecord> {
    const record = readEntry(bytes, "trust-record");
    const key = readRecordKey(record);
    checkRecordSignature(record, key);
    const { transparency } = record;
    const name = typeof transparency === "string" ? nameInLog(transparency, this.#parts.origin) : undefined;
    if (name === undefined) return { index: await this.#append(bytes) };
    const account = this.#findAccount(stream ?? key.kid, key);
    return this.#inTurn(name, (guard) => this.#takeName(name, { bytes, record, account }, guard));
  }

  /**
   * Reserves a name for a stream; resolves to the index of the reservation once it is durable.
   *
   * @throws {FormatError} as `parseNameReservation`
   * @throws {CheckError} ERR_ADMISSION (another log's, or a time that is past or too far), ERR_STREAM_UNKNOWN,
   *   ERR_SIGNATURE_*, ERR_TRUST_RECORD_CONFLICT (the name is taken)
   */
  async reserve(bytes: Uint8Array): Promise<bigint> {
    const reservation = parseNameReservation(bytes);
    const { origin, stream, name, expires } = reservation;
    if (origin !== this.#parts.origin) throw new CheckError("ERR_ADMISSION", `origin: want ${this.#parts.origin}`);
    const account = this.#findStream(stream);
    if (account === undefined) throw unknownStream();
    checkSignedBy(reservation, account.keys.receipt);
    const aheadMs = timestampMs(expires) - this.#parts.clock.nowMs();
    if (aheadMs <= 0 || aheadMs > MAX_RESERVATION_MS) {
      throw new CheckError("ERR_ADMISSION", "expires: want a time from now on, at most 31 days ahead");
    }
    return this.#inTurn(name, async (guard) => {
      const place = await this.#placeOf(bytes);
      if (place !== undefined) return place;
      const { reservation: taken } = await this.#parts.book.lookUp(name);
      if (taken !== undefined) throw new CheckError("ERR_TRUST_RECORD_CONFLICT", "the name is reserved already");
      return this.#append(bytes, this.#whileSpeaking(stream, guard));
    });
  }

  /** What a name stands for. A reservation that is over and was not filled is ended by an entry of the log first. */
  lookUp(name: string): Promise<NameState> {
    return this.#inTurn(name, (guard) => this.#settled(name, guard));
  }

  /** One at a time for each name; what other processes changed between look-up and turn is looked up again. */
  #inTurn<T>(name: string, action: (guard: Guard) => Promise<T>): Promise<T> {
    const { guard = ALONE } = this.#parts;
    return this.#turns.run(name, async () => {
      for (let look = 1; ; look += 1) {
        const mark = guard.mark();
        try {
          return await action(() => {
            if (guard.hasChanged(name, mark)) throw new NameChanged();
          });
        } catch (error) {
          if (!(error instanceof NameChanged)) throw error;
          if (look >= MAX_LOOKS)
            throw new StoreError("ERR_QUEUE_FULL", "others keep changing this name; try again later");
        }
      }
    });
  }

  /**
   * Takes a revocation, or a bundle of them; resolves to its index once it is durable.
   *
   * @throws {FormatError} ERR_ENTRY_LENGTH, ERR_TRACE_DOCUMENT, ERR_ANCHOR_FORM, ERR_JSON_*, ERR_SHAPE
   * @throws {CheckError} ERR_ADMISSION (another log's), ERR_REVOCATION_KEY, ERR_SIGNATURE_INVALID
   */
  revoke(bytes: Uint8Array): Promise<bigint> {
    const value = readEntry(bytes, "revocation");
    if (value["type"] === REVOCATION_BUNDLE_TYPE) this.#checkBundle(readRevocationBundle(value));
    else this.#checkStatement(readRevocation(value));
    return this.#append(bytes);
  }

  #checkBundle(bundle: TraceRevocationBundle): void {
    this.#checkLog(bundle.log_id);
    bundle.statements.forEach(requireIndex);
    checkRevocationBundle(bundle, this.#parts.revocationKeys);
  }

  #checkStatement(statement: TraceRevocation): void {
    this.#checkLog(statement.log_id);
    requireIndex(statement);
    const key = this.#parts.revocationKeys.find((each) => jwkThumbprint(each) === statement.revocation_key_id);
    if (key === undefined) throw new CheckError("ERR_REVOCATION_KEY", "no such revocation key is configured");
    checkRevocation(statement, key);
  }

  #checkLog(logId: string): void {
    if (logId !== this.#parts.origin) throw new CheckError("ERR_ADMISSION", `log_id: want ${this.#parts.origin}`);
  }

  async #takeName(name: string, { bytes, record, account }: NamedRecord, guard: Guard): Promise<AnchoredRecord> {
    const { record: taken, reservation, expiry } = await this.#settled(name, guard);
    if (taken !== undefined) return this.#answerTaken(taken, name, bytes, account);
    if (nameForm(name) === "derived") {
      if (derivedName(record) !== name) throw wrongName("it is not the one that the record derives");
    } else {
      checkReserved(reservation, expiry, account);
    }
    return { index: await this.#append(bytes, this.#whileSpeaking(account.stream, guard)), name };
  }

  /** First complete bytes win. Other ones are kept beside the log, as far as their signer does not flood it. */
  async #answerTaken(index: bigint, name: string, bytes: Uint8Array, account: StreamAccount): Promise<AnchoredRecord> {
    const { sequencer, tree } = this.#parts;
    if (equalBytes(await tree.readEntry(index), bytes)) return { index, name };
    const error = new CheckError("ERR_TRUST_RECORD_CONFLICT", "the name is that of another record");
    const settle = (): never => {
      throw new Refusal(error, { index: Number(index) });
    };
    return sequencer.submit<never>({
      entries: [],
      decide: () => {
        const beside = account.takeConflict(hashLeaf(bytes)) ? [{ kind: "conflict" as const, bytes }] : [];
        return { entries: [], beside, settle };
      },
    });
  }

  /** Only inside the name's turn. */
  async #settled(name: string, guard: Guard): Promise<NameState> {
    const state = await this.#parts.book.lookUp(name);
    const { reservation, record, expiry } = state;
    const isOver = reservation !== undefined && reservation.expiresMs <= this.#parts.clock.nowMs();
    if (!isOver || record !== undefined || expiry !== undefined) return state;
    const { origin, clock, operator } = this.#parts;
    const time = formatTimestamp(clock.nowMs());
    const body = { kind: "name-expiry", v: 1, origin, name, reserved_index: Number(reservation.index), time } as const;
    const ended = await this.#expire(signNameExpiry(body, operator), guard);
    return ended === undefined ? state : { ...state, expiry: ended };
  }

  /** A log that takes nothing any more ends no reservation either: nothing can fill it. */
  async #expire(entry: Uint8Array, guard: Guard): Promise<bigint | undefined> {
    try {
      return await this.#append(entry, guard);
    } catch (error) {
      if (error instanceof Refusal && NO_ENTRIES.has(error.error.code)) return undefined;
      throw error;
    }
  }

  #findStream(stream: string): StreamAccount | undefined {
    const { streams, hasEnded } = this.#parts;
    const account = streams.find(stream);
    if (account === undefined || !hasEnded(stream)) return account;
    throw new CheckError("ERR_STREAM_ENDED", "the stream is decommissioned: its registration with this log has ended");
  }

  /** Asked in the turn of the entry: the end of a registration may have come since the stream was looked up. */
  #whileSpeaking(stream: string, guard: Guard): Guard {
    return () => {
      guard();
      this.#findStream(stream);
    };
  }

  #findAccount(stream: string, key: PublicKey): StreamAccount {
    const account = this.#findStream(stream);
    if (account === undefined) throw unknownStream();
    const { instance, receipt } = account.keys;
    if (key.kid === instance.kid || key.kid === receipt.kid) return account;
    throw new CheckError("ERR_STREAM_KEY", "the record's key is none of the stream's");
  }

  async #placeOf(bytes: Uint8Array): Promise<bigint | undefined> {
    const leaf = hashLeaf(bytes);
    return (await this.#parts.index.find([leaf]))(leaf);
  }

  /** Appends an entry with its rows, or finds the first equal one. */
  #append(bytes: Uint8Array, guard: Guard = () => undefined): Promise<bigint> {
    const { sequencer, book, index } = this.#parts;
    const entry = { bytes, leaf: hashLeaf(bytes) };
    return sequencer.submit({
      entries: [entry],
      decide: (known, next) => {
        const first = known(entry.leaf);
        if (first !== undefined) return { entries: [], settle: () => first };
        guard();
        const rows = book.replay(bytes, next);
        const settle = (): bigint => {
          book.remember(rows, next, index.watermark);
          return next;
        };
        return { entries: [entry], rows, settle };
      },
    });
  }
}

interface NamedRecord {
  readonly bytes: Uint8Array;
  readonly record: JsonObject;
  readonly account: StreamAccount;
}

/** A TRACE document whose bytes are its canonical ones, of the form that is wanted. */
function readEntry(bytes: Uint8Array, form: "trust-record" | "revocation"): JsonObject {
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new FormatError("ERR_ENTRY_LENGTH", `want at most ${MAX_ENTRY_BYTES} bytes, got ${bytes.length}`);
  }
  const value = parseTraceDocument(bytes);
  // SPEC trace §5.1: the entry bytes of a record are its canonical bytes and nothing else.
  if (!equalBytes(coincidentBytes(value), bytes)) {
    throw new FormatError("ERR_JSON_CANONICAL", "want the RFC 8785 form: sorted keys, no white space, one spelling");
  }
  if (classifyEntry(bytes).form !== form) throw new FormatError("ERR_TRACE_DOCUMENT", `want a ${form}`);
  return value;
}

function checkReserved(reservation: Reservation | undefined, expiry: bigint | undefined, account: StreamAccount): void {
  if (reservation === undefined) throw wrongName("nobody reserved it");
  if (reservation.stream !== account.stream) throw wrongName("another stream reserved it");
  if (expiry !== undefined) throw wrongName("its reservation is over");
}

function requireIndex({ last_valid_entry_id }: TraceRevocation): void {
  if (readEntryId(last_valid_entry_id) !== undefined) return;
  throw new FormatError("ERR_TRACE_DOCUMENT", "last_valid_entry_id: want an index in decimal");
}

function wrongName(why: string): CheckError {
  return new CheckError("ERR_TRUST_RECORD_NAME", `the name in transparency: ${why}`);
}

function unknownStream(): CheckError {
  return new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered with this log");
}
