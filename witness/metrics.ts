/** What a witness counts (Prometheus). One registry a witness, so that several run in one process. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { WitnessAnswer } from "./answer.ts";
import type { LogStatus } from "./witness.ts";

/** Values that are read when the metrics are asked for. */
export interface MetricSources {
  readonly logs: () => readonly LogStatus[];
  readonly nowSeconds: () => bigint;
  readonly evidence: () => number;
  /** True while an operator must decide whether the state is the newest. */
  readonly isSuspended: () => boolean;
  /** Signatures that a thread has been asked for and has not given. */
  readonly signaturesWaiting: () => number;
}

/** The metrics of one witness. */
export class WitnessMetrics {
  readonly #registry = new Registry();
  readonly #answers: Counter<"route" | "log" | "status" | "code">;
  readonly #reloads: Counter<"result">;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#answers = new Counter({
      name: "countersign_witness_answers_total",
      help: "Answers by route, log (empty if it is not a known one), status and code",
      labelNames: ["route", "log", "status", "code"],
      registers,
    });
    this.#reloads = new Counter({
      name: "countersign_witness_reloads_total",
      help: "Reloads of the log list by result",
      labelNames: ["result"],
      registers,
    });
    this.#perLog("countersign_witness_size", "Recorded size of a log", sources, ({ size }) => Number(size));
    this.#perLog(
      "countersign_witness_cosignature_age_seconds",
      "Time since the last cosignature of a log in this run",
      sources,
      ({ cosignedAtSeconds: at }) => (at === undefined ? undefined : Number(sources.nowSeconds() - at)),
    );
    this.#single("countersign_witness_logs", "Logs in the list", () => sources.logs().length);
    this.#single("countersign_witness_evidence_files", "Files of evidence that are kept", sources.evidence);
    this.#single(
      "countersign_witness_signatures_waiting",
      "ML-DSA-44 signatures that wait for their thread",
      sources.signaturesWaiting,
    );
    this.#single("countersign_witness_suspended", "1 while an operator must decide about the state", () =>
      sources.isSuspended() ? 1 : 0,
    );
  }

  /** Content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts an answer. Origins are those of the list, so the labels are bounded. */
  countAnswer(route: string, { origin = "", status, code }: WitnessAnswer): void {
    this.#answers.inc({ route, log: origin, status: String(status), code });
  }

  /** Counts a reload. */
  countReload(result: "done" | "refused"): void {
    this.#reloads.inc({ result });
  }

  #perLog(name: string, help: string, { logs }: MetricSources, read: (log: LogStatus) => number | undefined): void {
    new Gauge({
      name,
      help,
      labelNames: ["log"],
      registers: [this.#registry],
      collect() {
        // A log that left the list leaves the metrics.
        this.reset();
        for (const log of logs()) {
          const value = read(log);
          if (value !== undefined) this.set({ log: log.origin }, value);
        }
      },
    });
  }

  #single(name: string, help: string, read: () => number): void {
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
