/** Compares what the agents sent, what the servers got and what the ledger has. Each check passes, or says what differs. */

import type { CallBook, Counts } from "./call-book.ts";
import type { LedgerSide, SeenDecision } from "./ledger-side.ts";

/** One check. */
export interface Check {
  readonly what: string;
  /** Empty if it passed. */
  readonly faults: readonly string[];
}

/** The three sides. */
export interface Sides {
  readonly book: CallBook;
  readonly ledger: LedgerSide;
  /** Calls that arrived, by `<server>/<tool>`. */
  readonly arrived: ReadonlyMap<string, number>;
}

const MAX_FAULTS = 10;

/** All of them. */
export function compare(sides: Sides): readonly Check[] {
  const { book, ledger } = sides;
  return [
    { what: "every request was answered, or its agent went away", faults: book.faults },
    { what: "the stream is in the log without a gap, each receipt once", faults: ledger.faults },
    {
      what: "every decision to forward has exactly one outcome, and no refusal has one",
      faults: outcomeFaults(ledger),
    },
    { what: "calls of each tool have a decision each, no more and no less", faults: decisionFaults(sides) },
    {
      what: "requests that are refused before policy have a receipt or a place in a count",
      faults: refusalFaults(sides),
    },
    { what: "calls above the limit of those under way likewise", faults: limitFaults(sides) },
    { what: "no receipt was ever unavailable", faults: unavailable(book) },
    { what: "an answer names its own decision", faults: namedFaults(sides) },
    { what: "servers got exactly the calls that were forwarded", faults: arrivedFaults(sides) },
  ].map(({ what, faults }) => ({ what, faults: faults.slice(0, MAX_FAULTS) }));
}

function outcomeFaults({ decisions }: LedgerSide): readonly string[] {
  return [...decisions].flatMap(([seq, { action, outcomes }]) => {
    const want = action === "forward" ? 1 : 0;
    return outcomes === want ? [] : [`decision ${seq} (${action}) has ${outcomes} outcomes`];
  });
}

/** A call whose agent went away may have arrived or not; every other one has. */
function isBetween(count: number, least: number, { cut }: Counts): boolean {
  return count >= least && count <= least + cut;
}

function decisionFaults({ book, ledger }: Sides): readonly string[] {
  const byTarget = countBy(ledger, () => true);
  return [...book.subjects].flatMap(([subject, counts]) => {
    const found = byTarget.get(subject) ?? 0;
    // Those above the limit of calls under way are refused before their name is looked up.
    const isRight = !subject.includes("/") || isBetween(found, counts.answered - counts.full, counts);
    return isRight ? [] : [`${subject}: ${found} decisions, ${JSON.stringify(counts)}`];
  });
}

function countBy({ decisions }: LedgerSide, isMeant: (decision: SeenDecision) => boolean): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const decision of decisions.values()) {
    const { target } = decision;
    if (target !== undefined && isMeant(decision)) counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  return counts;
}

function refusalFaults({ book, ledger }: Sides): readonly string[] {
  return [...book.subjects].flatMap(([subject, counts]) => {
    const [kind, reason = ""] = subject.split(" ");
    if (kind !== "refusal") return [];
    const found = countOf(ledger, reason);
    return isBetween(found, counts.answered - counts.full, counts)
      ? []
      : [`${reason}: ${found} refusals in the log, ${JSON.stringify(counts)}`];
  });
}

function limitFaults({ book, ledger }: Sides): readonly string[] {
  const [found, full, cut] = [countOf(ledger, "limit.in-flight"), book.sum("full"), book.sum("cut")];
  return found >= full && found <= full + cut ? [] : [`${found} refusals in the log, ${full} agents were told`];
}

/** Refusals for a reason: those with a receipt of their own, and those in counts. */
function countOf({ decisions, counted }: LedgerSide, reason: string): number {
  const single = [...decisions.values()].filter((one) => one.reason === reason && one.target === undefined).length;
  return single + (counted.get(reason) ?? 0);
}

function unavailable({ refusals }: CallBook): readonly string[] {
  const count = refusals.get("receipt.unavailable") ?? 0;
  return count === 0 ? [] : [`${count} calls were refused because no receipt could be kept`];
}

function namedFaults({ book, ledger }: Sides): readonly string[] {
  return [...book.named].flatMap(([seq, { subject, reason }]) => {
    const decision = ledger.decisions.get(seq);
    if (decision === undefined) return [`an answer about ${subject} names ${seq}, which is no decision`];
    if (decision.target !== undefined && decision.target !== subject) {
      return [`an answer about ${subject} names the decision ${seq} about ${decision.target}`];
    }
    const isRefused = decision.action === "refuse";
    const isToldSo = reason !== undefined && !reason.startsWith("upstream.");
    return isRefused === isToldSo
      ? []
      : [`decision ${seq} was to ${decision.action}, its agent was told ${reason ?? "nothing"}`];
  });
}

function arrivedFaults({ ledger, arrived }: Sides): readonly string[] {
  const sure = countBy(ledger, ({ effect }) => effect === "done");
  const possible = countBy(ledger, ({ action, effect }) => action === "forward" && effect !== "none");
  return [...arrived].flatMap(([target, count]) => {
    const [least, most] = [sure.get(target) ?? 0, possible.get(target) ?? 0];
    const isRight = count >= least && count <= most;
    return isRight ? [] : [`${target}: ${count} calls arrived, ${least} were done, ${most} at most`];
  });
}
