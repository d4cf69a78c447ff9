/** What a ledger counts (Prometheus). One registry a ledger, so that several run in one process. */

import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { WitnessHealthView } from "./checkpoint/witness-health.ts";
import type { MirrorView } from "./mirror/pusher.ts";

/** Values that are read when the metrics are asked for. */
export interface MetricSources {
  /** Of a log in files. */
  readonly files?: FileSources;
  readonly size: () => number;
  readonly loggedSize: () => number;
  readonly publishedSize: () => number;
  readonly queuedEntries: () => number;
  readonly uncheckedEntries: () => number;
  readonly uncheckedBytes: () => number;
  readonly findings: () => number;
  readonly quorumAgeSeconds: () => number | null;
  readonly isHalted: () => boolean;
  /** True while the checkpoint that is served has no quorum. */
  readonly isDegraded: () => boolean;
  readonly witnesses: () => readonly WitnessHealthView[];
}

/** What only a log in files has: a start of its own, and a filter in memory. */
export interface FileSources {
  /** Milliseconds of the phases of the start. */
  readonly startPhasesMs: readonly (readonly [phase: string, milliseconds: number])[];
  /** What a start would read again. */
  readonly walEntries: () => number;
  readonly walBytes: () => number;
  /** Memory of the filter over leaf hashes. */
  readonly filterBytes: () => number;
}

/** The metrics of one ledger. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #entries: Counter;
  readonly #batches: Histogram;
  readonly #requests: Counter<"route" | "status">;
  readonly #witnesses: Counter<"witness" | "result">;
  readonly #conflicts: Counter;
  readonly #promises: Counter;
  /** Counters by status and route: looking one up by its labels costs more than counting. */
  readonly #answers = new Map<string, Counter.Internal>();

  constructor() {
    const registers = [this.#registry];
    this.#entries = new Counter({ name: "ledger_entries_total", help: "Entries made durable", registers });
    this.#batches = new Histogram({
      name: "ledger_batch_seconds",
      help: "From the begin of a batch to its acknowledgement",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5],
      registers,
    });
    this.#requests = new Counter({
      name: "ledger_requests_total",
      help: "Answers by route and status",
      labelNames: ["route", "status"],
      registers,
    });
    this.#witnesses = new Counter({
      name: "ledger_witness_results_total",
      help: "Results of add-checkpoint by witness",
      labelNames: ["witness", "result"],
      registers,
    });
    this.#conflicts = new Counter({
      name: "ledger_stream_forks_total",
      help: "Refused receipts that contradict a logged one of the same stream",
      registers,
    });
    this.#promises = new Counter({ name: "ledger_promises_total", help: "Promises signed", registers });
  }

  /** Content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Every metric with its values, each labelled with the log's name. */
  async labelled(log: string): Promise<object> {
    const metrics = await this.#registry.getMetricsAsJSON();
    return metrics.map((metric) => {
      return { ...metric, values: metric.values.map((value) => ({ ...value, labels: { log, ...value.labels } })) };
    });
  }

  /** Adds the values that are read on demand. */
  watch(sources: MetricSources): void {
    this.#gauge("ledger_tree_size", "Entries in the tree", sources.size);
    this.#gauge("ledger_logged_size", "Size of the newest signed checkpoint", sources.loggedSize);
    this.#gauge("ledger_published_size", "Size of the newest witnessed checkpoint", sources.publishedSize);
    this.#gauge("ledger_queued_entries", "Entries that wait for a batch", sources.queuedEntries);
    this.#gauge(
      "ledger_unchecked_entries",
      "Size of the tree less what the background checks read",
      sources.uncheckedEntries,
    );
    this.#gauge("ledger_unchecked_bytes", "Bytes admitted in this run that wait to be checked", sources.uncheckedBytes);
    this.#gauge("ledger_findings", "False receipts in the log that the background checks found", sources.findings);
    this.#gauge("ledger_quorum_age_seconds", "Time since a quorum was met; -1 before the first", () => {
      return sources.quorumAgeSeconds() ?? -1;
    });
    if (sources.files !== undefined) this.#watchFiles(sources.files);
    this.#gauge("ledger_halted", "1 after a fault that stopped the ledger", () => (sources.isHalted() ? 1 : 0));
    this.#gauge("ledger_published_without_quorum", "1 while the served checkpoint has no quorum", () =>
      sources.isDegraded() ? 1 : 0,
    );
    this.#perWitness("ledger_witness_failures", "Failures in a row", sources, (each) => each.consecutive_failures);
    this.#perWitness("ledger_witness_latency_ms", "Time of the last cosignature", sources, (each) => each.latency_ms);
    this.#perWitness(
      "ledger_witness_last_success_seconds",
      "POSIX time of the last cosignature",
      sources,
      (each) => each.last_success,
    );
  }

  /** Shows how far mirrors are. */
  watchMirrors(views: () => readonly MirrorView[]): void {
    this.#perMirror("ledger_mirror_size", "Entries that a mirror says to store", views, ({ size }) => size);
    this.#perMirror(
      "ledger_mirror_lag_entries",
      "Published entries that it does not",
      views,
      (each) => each.lag_entries,
    );
    this.#perMirror("ledger_mirror_failures", "Failures in a row", views, (each) => each.consecutive_failures);
  }

  /** Counts a durable batch. */
  countBatch({ entries, durationMs }: { readonly entries: number; readonly durationMs: number }): void {
    this.#entries.inc(entries);
    this.#batches.observe(durationMs / 1000);
  }

  /** Counts an answer. */
  countAnswer(route: string, status: number): void {
    const key = `${status} ${route}`;
    let child = this.#answers.get(key);
    if (child === undefined) {
      child = this.#requests.labels({ route, status: String(status) });
      this.#answers.set(key, child);
    }
    child.inc();
  }

  /** Counts what a witness did with a checkpoint. */
  countWitness(witness: string, result: string): void {
    this.#witnesses.inc({ witness, result });
  }

  /** Counts a refused receipt of a forked stream. */
  countConflict(): void {
    this.#conflicts.inc();
  }

  /** Counts a signed promise. */
  countPromise(): void {
    this.#promises.inc();
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

  #perMirror(
    name: string,
    help: string,
    views: () => readonly MirrorView[],
    read: (mirror: MirrorView) => number,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["mirror"],
      registers: [this.#registry],
      collect() {
        for (const view of views()) this.set({ mirror: view.url }, read(view));
      },
    });
  }

  #watchFiles({ startPhasesMs, walEntries, walBytes, filterBytes }: FileSources): void {
    this.#gauge("ledger_wal_entries", "Entries that a start would read again", walEntries);
    this.#gauge("ledger_wal_bytes", "Bytes of the write-ahead log that a start would read again", walBytes);
    this.#gauge("ledger_filter_bytes", "Memory of the filter over leaf hashes", filterBytes);
    const gauge = new Gauge({
      name: "ledger_start_seconds",
      help: "Time of each phase of the start",
      labelNames: ["phase"],
      registers: [this.#registry],
    });
    for (const [phase, milliseconds] of startPhasesMs) gauge.set({ phase }, milliseconds / 1000);
  }

  #perWitness(
    name: string,
    help: string,
    { witnesses }: MetricSources,
    read: (witness: WitnessHealthView) => number | null,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["witness"],
      registers: [this.#registry],
      collect() {
        for (const witness of witnesses()) {
          const value = read(witness);
          if (value !== null) this.set({ witness: witness.url }, value);
        }
      },
    });
  }
}

/** The exposition text of several logs in one, with a label `log`. */
export async function textOfAll(
  logs: readonly (readonly [name: string, metrics: Metrics])[],
): Promise<{ readonly contentType: string; readonly text: string }> {
  const labelled = await Promise.all(logs.map(([name, metrics]) => metrics.labelled(name)));
  // Labels differ from log to log, so that nothing is summed.
  const merged = AggregatorRegistry.aggregate(labelled);
  return { contentType: merged.contentType, text: await merged.metrics() };
}
