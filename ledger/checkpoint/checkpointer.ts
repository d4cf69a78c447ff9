/**
 * Turns the growing tree into signed checkpoints, in an order that a crash cannot break:
 *
 *     1. the entries are durable (the sequencer appends to the tree only after the sync)
 *     2. the full tiles and bundles that the size needs are durable
 *     3. (size, root) is recorded in the tree-head store, strictly increasing
 *     4. the checkpoint is signed
 *
 * A crash after 3 leaves a recorded head without a signature: the next start signs that same head.
 */

import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import type { Clock } from "../../kernel/service/service.ts";
import type { TreeHead, TreeHeadStore } from "../storage/head-store.ts";
import type { CheckpointSigner } from "./signing.ts";
import { SizeWait } from "./size-wait.ts";

/** A checkpoint and its text. */
export interface SignedCheckpoint extends TreeHead {
  /** The note text, last LF included. */
  readonly text: string;
  /** Signature lines of the log, with their LF. */
  readonly lines: readonly string[];
  /** Text and lines. */
  readonly note: string;
}

/** The tree as the checkpointer needs it. */
export interface HeadSource {
  readonly size: bigint;
  readonly root: () => RootHash;
}

/** What the checkpointer works with. */
export interface CheckpointerParts {
  readonly origin: string;
  readonly tree: HeadSource;
  /** Resolves when all full tiles and bundles of the tree so far are durable. */
  readonly flushTiles: () => Promise<void>;
  readonly heads: TreeHeadStore;
  readonly signer: CheckpointSigner;
  readonly clock: Clock;
  readonly onFatal: (error: unknown) => void;
}

/** The newest checkpoint that the log signed. */
export interface LoggedCheckpoints {
  readonly logged: SignedCheckpoint | undefined;
  /** Its size, for those who wait for one. */
  readonly sizes: SizeWait;
}

/** Signs the newest head when told to; holds the newest signed checkpoint. */
export class Checkpointer implements LoggedCheckpoints {
  /** Size of the newest signed checkpoint, for those who wait for one. */
  readonly sizes: SizeWait = new SizeWait();
  readonly #parts: CheckpointerParts;
  #logged: SignedCheckpoint | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
  }

  /** The newest checkpoint that the log signed. */
  get logged(): SignedCheckpoint | undefined {
    return this.#logged;
  }

  /** Size of the newest recorded head: no witness may have seen a larger one. */
  get recordedSize(): bigint {
    return this.#parts.heads.head?.size ?? 0n;
  }

  /** Signs the head that an earlier run recorded. */
  async resume(): Promise<void> {
    const head = this.#parts.heads.head;
    if (head !== undefined) this.#show(await this.#sign(head));
  }

  /** Signs a checkpoint if the tree has grown; one at a time. Failures are fatal and stop all signing. */
  tick(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#running ??= this.#advance()
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#parts.onFatal(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Signs nothing any more; resolves when nothing is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.sizes.release();
    await this.#running;
  }

  async #advance(): Promise<void> {
    const head = { size: this.#parts.tree.size, root: this.#parts.tree.root() };
    if (head.size <= this.recordedSize) return;
    await this.#parts.flushTiles();
    if (this.#stopped) return;
    await this.#parts.heads.advance(head);
    this.#show(await this.#sign(head));
  }

  #show(checkpoint: SignedCheckpoint): void {
    this.#logged = checkpoint;
    this.sizes.reach(checkpoint.size);
  }

  async #sign(head: TreeHead): Promise<SignedCheckpoint> {
    const text = formatCheckpoint({ origin: this.#parts.origin, size: head.size, root: head.root, extensions: [] });
    const timestampSeconds = BigInt(Math.floor(this.#parts.clock.nowMs() / 1000));
    const lines = await this.#parts.signer.sign(text, timestampSeconds);
    return { size: head.size, root: head.root, text, lines, note: formatNote(text, lines) };
  }
}
