/**
 * The fault table of a witness's state: each write of its journal and its fence × {failed, failed but kept, torn, reordered before its
 * sync} × every way in which the machine goes on. What was answered stays recorded, and the next start takes the state for what it is.
 */

import { describe, expect, it } from "vitest";
import { openFence } from "../../witness/fence.ts";
import { StateBook } from "../../witness/state-book.ts";
import { Random } from "../crash/random.ts";
import { oldStateFile } from "../support/old-witness-state.ts";
import { type Incident, type Leaves, PowerCutDisk } from "../support/power-cut-disk.ts";
import { fenceFileOn, stateFilesOn } from "../support/power-cut-state.ts";
import { makeSmallLog } from "../support/small-log.ts";

const SEED = 20_261_127;
const SIZES = 12;
/** What a witness goes on with behind an incident. */
const MORE = 3;
/** Small, so that the journal is replaced by a shorter one on the way. */
const REWRITE_BYTES = 500;
const LOGS = [makeSmallLog("log.example/a", 1, SIZES + 2 * MORE), makeSmallLog("log.example/b", 2, SIZES + 2 * MORE)];

/** By origin: the size that was answered last, and the largest one that was asked for. */
interface Promised {
  readonly answered: Map<string, number>;
  readonly asked: Map<string, number>;
}

function open(disk: PowerCutDisk): Promise<StateBook> {
  return openFence(fenceFileOn(disk)).then((fence) => StateBook.open(stateFilesOn(disk), fence, REWRITE_BYTES));
}

/** Records the next sizes of both logs, `count` of each; stops at the first that cannot be. */
async function record(book: StateBook, { answered, asked }: Promised, count: number): Promise<boolean> {
  for (let i = 0; i < count; i += 1) {
    for (const log of LOGS) {
      const size = Number(book.state(log.origin).head.size) + 1;
      asked.set(log.origin, size);
      const head = { size: BigInt(size), root: log.root(size) };
      if (!(await isDone(book.record(log.origin, head, log.checkpoint(size))))) return false;
      answered.set(log.origin, size);
    }
  }
  return true;
}

async function isDone(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

const STEPS = await listSteps();

async function listSteps(): Promise<readonly string[]> {
  const disk = new PowerCutDisk();
  const book = await open(disk);
  await record(book, { answered: new Map(), asked: new Map() }, SIZES);
  await book.close();
  return disk.steps;
}

/** Runs a witness into an incident. @returns what it had answered until then */
async function runInto(disk: PowerCutDisk, incident: Incident): Promise<Promised> {
  const promised: Promised = { answered: new Map(), asked: new Map() };
  disk.incident = incident;
  const book = await open(disk).catch(() => undefined);
  if (book === undefined) return promised;
  await record(book, promised, SIZES);
  await book.close();
  expect(disk.steps.length).toBeGreaterThan(incident.step);
  return promised;
}

/** Opens the state again, checks, goes on. @throws Error naming what does not hold */
async function goOn(disk: PowerCutDisk, promised: Promised): Promise<void> {
  const book = await open(disk);
  for (const log of LOGS) {
    const { head, note } = book.state(log.origin);
    const [answered, asked] = [promised.answered.get(log.origin) ?? 0, promised.asked.get(log.origin) ?? 0];
    const size = Number(head.size);
    if (size < answered || size > asked)
      throw new Error(`${log.origin}: ${size}, answered ${answered}, asked ${asked}`);
    expect(note).toBe(size === 0 ? undefined : log.checkpoint(size));
  }
  expect(await record(book, promised, MORE)).toBe(true);
  await book.close();
}

const FAILURES: readonly (readonly [string, Leaves])[] = [
  ["fails", "nothing"],
  ["fails and is kept", "all"],
  ["is torn", "half"],
];
const AFTERMATHS: readonly (readonly [string, (disk: PowerCutDisk, random: Random) => PowerCutDisk])[] = [
  ["the process ends", (disk) => disk.endProcess()],
  ["the power is cut and nothing unsynced survives", (disk) => disk.cutPower(() => false)],
  ["the power is cut and any part of it survives", cutAnywhere],
];

/** The power is cut, and any part of what was not synced survives, in any order. */
function cutAnywhere(disk: PowerCutDisk, random: Random): PowerCutDisk {
  return disk.cutPower(() => random.below(2) === 0);
}

async function within<T>(step: number, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Error(`step ${step}, ${STEPS[step]}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** A disk with the states of version 0.1.0 of both logs, the first `size` entries of each. */
async function oldDisk(size: number): Promise<PowerCutDisk> {
  const disk = new PowerCutDisk();
  for (const log of LOGS) await stateFilesOn(disk).replace(...oldStateFile(log.origin, log.checkpoint(size)));
  return disk.endProcess();
}

/** What `goOn` holds a witness to that has taken over states of this size, and answered nothing since. */
function promisedAt(size: number): Promised {
  const sizes = (): Map<string, number> => new Map(LOGS.map(({ origin }) => [origin, size]));
  return { answered: sizes(), asked: sizes() };
}

const oldNames = async (disk: PowerCutDisk): Promise<readonly string[]> =>
  (await disk.list("")).filter((name) => name.endsWith(".state"));

describe("the state of a witness", () => {
  it("has writes of every kind", () => {
    expect([...new Set(STEPS)].toSorted()).toEqual([
      "rename witness.journal",
      "sync fence/file",
      "sync folder ",
      "sync folder fence",
      "sync witness.journal",
      "sync witness.journal.tmp",
      "write fence/file",
      "write witness.journal",
      "write witness.journal.tmp",
    ]);
  });

  it.each(FAILURES.flatMap(([row, leaves]) => AFTERMATHS.map(([name, cut]) => [row, name, leaves, cut] as const)))(
    "loses nothing that was answered when any of them %s, and then %s",
    async (row, name, leaves, cut) => {
      const random = new Random(SEED, `${row} ${name}`);
      for (let step = 0; step < STEPS.length; step += 1) {
        const disk = new PowerCutDisk();
        const promised = await runInto(disk, { step, leaves, code: "EIO" });
        await within(step, goOn(cut(disk, random), promised));
      }
    },
  );

  it("loses nothing that was answered when the power is cut during any of them", async () => {
    const random = new Random(SEED, "reordered");
    for (let step = 0; step < STEPS.length; step += 1) {
      const disk = new PowerCutDisk();
      const promised = await runInto(disk, { step, leaves: "all", code: "EROFS" });
      await within(step, goOn(cutAnywhere(disk, random), promised));
    }
  });

  it("is not trusted to a sync that failed: a power cut behind the next process loses nothing that either answered", async () => {
    for (let step = 0; step < STEPS.length; step += 1) {
      const disk = new PowerCutDisk();
      const promised = await runInto(disk, { step, leaves: "nothing", code: "EIO" });
      // The next process still sees the dropped bytes; they count as clean, and a sync alone would never write them.
      const second = disk.endProcess();
      await within(step, goOn(second, promised));
      await within(
        step,
        goOn(
          second.cutPower(() => false),
          promised,
        ),
      );
    }
  });
});

describe("an upgrade of the state of version 0.1.0", () => {
  const SIZE = 5;

  async function upgradeSteps(): Promise<readonly string[]> {
    const disk = await oldDisk(SIZE);
    await (await open(disk)).close();
    return disk.steps;
  }

  it("has writes of every kind: the journal, then the fence, and only then are the old states removed", async () => {
    const steps = await upgradeSteps();
    const at = (step: string): number => steps.findIndex((each) => each.startsWith(step));
    const order = ["rename witness.journal", "sync fence/file", "remove "].map(at);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
    expect(steps.filter((step) => step.startsWith("remove "))).toHaveLength(LOGS.length);
  });

  it.each([...FAILURES, ["is the last", "all"] as const])(
    "goes on by itself when any of them %s, however the machine goes on",
    async (row, leaves) => {
      const steps = await upgradeSteps();
      const code = row === "is the last" ? "EROFS" : "EIO";
      for (const [name, cut] of AFTERMATHS) {
        const random = new Random(SEED, `upgrade ${row} ${name}`);
        for (let step = 0; step < steps.length; step += 1) {
          const disk = await oldDisk(SIZE);
          disk.incident = { step, leaves, code };
          await open(disk).then(
            (book) => book.close(),
            () => undefined,
          );
          const next = cut(disk, random);
          await within(step, goOn(next, promisedAt(SIZE)));
          expect(await oldNames(next)).toEqual([]);
          await within(step, goOn(next.endProcess(), promisedAt(SIZE + MORE)));
        }
      }
    },
  );

  it("is not taken for one where the journal went on and its fence is gone, or an old state did", async () => {
    const disk = await oldDisk(SIZE);
    const book = await open(disk);
    await record(book, promisedAt(SIZE), 1);
    await book.close();
    const [{ origin }, files] = [LOGS[0] ?? { origin: "" }, stateFilesOn(disk)];
    await files.replace(...oldStateFile(origin, LOGS[0]?.checkpoint(SIZE) ?? ""));
    await disk.remove("fence/file");
    await expect(open(disk)).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
    expect(await oldNames(disk)).toHaveLength(1);
    const other = await oldDisk(SIZE);
    await (await open(other)).close();
    await stateFilesOn(other).replace(...oldStateFile(origin, LOGS[0]?.checkpoint(SIZE + 1) ?? ""));
    await expect(open(other)).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
    expect(await oldNames(other)).toHaveLength(1);
  });
});
