/**
 * What one followed ledger left on disk: head, witnesses, alarms; and the steps that change them. Every step is one
 * atomic batch, so that a crash leaves the state before it or behind it.
 */

import type { Clock } from "../../kernel/service/service.ts";
import { type AlarmDraft, raiseAlarm, resolveAlarm } from "../index/alarms.ts";
import { HEAD_KEY, WITNESSES_KEY } from "../index/keys.ts";
import { FIRST_HEAD, type HeadRow, headRowShape, type WitnessRow, witnessRowsShape } from "../index/row-shapes.ts";
import { Draft, type RowStore, readRow } from "../index/rows.ts";

/** Told of every new alarm. */
export type OnAlarm = (alarm: AlarmDraft) => void;

/** The state of one ledger in memory, as it is on disk. */
export class LedgerBook {
  readonly rows: RowStore;
  readonly #clock: Clock;
  readonly #onAlarm: OnAlarm;
  #head: HeadRow = FIRST_HEAD;
  #witnesses: readonly WitnessRow[] = [];

  private constructor(rows: RowStore, clock: Clock, onAlarm: OnAlarm) {
    this.rows = rows;
    this.#clock = clock;
    this.#onAlarm = onAlarm;
  }

  /** Reads the state. @throws {FormatError} if the rows are damaged */
  static async open(rows: RowStore, clock: Clock, onAlarm: OnAlarm): Promise<LedgerBook> {
    const book = new LedgerBook(rows, clock, onAlarm);
    book.#head = (await readRow(rows, HEAD_KEY, headRowShape)) ?? FIRST_HEAD;
    book.#witnesses = (await readRow(rows, WITNESSES_KEY, witnessRowsShape))?.witnesses ?? [];
    return book;
  }

  get head(): HeadRow {
    return this.#head;
  }

  get witnesses(): readonly WitnessRow[] {
    return this.#witnesses;
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Stores the draft together with the new head. `alarms` were raised in the draft and are told once it is durable. */
  async commit(draft: Draft, head: HeadRow, alarms: readonly AlarmDraft[] = []): Promise<void> {
    draft.putJson(HEAD_KEY, head);
    await draft.commit();
    this.#head = head;
    for (const alarm of alarms) this.#onAlarm(alarm);
  }

  /** Stores the newest cosignatures with the head. */
  async commitWitnesses(witnesses: readonly WitnessRow[], head: HeadRow): Promise<void> {
    const draft = new Draft(this.rows);
    draft.putJson(WITNESSES_KEY, { witnesses });
    await this.commit(draft, head);
    this.#witnesses = witnesses;
  }

  /** Stores an alarm, durably, and the head that follows from it. */
  async alarm(alarm: AlarmDraft, head: HeadRow = this.#head): Promise<void> {
    const draft = new Draft(this.rows);
    const isNew = await raiseAlarm(draft, alarm, this.nowMs);
    await this.commit(draft, head, isNew ? [alarm] : []);
  }

  /** Notes that what the alarm of this name tells has come right; nothing is written if there is none. */
  async resolve(name: string, note: string): Promise<void> {
    const draft = new Draft(this.rows);
    if (await resolveAlarm(draft, name, note, this.nowMs)) await this.commit(draft, this.#head);
  }
}
