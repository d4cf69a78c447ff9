import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkStoredLog } from "../../ledger/postgres-s3/fsck/fsck.ts";
import { add, ledgerPair, operate, pinning, published, signersOfNote, statusOf } from "../support/ledger-operator.ts";
import { errorCode, eventually, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import { refusal, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { type NodeOptions, nodeStorage, startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";
import { S3_CREDENTIALS } from "../support/s3-server.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";

const BOTH = [...ledgerPair(0), ...ledgerPair(1)];

let stores: StoreServers;
const nodes: TestNode[] = [];
beforeAll(async () => {
  stores = await startStoreServers();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});
afterAll(() => stores.remove());

/** A new log in stores of its own. */
interface NewLog {
  readonly start: (options?: NodeOptions) => Promise<TestNode>;
  readonly faults: () => Promise<readonly object[]>;
}

async function newLog(kind: "raw" | "receipts" = "raw"): Promise<NewLog> {
  const url = await stores.postgres.newDatabase();
  const s3_prefix = `${new URL(url).pathname.slice(1)}/`;
  const start: NewLog["start"] = async ({ config, storage, ...rest } = {}) => {
    const options = { config: { log_kind: kind, ...config }, storage: { s3_prefix, ...storage }, ...rest };
    const node = await startNode({ url }, stores.s3, options);
    nodes.push(node);
    return node;
  };
  const check = {
    origin: LEDGER_ORIGIN,
    storage: nodeStorage(stores.s3, { s3_prefix }),
    secrets: { databaseUrl: url, credentials: S3_CREDENTIALS },
    policy: parseWitnessPolicy(pinning([0, 1])),
    workers: 0,
  };
  return { start, faults: async () => (await checkStoredLog(check)).findings.faults };
}

const close = (end: "frozen" | "decommissioned"): object => ({ action: "close", end, reason: "moved" });

describe("statements of a log in PostgreSQL", () => {
  it("rotate its keys through one node while another integrates, with both pairs in between", async () => {
    const log = await newLog();
    const ledger = { logKeys: BOTH };
    const integrator = await log.start({ ledger, storage: { role: "integrator" } });
    const admission = await log.start({ ledger, storage: { role: "admission" } });
    expect(signersOfNote(await published(admission, 1))).toEqual([0]);
    const rotated = await operate(admission, { action: "rotate-key" });
    expect(rotated).toBe(1);
    const note = await published(integrator, 2);
    expect(signersOfNote(note)).toEqual([0, 1]);
    expect(await statusOf(integrator, pinning([0]))).toMatchObject({ standing: "rotating" });
    expect(await operate(admission, { action: "rotate-key" })).toBe("ERR_CONFIG");
    expect(await operate(admission, { action: "retire-key" })).toBe(2);
    expect(signersOfNote(await published(integrator, 3))).toEqual([1]);
    expect(await statusOf(admission, pinning([1]))).toMatchObject({ standing: "active" });
    expect(await add(admission, "behind it")).toBe(3);
    await published(admission, 4);
    expect(await log.faults()).toEqual([]);
    await admission.close();
    await expect(log.start({ storage: { role: "admission" } })).rejects.toMatchObject({ code: "ERR_GENESIS_MISMATCH" });
    const renewed = await log.start({ ledger: { logKeys: ledgerPair(1) }, storage: { role: "admission" } });
    expect(await add(renewed, "behind the restart")).toBe(4);
    // It has no key that the log had before, and needs none.
    const ready: unknown = await (await renewed.get("/readyz")).json();
    expect(ready).toMatchObject({ ready: true });
    expect(ready).not.toHaveProperty("fault");
  });

  it("close it at every node at once, with an end that can be verified from the status document alone", async () => {
    const log = await newLog();
    const [one, other] = [await log.start(), await log.start({ storage: { role: "admission" } })];
    expect(await add(one, "known")).toBe(1);
    const racing = Promise.all(Array.from({ length: 40 }, (_, i) => add(i % 2 === 0 ? one : other, `racing ${i}`)));
    const closing = await operate(other, close("decommissioned"));
    const places = await racing;
    const size = Number(closing) + 1;
    for (const place of places) {
      if (typeof place === "number") expect(place).toBeLessThan(size);
      else expect(place).toBe("ERR_LOG_CLOSED");
    }
    expect([await add(one, "late"), await add(other, "late")]).toEqual(["ERR_LOG_CLOSED", "ERR_LOG_CLOSED"]);
    expect([await add(one, "known"), await add(other, "known")]).toEqual([1, 1]);
    expect(Number((await published(one, size)).split("\n")[1])).toBe(size);
    for (const node of [one, other]) {
      const status = await eventually(async () => {
        const found = await statusOf(node, pinning([0]));
        return found.standing === "active" ? undefined : found;
      });
      expect(status).toMatchObject({ standing: "decommissioned" });
      expect(await (await node.get("/metadata")).json()).toMatchObject({ standing: "decommissioned", size });
    }
    expect(await operate(one, close("frozen"))).toBe("ERR_LOG_CLOSED");
    expect(await log.faults()).toEqual([]);
    await one.close();
    expect(await add(await log.start(), "after a restart")).toBe("ERR_LOG_CLOSED");
  });

  it("end a stream's registration at every node, and preview without changing anything", async () => {
    const log = await newLog("receipts");
    const [one, other] = [await log.start(), await log.start({ storage: { role: "admission" } })];
    const [at, elsewhere] = [new Submitter(one.url), new Submitter(other.url)];
    const stream = await at.open(makeStream({ keys: gatewayKeys(60), log: LEDGER_ORIGIN }));
    expect((await elsewhere.segment(segmentOf(stream, 0, 2))).status).toBe(200);
    const end = { action: "end-stream", stream: stream.stream, reason: "decommissioned" };
    expect(await operate(other, { ...end, dry_run: true })).toBeUndefined();
    expect(await operate(one, end)).toBe(4);
    expect(await elsewhere.segment(segmentOf(stream, 2, 4))).toMatchObject(refusal(410, "ERR_STREAM_ENDED"));
    expect(await at.segment(segmentOf(stream, 2, 4))).toMatchObject(refusal(410, "ERR_STREAM_ENDED"));
    await published(one, 5);
    expect(await log.faults()).toEqual([]);
  });

  it("are taken outside of a shard's time, in which alone the log takes entries", async () => {
    const log = await newLog();
    const shard = { start: "2026-01-01T00:00:00.000Z", end: "2027-01-01T00:00:00.000Z" } as never;
    const nowMs = { at: Date.parse("2026-06-01T00:00:00Z") };
    const node = await log.start({ config: { shard }, ledger: { clock: { nowMs: () => nowMs.at } } });
    expect(await add(node, "in time")).toBe(1);
    nowMs.at = Date.parse("2027-01-01T00:00:00Z");
    expect(await errorCode(await node.post("/add", "too late", SUBMIT))).toBe("ERR_SHARD_TIME");
    expect(await operate(node, close("frozen"))).toBe(2);
    expect(Number((await published(node, 3)).split("\n")[1])).toBe(3);
  });

  it("that a failing database took back leave nothing behind at the node that made them", async () => {
    const log = await newLog();
    const ledger = { logKeys: BOTH };
    const node = await log.start({ ledger });
    const other = await log.start({ ledger, storage: { role: "admission" } });
    await published(node, 1);
    await stores.postgres.stopImmediately();
    expect(await operate(node, { action: "rotate-key" })).toBe("ERR_DATABASE");
    await stores.postgres.up();
    const index = await eventually(async () => {
      const answer = await add(other, "in its place");
      return typeof answer === "number" ? answer : undefined;
    });
    expect(index).toBe(1);
    expect(signersOfNote(await published(node, 2))).toEqual([0]);
    expect(await operate(node, { action: "rotate-key" })).toBe(2);
    expect(signersOfNote(await published(other, 3))).toEqual([0, 1]);
    expect(await log.faults()).toEqual([]);
  });
});
