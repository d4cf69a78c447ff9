/**
 * The steps at which the crash suite ends a process: each write of the order of writes (docs/ledger.md), cut in the
 * middle, done, synced, renamed; and what is sent and answered between them.
 */

/** Ledger: files of the data folder in the order in which a batch becomes a published checkpoint. */
const LEDGER_STEPS = [
  "wal.torn",
  "wal.written",
  "wal.synced",
  "wal.begun",
  "wal.folder-synced",
  "spare.torn",
  "spare.written",
  "spare.synced",
  "tile.torn",
  "tile.written",
  "tile.synced",
  "tile.renamed",
  "tile.folder-synced",
  "head.torn",
  "head.written",
  "head.synced",
  "cosigning.asked",
  "cosigning.answered",
  "checkpoint.torn",
  "checkpoint.written",
  "checkpoint.synced",
  "checkpoint.renamed",
  "checkpoint.folder-synced",
  "index.begun",
  "index.written",
  "index.synced",
  "wal.retired",
] as const;

/** Only a log of receipts keeps signed segments of retired files. */
const ARCHIVE_STEPS = [
  "archive.torn",
  "archive.written",
  "archive.synced",
  "archive.renamed",
  "archive.folder-synced",
] as const;

/** Witness: before its state is replaced, and between that and the answer. */
const WITNESS_STEPS = ["state.begun", "state.durable"] as const;

/** Gateway: before and after a receipt is durable; the call is dispatched after its decision, answered after its outcome. */
const GATEWAY_STEPS = ["decision.begun", "decision.durable", "outcome.begun", "outcome.durable"] as const;

/** Processes that are killed. */
export const VICTIMS = ["ledger", "witness", "gateway"] as const;

/** One of them. */
export type Victim = (typeof VICTIMS)[number];

/** A named step of any of them. */
export type Step =
  | (typeof LEDGER_STEPS)[number]
  | (typeof ARCHIVE_STEPS)[number]
  | (typeof WITNESS_STEPS)[number]
  | (typeof GATEWAY_STEPS)[number];

/** Which pass of a step a process stops at. */
export interface Plan {
  readonly step: Step;
  /** Passes of the step that are let through first. */
  readonly skip: number;
}

/** The kind of log that is killed. */
export type LogKind = "raw" | "receipts";

/** The steps that a victim passes in a log of this kind. */
export function stepsOf(victim: Victim, kind: LogKind): readonly Step[] {
  if (victim === "witness") return WITNESS_STEPS;
  if (victim === "gateway") return GATEWAY_STEPS;
  return kind === "receipts" ? [...LEDGER_STEPS, ...ARCHIVE_STEPS] : LEDGER_STEPS;
}

/** Passes that may be let through: many where a step comes with every batch, few where it is rare. */
export function maxSkip(step: Step): number {
  if (/^wal\.(torn|written|synced)$/.test(step)) return 60;
  if (/^(head|index|state|decision|outcome)\./.test(step)) return 6;
  return step.startsWith("spare.") ? 0 : 1;
}
