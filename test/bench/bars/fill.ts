/** Raw logs of a wanted size: filled by a process that is then killed amid writing, and served until they have signed it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { eventually } from "../../support/ledger-service.ts";
import type { Server } from "../load.ts";
import type { Filled } from "./filler.ts";

/**
 * Adds entries of 300 bytes until the log has `size` of them.
 *
 * @param batchEntries  entries that are submitted together
 */
export async function fillLog(dataDir: string, size: number, batchEntries: number): Promise<Filled> {
  const script = fileURLToPath(new URL("./filler.js", import.meta.url));
  const args = [script, dataDir, String(size), String(batchEntries)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const filled: Filled = JSON.parse(line);
      return filled;
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
