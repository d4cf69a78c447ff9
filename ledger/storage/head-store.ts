/**
 * The newest tree head that may have been signed: durable before any signature, strictly increasing, changed only by
 * compare-and-swap. A restart that derives less than it, or another root, must not run.
 *
 * File `head`: two slots of 512 bytes, written in turn, so that a torn write leaves the older head readable.
 *
 *     slot = u64 counter ‖ u64 fence ‖ u64 size ‖ root[32] ‖ u32 crc32c of what stands before
 *
 * The fence counts openings. A process whose fence is not the newest has been replaced and fails at its next swap.
 */

import { concat, equalBytes, formatUint32, formatUint64 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { EMPTY_ROOT, parseRootHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { crc32c } from "./crc32c.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { replaceFile } from "./durable-file.ts";

/** File of the recorded head in the data folder. */
export const HEAD_PATH = "head";
/** Bytes of a slot; those behind its checksum are zero. */
export const SLOT_BYTES = 512;
/** Bytes of a slot before its checksum. */
export const CONTENT_BYTES = 56;

/** Before anything is signed. It stands in the first slot. */
const FIRST: Slot = { counter: 2n, fence: 0n, size: 0n, root: EMPTY_ROOT };

/** Size and root of a tree. */
export interface TreeHead {
  readonly size: bigint;
  readonly root: RootHash;
}

/** One slot of the file. */
export interface Slot extends TreeHead {
  readonly counter: bigint;
  readonly fence: bigint;
}

/** Where tree heads are recorded before they are signed. */
export interface TreeHeadStore {
  /** The recorded head; undefined before the first. */
  readonly head: TreeHead | undefined;
  /**
   * Records `next` durably.
   *
   * @throws {StoreError} ERR_HEAD_CONFLICT, fatal, unless `next` is larger than the recorded head, and that head and
   *   the fence are still what this process wrote; ERR_STORE_WRITE, fatal
   */
  readonly advance: (next: TreeHead) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Opens the store and takes the next fence. @throws {StoreError} ERR_HEAD_DAMAGE, ERR_STORE_WRITE, both fatal */
export async function openHeadStore(disk: Disk): Promise<TreeHeadStore> {
  const bytes = await disk.read(HEAD_PATH);
  if (bytes === undefined) await replaceFile(disk, { path: HEAD_PATH, bytes: formatSlot(FIRST) });
  const newest = bytes === undefined ? FIRST : newestSlot(bytes);
  const store = new FileHeadStore(disk, await disk.open(HEAD_PATH), newest);
  await store.takeFence();
  return store;
}

class FileHeadStore implements TreeHeadStore {
  readonly #disk: Disk;
  readonly #file: DiskFile;
  #slot: Slot;

  constructor(disk: Disk, file: DiskFile, slot: Slot) {
    this.#disk = disk;
    this.#file = file;
    this.#slot = slot;
  }

  get head(): TreeHead | undefined {
    return this.#slot.size === 0n ? undefined : this.#slot;
  }

  async takeFence(): Promise<void> {
    await this.#write({ ...this.#slot, counter: this.#slot.counter + 1n, fence: this.#slot.fence + 1n });
  }

  async advance(next: TreeHead): Promise<void> {
    const old = this.#slot;
    if (next.size <= old.size) throw conflict(`size ${next.size} is not above the recorded one`);
    const found = newestSlot((await this.#disk.read(HEAD_PATH)) ?? new Uint8Array(0));
    if (found.counter !== old.counter || found.fence !== old.fence || !equalBytes(found.root, old.root)) {
      throw conflict("the recorded head was changed by another process");
    }
    await this.#write({ ...next, counter: old.counter + 1n, fence: old.fence });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #write(slot: Slot): Promise<void> {
    try {
      await this.#file.write(formatSlot(slot), Number(slot.counter % 2n) * SLOT_BYTES);
      await this.#file.datasync();
    } catch (cause) {
      throw new StoreError("ERR_STORE_WRITE", "the tree head could not be recorded", { cause, fatal: true });
    }
    this.#slot = slot;
  }
}

function formatSlot(slot: Slot): Uint8Array {
  const content = concat(
    formatUint64(slot.counter),
    formatUint64(slot.fence),
    formatUint64(slot.size),
    slot.root,
    formatUint32(0),
  );
  new DataView(content.buffer).setUint32(CONTENT_BYTES, crc32c(content, 0, CONTENT_BYTES));
  return concat(content, new Uint8Array(SLOT_BYTES - content.length));
}

/** The first slot is written with the file, before anything is signed: a file without a readable slot is damaged. */
function newestSlot(bytes: Uint8Array): Slot {
  const slots = [0, SLOT_BYTES].map((offset) => readSlot(bytes, offset)).filter((slot) => slot !== undefined);
  const newest = slots.toSorted((a, b) => (a.counter < b.counter ? 1 : -1))[0];
  if (newest === undefined) {
    throw new StoreError("ERR_HEAD_DAMAGE", "no slot of the file `head` is readable", { fatal: true });
  }
  return newest;
}

/** The slot at `offset`; undefined if its checksum does not hold. */
export function readSlot(bytes: Uint8Array, offset: number): Slot | undefined {
  if (bytes.length < offset + CONTENT_BYTES + 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(offset + CONTENT_BYTES) !== crc32c(bytes, offset, offset + CONTENT_BYTES)) return undefined;
  return {
    counter: view.getBigUint64(offset),
    fence: view.getBigUint64(offset + 8),
    size: view.getBigUint64(offset + 16),
    root: parseRootHash(bytes.slice(offset + 24, offset + CONTENT_BYTES)),
  };
}

function conflict(what: string): StoreError {
  return new StoreError("ERR_HEAD_CONFLICT", what, { fatal: true });
}
