/**
 * A node's view of the log: the head row, read again and again, and the next index. Whoever integrates changes the row; here it
 * is checked once more (the edge gives the root, the notes are signed by the log) and served.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatNote, formatSignatureLine, parseNote } from "../../kernel/note/signed-note.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import type { LoggedCheckpoints, SignedCheckpoint } from "../checkpoint/checkpointer.ts";
import type { PublishedCheckpoint, PublishedCheckpoints, ShownCheckpoint } from "../checkpoint/publisher.ts";
import { SizeWait } from "../checkpoint/size-wait.ts";
import type { TreeHead } from "../storage/head-store.ts";
import { type PartialTile, parseEdge } from "./edge-bytes.ts";
import type { HeadRow, HeadTable } from "./head-table.ts";
import type { LogHalt } from "./log-halt.ts";

/** The tree as far as it is recorded. */
export interface RecordedTree extends TreeHead {
  /** Partial tiles by level. */
  readonly edge: readonly PartialTile[];
}

/** What the watch reads with. */
export interface HeadWatchParts {
  readonly heads: HeadTable;
  readonly origin: string;
  /** Keys of the log, to open its checkpoints with. */
  readonly logKeys: () => readonly VerifierKey[];
  readonly nowMs: () => number;
}

/** The newest state that this node has seen. It never goes back. */
export class HeadWatch implements LoggedCheckpoints, PublishedCheckpoints {
  readonly sizes: SizeWait = new SizeWait();
  readonly #publishedSizes = new SizeWait();
  readonly #parts: HeadWatchParts;
  #change = -1n;
  #next = 0n;
  #recorded: RecordedTree | undefined;
  #logged: SignedCheckpoint | undefined;
  #published: PublishedCheckpoint | undefined;
  #unwitnessed: PublishedCheckpoint | undefined;
  #holder = "";
  #halt: LogHalt | undefined;
  #seenAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(parts: HeadWatchParts) {
    this.#parts = parts;
  }

  /** Size of the log: indexes below it are given. */
  get next(): bigint {
    return this.#next;
  }

  /** The recorded tree; undefined before the first `refresh`. */
  get recorded(): RecordedTree | undefined {
    return this.#recorded;
  }

  get logged(): SignedCheckpoint | undefined {
    return this.#logged;
  }

  get published(): PublishedCheckpoint | undefined {
    return this.#published;
  }

  get shown(): ShownCheckpoint | undefined {
    const [published, unwitnessed] = [this.#published, this.#unwitnessed];
    const isLogged = unwitnessed !== undefined && unwitnessed.size > (published?.size ?? -1n);
    if (isLogged) return { size: unwitnessed.size, note: unwitnessed.note, state: "logged" };
    return published === undefined ? undefined : { size: published.size, note: published.note, state: "cosigned" };
  }

  /** Who integrates, as the row says. */
  get holder(): string {
    return this.#holder;
  }

  /** Why the log is halted; undefined while it goes on. Reads do so in any case. */
  get halt(): LogHalt | undefined {
    return this.#halt;
  }

  /** Time since the database last answered. */
  get ageMs(): number {
    return this.#parts.nowMs() - this.#seenAtMs;
  }

  /** Notes that the log has an entry at `index`. */
  reach(index: bigint): void {
    if (index >= this.#next) this.#next = index + 1n;
  }

  /** Reads the row; calls during a read share the next one. @throws {StoreError} ERR_DATABASE; fatal: ERR_HEAD_DAMAGE, ERR_LOG_BEHIND */
  async refresh(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  release(): void {
    this.sizes.release();
    this.#publishedSizes.release();
  }

  waitFor(index: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#publishedSizes.waitFor(index, signal);
  }

  async #read(): Promise<void> {
    // What was durable before the question is there when it is answered.
    const [known, change] = [this.#next, this.#change];
    const { next, row, halt } = await this.#parts.heads.readChanged(change);
    if (next < known) throw wentBack(`the next index went back from ${known} to ${next}`);
    if (row !== undefined && row.change < change) throw wentBack("the head row has fewer changes than before");
    if (next > this.#next) this.#next = next;
    if (row !== undefined) this.#take(row);
    this.#halt = halt;
    this.#seenAtMs = this.#parts.nowMs();
  }

  #take(row: HeadRow): void {
    const { size, root } = row;
    if (size < (this.#recorded?.size ?? 0n)) {
      throw wentBack(`the recorded head went back from ${this.#recorded?.size ?? 0n} to ${size}`);
    }
    this.#recorded = { size, root, edge: parseEdge(row.edge, size, root) };
    if (row.logged !== undefined && row.logged !== this.#logged?.note) this.#logged = this.#openLogged(row.logged);
    if (row.published !== undefined && row.published !== this.#published?.note) {
      const opened = this.#open(row.published);
      this.#published = row.publishedMet === undefined ? opened : { ...opened, metAtSeconds: row.publishedMet };
    }
    if (row.unwitnessed !== undefined && row.unwitnessed !== this.#unwitnessed?.note) {
      this.#unwitnessed = this.#open(row.unwitnessed);
    }
    this.#holder = row.holder;
    this.#change = row.change;
    this.sizes.reach(this.#logged?.size ?? 0n);
    this.#publishedSizes.reach(this.#published?.size ?? 0n);
  }

  #open(note: string): PublishedCheckpoint {
    const { checkpoint } = openLogCheckpoint(formatUtf8(note), this.#parts.logKeys());
    return { size: checkpoint.size, root: checkpoint.root, note };
  }

  #openLogged(note: string): SignedCheckpoint {
    return signedOf(this.#parts.origin, this.#open(note));
  }
}

/** The database under a running node lacks what it had: it was put back from a copy, or another one took its place. */
export function wentBack(what: string): StoreError {
  return new StoreError("ERR_LOG_BEHIND", what, { fatal: true });
}

/** A checkpoint with the signatures of the log of `origin` alone. */
export function signedOf(origin: string, { size, root, note }: PublishedCheckpoint): SignedCheckpoint {
  const { text, signatures } = parseNote(note);
  const lines = signatures
    .filter(({ name }) => name === origin)
    .map(({ name, keyId, payload }) => formatSignatureLine(name, keyId, payload));
  return { size, root, text, lines, note: formatNote(text, lines) };
}
