/** Each step of a new file is one at which the crash suite really stops, also where the disk writes new files in one call. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { writeOnce } from "../../ledger/storage/durable-file.ts";
import { writeNewFiles } from "../../ledger/storage/new-files.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";
import { Stall, stallingDisk } from "../crash/stall.ts";
import { type Step, stepsOf } from "../crash/steps.ts";

const PATHS = { tile: "tile/0/000", archive: "archive/0" } as const;
type Kind = keyof typeof PATHS;

const KINDS: readonly Kind[] = ["tile", "archive"];
const STEPS = KINDS.flatMap((kind) =>
  stepsOf("ledger", "receipts")
    .filter((step) => step.startsWith(`${kind}.`))
    .map((step) => ({ step, kind })),
);

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "countersign-stall-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function write(plan: Step, kind: Kind): Promise<string> {
  return new Promise((resolve, reject) => {
    const stall = new Stall({ step: plan, skip: 0 }, resolve);
    const disk = stallingDisk(
      makeNodeDisk(root, async (files) => writeNewFiles(files)),
      stall,
    );
    const files = [{ path: PATHS[kind], bytes: formatUtf8("some bytes") }];
    writeOnce(disk, files).then(() => resolve("written"), reject);
  });
}

describe("stalls of the crash suite", () => {
  it.each(STEPS)("stops at $step of a file that was not there", async ({ step, kind }) => {
    expect(await write(step, kind)).toBe(step);
  });

  it.each([
    { step: "archive.synced", kind: "tile" },
    { step: "tile.synced", kind: "archive" },
  ] as const)("writes a $kind in one call where $step is meant", async ({ step, kind }) => {
    expect(await write(step, kind)).toBe("written");
  });
});
