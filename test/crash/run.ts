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
import { processIo } from "../../cli/io.ts";
import { makeProgress } from "../../cli/progress.ts";
import { runEpoch } from "./epoch.ts";
import { Random } from "./random.ts";
import { type Kill, Schedule } from "./schedule.ts";
import { type LogKind, type Step, stepsOf } from "./steps.ts";
import { Tally } from "./tally.ts";

const KILLS_OF_EPOCH = 50;
const LANES = 2;
/** With so many kills every step must have been reached at least once. */
const KILLS_FOR_ALL_STEPS = 400;

/** Numbers of the command line. */
interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly lanes: number;
}

function readOptions(args: readonly string[]): Options | undefined {
  const numbers = new Map([
    ["--kills", 1000],
    ["--seed", Date.now() % 1_000_000],
    ["--lanes", LANES],
  ]);
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i] ?? "", Number(args[i + 1])];
    if (!numbers.has(name) || !Number.isSafeInteger(value) || value < 1) return undefined;
    numbers.set(name, value);
  }
  const of = (name: string): number => numbers.get(name) ?? 0;
  return { kills: of("--kills"), seed: of("--seed"), lanes: of("--lanes") };
}

/** One folder that is still to come. */
interface Job {
  readonly kind: LogKind;
  readonly number: number;
  readonly kills: readonly Kill[];
}

/** All folders and their kills. Two of three are logs of receipts: they have more steps. */
function jobsOf({ kills, seed }: Options): Job[] {
  const schedules = {
    raw: new Schedule("raw", new Random(seed, "schedule raw")),
    receipts: new Schedule("receipts", new Random(seed, "schedule receipts")),
  };
  return Array.from({ length: Math.ceil(kills / KILLS_OF_EPOCH) }, (_, number) => {
    const kind = number % 3 === 1 ? "raw" : "receipts";
    const length = Math.min(KILLS_OF_EPOCH, kills - number * KILLS_OF_EPOCH);
    return { kind, number, kills: Array.from({ length }, () => schedules[kind].next()) };
  });
}

async function run(options: Options, print: (line: string) => void): Promise<number> {
  const { kills, seed, lanes } = options;
  print(`crash suite: ${kills} kills, seed ${seed}`);
  const started = performance.now();
  const [tally, progress] = [new Tally(), makeProgress("killing", processIo(), () => performance.now())];
  const jobs = jobsOf(options);
  let [passed, failed] = [0, 0];
  const drawing = setInterval(() => progress.update(tally.kills, kills), 200);
  const lane = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const folder = await mkdtemp(join(tmpdir(), "countersign-crash-"));
      try {
        await runEpoch({ ...job, seed, folder, tally });
        passed += 1 + job.kills.length;
        await rm(folder, { recursive: true, force: true });
      } catch (error) {
        failed += 1;
        progress.end();
        print(
          `log ${job.number} (${job.kind}), kept in ${folder}: ${error instanceof Error ? error.stack : String(error)}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  clearInterval(drawing);
  progress.end();
  const untried = kills < KILLS_FOR_ALL_STEPS ? [] : tally.untried(allSteps());
  if (untried.length > 0) print(`no process stood at ${untried.join(", ")}`);
  failed += untried.length;
  for (const line of tally.lines()) print(line);
  print(`seed ${seed}, ${Math.round((performance.now() - started) / 1000)} s`);
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function allSteps(): readonly Step[] {
  return (["ledger", "witness", "gateway"] as const).flatMap((victim) => stepsOf(victim, "receipts"));
}

const given = readOptions(process.argv.slice(2));
if (given === undefined) console.error("usage: run.js [--kills N] [--seed S] [--lanes L]");
process.exitCode = given === undefined ? 2 : await run(given, (line) => console.log(line));
