/**
 * The fence: a small file outside the data folder, on another disk if there is one, that says how far the journal was.
 * A data folder that is put back from an older copy is then behind its fence, and the witness does not start.
 *
 *     slot = "countersign-witness-fence/v1 " ‖ seq in decimal ‖ " " ‖ hex hash ‖ " " ‖ hex SHA-256(all before this space) ‖ LF
 *
 * Two slots of 4096 bytes, written in turn and synced: a crash tears one and leaves the other. The fence follows the
 * journal and is never ahead of it, since it is written behind each sync of the journal, before the answer.
 */

import { sha256 } from "#crypto";
import { equalBytes, formatUtf8 } from "../kernel/bytes.ts";
import { parseDecimal } from "../kernel/decimal.ts";
import { isCodedError, StoreError } from "../kernel/errors.ts";
import { formatHex, parseHex } from "../kernel/hex.ts";
import type { Frame, JournalPosition } from "./journal-frame.ts";

/** The file behind a fence. */
export interface FenceFile {
  /** Its bytes, or undefined if there is none. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** Writes at an offset, making the file if there is none; durable when it resolves. */
  readonly write: (bytes: Uint8Array, offset: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A high-water mark of the journal. */
export interface Fence {
  /** Where the journal was, by what the file says; undefined if there is no file yet. */
  readonly position: JournalPosition | undefined;
  /** Moves it; durable when it resolves. */
  readonly advance: (position: JournalPosition) => Promise<void>;
}

const MAGIC = "countersign-witness-fence/v1";
const SLOT_BYTES = 4096;
const LINE = /^(countersign-witness-fence\/v1 (\d+) ([0-9a-f]{64})) ([0-9a-f]{64})\n/u;

/**
 * Reads a fence.
 *
 * @param mayBeDamaged  take a file without a whole slot as if there was none; only an operator may say so
 * @throws {StoreError} ERR_WITNESS_STATE, fatal, if the file holds no whole slot
 */
export async function openFence(file: FenceFile, mayBeDamaged = false): Promise<Fence> {
  const bytes = await file.read();
  const slots = bytes === undefined ? [] : [0, SLOT_BYTES].map((at) => readSlot(bytes.subarray(at, at + SLOT_BYTES)));
  const found = slots.filter((slot) => slot !== undefined).sort((a, b) => (a.seq < b.seq ? 1 : -1));
  // No longer than one slot and none is whole: a crash cut its very first write, behind which nothing was answered.
  const isBegun = bytes !== undefined && bytes.length > SLOT_BYTES;
  if (isBegun && found.length === 0 && !mayBeDamaged) {
    throw new StoreError("ERR_WITNESS_STATE", "the fence file holds no whole slot", { fatal: true });
  }
  let slot = slots[0] !== undefined && slots[0] === found[0] ? 1 : 0;
  return {
    position: found[0],
    advance: async (position) => {
      await file.write(formatSlot(position), slot * SLOT_BYTES);
      slot = 1 - slot;
    },
  };
}

/**
 * Why the journal cannot be the one that the fence was written for; undefined if it can.
 *
 * @param frames  the journal's frames, oldest first; at least one
 */
export function whyBehindFence(fence: JournalPosition, frames: readonly Frame[]): string | undefined {
  const [oldest, newest] = [frames[0], frames.at(-1)];
  if (oldest === undefined || newest === undefined) return "the journal is empty";
  if (fence.seq > newest.seq) return `the fence is at ${fence.seq}, the journal ends at ${newest.seq}`;
  const at =
    frames.find(({ seq }) => seq === fence.seq)?.hash ?? (fence.seq === oldest.seq - 1n ? oldest.before : undefined);
  // Further back the journal was rewritten since: a fence that is older than its journal says nothing against it.
  if (at === undefined || equalBytes(at, fence.hash)) return undefined;
  return `frame ${fence.seq} of the journal is not the one that the fence names: another copy of the folder went on`;
}

function formatSlot({ seq, hash }: JournalPosition): Uint8Array {
  const line = `${MAGIC} ${seq} ${formatHex(hash)}`;
  return formatUtf8(`${line} ${formatHex(sha256(formatUtf8(line)))}\n`);
}

function readSlot(bytes: Uint8Array): JournalPosition | undefined {
  const [, line, seq, hash, digest] = LINE.exec(new TextDecoder().decode(bytes)) ?? [];
  if (line === undefined || seq === undefined || hash === undefined) return undefined;
  if (formatHex(sha256(formatUtf8(line))) !== digest) return undefined;
  try {
    return { seq: parseDecimal(seq), hash: parseHex(hash, 32) };
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
