/**
 * What a witness knows of its logs, durable: the last cosigned checkpoint of each, and whether its logs are suspended
 * because the state turned out to be older than what the witness has cosigned.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../kernel/bytes.ts";
import { parseCheckpoint } from "../kernel/checkpoint/checkpoint.ts";
import { EMPTY_TREE, type TreeHead } from "../kernel/checkpoint-judge.ts";
import { isCodedError, StoreError } from "../kernel/errors.ts";
import { formatHex } from "../kernel/hex.ts";
import { parseNote } from "../kernel/note/signed-note.ts";
import { type Fence, whyBehindFence } from "./fence.ts";
import { JOURNAL_NAME, Journal } from "./journal.ts";
import {
  type Frame,
  formatFrame,
  JOURNAL_START,
  type JournalPosition,
  type JournalRecord,
  scanJournal,
} from "./journal-frame.ts";
import { readOldStates, removeOldStates } from "./old-state.ts";
import type { StateFiles } from "./state-files.ts";

/** What is recorded of one log: its tree head and the cosigned checkpoint, absent before the first one. */
export interface RecordedState {
  readonly head: TreeHead;
  readonly note?: string;
}

/** Why every log is refused, but those that an operator released. */
interface Suspension {
  readonly why: string;
  /** Origins, each with the operator's reason. */
  readonly resumed: Map<string, string>;
}

const NOTHING: RecordedState = { head: EMPTY_TREE };

/** Hex SHA-256 of the origin: the monitoring path element. */
export function originHash(origin: string): string {
  return formatHex(sha256(formatUtf8(origin)));
}

/** The facts of a journal, applied in order; nothing here writes. */
export class StateFacts {
  readonly states: Map<string, RecordedState> = new Map();
  suspension: Suspension | undefined;

  /** @throws {FormatError} if a record cannot be read */
  apply({ kind, text }: JournalRecord): void {
    switch (kind) {
      case "cosigned": {
        const { origin, size, root } = parseCheckpoint(parseNote(text).text);
        this.states.set(origin, { head: { size, root }, note: text });
        return;
      }
      case "suspended":
        this.suspension = { why: text, resumed: new Map() };
        return;
      case "resumed": {
        const [origin = "", ...why] = text.split("\n");
        this.suspension?.resumed.set(origin, why.join("\n"));
        return;
      }
      case "cleared":
        this.suspension = undefined;
        return;
    }
  }

  /** Everything that counts, as records. */
  records(): readonly JournalRecord[] {
    const states = [...this.states.values()].flatMap(({ note }) => (note === undefined ? [] : [note]));
    const cosigned = states.map((text): JournalRecord => ({ kind: "cosigned", text }));
    if (this.suspension === undefined) return cosigned;
    const { why, resumed } = this.suspension;
    const released = [...resumed].map(
      ([origin, reason]): JournalRecord => ({ kind: "resumed", text: `${origin}\n${reason}` }),
    );
    return [...cosigned, { kind: "suspended", text: why }, ...released];
  }
}

/** A journal as it was found, or begun. */
export interface FoundJournal {
  readonly facts: StateFacts;
  /** Oldest first; at least one. */
  readonly frames: readonly Frame[];
  readonly position: JournalPosition;
  readonly length: number;
  /** True if there was none before, or one that a crash left before its fence: nothing was ever answered from it. */
  readonly isNew: boolean;
  /** An origin of which a state of version 0.1.0 is beyond what is recorded; undefined if there is none. */
  readonly beyond: string | undefined;
}

/**
 * Reads the journal, or begins one; cuts a torn end, and writes what is there once more, durably.
 *
 * @throws {StoreError} ERR_WITNESS_STATE, fatal, if it is damaged
 */
export async function readJournal(files: StateFiles): Promise<FoundJournal> {
  const old = new StateFacts();
  for (const record of await readOldStates(files)) old.apply(record);
  const content = await files.read(JOURNAL_NAME);
  if (content === undefined) return beginJournal(files, old);
  try {
    const { frames, end, whole } = scanJournal(content);
    const facts = new StateFacts();
    for (const record of frames.flatMap(({ records }) => records)) facts.apply(record);
    // Also where it is whole: after a sync that failed, what can be read may never reach the disk by another one.
    await files.replace(JOURNAL_NAME, whole);
    const position = frames.at(-1) ?? JOURNAL_START;
    return { facts, frames, position, length: end, isNew: isOnlyOf(facts, old), beyond: findBeyond(facts, old) };
  } catch (cause) {
    if (!isCodedError(cause) || cause instanceof StoreError) throw cause;
    const message = `${JOURNAL_NAME} is damaged (${cause.message}); restore the newest copy, never an older one`;
    throw new StoreError("ERR_WITNESS_STATE", message, { cause, fatal: true });
  }
}

async function beginJournal(files: StateFiles, facts: StateFacts): Promise<FoundJournal> {
  const { bytes, position } = formatFrame(JOURNAL_START, facts.records());
  await files.replace(JOURNAL_NAME, bytes);
  const { frames } = scanJournal(bytes);
  return { facts, frames, position, length: bytes.length, isNew: true, beyond: undefined };
}

/** True for a journal that has taken over the old states and nothing else: an upgrade that was cut before its fence. */
function isOnlyOf(facts: StateFacts, old: StateFacts): boolean {
  const [found, taken] = [facts.records(), old.records()];
  return (
    taken.length > 0 &&
    found.length === taken.length &&
    found.every(({ kind, text }) => taken.some((record) => record.kind === kind && record.text === text))
  );
}

/** An old state that the journal has not taken over: version 0.1.0 has run on the folder since. */
function findBeyond(facts: StateFacts, old: StateFacts): string | undefined {
  for (const [origin, { head }] of old.states) {
    const size = facts.states.get(origin)?.head.size ?? 0n;
    if (head.size > size) return origin;
  }
  return undefined;
}

/** The durable state of a witness. */
export class StateBook {
  readonly #facts: StateFacts;
  readonly #journal: Journal;

  private constructor(facts: StateFacts, journal: Journal) {
    this.#facts = facts;
    this.#journal = journal;
  }

  /**
   * Opens the state.
   *
   * @param rewriteBytes  length above which the journal may be rewritten; default as `Journal`
   * @throws {StoreError} ERR_WITNESS_STATE (damaged), ERR_WITNESS_ROLLBACK (behind its fence, or the fence is gone); fatal
   */
  static async open(files: StateFiles, fence?: Fence, rewriteBytes?: number): Promise<StateBook> {
    const { facts, frames, position, length, isNew, beyond } = await readJournal(files);
    if (beyond !== undefined) throw rolledBack(`a state of version 0.1.0 of ${beyond} is beyond the journal's`);
    if (fence !== undefined) {
      const why = fence.position === undefined ? undefined : whyBehindFence(fence.position, frames);
      if (why !== undefined) throw rolledBack(why);
      // A journal of nothing, which a crash left before the fence was made, is as good as none.
      if (fence.position === undefined && !isNew && facts.records().length > 0)
        throw rolledBack("the data folder has a state and there is no fence file");
      await fence.advance(position);
    }
    await removeOldStates(files);
    const parts = {
      files,
      fence,
      live: () => facts.records(),
      ...(rewriteBytes === undefined ? {} : { rewriteBytes }),
    };
    const journal = new Journal(parts, position, length);
    return new StateBook(facts, journal);
  }

  /** What is recorded of `origin`. */
  state(origin: string): RecordedState {
    return this.#facts.states.get(origin) ?? NOTHING;
  }

  /** Why `origin` is refused until an operator decides; undefined if it is not. */
  suspension(origin: string): string | undefined {
    const { suspension } = this.#facts;
    return suspension === undefined || suspension.resumed.has(origin) ? undefined : suspension.why;
  }

  /** True while any log may be suspended. */
  get isSuspended(): boolean {
    return this.#facts.suspension !== undefined;
  }

  /** Records a cosigned checkpoint of `origin`; durable when it resolves. @throws {StoreError} ERR_WITNESS_STATE, fatal */
  async record(origin: string, head: TreeHead, note: string): Promise<void> {
    await this.#journal.append({ kind: "cosigned", text: note });
    this.#facts.states.set(origin, { head, note });
  }

  /** Suspends every log; durable when it resolves. @throws {StoreError} ERR_WITNESS_STATE, fatal */
  async suspend(why: string): Promise<void> {
    const record: JournalRecord = { kind: "suspended", text: why };
    // At once: nothing may be signed while this is being written.
    this.#facts.apply(record);
    await this.#journal.append(record);
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#journal.close();
  }
}

function rolledBack(why: string): StoreError {
  const message = `${why}; if an older copy was put back, put the newest one there, or see "countersign witness recover"`;
  return new StoreError("ERR_WITNESS_ROLLBACK", message, { fatal: true });
}
