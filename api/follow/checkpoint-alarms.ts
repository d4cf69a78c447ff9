/** What is alarming about a checkpoint, as an alarm with both notes. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { type AlarmDraft, type AlarmKind, evidenceOf } from "../index/alarms.ts";
import type { HeadFact } from "../index/row-shapes.ts";

/** Kinds of alarms for what opening a checkpoint throws. */
const KIND_OF: Partial<Record<ErrorCode, AlarmKind>> = {
  ERR_QUORUM: "quorum-missing",
  ERR_NOTE_SIGNATURE: "false-signature",
  ERR_LOG_SIGNATURE: "false-signature",
};

/**
 * A note that does not open under the pinned policy. One alarm a code: a ledger that keeps serving it counts up.
 *
 * @param note  absent if it was too long to be read
 */
export function refusedNote(code: ErrorCode, message: string, note?: Uint8Array): AlarmDraft {
  const kind = KIND_OF[code] ?? "malformed-checkpoint";
  return {
    kind,
    code,
    name: `${kind} checkpoint ${code}`,
    message: `the published checkpoint is refused: ${message}`,
    evidence: note === undefined ? [] : [evidenceOf("checkpoint as served", note)],
  };
}

/** Name of the alarm about what was served after `before` without the tiles that would judge it. */
export function withheldName({ size }: HeadFact): string {
  return `withheld-tiles beyond ${size}`;
}

/** A witnessed checkpoint whose ledger does not serve the tiles that show it to extend the last one. */
export function withheldTiles(before: HeadFact, { size, note }: HeadFact): AlarmDraft {
  return {
    kind: "withheld-tiles",
    code: "ERR_TILES_WITHHELD",
    name: withheldName(before),
    message: `the ledger publishes size ${size} and does not serve the tiles that show it to extend size ${before.size}`,
    evidence: [
      { label: `checkpoint of size ${before.size}`, text: before.note },
      { label: `checkpoint of size ${size}`, text: note },
    ],
  };
}

/** Name of the alarm about a checkpoint that grows old. */
export function staleName({ size }: HeadFact): string {
  return `stale-checkpoint ${size}`;
}

/** A checkpoint that its witnesses have not cosigned again for too long: this node may be shown an old view. */
export function staleCheckpoint(target: HeadFact, seconds: number): AlarmDraft {
  return {
    kind: "stale-checkpoint",
    code: "ERR_CHECKPOINT_STALE",
    name: staleName(target),
    message: `the newest checkpoint, of size ${target.size}, was cosigned ${seconds} s ago: the ledger stands still, or shows this node an old view`,
    evidence: [{ label: `checkpoint of size ${target.size}`, text: target.note }],
  };
}

/** Two witnessed checkpoints of two histories. @param proof  the document that `countersign check-fork` takes, if there is one */
export function forkedNotes(before: HeadFact, size: number, note: Uint8Array, proof?: Uint8Array): AlarmDraft {
  return {
    kind: "fork",
    code: "ERR_FORK",
    name: "fork",
    message: `the log signed two histories: size ${before.size} and size ${size} are not consistent`,
    evidence: [
      { label: `checkpoint of size ${before.size}`, text: before.note },
      evidenceOf(`checkpoint of size ${size}`, note),
      ...(proof === undefined ? [] : [evidenceOf("fork evidence", proof)]),
    ],
  };
}

/** An older checkpoint of the same history than the one that was published before. */
export function shrunkenNote(before: HeadFact, size: number, note: Uint8Array): AlarmDraft {
  return {
    kind: "shrink",
    code: "ERR_SHRINK",
    name: `shrink ${before.size} ${size}`,
    message: `the ledger published size ${before.size} and now publishes size ${size}`,
    evidence: [
      { label: `checkpoint of size ${before.size}`, text: before.note },
      evidenceOf(`checkpoint of size ${size}`, note),
    ],
  };
}

/** Tiles or bundles that do not lead to the signed root. */
export function falseTile(code: ErrorCode, message: string, target: HeadFact): AlarmDraft {
  return {
    kind: "false-tile",
    code,
    name: `false-tile ${code} ${target.size}`,
    message: `the tiles or entries served for size ${target.size} are not those of its root: ${message}`,
    evidence: [{ label: `checkpoint of size ${target.size}`, text: target.note }],
  };
}

/** A witness that fell behind the others. */
export function staleWitness(name: string, target: HeadFact): AlarmDraft {
  return {
    kind: "stale-witness",
    code: "ERR_WITNESS_STALE",
    name: `stale-witness ${name}`,
    message: `witness ${name} has not cosigned for longer than the others allow`,
    evidence: [{ label: `checkpoint of size ${target.size}`, text: target.note }],
  };
}
