/**
 * Whether each place shows at least what the ones behind it in the order of writes do: the recorded head, then the checkpoints
 * recorded of it, then the object `checkpoint`. One that shows less was put back, or lost.
 */

import { formatUtf8 } from "../../../kernel/bytes.ts";
import { parseCheckpoint } from "../../../kernel/checkpoint/checkpoint.ts";
import { isCodedError } from "../../../kernel/errors.ts";
import { parseNote } from "../../../kernel/note/signed-note.ts";
import { CHECKPOINT_PATH } from "../../checkpoint/publisher.ts";
import type { Findings } from "../../fsck/finding.ts";
import type { HeadRow } from "../head-table.ts";
import { HEAD_PLACE } from "./store-folder.ts";

/** Looks at the object, and pauses between them: far above what an integrator needs from the record to the object. */
const MAX_LOOKS = 8;
const PAUSE_MS = 500;

/** The object `checkpoint` as a check saw it. Undefined bytes: there was none. */
export interface SeenObject {
  /** Before the head row was read: it shows no more than that records. */
  readonly before: Uint8Array | undefined;
  /** Later, where the first was older than what the head row records as published. */
  readonly newest: Uint8Array | undefined;
}

/**
 * Looks at the object again while it is older than `recorded`: an integrator records a checkpoint and then writes the object.
 *
 * @param recorded  the published checkpoint of the head row, read after `before`
 */
export async function awaitObject(
  read: () => Promise<Uint8Array | undefined>,
  before: Uint8Array | undefined,
  recorded: string | undefined,
): Promise<SeenObject> {
  let newest = before;
  for (let look = 1; look < MAX_LOOKS && isBehind(newest, recorded); look += 1) {
    if (look > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    newest = await read();
  }
  return { before, newest };
}

/** The newest of the two that entries below `next` cover. */
export function objectBelow({ before, newest }: SeenObject, next: bigint): Uint8Array | undefined {
  return (sizeOf(newest) ?? 0n) > next ? before : newest;
}

/** Names what shows less than it must. What cannot be read is named by those who read it. */
export function auditShownSizes({ before, newest }: SeenObject, head: HeadRow, findings: Findings): void {
  const behind = (path: string, message: string): void => findings.add({ path, code: "ERR_LOG_BEHIND", message });
  const made = [head.logged, head.published, head.unwitnessed].map((note) => sizeOf(bytesOf(note)) ?? 0n);
  const above = made.find((size) => size > head.size);
  if (above !== undefined) behind(HEAD_PLACE, `a checkpoint of size ${above} was made, recorded is ${head.size}`);
  const recorded = sizeOf(bytesOf(head.published));
  const object = sizeOf(before);
  if (object !== undefined && (head.published === undefined || (recorded !== undefined && recorded < object))) {
    behind(`${HEAD_PLACE}/published`, `a checkpoint of size ${object} is published, recorded is ${recorded ?? "none"}`);
  }
  if (!isBehind(newest, head.published)) return;
  const what = newest === undefined ? "there is none" : `it has size ${sizeOf(newest)}`;
  behind(CHECKPOINT_PATH, `${what}, and one of size ${recorded} is recorded as published`);
}

function isBehind(object: Uint8Array | undefined, recorded: string | undefined): boolean {
  const wanted = sizeOf(bytesOf(recorded));
  if (wanted === undefined) return false;
  const size = sizeOf(object);
  return object === undefined || (size !== undefined && size < wanted);
}

function bytesOf(note: string | undefined): Uint8Array | undefined {
  return note === undefined ? undefined : formatUtf8(note);
}

/** The size that a checkpoint says; undefined if there is none, or it cannot be read. */
function sizeOf(note: Uint8Array | undefined): bigint | undefined {
  if (note === undefined) return undefined;
  try {
    return parseCheckpoint(parseNote(note).text).size;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
