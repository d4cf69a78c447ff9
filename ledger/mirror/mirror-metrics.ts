/** What a mirror that logs push to counts (Prometheus). One registry a mirror, so that several run in one process. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { ReceivedView } from "./receiver.ts";

/** Values that are read when the metrics are asked for. */
export interface MirrorMetricSources {
  readonly logs: () => readonly ReceivedView[];
  readonly nowSeconds: () => bigint;
  readonly signaturesWaiting: () => number;
}

/** The metrics of one mirror. */
export class MirrorMetrics {
  readonly #registry = new Registry();
  readonly #answers: Counter<"route" | "status">;

  constructor(sources: MirrorMetricSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#answers = new Counter({
      name: "countersign_mirror_answers_total",
      help: "Answers to logs that push, by route and status",
      labelNames: ["route", "status"],
      registers,
    });
    this.#perLog("countersign_mirror_size", "Size of a log's cosigned checkpoint", sources, ({ size }) => size);
    this.#perLog(
      "countersign_mirror_pending_size",
      "Size of the newest checkpoint that a log has pushed",
      sources,
      ({ pending_size }) => pending_size,
    );
    this.#perLog(
      "countersign_mirror_cosignature_age_seconds",
      "Time since the last cosignature of a log in this run",
      sources,
      ({ cosigned_at: at }) => (at === null ? undefined : Number(sources.nowSeconds()) - at),
    );
    new Gauge({
      name: "countersign_mirror_signatures_waiting",
      help: "ML-DSA-44 signatures that wait for their thread",
      registers,
      collect() {
        this.set(sources.signaturesWaiting());
      },
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

  /** Counts an answer. */
  countAnswer(route: string, status: number): void {
    this.#answers.inc({ route, status: String(status) });
  }

  #perLog(
    name: string,
    help: string,
    { logs }: MirrorMetricSources,
    read: (log: ReceivedView) => number | undefined,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["log"],
      registers: [this.#registry],
      collect() {
        for (const log of logs()) {
          const value = read(log);
          if (value !== undefined) this.set({ log: log.origin }, value);
        }
      },
    });
  }
}
