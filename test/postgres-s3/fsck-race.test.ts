/** fsck while an integrator stores bundles and drops their rows between two of its reads, at each of the places where it matters. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { add, published, StoredLog } from "./stored-log.ts";

let stores: StoreServers;
let log: StoredLog;
beforeAll(async () => {
  stores = await startStoreServers();
});
beforeEach(async () => {
  log = new StoredLog(await stores.postgres.newDatabase(), stores.s3);
});
afterEach(() => log.database.close());
afterAll(() => stores.remove());

/** Reaches the store as the check does; integrates the whole log behind the back of the n-th look at `key`, before it is answered. */
function integratingAt(key: string, kind: "raw" | "receipts", n: number): typeof fetch {
  let looks = 0;
  return async (input, init) => {
    const answer = await fetch(input, init);
    if (!new Request(input).url.endsWith(`/${key}`)) return answer;
    looks += 1;
    if (looks !== n) return answer;
    const node = await log.start(kind);
    await published(node);
    await node.close();
    return answer;
  };
}

describe("a raw log that is integrated while it is checked", () => {
  beforeEach(async () => {
    const first = await log.start("raw");
    await add(first, 0, 20);
    await published(first);
    await first.close();
    const second = await log.start("raw", "admission");
    await add(second, 20, 680);
    await second.close();
  });

  it.each([
    ["tile/entries/000", 1],
    ["tile/entries/000", 2],
    ["tile/0/000", 1],
    ["tile/0/001", 1],
    ["tile/entries/000.p/21", 1],
    ["tile/0/000.p/21", 1],
  ])("has no fault, and nothing that was not compared: at %s, look %i", async (key, look) => {
    const report = await log.check(LEDGER_ORIGIN, integratingAt(key, "raw", look));
    expect(report).toMatchObject({ origin: LEDGER_ORIGIN, size: 701n });
    expect(report.findings.faults).toEqual([]);
    const messages = report.findings.remarks.filter(({ message }) => !message.startsWith("not written yet"));
    expect(messages).toEqual([]);
  });
});

describe("a log of receipts that is integrated while it is checked", () => {
  beforeEach(async () => {
    const node = await log.start("receipts", "admission");
    const client = new Submitter(node.url);
    const stream = await client.open(makeStream({ keys: gatewayKeys(80), log: LEDGER_ORIGIN, calls: 300 }));
    for (let from = 0; from < stream.receipts.length; from += 60) {
      const segment = segmentOf(stream, from, Math.min(from + 60, stream.receipts.length));
      expect((await client.segment(segment)).status).toBe(200);
    }
    await node.close();
  });

  it.each(["tile/entries/001", "tile/entries/000", "tile/0/000"])(
    "finds the receipts of every segment, at %s",
    async (key) => {
      const report = await log.check(LEDGER_ORIGIN, integratingAt(key, "receipts", 1));
      expect(report.findings.faults).toEqual([]);
      expect(report.receipts).toBe(606);
    },
  );
});
