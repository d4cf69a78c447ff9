/** What the agents sent and what became of it: the one side of the comparison with the ledger. */

import type { ServerId, ToolName } from "./tools.ts";

/** How a call ended for its agent. */
export type Fate =
  | {
      readonly type: "answered";
      /** Number of the receipt that the answer names, if it names one. */
      readonly seq?: number;
      /** Why it was refused, if it was. */
      readonly reason?: string;
    }
  /** The agent went away. */
  | { readonly type: "cut" }
  /** No whole answer came, and the agent had not gone away. */
  | { readonly type: "unanswered"; readonly why: string };

/** What a request was about: a tool of a server, a request that must be refused for a reason, or a request of the protocol. */
export type Subject = `${ServerId}/${ToolName}` | `refusal ${string}` | "protocol";

/** Counts of one subject. */
export interface Counts {
  sent: number;
  answered: number;
  cut: number;
  unanswered: number;
  /** Of the answered: refused because too many calls were under way. */
  full: number;
}

const MAX_FAULTS = 20;

/** Keeps them. */
export class CallBook {
  readonly subjects: Map<Subject, Counts> = new Map();
  /** Answers by the number of their receipt: what they were about, and whether they were refusals. */
  readonly named: Map<number, { readonly subject: Subject; readonly reason: string | undefined }> = new Map();
  /** Answers that say why not, by reason. */
  readonly refusals: Map<string, number> = new Map();
  /** The first ones, in words. */
  readonly faults: string[] = [];
  peakInFlight = 0;
  #inFlight = 0;

  /** Waits for the end of one request and counts it. */
  async keep(subject: Subject, end: Promise<Fate>): Promise<Fate> {
    const counts = this.#of(subject);
    counts.sent += 1;
    this.#inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.#inFlight);
    const fate = await end;
    this.#inFlight -= 1;
    counts[fate.type] += 1;
    if (fate.type === "unanswered") this.fault(`${subject}: ${fate.why}`);
    if (fate.type === "answered") this.#answered(subject, fate);
    return fate;
  }

  fault(text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(text);
  }

  /** Of all subjects together. */
  sum(count: keyof Counts): number {
    return [...this.subjects.values()].reduce((sum, counts) => sum + counts[count], 0);
  }

  #of(subject: Subject): Counts {
    const found = this.subjects.get(subject) ?? { sent: 0, answered: 0, cut: 0, unanswered: 0, full: 0 };
    this.subjects.set(subject, found);
    return found;
  }

  #answered(subject: Subject, { seq, reason }: Extract<Fate, { type: "answered" }>): void {
    if (reason === "limit.in-flight") this.#of(subject).full += 1;
    if (reason !== undefined) this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
    if (seq === undefined) return;
    if (this.named.has(seq)) this.fault(`two answers name the receipt ${seq}`);
    this.named.set(seq, { subject, reason });
  }
}
