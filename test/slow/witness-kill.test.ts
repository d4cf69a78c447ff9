/** A witness that is killed while many logs grow: what it answered is recorded, and no checkpoint is cosigned twice over. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { benchLog, benchOrigins } from "../bench/witness-bodies.ts";
import { ROOT } from "../support/source-files.ts";

const KILLS = 20;
const LOGS = 16;
const SIZE = 4000;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-witness-kill-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
}

async function start(): Promise<Running> {
  const script = join(ROOT, "dist", "test", "support", "witness-process.js");
  const args = [script, join(folder, "w"), "journal", String(LOGS), "fence"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line]: string[] = await once(createInterface({ input: child.stdout }), "line");
  const { url }: { readonly url: string } = JSON.parse(line ?? "{}");
  return { url, child };
}

describe("a witness that is killed", () => {
  it(`has recorded whatever it answered, ${KILLS} times`, async () => {
    const logs = benchOrigins(LOGS).map((origin) => ({ log: benchLog(origin, SIZE), answered: 0, sent: 0 }));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const { url, child } = await start();
      const post = (body: string): Promise<Response> => fetch(`${url}/add-checkpoint`, { method: "POST", body });
      const probes = logs.map(async (each) => {
        // An old size that no log has here: the 409 tells the recorded one.
        const answer = await post(formatAddCheckpoint(BigInt(SIZE), [], each.log.checkpoint(SIZE)));
        const recorded = Number(await answer.text());
        expect([answer.status, recorded >= each.answered, recorded <= each.sent]).toEqual([409, true, true]);
        each.answered = recorded;
      });
      await Promise.all(probes);
      const grow = async (each: (typeof logs)[number]): Promise<void> => {
        for (;;) {
          const size = each.answered + 1;
          const proof = size === 1 ? [] : await each.log.consistency(size - 1, size);
          each.sent = size;
          const answer = await post(formatAddCheckpoint(BigInt(size - 1), proof, each.log.checkpoint(size)));
          expect([answer.status, (await answer.text()) !== ""]).toEqual([200, true]);
          each.answered = size;
        }
      };
      setTimeout(() => child.kill("SIGKILL"), 20 + 37 * (kill % 7));
      const ends = await Promise.allSettled(logs.map(grow));
      await Promise.all(child.exitCode === null && child.signalCode === null ? [once(child, "exit")] : []);
      // Only a connection that broke ends a client.
      for (const end of ends) expect(end.status === "rejected" && end.reason instanceof TypeError).toBe(true);
    }
    expect(logs.every(({ answered }) => answered > 0)).toBe(true);
  });
});
