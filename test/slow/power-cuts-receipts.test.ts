/**
 * The fault table over a log of receipts as it runs in production: streams, forks, archive, published checkpoint, index and leaf
 * tables. Each write of it × {failed, failed but kept, torn, reordered before its sync}; how the machine goes on takes turns.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "../crash/random.ts";
import type { Incident, Leaves } from "../support/power-cut-disk.ts";
import {
  checkReceipts,
  Machine,
  noReceipts,
  openReceipts,
  type PromisedReceipts,
  type ReceiptsLog,
  runOn,
  runReceipts,
} from "../support/power-cut-receipts.ts";

const SEED = 20_261_127;

const folders: string[] = [];
afterEach(removeFolders);

async function removeFolders(): Promise<void> {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

async function makeMachine(): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), "countersign-cuts-"));
  folders.push(folder);
  return Machine.make(folder);
}

const STEPS = await listSteps();

/** The steps of a run without a fault. */
async function listSteps(): Promise<readonly string[]> {
  const [machine, promised] = [await makeMachine(), noReceipts()];
  const log = await openReceipts(machine);
  await runReceipts(log, promised);
  expect(log.halt.fault).toBeUndefined();
  const steps = [...machine.disk.steps];
  await checkReceipts(log, promised);
  await log.close();
  return steps;
}

describe("the writes of a log of receipts", () => {
  it("are of every kind that there is in production", () => {
    const kinds = new Set(STEPS.map((step) => step.replaceAll(/[0-9]+/g, "N").replaceAll("xN/", "")));
    expect([...kinds].toSorted()).toEqual(
      expect.arrayContaining([
        "write wal/N.wal",
        "sync wal/N.wal",
        "rename wal/N.wal",
        "rename wal/spare-N.wal",
        "sync folder wal",
        "write tile/N/N.tmp",
        "rename tile/entries/N",
        "sync folder tile/entries",
        "write archive/N.frames.tmp",
        "rename archive/N.frames",
        "sync folder archive",
        "write index",
        "sync index",
        "table N-N.leaves",
        "merged table N-N.leaves",
        "write head",
        "sync head",
        "write checkpoint.tmp",
        "sync checkpoint.tmp",
        "rename checkpoint",
        "sync folder ",
      ]),
    );
  });
});

/** Runs a log into an incident. @returns what it had promised until then */
async function runInto(machine: Machine, incident: Incident): Promise<PromisedReceipts> {
  const promised = noReceipts();
  machine.disk.incident = incident;
  const log = await openReceipts(machine).catch(() => undefined);
  if (log !== undefined) await runReceipts(log, promised);
  return promised;
}

/** Opens the log of the next process, checks, goes on, checks. */
async function goOn(machine: Machine, promised: PromisedReceipts): Promise<void> {
  const log = await openReceipts(machine);
  try {
    await checkGoingOn(log, promised);
  } finally {
    await log.close();
  }
}

async function checkGoingOn(log: ReceiptsLog, promised: PromisedReceipts): Promise<void> {
  await checkReceipts(log, promised);
  await runOn(log, promised);
  expect(log.halt.fault).toBeUndefined();
  await checkReceipts(log, promised);
}

/** What the machine does after the incident. */
const AFTERMATHS: readonly ((machine: Machine, random: Random) => Machine)[] = [
  (machine) => machine.endProcess(),
  (machine) => machine.cutPower(() => false),
  cutAnywhere,
];

/** The power is cut, and any part of what was not synced survives, in any order. */
function cutAnywhere(machine: Machine, random: Random): Machine {
  return machine.cutPower(() => random.below(2) === 0);
}

/** Takes the incident at each of the steps in turn. */
async function tryEach(
  row: string,
  incident: Omit<Incident, "step">,
  aftermath: (step: number) => (typeof AFTERMATHS)[number] | undefined,
): Promise<void> {
  const random = new Random(SEED, row);
  for (const [step, name] of STEPS.entries()) {
    const machine = await makeMachine();
    const promised = await runInto(machine, { ...incident, step });
    expect(machine.disk.steps.length, name).toBeGreaterThan(step);
    const next = aftermath(step)?.(machine, random) ?? machine;
    await machine.close();
    await within(`step ${step}, ${name}`, goOn(next, promised));
    await removeFolders();
  }
}

const FAILURES: readonly (readonly [string, Leaves, number])[] = [
  ["fails", "nothing", 0],
  ["fails and is kept", "all", 1],
  ["is torn", "half", 2],
];

describe("a log of receipts loses nothing that was promised, and signs nothing that the disk does not derive", () => {
  it.each(FAILURES)(
    "when any write or sync %s, and then the process ends, or the power is cut with nothing or any part surviving",
    async (row, leaves, shift) => {
      await tryEach(row, { leaves, code: "EIO" }, (step) => AFTERMATHS[(step + shift) % AFTERMATHS.length]);
    },
  );

  it("when the power is cut during any write or sync, and what was not synced survives in any order", async () => {
    // The step is under way: its bytes are in the disk's memory, nobody was told.
    await tryEach("reordered", { leaves: "all", code: "EROFS" }, () => cutAnywhere);
  });
});

async function within<T>(where: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Error(`${where}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
