/** Raw logs of a wanted size: filled by a process that is then killed amid writing, and served until they have signed it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { eventually } from "../../support/ledger-service.ts";
import type { Server } from "../load.ts";
import type { Filled, Filling } from "./filler.ts";

/** What is filled. */
export interface FillJob {
  readonly dataDir: string;
  /** Entries that the log is to have. */
  readonly size: number;
  /** Entries that are submitted together. */
  readonly batchEntries: number;
  /** Entries behind these that are measured alone. Default 0. */
  readonly sample?: number;
  /** Told of the size now and then. */
  readonly onSize?: (size: number) => void;
}

/** Adds entries of 300 bytes until the log is full. */
export async function fillLog({ dataDir, size, batchEntries, sample = 0, onSize }: FillJob): Promise<Filled> {
  const script = fileURLToPath(new URL("./filler.js", import.meta.url));
  const args = [script, dataDir, ...[size, batchEntries, sample].map(String)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const told: Filled | Filling = JSON.parse(line);
      if ("sample" in told) return told;
      onSize?.(told.size);
    }
    throw new Error("the filler ended before the log was full");
  } finally {
    child.kill("SIGKILL");
    await gone;
  }
}

/** Waits until the ledger's newest signed, or published, checkpoint has at least `size` entries. */
export async function untilSize(
  { port }: Server,
  member: "logged_size" | "published_size",
  size: number,
): Promise<void> {
  await eventually(async () => {
    const status: unknown = await (await fetch(`http://127.0.0.1:${port}/readyz`)).json();
    return Number(Object(status)[member]) >= size ? true : undefined;
  });
}
