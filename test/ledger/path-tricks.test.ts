/** Targets that name one place and mean another, against whatever serves tiles: a ledger and a mirror's folder. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { serveMirror } from "../../ledger/mirror/mirror-routes.ts";
import { openMirror } from "../../ledger/mirror/run-mirror.ts";
import { makeFolder, removeFolder } from "../support/data-folder.ts";
import {
  eventually,
  LEDGER_KEYS,
  READ,
  READER_TOKEN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { ANSWERS_OF_TILES, answersToTricks } from "../support/path-tricks.ts";

const ENTRIES = 300;
const READER = `authorization: ${READ["authorization"] ?? ""}\r\n`;
const faults: unknown[] = [];
const logger = { info: () => undefined, warn: () => undefined, error: (fields: object) => void faults.push(fields) };

let ledger: TestLedger;
let folder = "";
let mirror: RunningService;

beforeAll(async () => {
  ledger = await startTestLedger();
  await Promise.all(Array.from({ length: ENTRIES }, (_, i) => ledger.post("/add", `entry ${i}`, SUBMIT)));
  await eventually(async () => {
    const note = await (await ledger.get("/checkpoint")).text();
    return Number(note.split("\n")[1]) > ENTRIES ? true : undefined;
  });
  folder = await makeFolder();
  const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  const upstream = { url: ledger.url, fetch, timeoutMs: 5000, attempts: 2, token: READER_TOKEN };
  const pulling = await openMirror({
    folder,
    upstream,
    policy: parseWitnessPolicy(`${logs}quorum none\n`),
    logKeys: [],
  });
  await pulling.pull();
  mirror = await serveMirror({ folder, host: "127.0.0.1", port: 0, logger });
});
afterAll(async () => {
  await mirror.close();
  await removeFolder(folder);
  await removeLedgers([ledger]);
});

describe("targets that mean another place than they name", () => {
  it("get a code from a ledger, also with a reader's token, and it stays well", async () => {
    expect(await answersToTricks(ledger.url, READER)).toEqual(ANSWERS_OF_TILES);
    expect((await ledger.get("/tile/0/000")).status).toBe(200);
    expect((await ledger.get("/readyz")).status).toBe(200);
    expect(ledger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("get a code from a mirror, and it stays well", async () => {
    expect(await answersToTricks(mirror.url)).toEqual(ANSWERS_OF_TILES);
    expect((await fetch(`${mirror.url}/tile/0/000`)).status).toBe(200);
    expect(faults).toEqual([]);
  });
});
