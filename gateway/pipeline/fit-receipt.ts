/**
 * Receipts that would be larger than an entry may be (65,535 bytes): a call can bring the most of everything at once. First the
 * places are given up: what stands at many of them is counted under the pointer "", so every count stays exact. A decision
 * that does not fit even then, because its chain of mandates alone is that long, refuses the call and leaves the chain out.
 */

import type { DataFacts, Finding, RedactedPlace, ValueMatch } from "../../kernel/receipt/inspection.ts";
import { notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { UnlinkedBody } from "../../kernel/receipt/receipt.ts";
import { type Denial, refusalFor } from "./judge.ts";
import type { DecisionFields, Settlement } from "./stage.ts";

const RPC_DENIED = -31_001;

const DENIAL: Denial = {
  step: "receipt",
  reason: "receipt.too-large",
  rpcCode: RPC_DENIED,
  message: "The receipt of this call would be too large, so it is not made.",
  isFinal: true,
};

/** The same receipt without the places of what was found; undefined if it has none to give up. */
export function withoutPlaces(body: UnlinkedBody): UnlinkedBody | undefined {
  if (body.kind !== "decision" && body.kind !== "outcome") return undefined;
  return hasPlaces(body) ? { ...body, ...countedOnly(body) } : undefined;
}

/** The refusal of a call whose receipt does not fit. */
export function refusedAsTooLarge(settlement: Settlement): Settlement {
  const { ruling } = settlement.judged;
  const { step, reason } = DENIAL;
  const named = { policies: [], erring: [], advisory: [], controls: [], obligations: [] };
  return {
    toSend: settlement.toSend,
    judged: {
      ruling: { ...ruling, ...named, action: "refuse", judgement: "deny", step, reasons: [reason] },
      refusal: refusalFor(DENIAL, []),
    },
    fields: leftOut(settlement.fields),
    labels: [],
    ...(settlement.durable === undefined ? {} : { durable: settlement.durable }),
  };
}

/** Who and what stays; what has lists goes. */
function leftOut({ actor, subject, workflow }: DecisionFields): DecisionFields {
  const gone = notEstablished("receipt.too-large");
  return {
    ...(actor === undefined ? {} : { actor }),
    ...(subject === undefined ? {} : { subject }),
    ...(workflow === undefined ? {} : { workflow }),
    delegation: gone,
    inspection: gone,
    redactions: gone,
    matches: gone,
    taint: gone,
    edges: gone,
    data_subjects: gone,
  };
}

function hasPlaces({ inspection, redactions, matches }: DataFacts): boolean {
  const found: readonly { readonly pointer: string }[] = [
    ...(inspection.state === "present" ? inspection.value.findings : []),
    ...(redactions.state === "present" ? redactions.value.places : []),
    ...(matches.state === "present" ? matches.value.items : []),
  ];
  return found.some(({ pointer }) => pointer !== "");
}

function countedOnly({ inspection, redactions, matches }: DataFacts): Partial<DataFacts> {
  return {
    inspection: mapped(inspection, (value) => ({
      ...value,
      findings: summed(value.findings, ({ rule, severity }) => `${rule} ${severity}`),
    })),
    redactions: mapped(redactions, (value) => ({ ...value, places: summed(value.places, ({ rule }) => rule) })),
    matches: mapped(matches, (value) => ({
      ...value,
      items: summed(value.items, ({ source, kind }) => `${source} ${kind}`),
    })),
  };
}

function summed<T extends Finding | RedactedPlace | ValueMatch>(
  items: readonly T[],
  keyOf: (item: T) => string,
): readonly T[] {
  const sums = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    sums.set(key, { ...item, pointer: "", count: item.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()];
}

function mapped<T>(field: Observed<T>, change: (value: T) => T): Observed<T> {
  return field.state === "present" ? present(change(field.value)) : field;
}
