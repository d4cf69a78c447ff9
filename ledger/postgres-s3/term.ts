/**
 * One term of an integrator: from taking the lease until it is lost, given back, or a fault ends it. Everything is derived
 * anew from what is durable; a term takes nothing over from the one before but the two stores.
 *
 *     open      edge from stored tiles, then the sequenced entries up to the recorded size; its root must be the recorded one;
 *               the witnesses must not have seen more
 *     pull      sequenced entries in order → right edge; full tiles and bundles → object store
 *     record    (size, root, edge) by compare-and-swap with the term's token; then the batches that are stored are dropped
 *     sign      the recorded head, nothing else; the checkpoint is recorded for all nodes
 *     publish   once a quorum has cosigned
 */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveConsistency } from "../../kernel/merkle/prove.ts";
import type { Clock } from "../../kernel/service/service.ts";
import { openLogCheckpoint, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { Checkpointer } from "../checkpoint/checkpointer.ts";
import { Cosigning } from "../checkpoint/cosigning.ts";
import { askWitnesses, FIRST_ROUND_MS } from "../checkpoint/first-round.ts";
import { CHECKPOINT_PATH, type PublishedCheckpoint } from "../checkpoint/publisher.ts";
import type { CheckpointSigner } from "../checkpoint/signing.ts";
import { witnessReach } from "../checkpoint/witness-view.ts";
import { LEDGER_DEFAULTS } from "../config.ts";
import { Halt } from "../halt.ts";
import type { LedgerOptions } from "../options.ts";
import { Periodic } from "../periodic.ts";
import { checkHead } from "../recovery/check-heads.ts";
import type { GrowingTree } from "../tree/tree.ts";
import { readRun } from "./batch-table.ts";
import type { Database } from "./database.ts";
import type { HeadRow, HeadTable } from "./head-table.ts";
import type { ObjectStore } from "./object-store.ts";
import { TermHeads } from "./term-heads.ts";
import { TermPublisher } from "./term-publisher.ts";
import type { TermPulse } from "./term-pulse.ts";
import { appendSequenced, deriveTree, MAX_WAITING_TILES } from "./term-tree.ts";
import { TileBucket } from "./tile-bucket.ts";

/** Pause before the database is asked again whether there are new entries. */
const IDLE_MS = 20;
/** Entries that are hashed before other work gets the thread. */
const ENTRIES_A_SLICE = 512;
/** Somebody has seen more than a tree has. */
const BEHIND: ReadonlySet<ErrorCode> = new Set(["ERR_LOG_BEHIND", "ERR_WITNESS_AHEAD"]);

/** What a term works with. */
export interface TermParts {
  readonly options: LedgerOptions;
  readonly policy: WitnessPolicy;
  readonly signer: CheckpointSigner;
  readonly clock: Clock;
  readonly database: Database;
  readonly log: bigint;
  readonly heads: HeadTable;
  readonly store: ObjectStore;
  readonly token: bigint;
  /** Told of each step. */
  readonly pulse: TermPulse;
  /** Told after every change of the head row. */
  readonly onChange: () => void;
  readonly onWitness: (url: string, kind: string) => void;
}

/** A term that is open. */
export interface Term {
  readonly cosigning: Cosigning;
  /** Works until a fault, which it resolves to, or until `stop`. */
  readonly run: () => Promise<unknown>;
  /** Integrates what is sequenced, signs and publishes it if witnesses answer, and lets `run` end. */
  readonly stop: () => void;
  /** Ends at once, with a fault. */
  readonly fail: (fault: unknown) => void;
}

/**
 * Derives the log and opens a term.
 *
 * @throws {StoreError} ERR_DATABASE, ERR_OBJECT_STORE, ERR_LEASE_LOST; fatal: ERR_TILE_MISSING, ERR_BATCH_DAMAGE, ERR_LOG_BEHIND,
 *   ERR_LOG_FORKED
 * @throws {CheckError} ERR_WITNESS_AHEAD
 */
export async function openTerm(given: TermParts): Promise<Term> {
  const parts = { ...given, store: given.pulse.watching(given.store) };
  const { heads, signer } = parts;
  const row = await heads.read();
  const tiles = new TileBucket(parts.store);
  const tree = await deriveTree(parts, tiles, row);
  const open = (note: string | undefined): PublishedCheckpoint | undefined => openNote(note, signer);
  const [published, unwitnessed] = [open(row.published), open(row.unwitnessed)];
  const object = await readObject(parts);
  await checkSeen(parts, tiles, tree, { published, unwitnessed, object });
  const publisher = new TermPublisher({ ...parts, tree, logKeys: signer.keys }, published, unwitnessed);
  // A larger one is of this tree; the next checkpoint takes its place.
  if ((object?.size ?? 0n) <= (published?.size ?? 0n)) await publisher.catchUp();
  const running = new RunningTerm(parts, { tree, tiles, publisher, row });
  await running.resume();
  return running;
}

/**
 * What was published or seen must follow from the tree. A database that was put back from a copy may record an older head than it
 * has entries for: all of them are appended before anybody is said to have seen more.
 */
async function checkSeen(parts: TermParts, tiles: TileBucket, tree: GrowingTree, seen: SeenHeads): Promise<void> {
  const check = async (): Promise<void> => {
    for (const each of [seen.published, seen.unwitnessed, seen.object])
      if (each !== undefined) await checkHead(tree, each, "a published checkpoint");
    await askFirst(parts, tree, seen.published);
  };
  try {
    await check();
  } catch (fault) {
    if (!isCodedError(fault) || !BEHIND.has(fault.code) || !(await appendSequenced(parts, tiles, tree))) throw fault;
    await check();
  }
}

function openNote(note: string | undefined, signer: CheckpointSigner): PublishedCheckpoint | undefined {
  if (note === undefined) return undefined;
  const { checkpoint } = openLogCheckpoint(formatUtf8(note), signer.keys);
  return { size: checkpoint.size, root: checkpoint.root, note };
}

/** What the bucket shows: a database that was put back from a copy derives less. */
async function readObject({ store, signer }: TermParts): Promise<PublishedCheckpoint | undefined> {
  const object = await store.get(CHECKPOINT_PATH);
  return object === undefined ? undefined : openNote(parseUtf8(object.bytes), signer);
}

async function askFirst(
  { options, policy, signer, clock }: TermParts,
  tree: GrowingTree,
  published: PublishedCheckpoint | undefined,
): Promise<void> {
  const { config } = options;
  await askWitnesses({
    origin: config.origin,
    policy,
    logKeys: signer.keys,
    tree,
    published,
    fetch: options.fetch ?? fetch,
    timeoutMs: Math.min(FIRST_ROUND_MS, config.witness_timeout_ms ?? LEDGER_DEFAULTS.witnessTimeoutMs),
    nowMs: clock.nowMs,
    log: options.logger,
  });
}

/** Checkpoints that the log has shown. */
interface SeenHeads {
  readonly published: PublishedCheckpoint | undefined;
  readonly unwitnessed: PublishedCheckpoint | undefined;
  /** In the bucket. */
  readonly object: PublishedCheckpoint | undefined;
}

interface Derived {
  readonly tree: GrowingTree;
  readonly tiles: TileBucket;
  readonly publisher: TermPublisher;
  readonly row: HeadRow;
}

class RunningTerm implements Term {
  readonly cosigning: Cosigning;
  readonly #parts: TermParts;
  readonly #tree: GrowingTree;
  readonly #tiles: TileBucket;
  readonly #checkpointer: Checkpointer;
  readonly #halt = new Halt();
  #isStopping = false;
  #logged: string | undefined;

  constructor(parts: TermParts, { tree, tiles, publisher, row }: Derived) {
    this.#parts = parts;
    this.#tree = tree;
    this.#tiles = tiles;
    this.#logged = row.logged;
    const { options, signer, clock, heads, token } = parts;
    const onFatal = (error: unknown): void => this.fail(error);
    this.#checkpointer = new Checkpointer({
      origin: options.config.origin,
      tree,
      flushTiles: () => tiles.flush(),
      heads: new TermHeads(heads, token, tree, row),
      signer,
      clock,
      onFatal,
    });
    this.cosigning = this.#makeCosigning(publisher);
  }

  /**
   * Signs the head that an earlier term recorded, whose signature may have been lost; then what was derived beyond it, since a
   * witness or the bucket may have seen that.
   */
  async resume(): Promise<void> {
    await this.#checkpointer.resume();
    await this.#checkpointer.tick();
    await this.#showLogged();
  }

  fail(fault: unknown): void {
    this.#halt.trip(fault);
  }

  stop(): void {
    this.#isStopping = true;
  }

  async run(): Promise<unknown> {
    const { config } = this.#parts.options;
    const witnesses = new Periodic(config.witness_ms ?? LEDGER_DEFAULTS.witnessMs, () => this.#cosign());
    witnesses.start();
    try {
      await this.#integrate(config.checkpoint_ms ?? LEDGER_DEFAULTS.checkpointMs);
    } catch (error) {
      this.fail(error);
    }
    witnesses.stop();
    if (this.#halt.fault === undefined) for (let i = 0; i < 2; i += 1) await this.#cosign();
    await this.#checkpointer.stop();
    await this.cosigning.stop();
    return this.#halt.fault;
  }

  async #cosign(): Promise<void> {
    const { pulse } = this.#parts;
    pulse.begin("cosign");
    await this.cosigning.tick();
    pulse.end("cosign");
  }

  async #integrate(checkpointMs: number): Promise<void> {
    let signedAt = Number.NEGATIVE_INFINITY;
    while (this.#halt.fault === undefined) {
      this.#parts.pulse.begin("integrate");
      const hasMore = await this.#pull();
      const isDue = performance.now() - signedAt >= checkpointMs || (this.#isStopping && !hasMore);
      if (isDue && this.#tree.size > this.#checkpointer.recordedSize) {
        signedAt = performance.now();
        await this.#checkpointer.tick();
        await this.#showLogged();
      }
      if (hasMore) continue;
      if (this.#isStopping) return;
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    }
  }

  /** Appends what is sequenced, as far as one read goes. @returns false if there was nothing */
  async #pull(): Promise<boolean> {
    const run = await readRun(this.#parts.database, this.#parts.log, this.#tree.size);
    if (run === undefined) return false;
    for (const [i, entry] of run.entries.entries()) {
      if (i % ENTRIES_A_SLICE === ENTRIES_A_SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      this.#tree.append(entry, hashLeaf(entry));
    }
    if (this.#tiles.waiting >= MAX_WAITING_TILES) await this.#tiles.flush();
    return true;
  }

  async #showLogged(): Promise<void> {
    const { logged } = this.#checkpointer;
    if (logged === undefined || logged.note === this.#logged || this.#halt.fault !== undefined) return;
    await this.#parts.heads.recordLogged(this.#parts.token, logged.size, logged.note);
    this.#logged = logged.note;
    this.#parts.onChange();
  }

  #makeCosigning(publisher: TermPublisher): Cosigning {
    const { options, policy, clock, onWitness } = this.#parts;
    const limit = options.config.publish_without_quorum_after_seconds;
    return new Cosigning({
      ...witnessReach(options),
      proveConsistency: (oldSize, size) => proveConsistency(oldSize, size, this.#tree.reader(size)),
      recordedSize: () => this.#checkpointer.recordedSize,
      policy,
      publisher,
      logged: () => this.#checkpointer.logged,
      nowMs: () => clock.nowMs(),
      nowSeconds: () => BigInt(Math.floor(clock.nowMs() / 1000)),
      degradedAfterSeconds: limit === undefined ? undefined : BigInt(limit),
      log: options.logger,
      onResult: onWitness,
      onFatal: (error) => this.fail(error),
    });
  }
}
