/**
 * The crash suite: `npm run test:crash`, or `node dist/test/crash/run.js --kills N --seed S`.
 *
 * Real ledgers, witnesses and gateways are killed with SIGKILL, at named steps of the order of writes and at any moment,
 * while clients submit; each folder lives through some tens of kills and is then checked as a whole. What is killed where and what
 * the clients send follows from the seed; how far they come until then does not.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { processIo } from "../../cli/io.ts";
import { makeProgress } from "../../cli/progress.ts";
import { runEpoch } from "./epoch.ts";
import { allSteps, type Job, jobsOf, unplannedSteps } from "./jobs.ts";
import { Tally } from "./tally.ts";

const LANES = 2;
/** DESIGN's bar of a restart; those of this suite's small logs are far below. */
const START_LIMIT_MS = 5000;

/** Numbers of the command line. */
interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly lanes: number;
  readonly startLimitMs: number;
}

function readOptions(args: readonly string[]): Options | undefined {
  const numbers = new Map([
    ["--kills", 1000],
    ["--seed", Date.now() % 1_000_000],
    ["--lanes", LANES],
    ["--start-limit-ms", START_LIMIT_MS],
  ]);
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i] ?? "", Number(args[i + 1])];
    if (!numbers.has(name) || !Number.isSafeInteger(value) || value < 1) return undefined;
    numbers.set(name, value);
  }
  const of = (name: string): number => numbers.get(name) ?? 0;
  return { kills: of("--kills"), seed: of("--seed"), lanes: of("--lanes"), startLimitMs: of("--start-limit-ms") };
}

async function run(options: Options, print: (line: string) => void): Promise<number> {
  const { kills, seed, lanes } = options;
  print(`crash suite: ${kills} kills, seed ${seed}`);
  const started = performance.now();
  const [tally, progress] = [new Tally(), makeProgress("killing", processIo(), () => performance.now())];
  const all = jobsOf(options);
  const jobs: Job[] = [...all];
  const faults: string[] = [];
  let passed = 0;
  const drawing = setInterval(() => progress.update(tally.kills, kills), 200);
  const lane = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const folder = await mkdtemp(join(tmpdir(), "countersign-crash-"));
      try {
        await runEpoch({ ...job, seed, folder, tally });
        passed += 1 + job.kills.length;
        await rm(folder, { recursive: true, force: true });
      } catch (error) {
        faults.push(`log ${job.number} (${job.kind}), kept in ${folder}: ${inspect(error)}`);
        progress.end();
        print(faults.at(-1) ?? "");
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  clearInterval(drawing);
  progress.end();
  faults.push(...faultsOf(tally, all, options, print));
  for (const line of tally.lines()) print(line);
  // Last, and once more what was said when it was found: who keeps the end of the output alone keeps the cause and the seed.
  for (const fault of faults) print(fault);
  print(`seed ${seed}, ${Math.round((performance.now() - started) / 1000)} s`);
  print(`${passed} passed, ${faults.length} failed`);
  return faults.length === 0 ? 0 : 1;
}

/** What is wrong with a run in which nothing was lost: steps that no process stood at, and a start that took too long. */
function faultsOf(
  tally: Tally,
  jobs: readonly Job[],
  { kills, startLimitMs }: Options,
  print: (line: string) => void,
): readonly string[] {
  const [steps, unplanned] = [allSteps(), unplannedSteps(jobs)];
  if (unplanned.length > 0) {
    print(
      `not asked that every step was reached: ${kills} kills visit ${steps.length - unplanned.length} of ${steps.length} named steps`,
    );
  }
  const untried = unplanned.length > 0 ? [] : tally.untried(steps);
  const slow = tally.startFault(startLimitMs);
  return [...untried.map((step) => `no process stood at ${step}`), ...(slow === undefined ? [] : [slow])];
}

const given = readOptions(process.argv.slice(2));
if (given === undefined) console.error("usage: run.js [--kills N] [--seed S] [--lanes L] [--start-limit-ms M]");
process.exitCode = given === undefined ? 2 : await run(given, (line) => console.log(line));
