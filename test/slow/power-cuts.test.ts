/**
 * The fault table: every write of a log × every way in which it fails × every way in which the machine goes on. What
 * was acknowledged is there afterwards, and what was signed follows from the disk.
 */

import { describe, expect, it } from "vitest";
import { Random } from "../crash/random.ts";
import { type OpenTestLog, openTestLog } from "../support/ledger-log.ts";
import { checkPromised, noPromises, type Promised, runLog } from "../support/log-promises.ts";
import { type Incident, type Leaves, PowerCutDisk, type Survives } from "../support/power-cut-disk.ts";

const FIRST = { from: 0, batches: 8, entries: 40 };
const SECOND = { from: 8, batches: 2, entries: 40 };
const SEED = 20_261_126;

const STEPS = await countSteps();

async function countSteps(): Promise<number> {
  const disk = new PowerCutDisk();
  const promised = noPromises();
  await runLog(await openTestLog(disk), promised, FIRST);
  expect(promised.acknowledged.size).toBe(FIRST.batches * FIRST.entries);
  expect(promised.signed.length).toBe(FIRST.batches / 2);
  return disk.steps.length;
}

/** Runs a log into an incident. @returns what it had promised until then */
async function runInto(disk: PowerCutDisk, incident: Incident | undefined): Promise<Promised> {
  const promised = noPromises();
  disk.incident = incident;
  const log = await openTestLog(disk).catch(() => undefined);
  if (log !== undefined) await runLog(log, promised, FIRST);
  return promised;
}

/** Opens the disk again, checks, goes on, checks. */
async function goOn(disk: PowerCutDisk, promised: Promised): Promise<OpenTestLog> {
  const log = await openTestLog(disk);
  await checkPromised(log, promised);
  await runLog(log, promised, SECOND);
  expect(log.halt.fault).toBeUndefined();
  await checkPromised(log, promised);
  return log;
}

/** What the machine does after the incident. */
const AFTERMATHS: Readonly<Record<string, (disk: PowerCutDisk, random: Random) => PowerCutDisk>> = {
  "the process ends": (disk) => disk.endProcess(),
  "the power is cut, nothing unsynced survives": (disk) => disk.cutPower(() => false),
  "the power is cut, any part of what was not synced survives": (disk, random) => disk.cutPower(coin(random)),
};

function coin(random: Random): Survives {
  return () => random.below(2) === 0;
}

const CODES = ["EIO", "ENOSPC", "EROFS"] as const;
const LEAVES: readonly Leaves[] = ["nothing", "all", "half"];
const rows = CODES.flatMap((code) => LEAVES.map((leaves) => [code, leaves] as const));

describe.each(Object.keys(AFTERMATHS))("a write or sync fails, then %s", (aftermath) => {
  it.each(rows)(
    "(%s, the step leaves %s): nothing that was promised is lost, at any of the steps",
    async (code, leaves) => {
      const random = new Random(SEED, `${aftermath} ${code} ${leaves}`);
      for (let step = 0; step < STEPS; step += 1) {
        const disk = new PowerCutDisk();
        const promised = await runInto(disk, { step, leaves, code });
        const after = AFTERMATHS[aftermath]?.(disk, random);
        if (after === undefined) throw new Error(aftermath);
        await within(`step ${step}`, goOn(after, promised));
      }
    },
  );
});

describe("a power cut without any failure before it", () => {
  it.each([1, 2, 3])("at each step, with any part of what was not synced (%i)", async (round) => {
    const random = new Random(SEED, `cut ${round}`);
    for (let step = 0; step < STEPS; step += 1) {
      const disk = new PowerCutDisk();
      // The step is under way: its bytes are in the disk's memory, nobody was told.
      const promised = await runInto(disk, { step, leaves: "all", code: "EROFS" });
      await within(`step ${step}`, goOn(disk.cutPower(coin(random)), promised));
    }
  });
});

describe("a sync that fails and drops what it should have written", () => {
  it("is not trusted by the next process: a power cut after its restart loses nothing that either acknowledged", async () => {
    for (let step = 0; step < STEPS; step += 1) {
      const disk = new PowerCutDisk();
      const promised = await runInto(disk, { step, leaves: "nothing", code: "EIO" });
      // The next process still sees the dropped bytes; they count as clean and would never be written by a sync alone.
      const second = disk.endProcess();
      await within(`step ${step}`, goOn(second, promised));
      await within(
        `step ${step}, second cut`,
        goOn(
          second.cutPower(() => false),
          promised,
        ),
      );
    }
  });
});

async function within<T>(where: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Error(`${where}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
