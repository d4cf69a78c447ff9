/** A witness with an ML-DSA-44 key, in a process of its own with a real signing thread (needs `npm run build`). */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { benchLog, benchOrigins } from "../bench/witness-bodies.ts";

const LOGS = 48;
const NAME = "witness.example/bench";
const KEYS = ([0x04, 0x06] as const).map(
  (type, i) => makeSignerKey(NAME, type, new Uint8Array(32).fill(9 + i)).verifierKey,
);
const SCRIPT = fileURLToPath(new URL("../../dist/test/support/witness-process.js", import.meta.url));

let folder = "";
let child: ChildProcess;
let url = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-witness-signing-"));
  const started = spawn(process.execPath, [SCRIPT, folder, "journal", String(LOGS), "ml-dsa"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child = started;
  for await (const line of createInterface({ input: started.stdout })) {
    url = String(Object(JSON.parse(line)).url);
    return;
  }
});
afterAll(async () => {
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
  await rm(folder, { recursive: true, force: true });
});

async function waitingSignatures(): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^countersign_witness_signatures_waiting (\d+)$/mu.exec(text)?.[1]);
}

describe("a witness whose ML-DSA-44 key signs in a thread", () => {
  it("cosigns with both keys, and answers everything else while signatures wait", async () => {
    const origins = benchOrigins(LOGS);
    const asked = origins.map(async (origin) => {
      const note = benchLog(origin, 1).checkpoint(1);
      const response = await fetch(`${url}/add-checkpoint`, {
        method: "POST",
        body: formatAddCheckpoint(0n, [], note),
      });
      return { note, status: response.status, lines: await response.text() };
    });
    let most = 0;
    let isDone = false;
    const all = Promise.all(asked).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      most = Math.max(most, await waitingSignatures());
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    }
    for (const { note, status, lines } of await all) {
      expect(status).toBe(200);
      expect(openNote(note + lines, KEYS).verified.map(({ key }) => key.type)).toEqual([0x04, 0x06]);
    }
    expect(most).toBeGreaterThan(1);
    expect(await waitingSignatures()).toBe(0);
  });
});
