/**
 * Follows one ledger, believing nothing: each checkpoint must be signed by the pinned log and a quorum of the pinned
 * witnesses and extend every earlier one; each entry must be in its tree; the root is recomputed from all entries.
 *
 * A step is: fetch a checkpoint, judge it, index what is new in chunks of up to 256 entries. Each chunk is one atomic
 * batch of rows and head, so a crash at any point repeats at most one chunk.
 */

import { equalBytes, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { makeLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { CheckError, FormatError, isCodedError, StoreError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { HASH_BYTES, parseRootHash } from "../../kernel/merkle/hash.ts";
import { makeTileHashReader, type ReadTile } from "../../kernel/tile/tile-reader.ts";
import type { WitnessedCheckpoint, WitnessPolicy } from "../../kernel/witness-policy.ts";
import { type AlarmDraft, raiseAlarm } from "../index/alarms.ts";
import { leafKey } from "../index/keys.ts";
import type { HeadFact, HeadRow } from "../index/row-shapes.ts";
import { Draft } from "../index/rows.ts";
import { storedHashes, TreeGrowth } from "../index/stored-tree.ts";
import {
  falseTile,
  forkedNotes,
  refusedNote,
  shrunkenNote,
  staleCheckpoint,
  staleName,
  staleWitness,
  withheldName,
  withheldTiles,
} from "./checkpoint-alarms.ts";
import { type ChunkEntry, readChunk } from "./chunk.ts";
import { compareHeads, type Head } from "./compare-heads.ts";
import { EntryIndexer } from "./entry-indexer.ts";
import { Freshness } from "./freshness.ts";
import { dueHoles, type HoleRow } from "./holes.ts";
import { KeyMemory } from "./key-memory.ts";
import type { LedgerBook } from "./ledger-book.ts";
import type { LogReader } from "./ledger-reader.ts";
import { LogStatements } from "./log-statements.ts";
import { rememberTiles } from "./tile-memory.ts";
import { seenWitnesses, staleWitnesses } from "./witness-watch.ts";

const MAX_SECONDS = BigInt(Number.MAX_SAFE_INTEGER);
/** Steps in a row that a checkpoint may go unjudged for want of tiles: a bad network is not an alarm. */
const WITHHELD_TRIES = 5;

/** What a follower works with. */
export interface FollowerOptions {
  readonly book: LedgerBook;
  readonly reader: LogReader;
  readonly policy: WitnessPolicy;
  readonly staleWitnessSeconds: number;
  readonly staleCheckpointSeconds: number;
  /** Told after each chunk. */
  readonly onProgress: (indexed: number, size: number) => void;
  /** Ends the work between two chunks. */
  readonly signal: AbortSignal;
}

/**
 * How a step ended. `current`: all of the newest checkpoint is indexed. `refused`: the checkpoint, or what was served for
 * it, was not acceptable, and an alarm says so. `forked`: the ledger is not followed any more.
 */
export type StepResult = "current" | "refused" | "forked";

/** A checkpoint that opened, and its bytes. */
interface Opened {
  readonly note: Uint8Array;
  readonly witnessed: WitnessedCheckpoint;
}

/** Follows one ledger, one step at a time. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #memory = new KeyMemory();
  /** The last note that was accepted: a ledger without news is asked once a second. */
  #accepted: Uint8Array | undefined;
  /** Steps in a row in which the tiles that would judge the newest checkpoint were not served. */
  #unjudged = 0;
  readonly #freshness: Freshness;
  readonly #statements: LogStatements;
  #hasRecalled = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#statements = new LogStatements(options.policy, options.reader);
    this.#freshness = new Freshness(options.staleCheckpointSeconds);
  }

  /**
   * Takes back what an earlier policy vouched for, if this one does not: a witnessed head is answered only if it is
   * witnessed under the policy in force. What was accepted stays accepted, as history that must be extended.
   */
  async recheck(): Promise<void> {
    const { book } = this.#options;
    const { verified } = book.head;
    if (verified === null) return;
    try {
      await this.#statements.open(verified.note);
    } catch (error) {
      if (!isCodedError(error)) throw error;
      await book.commit(new Draft(book.rows), { ...book.head, verified: null });
    }
  }

  /** The origin that the policy pins. */
  get origin(): string {
    return this.#options.policy.logs[0]?.key.name ?? "";
  }

  /**
   * One step.
   *
   * @throws {StoreError} ERR_LEDGER_UNREACHABLE, after which a later step may go on; any other StoreError is fatal
   */
  async step(): Promise<StepResult> {
    const { book, reader } = this.#options;
    if (book.head.forked) return "forked";
    const readTile = rememberTiles((ref) => reader.tile(ref));
    const note = await this.#fetchNote();
    const accepted = note !== undefined && (await this.#acceptNote(note, readTile));
    if (book.head.forked) return "forked";
    await this.#checkAge();
    // What was accepted before is finished even if the newest checkpoint is refused.
    const isWhole = await this.#catchUp(readTile);
    if (isWhole) await this.#fillHoles(readTile);
    return accepted && isWhole ? "current" : "refused";
  }

  /** @returns undefined if what is served is no note at all, and an alarm says so */
  async #fetchNote(): Promise<Uint8Array | undefined> {
    const { book, reader } = this.#options;
    try {
      return await reader.checkpoint();
    } catch (error) {
      await book.alarm(refusalOf(error, (code, message) => refusedNote(code, message)));
      return undefined;
    }
  }

  /** Tells of a newest checkpoint that nobody cosigns again: whoever shows an old view of a log shows just that. */
  async #checkAge(): Promise<void> {
    const { book } = this.#options;
    const { target } = book.head;
    const age =
      target === null || this.#statements.hasEnded ? undefined : this.#freshness.lateSeconds(target, book.nowMs);
    if (target !== null && age !== undefined) await book.alarm(staleCheckpoint(target, age));
  }

  async #acceptNote(note: Uint8Array, readTile: ReadTile): Promise<boolean> {
    if (this.#accepted !== undefined && equalBytes(note, this.#accepted)) return true;
    const opened = await this.#open(note);
    const accepted = opened !== undefined && (await this.#accept(opened, readTile));
    this.#accepted = accepted ? note : undefined;
    return accepted;
  }

  async #open(note: Uint8Array): Promise<Opened | undefined> {
    try {
      const witnessed = await this.#statements.open(parseUtf8(note));
      if (witnessed.checkpoint.size > BigInt(Number.MAX_SAFE_INTEGER)) {
        throw new FormatError("ERR_CHECKPOINT", "the size is above 2^53 - 1");
      }
      return { note, witnessed };
    } catch (error) {
      await this.#options.book.alarm(refusalOf(error, (code, message) => refusedNote(code, message, note)));
      return undefined;
    }
  }

  /** Makes the checkpoint the target if it extends the last one. @returns false if it was refused */
  async #accept(opened: Opened, readTile: ReadTile): Promise<boolean> {
    const { book } = this.#options;
    const { target } = book.head;
    const fact = factOf(opened);
    if (target !== null) {
      const verdict = await this.#judgeOrTell(target, fact, readTile);
      if (verdict !== undefined) {
        await book.alarm(verdict, { ...book.head, forked: verdict.kind === "fork" });
        return false;
      }
      await book.resolve(withheldName(target), `size ${fact.size} was shown to extend it`);
      await book.resolve(staleName(target), "a newer checkpoint was published");
    }
    await this.#keepWitnesses(fact);
    return true;
  }

  /** Judges, and keeps both notes if the ledger goes on not to serve what would judge them: it may hide a fork that way. */
  async #judgeOrTell(target: HeadFact, fact: HeadFact, readTile: ReadTile): Promise<AlarmDraft | undefined> {
    try {
      const verdict = await this.#judge(target, fact, readTile);
      this.#unjudged = 0;
      return verdict;
    } catch (error) {
      if (!isCodedError(error) || error.code !== "ERR_LEDGER_UNREACHABLE") throw error;
      this.#unjudged += 1;
      if (this.#unjudged === WITHHELD_TRIES) await this.#options.book.alarm(withheldTiles(target, fact));
      throw error;
    }
  }

  /** The alarm about a checkpoint that does not extend the target; undefined if it does. */
  async #judge(target: HeadFact, fact: HeadFact, readTile: ReadTile): Promise<AlarmDraft | undefined> {
    const note = formatUtf8(fact.note);
    const [smaller, larger] = fact.size < target.size ? [fact, target] : [target, fact];
    const { rows, head } = this.#options.book;
    const size = BigInt(larger.size);
    const reader = head.indexed >= larger.size ? storedHashes(rows, size) : makeTileHashReader(size, readTile);
    try {
      const comparison = await compareHeads(headOf(smaller), headOf(larger), reader);
      if (comparison.verdict === "forked") {
        const { prefix } = comparison;
        const first = { first: smaller.note, ...(prefix === undefined ? {} : { prefix }) };
        // A tree of no leaves that is not the empty one contradicts itself.
        const evidence = smaller.size === 0 && larger.size > 0 ? first : { ...first, second: larger.note };
        const keys = this.#options.policy.logs.map(({ key }) => key);
        return forkedNotes(target, fact.size, note, makeLogFork(evidence, keys));
      }
    } catch (error) {
      return refusalOf(error, (code, message) => falseTile(code, message, larger));
    }
    return fact.size < target.size ? shrunkenNote(target, fact.size, note) : undefined;
  }

  async #keepWitnesses(fact: HeadFact): Promise<void> {
    const { book, policy, staleWitnessSeconds } = this.#options;
    const seen = seenWitnesses(book.witnesses, policy, fact);
    const isNews = JSON.stringify(seen) !== JSON.stringify(book.witnesses) || book.head.target?.size !== fact.size;
    if (isNews) await book.commitWitnesses(seen, withTarget(book.head, fact));
    for (const name of staleWitnesses(seen, policy, staleWitnessSeconds)) {
      if (isNews) await book.alarm(staleWitness(name, fact));
    }
  }

  /** Indexes up to the target. @returns false if what is served for it is false */
  async #catchUp(readTile: ReadTile): Promise<boolean> {
    const { book, signal } = this.#options;
    for (;;) {
      const { target, indexed } = book.head;
      if (target === null || indexed >= target.size || signal.aborted) return true;
      try {
        await this.#recallLast(indexed, target, readTile);
        const entries = await readChunk(indexed, { head: headOf(target), readTile });
        const tree = growTree(book.head, target, entries);
        await this.#indexChunk(target, entries, tree);
      } catch (error) {
        await book.alarm(refusalOf(error, (code, message) => falseTile(code, message, target)));
        return false;
      }
    }
  }

  /** Looks once in a run at the last entry of earlier ones: it may have closed the log. */
  async #recallLast(indexed: number, target: HeadFact, readTile: ReadTile): Promise<void> {
    if (this.#hasRecalled || indexed === 0) return;
    const [last] = await readChunk(indexed - 1, { head: headOf(target), readTile });
    if (last !== undefined) this.#statements.take([last], target);
    this.#hasRecalled = true;
  }

  /** Fetches again what was served with wrong bytes, as far as it is due. */
  async #fillHoles(readTile: ReadTile): Promise<void> {
    const { book, signal } = this.#options;
    for (const hole of await dueHoles(book.rows, book.nowMs)) {
      const { target } = book.head;
      if (target === null || signal.aborted) return;
      try {
        const [entry] = await readChunk(hole.index, { head: headOf(target), readTile });
        if (entry !== undefined) await this.#fillHole(hole, entry);
      } catch (error) {
        await book.alarm(refusalOf(error, (code, message) => falseTile(code, message, target)));
      }
    }
  }

  async #fillHole({ tries }: HoleRow, entry: ChunkEntry): Promise<void> {
    const { book } = this.#options;
    const draft = new Draft(book.rows);
    const options = { draft, origin: this.origin, nowMs: book.nowMs, memory: this.#memory };
    const indexer = new EntryIndexer(options, book.head.log_kind);
    await (entry.isLogged ? indexer.addLate(entry, tries) : indexer.addWrong(entry, tries));
    await book.commit(draft, { ...book.head, log_kind: indexer.kind }, indexer.alarms);
  }

  async #indexChunk(target: HeadFact, entries: readonly ChunkEntry[], tree: TreeGrowth): Promise<void> {
    const { book, onProgress } = this.#options;
    const { head } = book;
    const draft = new Draft(book.rows);
    const options = { draft, origin: this.origin, nowMs: book.nowMs, memory: this.#memory };
    const indexer = new EntryIndexer(options, head.log_kind);
    try {
      await draft.prefetch(entries.map(({ leaf }) => leafKey(formatHex(leaf))));
      for (const entry of entries) await indexer.add(entry);
      await tree.flush(draft);
    } catch (cause) {
      // The entries are proven by now: what cannot be read here is our own index.
      throw new StoreError("ERR_INDEX_DAMAGE", "the index cannot be read", { cause, fatal: true });
    }
    const indexed = head.indexed + entries.length;
    const verified = indexed === target.size ? target : head.verified;
    const next: HeadRow = { ...head, log_kind: indexer.kind, indexed, edge: tree.edge(), verified };
    const behind = this.#statements.take(entries, target);
    const isNew = behind !== undefined && (await raiseAlarm(draft, behind, book.nowMs));
    await book.commit(draft, next, isNew ? [...indexer.alarms, behind] : indexer.alarms);
    onProgress(indexed, target.size);
  }
}

/** The stored tree with the chunk's leaves; at the target's size it must have the target's root. */
function growTree({ indexed, edge }: HeadRow, target: HeadFact, entries: readonly ChunkEntry[]): TreeGrowth {
  const tree = new TreeGrowth(indexed, edge);
  for (const { leaf } of entries) tree.append(leaf);
  if (indexed + entries.length < target.size || equalBytes(tree.root(), headOf(target).root)) return tree;
  throw new CheckError("ERR_ROOT_MISMATCH", "the entries give another root than the checkpoint");
}

/** What was refused becomes an alarm; what the world did (network, disk) passes. */
function refusalOf(error: unknown, alarm: (code: CheckError["code"], message: string) => AlarmDraft): AlarmDraft {
  if (isCodedError(error) && (error instanceof FormatError || error instanceof CheckError)) {
    return alarm(error.code, error.message);
  }
  throw error;
}

/** A head that is all indexed is verified at once: the root of the indexed entries is compared. */
function withTarget(head: HeadRow, fact: HeadFact): HeadRow {
  const isWhole = head.indexed === fact.size;
  const isVerified = isWhole && equalBytes(new TreeGrowth(head.indexed, head.edge).root(), headOf(fact).root);
  return { ...head, target: fact, verified: isVerified ? fact : head.verified };
}

function factOf({ note, witnessed: { checkpoint, cosignatures } }: Opened): HeadFact {
  return {
    size: Number(checkpoint.size),
    root: formatHex(checkpoint.root),
    note: parseUtf8(note),
    cosignatures: cosignatures.map(({ witness, timestampSeconds }) => ({
      witness,
      seconds: safeSeconds(timestampSeconds),
    })),
  };
}

/** A witness may claim any time below 2^63 seconds. */
function safeSeconds(seconds: bigint): number {
  return Number(seconds > MAX_SECONDS ? MAX_SECONDS : seconds);
}

function headOf({ size, root }: HeadFact): Head {
  return { size: BigInt(size), root: parseRootHash(parseHex(root, HASH_BYTES)) };
}
