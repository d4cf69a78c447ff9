/** A run whose receipts go to the ledger by a delivery thread, and what becomes of calls when that thread is gone. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StartThread } from "../../gateway/egress/thread-guard.ts";
import { serve } from "../../gateway/receipts/delivery-thread.ts";
import { serve as serveSealing } from "../../gateway/receipts/sealing-thread.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { parseSegment } from "../../kernel/segment.ts";
import { until } from "../support/command.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { callOf, type GatewayBench, makeGatewayBench, readStreamFiles, runCall } from "../support/gateway-run.ts";
import { type InnerThread, startInnerThread } from "../support/inner-thread.ts";

let ledger: FakeLedger;
let bench: GatewayBench;
let run: GatewayRun | undefined;
let threads: InnerThread[] = [];
let sealing: InnerThread | undefined;

const startThread: StartThread = (name, data) => {
  const inner = startInnerThread<never>(name === "delivery" ? serve : serveSealing, structuredClone(data) as never);
  if (name === "delivery") threads.push(inner);
  else sealing = inner;
  return inner.thread;
};

beforeEach(async () => {
  ledger = await startFakeLedger();
  bench = makeGatewayBench(ledger.url, { options: { startThread, streamFileBytes: 20_000 } });
});
afterEach(async () => {
  await run?.close();
  run = undefined;
  threads = [];
  bench.remove();
  await ledger.close();
});

async function open(): Promise<GatewayRun> {
  run = await bench.open();
  return run;
}
async function callSome(of: GatewayRun, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await runCall(of, callOf("echo", { message: `call ${i}` }));
}
const provenAll = (of: GatewayRun): Promise<void> =>
  until("everything is proven", async () => {
    const { outbox, next_seq: next } = of.status();
    return outbox.proven === next;
  });
const refusalOf = (of: GatewayRun): Promise<unknown> =>
  runCall(of, callOf("echo", { message: "late" })).then(
    (action) => action,
    (error: unknown) => Reflect.get(Object(error), "code"),
  );
const streamFolder = (of: GatewayRun): string => join(bench.folder, "streams", of.status().stream);

describe("the delivery thread", () => {
  it("brings the stream's files to the ledger, byte for byte, and is told no receipt and no key", async () => {
    const of = await open();
    await callSome(of, 20);
    await provenAll(of);
    expect(ledger.receiptsOf(of.status().stream)).toEqual(await readStreamFiles(streamFolder(of)));
    expect(of.status().outbox).toMatchObject({ pending: 0, acknowledged: of.status().next_seq });
    const told = JSON.stringify(threads.map((thread) => thread.told));
    expect(told).toContain("sign-segment");
    expect(told).not.toContain("request_received");
    expect(of.boundary["egress"]).toMatchObject({
      threads: { delivery: [`ledger ${new URL(ledger.url).host}`], sealing: [] },
    });
  });

  it("goes on after a restart with what was not proven, and sends nothing twice that the ledger has", async () => {
    ledger.holdProofs();
    const first = await open();
    await callSome(first, 10);
    await first.close();
    const sent = ledger.entries.length;
    expect(first.status().outbox.proven).toBe(0);
    const again = await open();
    expect(again.status().stream).toBe(first.status().stream);
    ledger.releaseProofs();
    await callSome(again, 3);
    await provenAll(again);
    const segments = ledger.requests.filter(({ path }) => path.startsWith("/segments")).map(({ body }) => body);
    const counts = segments.map((body) => parseSegment(body).segment.count);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(again.status().next_seq);
    expect(ledger.entries.length).toBeGreaterThan(sent);
  });

  it("says for good when the ledger holds another stream, and no call is dispatched any more", async () => {
    const of = await open();
    await callSome(of, 2);
    await provenAll(of);
    const { stream } = of.status();
    const [opening] = ledger.receiptsOf(stream);
    ledger.rewriteStream(
      stream,
      Array.from({ length: 50 }, () => opening ?? new Uint8Array()),
    );
    await callSome(of, 1);
    await until("the fork is known", async () => of.status().outbox.fault === "ERR_STREAM_FORK");
    expect(of.status().ready).toBe(false);
    expect(await refusalOf(of)).toBe("ERR_STREAM_FORK");
  });

  it("that ends takes readiness and every further call with it, and its end is told", async () => {
    const of = await open();
    await callSome(of, 1);
    expect(of.status().ready).toBe(true);
    threads[0]?.fail(new Error("out of memory"));
    expect(of.status()).toMatchObject({ ready: false, outbox: { fault: "ERR_THREAD_ENDED" } });
    expect(await refusalOf(of)).toBe("ERR_THREAD_ENDED");
    expect(bench.log.filter((line) => line.startsWith("error the delivery thread ended"))).toHaveLength(1);
  });

  it("that names receipts as proven that were never written, or takes a proof back, is ended", async () => {
    for (const proven of [1_000_000, -1]) {
      const of = await open();
      await callSome(of, 1);
      threads.at(-1)?.say({ type: "state", state: { acknowledged: 0, proven, isFinal: false } });
      expect(of.status().outbox.fault).toBe("ERR_THREAD_ENDED");
      expect(of.status().outbox.proven).toBeLessThanOrEqual(of.status().next_seq);
      expect(await refusalOf(of)).toBe("ERR_THREAD_ENDED");
      await of.close();
    }
  });

  it("ends where the stream's own files are damaged: nothing else is sent in their place", async () => {
    ledger.fail({ path: "/streams/", answer: { status: 503 } });
    const of = await open();
    const path = join(streamFolder(of), "receipts.log");
    await callSome(of, 1);
    const content = readFileSync(path);
    content.writeUInt8(content.readUInt8(content.length - 1) ^ 1, content.length - 1);
    writeFileSync(path, content);
    await until("the damage is met", async () => of.status().outbox.fault === "ERR_THREAD_ENDED");
    expect(await refusalOf(of)).toBe("ERR_THREAD_ENDED");
  });

  it("fills up to the bound while the ledger is away, and empties when it is back", async () => {
    bench.remove();
    bench = makeGatewayBench(ledger.url, { options: { startThread }, config: { outbox: { max_receipts: 256 } } });
    ledger.holdProofs();
    const of = await open();
    let refusal: unknown;
    for (let i = 0; i < 200 && refusal === undefined; i += 1) {
      const came = await refusalOf(of);
      if (came !== "forward") refusal = came;
    }
    expect(refusal).toBe("ERR_OUTBOX_FULL");
    ledger.releaseProofs();
    await provenAll(of);
    expect(await refusalOf(of)).toBe("forward");
  });

  it("signs nothing but segments of its own stream that are written", async () => {
    const of = await open();
    await callSome(of, 1);
    const zeros = "0".repeat(64);
    const body = { kind: "decision", v: 1, origin: "other", stream: zeros, first_seq: 1, prev: zeros, last: zeros };
    const before = threads[0]?.heard.length;
    for (const count of [1, 1_000]) {
      threads[0]?.say({ type: "sign-segment", id: -count, body: { ...body, count, root: zeros, extra: true } });
    }
    const answers = threads[0]?.heard.slice(before);
    expect(answers).toMatchObject([
      { type: "segment", segment: { kind: "segment", stream: of.status().stream, origin: bench.config.ledger.origin } },
      { type: "unsigned" },
    ]);
    expect(JSON.stringify(answers)).not.toContain("extra");
  });
});

describe("the sealing thread of a run", () => {
  it("is not asked for the receipts of a call that is alone, and for one of a denial", async () => {
    bench.remove();
    bench = makeGatewayBench(ledger.url, { options: { startThread }, config: { durability: "durable" } });
    const of = await open();
    const isAskedFor = async (tool: string): Promise<boolean> => {
      const before = sealing?.heard.length;
      await runCall(of, callOf(tool, { message: "once more" }));
      return sealing?.heard.length !== before;
    };
    for (let isAsked = true; isAsked; ) isAsked = await isAskedFor("echo");
    expect(await isAskedFor("wipe")).toBe(true);
  });
});
