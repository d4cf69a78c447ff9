/** What a gateway counts (Prometheus). One registry a gateway, so that several run in one process. Never names or values. */

import { Counter, type CounterConfiguration, Gauge, Registry } from "prom-client";
import type { ReasonCode } from "../kernel/receipt/reasons.ts";
import type { ReceiptBody } from "../kernel/receipt/receipt.ts";
import type { Status } from "../kernel/receipt/vocabulary.ts";
import { EGRESS_WAYS, type EgressWay } from "./egress/egress-guard.ts";

/** What is read when the metrics are asked for. */
export interface MetricSource {
  readonly ready: boolean;
  /** Why every call is denied, if the sealed policy is the reason. */
  readonly safe_state?: ReasonCode;
  readonly next_seq: number;
  readonly sessions: number;
  readonly open_calls: number;
  readonly outbox: { readonly acknowledged: number; readonly proven: number; readonly pending: number };
}

/** The metrics of one gateway. */
export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #receipts: LateCounter<"kind">;
  readonly #decisions: LateCounter<"action" | "judgement" | "step">;
  readonly #outcomes: LateCounter<"status">;
  readonly #safeStates: Counter<"reason">;
  readonly #egress: Counter<"way">;

  constructor() {
    const registers = [this.#registry];
    this.#receipts = new LateCounter({
      name: "gateway_receipts_total",
      help: "Receipts that got a number, by kind",
      labelNames: ["kind"],
      registers,
    });
    this.#decisions = new LateCounter({
      name: "gateway_decisions_total",
      help: "Decisions by what was done, what enforcing mode makes of it, and the step that settled it",
      labelNames: ["action", "judgement", "step"],
      registers,
    });
    this.#outcomes = new LateCounter({
      name: "gateway_outcomes_total",
      help: "Dispatched calls by how they ended",
      labelNames: ["status"],
      registers,
    });
    this.#safeStates = new Counter({
      name: "gateway_safe_state_total",
      help: "Times that the gateway stopped serving because of its sealed policy, by reason",
      labelNames: ["reason"],
      registers,
    });
    this.#egress = new Counter({
      name: "gateway_egress_refused_total",
      help: "Connections, names, programs and threads that the process was refused, by the way they would have taken",
      labelNames: ["way"],
      registers,
    });
    // What is there from the start rises when it happens: what appears with its first count does not, for those who look at rates.
    for (const way of EGRESS_WAYS) this.#egress.inc({ way }, 0);
    this.#outcomes.add({ status: "unknown" satisfies Status }, 0);
  }

  /** Counts a connection that the process was not allowed. */
  countEgress(way: EgressWay): void {
    this.#egress.inc({ way });
  }

  /** Counts that the run stopped serving. */
  countSafeState(reason: ReasonCode): void {
    this.#safeStates.inc({ reason });
  }

  /** Content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts one receipt of the stream. */
  countReceipt(body: ReceiptBody): void {
    this.#receipts.add({ kind: body.kind });
    if (body.kind === "decision") {
      const { action, judgement, step } = body.ruling;
      this.#decisions.add({ action, judgement, step });
    }
    if (body.kind === "outcome") this.#outcomes.add({ status: body.outcome.status });
    if (body.kind === "refusals") {
      this.#decisions.add({ action: "refuse", judgement: "deny", step: body.step }, body.count);
    }
  }

  /** Adds the values that are read on demand. */
  watch(read: () => MetricSource): void {
    this.#gauge("gateway_ready", "1 if calls are taken", () => (read().ready ? 1 : 0));
    this.#gauge("gateway_in_safe_state", "1 while every call is denied because of the sealed policy", () =>
      read().safe_state === undefined ? 0 : 1,
    );
    this.#gauge("gateway_stream_receipts", "Receipts of the stream", () => read().next_seq);
    this.#gauge("gateway_open_sessions", "Sessions without a seal", () => read().sessions);
    this.#gauge("gateway_open_calls", "Dispatched calls without an outcome", () => read().open_calls);
    this.#gauge("gateway_outbox_pending", "Receipts without a checked log proof", () => read().outbox.pending);
    this.#gauge("gateway_outbox_acknowledged", "Receipts that the ledger took", () => read().outbox.acknowledged);
    this.#gauge("gateway_outbox_proven", "Receipts with a checked log proof", () => read().outbox.proven);
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/** Counts what is told for every call, and hands the sums over when somebody asks: the library checks and sorts labels each time. */
class LateCounter<L extends string> {
  readonly #sums = new Map<string, { readonly labels: Readonly<Record<L, string>>; count: number }>();

  constructor(configuration: Omit<CounterConfiguration<L>, "collect">) {
    const sums = this.#sums;
    new Counter({
      ...configuration,
      collect() {
        for (const { labels, count } of sums.values()) this.inc(labels, count);
        sums.clear();
      },
    });
  }

  /** @param labels  always in the same order */
  add(labels: Readonly<Record<L, string>>, count = 1): void {
    let key = "";
    for (const name in labels) key += `${labels[name]} `;
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, { labels, count });
    else sum.count += count;
  }
}
