/** What an auditor node counts (Prometheus). One registry a node. */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { FollowedLedger } from "./follow/open-ledger.ts";

/** The metrics of one node. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #alarms: Counter<"ledger" | "kind">;
  readonly #requests: Counter<"route" | "status">;
  readonly #seconds: Histogram;

  constructor() {
    const registers = [this.#registry];
    this.#alarms = new Counter({
      name: "auditor_alarms_total",
      help: "New alarms since the start, by kind",
      labelNames: ["ledger", "kind"],
      registers,
    });
    this.#requests = new Counter({
      name: "auditor_requests_total",
      help: "Answers by route and status",
      labelNames: ["route", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "auditor_graphql_seconds",
      help: "Time of a GraphQL request",
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 5],
      registers,
    });
  }

  /** Content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Adds the values that are read on demand. */
  watch(ledgers: readonly FollowedLedger[]): void {
    this.#gauge("auditor_indexed_entries", "Entries in the index", ledgers, ({ book }) => book.head.indexed);
    this.#gauge("auditor_witnessed_size", "Size of the newest witnessed checkpoint", ledgers, ({ book }) => {
      return book.head.target?.size ?? 0;
    });
    this.#gauge("auditor_ledger_followed", "1 while the ledger is followed without fault", ledgers, ({ watch }) => {
      return watch.state().kind === "following" ? 1 : 0;
    });
    this.#gauge("auditor_ledger_forked", "1 after two histories were seen", ledgers, ({ book }) => {
      return book.head.forked ? 1 : 0;
    });
  }

  /** Counts a new alarm. */
  countAlarm(ledger: string, kind: string): void {
    this.#alarms.inc({ ledger, kind });
  }

  /** Counts an answer. */
  countAnswer(route: string, status: number): void {
    this.#requests.inc({ route, status: String(status) });
  }

  /** Times a GraphQL request; call the result at its end. */
  startTimer(): () => void {
    const end = this.#seconds.startTimer();
    return () => void end();
  }

  #gauge(
    name: string,
    help: string,
    ledgers: readonly FollowedLedger[],
    read: (ledger: FollowedLedger) => number,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["ledger"],
      registers: [this.#registry],
      collect() {
        for (const ledger of ledgers) this.set({ ledger: ledger.name }, read(ledger));
      },
    });
  }
}
