/**
 * The benchmark harness: compares contenders in one run, interleaved, so that a busy machine slows all of them alike.
 *
 * Each contender is warmed up, then measured in rounds of equal time; the median round counts. The first contender of a
 * comparison is the baseline of the ratios.
 */

/** How long to measure and where to print. */
export interface BenchContext {
  /** Time for each contender in milliseconds, warm-up excluded. */
  readonly budgetMs: number;
  /** True for a smoke run: sizes of data sets are cut down as well. */
  readonly isQuick: boolean;
  /** Largest size of a data set, where a suite has a choice. */
  readonly entries?: number;
  readonly print: (line: string) => void;
}

/** What every benchmark module exports as `bench`. */
export type Bench = (context: BenchContext) => Promise<void>;

/** One way to do the work. */
export interface Contender {
  readonly name: string;
  /** Does the work once; its result is kept alive so that nothing is optimised away. */
  readonly run: () => unknown;
  /** Things done by one run, if not 1: `ops/s` counts them. */
  readonly operations?: number;
  /** Bytes handled by one operation, for MB/s. */
  readonly bytes?: number;
}

/** Median speed of a contender. */
export interface Measurement {
  readonly name: string;
  readonly operationsPerSecond: number;
  /** Against the first contender. */
  readonly ratio: number;
}

const ROUNDS = 5;
const WARM_UP_SHARE = 0.4;

/** Measures the contenders and prints a table; async work is awaited one run at a time. */
export async function compare(
  context: BenchContext,
  title: string,
  contenders: readonly Contender[],
): Promise<readonly Measurement[]> {
  const speeds = contenders.map((): number[] => []);
  for (const contender of contenders) await timeFor(contender, context.budgetMs * WARM_UP_SHARE);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [i, contender] of contenders.entries()) {
      speeds[i]?.push(await timeFor(contender, context.budgetMs / ROUNDS));
    }
  }
  const medians = speeds.map(median);
  const baseline = medians[0] ?? 1;
  context.print(`\n${title}`);
  return contenders.map((contender, i) => {
    const operationsPerSecond = medians[i] ?? 0;
    const measurement = { name: contender.name, operationsPerSecond, ratio: operationsPerSecond / baseline };
    context.print(formatRow(contender, measurement));
    return measurement;
  });
}

/** The last result, so that the work has an observer. */
let sink: unknown;

/** Operations per second over about `budgetMs`. */
async function timeFor({ run, operations = 1 }: Contender, budgetMs: number): Promise<number> {
  const started = performance.now();
  let [runs, batch, elapsed] = [0, 1, 0];
  while (elapsed < budgetMs) {
    for (let i = 0; i < batch; i += 1) {
      sink = run();
      if (sink instanceof Promise) await sink;
    }
    runs += batch;
    elapsed = performance.now() - started;
    // Look at the clock about a hundred times a budget, not at every run.
    batch = Math.max(1, Math.ceil((runs / Math.max(elapsed, 0.01)) * (budgetMs / 100)));
  }
  return (runs * operations * 1000) / elapsed;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function formatRow({ name, bytes }: Contender, { operationsPerSecond, ratio }: Measurement): string {
  const speed = `${formatCount(operationsPerSecond)} ops/s`.padStart(18);
  const throughput = bytes === undefined ? "" : `${((operationsPerSecond * bytes) / 1e6).toFixed(0)} MB/s`;
  return `  ${name.padEnd(34)}${speed}${throughput.padStart(12)}${`${ratio.toFixed(2)} x`.padStart(12)}`;
}

function formatCount(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}
