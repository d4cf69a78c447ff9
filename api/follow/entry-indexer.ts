/** Turns proven entries of a log into rows of the index, with an alarm for everything about them that does not hold. */

import { equalBytes } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import type { Genesis } from "../../kernel/genesis.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseReceipt, receiptBodyHash, receiptHash, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { CheckedRegistration } from "../../kernel/registration.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { type AlarmDraft, type AlarmKind, evidenceOf, raiseAlarm, resolveAlarm } from "../index/alarms.ts";
import { countRowShape, indexRowShape } from "../index/count-row.ts";
import {
  bucketKey,
  countKey,
  entryKey,
  filterKey,
  GENESIS_KEY,
  leafKey,
  receiptKey,
  registrationKey,
  seqKey,
  streamKey,
  streamOrderKey,
} from "../index/keys.ts";
import { filterValues, receiptRowOf } from "../index/receipt-row.ts";
import {
  bucketRowShape,
  type HeadRow,
  type ReceiptRow,
  type RegistrationRow,
  receiptRowShape,
  type StreamRow,
  streamRowShape,
} from "../index/row-shapes.ts";
import type { Draft } from "../index/rows.ts";
import type { ChunkEntry } from "./chunk.ts";
import { readEntry } from "./entry.ts";
import { putHole, removeHole } from "./holes.ts";
import type { KeyMemory } from "./key-memory.ts";
import { enterSession, type SessionFault } from "./session-account.ts";
import { checkLate, fillGap, newStreamRow, type StreamStep, stepStream } from "./stream-account.ts";

/** What indexing is told about the log. */
export interface IndexerOptions {
  readonly draft: Draft;
  /** The origin that is pinned. */
  readonly origin: string;
  readonly nowMs: number;
  /** Outlives the indexer: one of them serves all chunks. */
  readonly memory: KeyMemory;
}

/** Indexes entries in order. */
export class EntryIndexer {
  readonly #draft: Draft;
  readonly #origin: string;
  readonly #nowMs: number;
  readonly #memory: KeyMemory;
  /** Alarms that were new in this step. */
  readonly alarms: AlarmDraft[] = [];
  #kind: HeadRow["log_kind"];

  constructor({ draft, origin, nowMs, memory }: IndexerOptions, kind: HeadRow["log_kind"]) {
    this.#draft = draft;
    this.#origin = origin;
    this.#nowMs = nowMs;
    this.#memory = memory;
    this.#kind = kind;
  }

  /** What the genesis entry said that the log is. */
  get kind(): HeadRow["log_kind"] {
    return this.#kind;
  }

  /** Writes the rows of one entry. */
  async add(entry: ChunkEntry): Promise<void> {
    const { index, leaf, bytes } = entry;
    const name = formatHex(leaf);
    if ((await this.#draft.get(leafKey(name))) === undefined) this.#draft.putJson(leafKey(name), { index });
    if (!entry.isLogged) {
      putHole(this.#draft, index, 1, this.#nowMs);
      return this.#alarmMismatch(entry);
    }
    this.#draft.put(entryKey(index), bytes);
    // A raw log holds any bytes: there is nothing to read in them.
    if (this.#kind === "raw") return;
    const read = readEntry(index, bytes);
    if (read.type === "genesis") await this.#addGenesis(read.genesis, entry);
    else if (read.type === "registration") await this.#addRegistration(read.checked, entry);
    else if (read.type === "receipt") await this.#addReceipt(read.receipt, entry);
    else if (read.type === "unreadable")
      await this.#alarmEntry("malformed-entry", read.code, entry, `entry ${index}: ${read.message}`);
  }

  /** Tells once more of an entry that was fetched again and is still wrong. @param tries  fetches before this one */
  async addWrong(entry: ChunkEntry, tries: number): Promise<void> {
    putHole(this.#draft, entry.index, tries + 1, this.#nowMs);
    await this.#alarmMismatch(entry);
  }

  /** Writes the rows of an entry that was a hole, and resolves its alarm. */
  async addLate(entry: ChunkEntry, tries: number): Promise<void> {
    removeHole(this.#draft, entry.index);
    const note = `fetch ${tries + 1} gave the bytes that are in the tree`;
    await resolveAlarm(this.#draft, alarmName("entry-mismatch", entry), note, this.#nowMs);
    const read = this.#kind === "raw" ? undefined : readEntry(entry.index, entry.bytes);
    if (read?.type !== "receipt") return this.add(entry);
    const { receipt } = read;
    const stream = await this.#draft.read(streamKey(receipt.stream), streamRowShape);
    // Nothing of the stream stands behind it: it is not late there.
    if (receipt.seq >= (stream?.tip?.next_seq ?? 0)) return this.add(entry);
    this.#draft.put(entryKey(entry.index), entry.bytes);
    await this.#addBehind(stream ?? newStreamRow(receipt.stream, entry.index), receipt, entry);
  }

  /** A receipt whose stream went on without it: judged by the receipt in front of it. */
  async #addBehind(stream: StreamRow, receipt: StreamReceipt, entry: ChunkEntry): Promise<void> {
    const place = await this.#draft.read(seqKey(stream.id, receipt.seq - 1), indexRowShape);
    const previous = place === undefined ? undefined : await this.#draft.get(entryKey(place.index));
    const other = await this.#otherAt(receipt, entry);
    const checks = checkLate(this.#memory, stream, receipt, previous);
    const isTaken = checks.signature.verdict === "pass" && other === undefined;
    if (isTaken) this.#draft.putJson(streamKey(stream.id), fillGap(stream, receipt.seq));
    const decision = await this.#decisionOf(receipt);
    const facts = { inclusion: { verdict: "pass" }, ...checks } as const;
    const row = receiptRowOf({ index: entry.index, leaf: formatHex(entry.leaf) }, receipt, facts, decision);
    await this.#putReceipt(row, isTaken);
    await this.#alarmStream(stream, { ...checks, row: stream, isTaken }, receipt, entry);
    if (other !== undefined && checks.signature.verdict === "pass")
      await this.#alarmPlace(stream, "ERR_STREAM_FORK", receipt, entry);
    if (!isTaken) return;
    await enterSession(this.#draft, row, receipt, decision);
    await this.#mendNext(fillGap(stream, receipt.seq), receipt, entry.bytes);
  }

  /** The receipt behind a late one was taken for one behind a gap: if it names the late one, it was not. */
  async #mendNext(stream: StreamRow, { seq }: StreamReceipt, bytes: Uint8Array): Promise<void> {
    const next = await this.#receiptAt(stream.id, seq + 1);
    const known = next === undefined ? undefined : await this.#draft.get(entryKey(next.index));
    if (next === undefined || known === undefined || next.checks.continuity.code !== "ERR_STREAM_GAP") return;
    if (parseReceipt(known).prev !== formatHex(receiptHash(bytes))) return;
    const checks = { ...next.checks, continuity: { verdict: "pass" } } as const;
    this.#draft.putJson(receiptKey(next.index), { ...next, checks });
    this.#draft.putJson(streamKey(stream.id), { ...stream, receipts: stream.receipts + 1, faults: stream.faults - 1 });
    const note = "the receipt before it came late";
    await resolveAlarm(this.#draft, alarmName("stream-break", next), note, this.#nowMs);
  }

  async #addGenesis(genesis: Genesis, entry: ChunkEntry): Promise<void> {
    this.#kind = genesis.log_kind;
    this.#draft.put(GENESIS_KEY, entry.bytes);
    if (genesis.origin === this.#origin) return;
    await this.#alarmEntry("malformed-entry", "ERR_ORIGIN", entry, `the genesis is of ${genesis.origin}`);
  }

  async #addRegistration({ registration, keys }: CheckedRegistration, entry: ChunkEntry): Promise<void> {
    const stream = keys.instance.kid;
    const row: RegistrationRow = {
      index: entry.index,
      leaf: formatHex(entry.leaf),
      stream,
      time: registration.time,
      ...(registration.label === undefined ? {} : { label: registration.label }),
      evidence: registration.evidence.type,
      instance_key: formatPublicKey(keys.instance),
      receipt_key: formatPublicKey(keys.receipt),
    };
    this.#draft.putJson(registrationKey(entry.index), row);
    const known = await this.#stream(stream, entry.index);
    if (registration.origin !== this.#origin) {
      await this.#alarmEntry("malformed-entry", "ERR_ORIGIN", entry, `registration ${entry.index} is for another log`);
    } else if (known.registration === undefined) {
      this.#draft.putJson(streamKey(stream), { ...known, registration: row });
    } else if (known.registration.receipt_key.key !== row.receipt_key.key) {
      const message = `stream ${stream} is registered again with another receipt key`;
      await this.#alarmEntry("stream-break", "ERR_REGISTRATION_CONFLICT", entry, message);
    }
  }

  async #addReceipt(receipt: StreamReceipt, entry: ChunkEntry): Promise<void> {
    const before = await this.#stream(receipt.stream, entry.index);
    const step = stepStream(this.#memory, before, entry.index, receipt, entry.bytes);
    this.#draft.putJson(streamKey(receipt.stream), step.row);
    const decision = await this.#decisionOf(receipt);
    const { signature, continuity } = step;
    const checks = { inclusion: { verdict: "pass" }, signature, continuity } as const;
    const row = receiptRowOf({ index: entry.index, leaf: formatHex(entry.leaf) }, receipt, checks, decision);
    await this.#putReceipt(row, step.isTaken);
    await this.#alarmStream(before, step, receipt, entry);
    if (!step.isTaken) return;
    const fault = await enterSession(this.#draft, row, receipt, decision);
    if (fault !== undefined) await this.#alarmSession(fault, entry, receipt);
  }

  #alarmSession({ type, id }: SessionFault, entry: ChunkEntry, receipt: StreamReceipt): Promise<void> {
    if (type === "session-repeat") {
      return this.#alarmEntry(type, "ERR_SESSION_PLACE", entry, `session ${id} is opened a second time`, receipt);
    }
    const message = `the seal of session ${id} counts other calls than its receipts do`;
    return this.#alarmEntry(type, "ERR_SESSION_COUNTS", entry, message, receipt);
  }

  async #putReceipt(row: ReceiptRow, isTaken: boolean): Promise<void> {
    const { index, stream, seq } = row;
    this.#draft.putJson(receiptKey(index), row);
    const place = seqKey(stream, seq);
    if (isTaken || (await this.#draft.get(place)) === undefined) this.#draft.putJson(place, { index });
    for (const [filter, value] of filterValues(row)) {
      this.#draft.put(filterKey(filter, value, index));
      await this.#countUp(countKey(filter, value));
    }
    await this.#countUp(countKey("all", ""));
    await this.#widen(bucketKey("d", row.time.slice(0, "YYYY-MM-DD".length)), index);
    await this.#widen(bucketKey("m", row.time.slice(0, "YYYY-MM-DDTHH:MM".length)), index);
  }

  async #stream(stream: string, index: number): Promise<StreamRow> {
    const known = await this.#draft.read(streamKey(stream), streamRowShape);
    if (known !== undefined) return known;
    this.#draft.putJson(streamOrderKey(index), { stream });
    return newStreamRow(stream, index);
  }

  async #decisionOf(receipt: StreamReceipt): Promise<ReceiptRow | undefined> {
    if (receipt.kind !== "outcome") return undefined;
    return this.#receiptAt(receipt.stream, receipt.call.decision_seq);
  }

  async #receiptAt(stream: string, seq: number): Promise<ReceiptRow | undefined> {
    const place = await this.#draft.read(seqKey(stream, seq), indexRowShape);
    return place === undefined ? undefined : this.#draft.read(receiptKey(place.index), receiptRowShape);
  }

  async #countUp(key: string): Promise<void> {
    const { count } = (await this.#draft.read(key, countRowShape)) ?? { count: 0 };
    this.#draft.putJson(key, { count: count + 1 });
  }

  async #widen(key: string, index: number): Promise<void> {
    const bucket = await this.#draft.read(key, bucketRowShape);
    this.#draft.putJson(key, { first: bucket?.first ?? index, last: index });
  }

  /** One alarm a fault: unknown stream (once), signature, then place. */
  async #alarmStream(before: StreamRow, step: StreamStep, receipt: StreamReceipt, entry: ChunkEntry): Promise<void> {
    const { stream, seq } = receipt;
    if (before.registration === undefined && before.receipts + before.faults === 0) {
      const message = `stream ${stream} has receipts in this log and no registration before them`;
      await this.#alarmEntry("unregistered-stream", "ERR_STREAM_UNKNOWN", entry, message, receipt);
    }
    if (step.signature.verdict === "fail") {
      const message = `receipt ${entry.index} (stream ${stream}, seq ${seq}) is not signed by its stream's keys`;
      await this.#alarmEntry(
        "false-signature",
        step.signature.code ?? "ERR_SIGNATURE_INVALID",
        entry,
        message,
        receipt,
      );
    } else if (step.continuity.verdict === "fail") {
      await this.#alarmPlace(before, step.continuity.code ?? "ERR_STREAM_GAP", receipt, entry);
    }
  }

  async #alarmPlace(before: StreamRow, code: ErrorCode, receipt: StreamReceipt, entry: ChunkEntry): Promise<void> {
    const { stream, seq } = receipt;
    const expected = before.tip?.next_seq ?? 0;
    const message = `receipt ${entry.index}: want seq ${expected} of stream ${stream}, got ${seq}`;
    const other = code === "ERR_STREAM_FORK" ? await this.#otherAt(receipt, entry) : undefined;
    const isFork = other !== undefined && !equalBytes(receiptBodyHash(parseReceipt(other)), receiptBodyHash(receipt));
    const evidence = other === undefined ? [] : [evidenceOf("receipt that was there before", other)];
    await this.#alarmEntry(isFork ? "stream-fork" : "stream-break", code, entry, message, receipt, evidence);
  }

  /** Bytes of the receipt that holds the place already. */
  async #otherAt({ stream, seq }: StreamReceipt, entry: ChunkEntry): Promise<Uint8Array | undefined> {
    const place = await this.#draft.read(seqKey(stream, seq), indexRowShape);
    return place === undefined || place.index === entry.index ? undefined : this.#draft.get(entryKey(place.index));
  }

  #alarmMismatch(entry: ChunkEntry): Promise<void> {
    const message = `entry ${entry.index}: the bytes that the ledger serves are not those in its tree`;
    return this.#alarmEntry("entry-mismatch", "ERR_ROOT_MISMATCH", entry, message);
  }

  async #alarmEntry(
    kind: AlarmKind,
    code: ErrorCode,
    entry: ChunkEntry,
    message: string,
    receipt?: StreamReceipt,
    evidence: AlarmDraft["evidence"] = [],
  ): Promise<void> {
    const alarm: AlarmDraft = {
      kind,
      code,
      name: alarmName(kind, entry),
      message,
      index: entry.index,
      ...(receipt === undefined ? {} : { stream: receipt.stream, seq: receipt.seq }),
      evidence: [...evidence, evidenceOf(`entry ${entry.index} as served`, entry.bytes)],
    };
    if (await raiseAlarm(this.#draft, alarm, this.#nowMs)) this.alarms.push(alarm);
  }
}

function alarmName(kind: AlarmKind, { index }: { readonly index: number }): string {
  return `${kind} entry ${index}`;
}
