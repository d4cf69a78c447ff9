/** A log of receipts that rotates its keys, decommissions a gateway and ends: evidence holds all the way. */

import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectBundle } from "../../cli/collect.ts";
import { formatCoseKey, parseCoseKey } from "../../kernel/cose/cose-key.ts";
import { formatSegment, makeSegment } from "../../kernel/segment.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { backUp } from "../../ledger/backup/backup.ts";
import { restore } from "../../ledger/backup/restore.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { coseSigners, makeStatement, statementIssuer } from "../support/cose.ts";
import { registrationOf, STORY, signStream, trustOf, wordOf } from "../support/evidence.ts";
import { ledgerPair, operate, pinning, published, statusOf } from "../support/ledger-operator.ts";
import {
  errorCode,
  LEDGER_ORIGIN,
  makeDataDir,
  READER_TOKEN,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";
import { gatewayKeys } from "../support/receipts.ts";

const keys = gatewayKeys(40);
const stream = keys.instance.publicKey.kid;
const made = signStream(keys, STORY, { home: LEDGER_ORIGIN });

let dataDir = "";
let witness: FakeWitness;
let ledger: TestLedger;
beforeEach(async () => {
  dataDir = await makeDataDir();
  witness = await startFakeWitness(1);
  await start([0, 1]);
  const json = { ...SUBMIT, "content-type": "application/json" };
  expect((await ledger.post("/register", registrationOf(keys, LEDGER_ORIGIN), json)).status).toBe(201);
});
afterEach(async () => {
  await ledger.close();
  await witness.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(pairs: readonly number[]): Promise<void> {
  const config = { log_kind: "receipts", witness_policy: `${witness.policyLine}\nquorum w1\n` } as const;
  ledger = await startTestLedger({ dataDir, logKeys: pairs.flatMap(ledgerPair), config });
}

/** Submits receipts [from, to); 200, or the code of the refusal. */
async function submit(from: number, to: number): Promise<number | string | undefined> {
  const receipts = made.slice(from, to).map(({ bytes }) => bytes);
  const prev = made[from - 1]?.hash;
  const parts = { origin: LEDGER_ORIGIN, stream, firstSeq: from, receipts };
  const segment = makeSegment({ ...parts, ...(prev === undefined ? {} : { prev }) }, keys.receipt);
  const type = { ...SUBMIT, "content-type": "application/x-ndjson" };
  const answer = await ledger.post("/segments", formatSegment(segment, receipts), type);
  return answer.status === 200 ? 200 : errorCode(answer);
}

async function faults(): Promise<readonly string[]> {
  const { findings } = await checkDataFolder({ dataDir, workers: 0 });
  return findings.faults.map(({ code, path, message }) => `${code} ${path} ${message}`);
}

describe("evidence from a log whose keys were rotated", () => {
  it("verifies for whoever pinned the first key, before, between and behind", async () => {
    const verdict = async (last: number): Promise<string> => {
      const witnessPolicy = pinning([0], [witness]);
      const bundle = await collectBundle({
        ledgerUrl: ledger.url,
        readerToken: READER_TOKEN,
        witnessPolicy,
        stream,
        firstSeq: 0,
        lastSeq: last,
        created: parseTimestamp("2023-11-14T22:14:00.000Z"),
      });
      const trust = parseTrustPolicy({ ...trustOf(stream), logs: [witnessPolicy] });
      const result = verifyBundle({ bundle, trust });
      const ids = ["log.signature", "log.quorum", "log.inclusion", "receipt.issuer"] as const;
      return ids.map((id) => wordOf(result, id)).join(" ");
    };
    const fine = "pass pass pass pass";
    expect(await submit(0, 3)).toBe(200);
    await published(ledger, 5);
    expect(await verdict(2)).toBe(fine);
    expect(await operate(ledger, { action: "rotate-key" })).toBe(5);
    expect(await submit(3, 6)).toBe(200);
    await published(ledger, 9);
    expect(await verdict(5)).toBe(fine);
    expect(await operate(ledger, { action: "retire-key" })).toBe(9);
    await ledger.close();
    await start([1]);
    expect(await submit(6, made.length)).toBe(200);
    await published(ledger, 10 + made.length - 6);
    expect(await verdict(made.length - 1)).toBe(fine);
    await ledger.close();
    expect(await faults()).toEqual([]);
    expect(await rebuildIndex({ dataDir, isDryRun: false })).toBe(BigInt(10 + made.length - 6));
    expect(await faults()).toEqual([]);
    await start([1]);
    expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "active" });
  });
});

describe("a decommissioned gateway", () => {
  it("has nothing admitted any more, and what it had admitted stays", async () => {
    expect(await submit(0, 3)).toBe(200);
    expect(await operate(ledger, { action: "end-stream", stream, reason: "the host was retired" })).toBe(5);
    expect(await submit(3, 6)).toBe("ERR_STREAM_ENDED");
    expect(await submit(0, 3)).toBe(200);
    expect(await submit(2, 4)).toBe("ERR_STREAM_ENDED");
    expect(await operate(ledger, { action: "end-stream", stream, reason: "twice" })).toBe("ERR_ROTATION_ORDER");
    expect(await operate(ledger, { action: "end-stream", stream: "ab".repeat(32), reason: "unknown" })).toBe(
      "ERR_STREAM_UNKNOWN",
    );
    await ledger.close();
    await start([0, 1]);
    expect(await submit(3, 6)).toBe("ERR_STREAM_ENDED");
    await ledger.close();
    expect(await faults()).toEqual([]);
    await start([0, 1]);
  });
});

describe("a frozen log of receipts", () => {
  it("refuses receipts and registrations, and stays frozen in a copy that is restored", async () => {
    expect(await submit(0, 3)).toBe(200);
    expect(await operate(ledger, { action: "close", end: "frozen", reason: "over" })).toBe(5);
    expect(await submit(3, 6)).toBe("ERR_LOG_CLOSED");
    expect(await submit(0, 3)).toBe(200);
    const other = registrationOf(gatewayKeys(50), LEDGER_ORIGIN);
    const refused = await ledger.post("/register", other, { ...SUBMIT, "content-type": "application/json" });
    expect([refused.status, await errorCode(refused)]).toEqual([410, "ERR_LOG_CLOSED"]);
    await published(ledger, 6);
    const shown = ledger.url;
    const copy = `${dataDir}-copy`;
    const restored = `${dataDir}-restored`;
    try {
      await backUp({ dataDir, to: copy });
      const parts = { fetch, timeoutMs: 5000, isForced: false, isDryRun: false, workers: 0 };
      const policy = parseWitnessPolicy("quorum none\n");
      await restore({ backup: copy, to: restored, policy, published: [shown], ...parts });
      await ledger.close();
      const config = { log_kind: "receipts", witness_policy: `${witness.policyLine}\nquorum w1\n` } as const;
      ledger = await startTestLedger({ dataDir: restored, logKeys: ledgerPair(0), config });
      expect(await submit(3, 6)).toBe("ERR_LOG_CLOSED");
      expect(await statusOf(ledger, pinning([0], [witness]))).toMatchObject({ standing: "frozen", openBelow: 6n });
      await ledger.close();
      await start([0]);
    } finally {
      for (const folder of [copy, restored]) await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("the SCITT edge of a log that has ended", () => {
  it("registers nothing any more", async () => {
    await ledger.close();
    const issuer = { issuer: "https://issuer.example", keys: [parseCoseKey(formatCoseKey(statementIssuer.publicKey))] };
    const config = {
      log_kind: "receipts",
      witness_policy: `${witness.policyLine}\nquorum w1\n`,
      scitt: { key_file: "scitt.key", issuers: [issuer] },
    } as const;
    ledger = await startTestLedger({ dataDir, logKeys: ledgerPair(0), config, scittKey: coseSigners.ed25519 });
    const cose = { "content-type": "application/cose" };
    expect(await operate(ledger, { action: "close", end: "frozen", reason: "over" })).toBe(2);
    const refused = await ledger.post("/entries", makeStatement(1), cose);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("ERR_LOG_CLOSED");
  });
});
