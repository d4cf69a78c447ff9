/**
 * Follows one ledger, believing nothing: each checkpoint must be signed by the pinned log and a quorum of the pinned
 * witnesses and extend every earlier one; each entry must be in its tree; the root is recomputed from all entries.
 *
 * A step is: fetch a checkpoint, judge it, index what is new in chunks of up to 256 entries. Each chunk is one atomic
 * batch of rows and head, so a crash at any point repeats at most one chunk.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { HASH_BYTES, parseRootHash } from "../../kernel/merkle/hash.ts";
import { makeTileHashReader, type ReadTile } from "../../kernel/tile/tile-reader.ts";
import { openWitnessedCheckpoint, type WitnessedCheckpoint, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { AlarmDraft } from "../index/alarms.ts";
import type { HeadFact, HeadRow } from "../index/row-shapes.ts";
import { Draft } from "../index/rows.ts";
import { storedHashes, TreeGrowth } from "../index/stored-tree.ts";
import { falseTile, forkedNotes, refusedNote, shrunkenNote, staleWitness } from "./checkpoint-alarms.ts";
import { readChunk } from "./chunk.ts";
import { compareHeads, type Head } from "./compare-heads.ts";
import { EntryIndexer } from "./entry-indexer.ts";
import { KeyMemory } from "./key-memory.ts";
import type { LedgerBook } from "./ledger-book.ts";
import type { LogReader } from "./ledger-reader.ts";
import { rememberTiles } from "./tile-memory.ts";
import { seenWitnesses, staleWitnesses } from "./witness-watch.ts";

/** What a follower works with. */
export interface FollowerOptions {
  readonly book: LedgerBook;
  readonly reader: LogReader;
  readonly policy: WitnessPolicy;
  readonly staleWitnessSeconds: number;
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

  constructor(options: FollowerOptions) {
    this.#options = options;
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
    const opened = await this.#open(await reader.checkpoint());
    const accepted = opened !== undefined && (await this.#accept(opened, readTile));
    if (book.head.forked) return "forked";
    // What was accepted before is finished even if the newest checkpoint is refused.
    const isWhole = await this.#catchUp(readTile);
    return accepted && isWhole ? "current" : "refused";
  }

  async #open(note: Uint8Array): Promise<Opened | undefined> {
    try {
      const witnessed = openWitnessedCheckpoint(note, this.#options.policy);
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
      const verdict = await this.#judge(target, fact, readTile);
      if (verdict !== undefined) {
        await book.alarm(verdict, { ...book.head, forked: verdict.kind === "fork" });
        return false;
      }
    }
    await this.#keepWitnesses(opened, fact);
    return true;
  }

  /** The alarm about a checkpoint that does not extend the target; undefined if it does. */
  async #judge(target: HeadFact, fact: HeadFact, readTile: ReadTile): Promise<AlarmDraft | undefined> {
    const note = new TextEncoder().encode(fact.note);
    const [smaller, larger] = fact.size < target.size ? [fact, target] : [target, fact];
    const { rows, head } = this.#options.book;
    const size = BigInt(larger.size);
    const reader = head.indexed >= larger.size ? storedHashes(rows, size) : makeTileHashReader(size, readTile);
    try {
      if ((await compareHeads(headOf(smaller), headOf(larger), reader)) === "forked") {
        return forkedNotes(target, fact.size, note);
      }
    } catch (error) {
      return refusalOf(error, (code, message) => falseTile(code, message, larger));
    }
    return fact.size < target.size ? shrunkenNote(target, fact.size, note) : undefined;
  }

  async #keepWitnesses({ witnessed }: Opened, fact: HeadFact): Promise<void> {
    const { book, policy, staleWitnessSeconds } = this.#options;
    const seen = seenWitnesses(book.witnesses, policy, witnessed);
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
        await this.#indexChunk(target, readTile);
      } catch (error) {
        await book.alarm(refusalOf(error, (code, message) => falseTile(code, message, target)));
        return false;
      }
    }
  }

  async #indexChunk(target: HeadFact, readTile: ReadTile): Promise<void> {
    const { book, onProgress } = this.#options;
    const { head } = book;
    const entries = await readChunk(head.indexed, { head: headOf(target), readTile });
    const draft = new Draft(book.rows);
    const tree = new TreeGrowth(head.indexed, head.edge);
    const indexer = new EntryIndexer(
      { draft, origin: this.origin, nowMs: book.nowMs, memory: this.#memory },
      head.log_kind,
    );
    for (const entry of entries) {
      tree.append(entry.leaf);
      await indexer.add(entry);
    }
    const indexed = head.indexed + entries.length;
    const isWhole = indexed === target.size;
    if (isWhole && !equalBytes(tree.root(), headOf(target).root)) {
      throw new CheckError("ERR_ROOT_MISMATCH", "the entries give another root than the checkpoint");
    }
    await tree.flush(draft);
    const verified = isWhole ? target : head.verified;
    const next: HeadRow = { ...head, log_kind: indexer.kind, indexed, edge: tree.edge(), verified };
    await book.commit(draft, next, indexer.alarms);
    onProgress(indexed, target.size);
  }
}

/** What was refused becomes an alarm; what the world did (network, disk) passes. */
function refusalOf(error: unknown, alarm: (code: CheckError["code"], message: string) => AlarmDraft): AlarmDraft {
  if (isCodedError(error) && (error instanceof FormatError || error instanceof CheckError)) {
    return alarm(error.code, error.message);
  }
  throw error;
}

/** The same tree head with more cosignatures replaces the note; a verified head stays verified. */
function withTarget(head: HeadRow, fact: HeadFact): HeadRow {
  const isVerified = head.verified?.size === fact.size && head.indexed === fact.size;
  return { ...head, target: fact, verified: isVerified ? fact : head.verified };
}

function factOf({ note, witnessed: { checkpoint } }: Opened): HeadFact {
  return { size: Number(checkpoint.size), root: formatHex(checkpoint.root), note: new TextDecoder().decode(note) };
}

function headOf({ size, root }: HeadFact): Head {
  return { size: BigInt(size), root: parseRootHash(parseHex(root, HASH_BYTES)) };
}
