/**
 * A copy of one log on disk, in the C2SP layout, so that any file server can serve it:
 *
 *     checkpoint            the newest checkpoint of which everything is here, durably
 *     pending               a verified checkpoint that is being fetched; what is visible beyond `checkpoint` is of its tree
 *     tile/…                full tiles and bundles, and the partial ones of published sizes
 *     evidence/<hash>.note  two signed checkpoints that contradict each other
 *
 * A tile is verified against a checkpoint before it becomes visible at its path, which is immutable: wrong bytes there,
 * behind a cache, could never be repaired. Partial tiles go once the full one is there.
 */

import { createHash } from "node:crypto";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { HASH_BYTES, type RootHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import type { Disk, NewFile } from "../storage/disk.ts";
import { replaceFile, writeOnce } from "../storage/durable-file.ts";

/** A checkpoint and the head that it states. */
export interface MirrorHead {
  readonly size: bigint;
  readonly root: RootHash;
  readonly note: string;
}

/** Reads the head of a note that this store keeps; throws if the note is not what the mirror trusts. */
export type OpenNote = (note: string) => MirrorHead;

const CHECKPOINT = "checkpoint";
const PENDING = "pending";
const EVIDENCE = "evidence";
/** Pairs of contradicting checkpoints that are kept; more prove nothing more. */
const MAX_EVIDENCE = 64;

/** The store of one log; one process at a time. */
export class MirrorStore {
  readonly #disk: Disk;
  #published: MirrorHead | undefined;
  #pending: MirrorHead | undefined;

  private constructor(disk: Disk, published: MirrorHead | undefined, pending: MirrorHead | undefined) {
    this.#disk = disk;
    this.#published = published;
    this.#pending = pending;
  }

  /** Opens the store; what it holds was verified when it was written, its notes are verified again. */
  static async open(disk: Disk, openNote: OpenNote): Promise<MirrorStore> {
    const read = async (path: string): Promise<MirrorHead | undefined> => {
      const bytes = await disk.read(path);
      return bytes === undefined ? undefined : openNote(parseUtf8(bytes));
    };
    return new MirrorStore(disk, await read(CHECKPOINT), await read(PENDING));
  }

  /** The newest checkpoint of which everything is here. */
  get published(): MirrorHead | undefined {
    return this.#published;
  }

  /** The checkpoint that is being fetched, or that was when the last run ended. */
  get pending(): MirrorHead | undefined {
    return this.#pending;
  }

  /** Records durably whose tree becomes visible next. */
  async begin(head: MirrorHead): Promise<void> {
    await replaceFile(this.#disk, { path: PENDING, bytes: formatUtf8(head.note) });
    this.#pending = head;
  }

  /** Makes verified resources visible, durably. @throws {StoreError} ERR_STORE_CONFLICT if one exists with other bytes */
  async write(resources: readonly { readonly ref: TileRef; readonly bytes: Uint8Array }[]): Promise<void> {
    const files = resources.map(({ ref, bytes }): NewFile => ({ path: formatTilePath(ref), bytes }));
    await writeOnce(this.#disk, files);
  }

  /** Publishes a checkpoint all of whose tiles and bundles are durable. */
  async publish(head: MirrorHead): Promise<void> {
    await replaceFile(this.#disk, { path: CHECKPOINT, bytes: formatUtf8(head.note) });
    this.#published = head;
  }

  /** Removes the partial tiles of a full one that is durable. */
  async dropPartials(ref: TileRef): Promise<void> {
    const folder = `${formatTilePath({ ...ref, width: TILE_WIDTH })}.p`;
    for (const name of await this.#disk.list(folder)) await this.#disk.remove(`${folder}/${name}`);
  }

  /** Bytes of a resource at the width asked for: stored, or cut from a wider one; undefined if it is not here. */
  async read(ref: TileRef): Promise<Uint8Array | undefined> {
    const exact = await this.#disk.read(formatTilePath(ref));
    if (exact !== undefined || ref.width === TILE_WIDTH) return exact;
    for (const width of await this.#widerThan(ref)) {
      const wider = await this.#disk.read(formatTilePath({ ...ref, width }));
      if (wider !== undefined) return cutResource(ref, wider, width);
    }
    return undefined;
  }

  /** Keeps two signed checkpoints that no honest log signs both. */
  async addEvidence(ours: string, theirs: string): Promise<void> {
    const bytes = formatUtf8(`${ours}\n${theirs}`);
    const kept = await this.#disk.list(EVIDENCE);
    if (kept.length >= MAX_EVIDENCE) return;
    const name = createHash("sha256").update(bytes).digest("hex");
    await writeOnce(this.#disk, [{ path: `${EVIDENCE}/${name}.note`, bytes }]);
  }

  async #widerThan(ref: TileRef): Promise<readonly number[]> {
    const full = formatTilePath({ ...ref, width: TILE_WIDTH });
    const widths = (await this.#disk.list(`${full}.p`)).map(Number).filter((width) => width > ref.width);
    return [TILE_WIDTH, ...widths];
  }
}

/**
 * The first hashes or entries of a wider resource.
 *
 * @param width  of the wider one
 * @throws {FormatError} ERR_BUNDLE_LENGTH
 */
export function cutResource(ref: TileRef, wider: Uint8Array, width: number): Uint8Array {
  if (ref.kind === "hash") return wider.subarray(0, ref.width * HASH_BYTES);
  return formatEntryBundle(parseEntryBundle(wider, width).slice(0, ref.width));
}
