/** References inside a receipt point back in its stream: when a receipt is signed, nothing later can be known. */

import { FormatError } from "../errors.ts";
import type { DataFacts } from "./inspection.ts";
import { type Observed, observedValue } from "./observed.ts";

/**
 * Checks that each sequence number is below that of the receipt which names it.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function checkEarlier(seq: number, references: readonly number[]): void {
  const later = references.find((reference) => reference >= seq);
  if (later === undefined) return;
  throw new FormatError("ERR_SHAPE", `want references to receipts before seq ${seq}, got ${later}`);
}

/** The sequence number in an observed field, as a list of one or none. */
export function observedSeq(field: Observed<number>): readonly number[] {
  return field.state === "present" ? [field.value] : [];
}

/**
 * Checks the references of the data facts: matches and edges name earlier receipts; a label may come with the receipt
 * itself.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function checkFactReferences(seq: number, facts: DataFacts): void {
  const matches = observedValue(facts.matches)?.items ?? [];
  const edges = observedValue(facts.edges) ?? [];
  checkEarlier(
    seq,
    [...matches, ...edges].map(({ source }) => source),
  );
  const sources = observedValue(facts.taint)?.sources ?? [];
  checkEarlier(
    seq + 1,
    sources.map((source) => source.seq),
  );
}
