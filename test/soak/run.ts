/**
 * The soak: `npm run test:soak`, or `node dist/test/soak/run.js --minutes N --seed S`.
 *
 * Thousands of agents of many kinds call through one gateway, up to 1,000 calls at a time, while the ledger goes away twice
 * and a server hangs. Afterwards every call, every receipt and every call that a server got are compared, and a window of the
 * stream is exported and verified. What agents do follows from the seed; how fast they are served is the machine's matter.
 */

import { processIo } from "../../cli/io.ts";
import { makeProgress } from "../../cli/progress.ts";
import { Random } from "../crash/random.ts";
import { CallBook } from "./call-book.ts";
import { type Check, compare } from "./comparison.ts";
import { runCrowd } from "./crowd.ts";
import { type Drained, drain, verifyWindow } from "./ending.ts";
import { type House, openHouse } from "./house.ts";
import { type LedgerSide, readLedgerSide } from "./ledger-side.ts";
import { type MemoryLog, medianOf, watchMemory } from "./memory.ts";
import { SERVERS } from "./tools.ts";
import { runTroubles } from "./troubles.ts";

const MINUTES = 10;
const AGENTS_A_MINUTE = 1_000;
const MAX_AT_ONCE = 1_000;
const CROWD_SHARE = 0.3;
/** Resident memory of the gateway, and how far it may grow from the second quarter of the time to the last. */
const MAX_MIB = 1_024;
const MAX_GROWTH = 1.5;

interface Options {
  readonly minutes: number;
  readonly seed: number;
}

function readOptions(args: readonly string[]): Options | undefined {
  const given = new Map([
    ["--minutes", MINUTES],
    ["--seed", Date.now() % 1_000_000],
  ]);
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i] ?? "", Number(args[i + 1])];
    if (!given.has(name) || !Number.isSafeInteger(value) || value < 1) return undefined;
    given.set(name, value);
  }
  return { minutes: given.get("--minutes") ?? MINUTES, seed: given.get("--seed") ?? 0 };
}

type Print = (line: string) => void;

async function run(options: Options, print: Print): Promise<number> {
  const { minutes, seed } = options;
  print(`soak: ${minutes * AGENTS_A_MINUTE} agents over ${minutes} minutes, seed ${seed}`);
  const house = await openHouse();
  const book = new CallBook();
  const [gateway, ledger] = [
    watchMemory(() => house.topology.pid("gateway")),
    watchMemory(() => house.topology.pid("ledger")),
  ];
  const started = performance.now();
  try {
    await load(house, book, options, print);
    const seconds = (performance.now() - started) / 1000;
    const drained = await drain(house.topology);
    for (const log of [gateway, ledger]) log.stop();
    const side = await readLedgerSide({
      url: house.topology.url("ledger"),
      token: house.topology.token("read"),
      stream: drained.stream,
      nextSeq: drained.nextSeq,
    });
    const arrived = await arrivedCalls(house);
    const checks = [
      ...compare({ book, ledger: side, arrived }),
      { what: "the outbox is empty at the end", faults: drained.faults },
      { what: "an exported window is verified", faults: verifyWindow(house.topology, drained) },
      { what: `the gateway's memory stays below ${MAX_MIB} MiB and does not grow`, faults: memoryFaults(gateway) },
    ];
    print(summary({ book, side, drained, gateway, ledger, seconds }));
    return report(checks, print);
  } finally {
    for (const log of [gateway, ledger]) log.stop();
    await house.remove();
  }
}

async function load(house: House, book: CallBook, { minutes, seed }: Options, print: Print): Promise<void> {
  const agents = minutes * AGENTS_A_MINUTE;
  const milliseconds = minutes * 60_000;
  const progress = makeProgress("agents", processIo(), () => performance.now());
  const plan = {
    agents,
    milliseconds,
    atOnce: Math.min(MAX_AT_ONCE, Math.floor(agents * CROWD_SHARE)),
    maxAlive: MAX_AT_ONCE,
  };
  const deps = { url: house.topology.url("gateway"), tokens: house.tokens, book, random: new Random(seed, "agents") };
  const troubles = runTroubles(house, milliseconds, (what, seconds) => {
    progress.end();
    print(`${String(seconds).padStart(5)} s  ${what}; ${book.sum("answered")} answers so far`);
  });
  await Promise.all([troubles, runCrowd(plan, deps, (done) => progress.update(done, agents))]);
  progress.end();
}

/** Calls that arrived, by `<server>/<tool>`. */
async function arrivedCalls({ ask }: House): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const server of SERVERS) {
    for (const [tool, count] of Object.entries(await ask(server, "/counts"))) counts.set(`${server}/${tool}`, count);
  }
  return counts;
}

function memoryFaults({ samples }: MemoryLog): readonly string[] {
  const [peak, early, late] = [Math.max(0, ...samples), medianOf(samples, 0.25, 0.5), medianOf(samples, 0.75, 1)];
  if (samples.length === 0) return ["it could not be read"];
  if (peak > MAX_MIB) return [`${Math.round(peak)} MiB`];
  return late > early * MAX_GROWTH ? [`from ${Math.round(early)} to ${Math.round(late)} MiB`] : [];
}

interface Sums {
  readonly book: CallBook;
  readonly side: LedgerSide;
  readonly drained: Drained;
  readonly gateway: MemoryLog;
  readonly ledger: MemoryLog;
  readonly seconds: number;
}

function summary({ book, side, drained, gateway, ledger, seconds }: Sums): string {
  const rows = [...book.subjects].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const cell = (value: number | string): string => String(value).padStart(12);
  const mib = ({ samples }: MemoryLog): string =>
    `${Math.round(medianOf(samples, 0.25, 0.5))} early, ${Math.round(medianOf(samples, 0.75, 1))} late, ${Math.round(Math.max(0, ...samples))} at most`;
  return [
    `${"".padEnd(32)}${["sent", "answered", "cut", "unanswered"].map(cell).join("")}`,
    ...rows.map(([name, c]) => `${name.padEnd(32)}${[c.sent, c.answered, c.cut, c.unanswered].map(cell).join("")}`),
    `answers that say why not: ${[...book.refusals].map(([reason, count]) => `${reason} ${count}`).join(", ")}`,
    `${side.receipts} receipts: ${side.decisions.size} decisions, ${side.outcomes} outcomes; outbox drained in ${drained.seconds} s`,
    `${Math.round(book.sum("sent") / seconds)} requests/s over ${Math.round(seconds)} s; ${book.peakInFlight} in flight at most`,
    `resident MiB: gateway ${mib(gateway)}; ledger ${mib(ledger)}`,
  ].join("\n");
}

function report(checks: readonly Check[], print: Print): number {
  for (const { what, faults } of checks) {
    print(`${faults.length === 0 ? "pass" : "FAIL"}  ${what}`);
    for (const fault of faults) print(`      ${fault}`);
  }
  const failed = checks.filter(({ faults }) => faults.length > 0).length;
  print(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

const given = readOptions(process.argv.slice(2));
if (given === undefined) console.error("usage: run.js [--minutes N] [--seed S]");
process.exitCode = given === undefined ? 2 : await run(given, (line) => console.log(line));
