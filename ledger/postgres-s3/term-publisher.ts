/**
 * Publishes checkpoints of one term, in an order that a crash or a takeover cannot break:
 *
 *     1. the partial tiles of the size are in the object store, so that the bucket alone is a whole C2SP log
 *     2. the checkpoint is recorded in the database, if the term's token is still the newest
 *     3. the object `checkpoint` is replaced, if it is the one that was read last
 *
 * Nodes serve what is recorded. An integrator that was replaced fails at 2; one that was replaced between 2 and 3 finds
 * another etag, or writes what was rightly published while its term lasted.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { invariant, StoreError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { partialWidth, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import {
  CHECKPOINT_PATH,
  type CheckpointSink,
  type PublishedCheckpoint,
  type ShownCheckpoint,
} from "../checkpoint/publisher.ts";
import { TILE_HEIGHT } from "../tree/right-edge.ts";
import type { Tree } from "../tree/tree.ts";
import type { HeadTable } from "./head-table.ts";
import { completeWrite, createOnce, type ObjectHeaders, type ObjectStore } from "./object-store.ts";
import { TILE_HEADERS } from "./tile-bucket.ts";

const HEADERS: ObjectHeaders = { contentType: "text/plain; charset=utf-8", cacheControl: "public, max-age=1" };
const MAX_ATTEMPTS = 4;

/** What a term publishes with. */
export interface TermPublisherParts {
  readonly heads: HeadTable;
  readonly token: bigint;
  readonly store: ObjectStore;
  readonly tree: Tree;
  readonly logKeys: readonly VerifierKey[];
  /** Told after every change. */
  readonly onChange: () => void;
}

/** What a term found, and what it published since. */
export class TermPublisher implements CheckpointSink {
  readonly #parts: TermPublisherParts;
  /** Partial tiles that this term stored: they go once the full tile is there. */
  #partials: readonly TileRef[] = [];
  #published: PublishedCheckpoint | undefined;
  #unwitnessed: PublishedCheckpoint | undefined;

  constructor(
    parts: TermPublisherParts,
    published: PublishedCheckpoint | undefined,
    unwitnessed: PublishedCheckpoint | undefined,
  ) {
    this.#parts = parts;
    this.#published = published;
    this.#unwitnessed = unwitnessed;
  }

  get published(): PublishedCheckpoint | undefined {
    return this.#published;
  }

  get shown(): ShownCheckpoint | undefined {
    const larger = (this.#unwitnessed?.size ?? -1n) > (this.#published?.size ?? -1n);
    const newest = larger ? this.#unwitnessed : this.#published;
    return newest === undefined ? undefined : { ...newest, state: larger ? "logged" : "cosigned" };
  }

  /** Writes the object again if the term before left an older one. */
  async catchUp(): Promise<void> {
    if (this.#published !== undefined) await this.#writeObject(this.#published);
  }

  async publish(next: PublishedCheckpoint): Promise<void> {
    invariant(next.size >= (this.#published?.size ?? 0n), "a published checkpoint never goes back");
    const { heads, token, onChange } = this.#parts;
    await this.#storePartials(next.size);
    await heads.recordPublished(token, next.note, next.metAtSeconds ?? 0n);
    await this.#writeObject(next);
    this.#published = next;
    onChange();
  }

  async publishUnwitnessed(next: PublishedCheckpoint): Promise<void> {
    invariant(next.size >= (this.#unwitnessed?.size ?? 0n), "a published checkpoint never goes back");
    const { heads, token, onChange } = this.#parts;
    await heads.recordUnwitnessed(token, next.note);
    this.#unwitnessed = next;
    onChange();
  }

  async #storePartials(size: bigint): Promise<void> {
    const { store, tree } = this.#parts;
    const refs = partialsOf(size);
    for (const ref of refs) {
      const bytes = await tree.readTile(ref);
      invariant(bytes !== undefined, "the tree has every tile of its own size");
      await createOnce(store, formatTilePath(ref), bytes, TILE_HEADERS);
    }
    const isGone = (ref: TileRef): boolean =>
      refs.every((each) => each.kind !== ref.kind || levelOf(each) !== levelOf(ref) || each.index > ref.index);
    const over = this.#partials.filter(isGone);
    // SPEC tlog-tiles: partial tiles may be deleted once the full tile is there.
    for (const ref of over) await store.remove(formatTilePath(ref));
    this.#partials = [...this.#partials.filter((ref) => !isGone(ref)), ...refs];
  }

  /** @throws {StoreError} ERR_LEASE_LOST if somebody else published more; ERR_OBJECT_STORE */
  async #writeObject({ size, note }: PublishedCheckpoint): Promise<void> {
    const { store, logKeys } = this.#parts;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const present = await store.get(CHECKPOINT_PATH);
      if (present === undefined) {
        if ((await store.create(CHECKPOINT_PATH, formatUtf8(note), HEADERS)) === "created") return;
        if (await completeWrite(store, CHECKPOINT_PATH, formatUtf8(note), HEADERS)) return;
        continue;
      }
      const there = openLogCheckpoint(present.bytes, logKeys).checkpoint;
      if (there.size > size) throw new StoreError("ERR_LEASE_LOST", `a checkpoint of size ${there.size} is published`);
      if ((await store.replace(CHECKPOINT_PATH, formatUtf8(note), HEADERS, present.etag)) === "replaced") return;
    }
    throw new StoreError("ERR_OBJECT_STORE", "the object `checkpoint` kept changing");
  }
}

/** The partial tiles of a size: the bundle, and one hash tile a level where the size cuts one. */
function partialsOf(size: bigint): readonly TileRef[] {
  const refs: TileRef[] = [];
  for (let level = 0; size >> BigInt(TILE_HEIGHT * level) > 0n; level += 1) {
    const width = partialWidth(level, size);
    const index = (size >> BigInt(TILE_HEIGHT * level)) / BigInt(TILE_WIDTH);
    if (width === 0) continue;
    refs.push({ kind: "hash", level, index, width });
    if (level === 0) refs.push({ kind: "entries", index, width });
  }
  return refs;
}

function levelOf(ref: TileRef): number {
  return ref.kind === "hash" ? ref.level : -1;
}
