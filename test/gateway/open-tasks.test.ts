import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallOutcome, DecisionTicket } from "../../gateway/pipeline/call.ts";
import { StreamBook } from "../../gateway/receipts/stream-book.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type ReceiptOf, receiptHash } from "../../kernel/receipt/receipt.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  CALLER,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  SESSION,
} from "../support/gateway-run.ts";

const MADE: CallOutcome = { ...outcomeWith("task"), status: "task_created", effect: "unknown" };
const ENDED: CallOutcome = { ...outcomeWith("done"), status: "task_completed", effect: "done" };

let ledger: FakeLedger;
let bench: GatewayBench;
let run: GatewayRun;
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  await run.close();
  bench.remove();
  await ledger.close();
});

async function start(config: JsonObject = {}): Promise<void> {
  bench = makeGatewayBench(ledger.url, { config });
  run = await bench.open();
}

async function makeTask(): Promise<DecisionTicket> {
  const decided = await run.pipeline.decide(callOf("echo", { message: "m" }));
  if (decided.action !== "forward") throw new Error("refused");
  expect((await run.pipeline.finish(decided.ticket, MADE)).status).toBe("task_created");
  return decided.ticket;
}

async function outcomes(): Promise<readonly ReceiptOf<"outcome">[]> {
  return ofKind(await readStream(bench.folder, run.status().stream), "outcome");
}

const statuses = async (): Promise<readonly string[]> => (await outcomes()).map(({ outcome }) => outcome.status);

describe("a call that made a task", () => {
  it("ends once in the receipts, of two ends at once as well; what is fetched again has none", async () => {
    await start();
    const ticket = await makeTask();
    const both = [run.pipeline.finishTask(ticket, ENDED), run.pipeline.finishTask(ticket, ENDED)];
    const [first, second] = await Promise.all(both);
    expect(first?.returned).toEqual(second?.returned);
    await run.pipeline.finishTask(ticket, ENDED);
    await run.pipeline.dropTask(ticket);
    const [made, ended, ...more] = await outcomes();
    expect(more).toEqual([]);
    expect(ended?.outcome).toMatchObject({ status: "task_completed", effect: "done" });
    expect(observedValue(ended?.call.resolves ?? { state: "absent" })).toBe(made?.seq);
  });

  it("is unknown when it is let go of, and when the next run finds it open", async () => {
    await start();
    await run.pipeline.dropTask(await makeTask());
    expect(await statuses()).toEqual(["task_created", "unknown"]);
    const gone = await makeTask();
    await run.pipeline.dropTask(gone);
    const late = await run.pipeline.finishTask(gone, ENDED);
    expect([late.status, late.returned, late.refusal?.reason]).toEqual(["blocked", undefined, "task.unknown"]);
    await makeTask();
    await run.close();
    run = await bench.open();
    expect(await statuses()).toEqual(Array.from({ length: 3 }, () => ["task_created", "unknown"]).flat());
    const last = (await outcomes()).at(-1);
    expect(observedValue(last?.call.resolves ?? { state: "absent" })).toBe((await outcomes()).at(-2)?.seq);
  });

  it("is remembered in the state of its stream", async () => {
    await start();
    await makeTask();
    const written = (await readStream(bench.folder, run.status().stream)).map((body) => {
      const bytes = canonicalBytes(body);
      return { bytes, body, hash: formatHex(receiptHash(bytes)) };
    });
    const book = new StreamBook();
    for (const { body, hash } of written) book.apply(body, hash);
    const state = book.state(written.length);
    if (state === undefined) throw new Error("no state");
    const restored = await StreamBook.restore({ ...state, last_hash: written.at(-1)?.hash ?? "" }, async (seq) => {
      const found = written[seq];
      return Promise.resolve(found === undefined ? undefined : { seq, bytes: found.bytes, hash: found.hash });
    });
    expect(state.tasks).toHaveLength(1);
    expect(restored.openTasks().map(({ outcomeSeq, hash }) => [outcomeSeq, hash])).toEqual(
      book.openTasks().map(({ outcomeSeq, hash }) => [outcomeSeq, hash]),
    );
  });

  it("stays among the calls of its tool that are under way until it ends, and is charged to its rate at once", async () => {
    await start({ limits: { calls_in_flight: { tools: { "s/echo": 1 } } } });
    const ticket = await makeTask();
    expect(await run.pipeline.decide(callOf("echo", { message: "m" }))).toMatchObject({
      refusal: { reason: "limit.per-tool" },
    });
    await run.pipeline.finishTask(ticket, ENDED);
    await makeTask();
    const charges = (await outcomes()).map(({ accounting }) => observedValue(accounting)?.charge);
    expect(charges).toEqual(["charged", "charged", "charged"]);
  });

  it("may end behind the seal of its session", async () => {
    await start();
    const ticket = await makeTask();
    await run.pipeline.sealSession(CALLER, SESSION, "ended");
    await run.pipeline.finishTask(ticket, ENDED);
    expect(await statuses()).toEqual(["task_created", "task_completed"]);
  });
});
