import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  type BenchOptions,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
} from "../support/gateway-run.ts";

/** Nobody listens on the discard port. */
const NOWHERE = "http://127.0.0.1:9";

let ledger: FakeLedger;
let benches: GatewayBench[] = [];
let folders: string[] = [];
let runs: GatewayRun[] = [];
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  for (const run of runs) await run.close();
  for (const bench of benches) bench.remove();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  [runs, benches, folders] = [[], [], []];
  await ledger.close();
});

async function start(options: BenchOptions = {}): Promise<{ readonly bench: GatewayBench; readonly run: GatewayRun }> {
  const bench = makeGatewayBench(ledger.url, options);
  benches.push(bench);
  return { bench, run: await reopen(bench) };
}

async function reopen(bench: GatewayBench): Promise<GatewayRun> {
  const run = await bench.open();
  runs.push(run);
  return run;
}

async function stop(run: GatewayRun): Promise<void> {
  runs = runs.filter((other) => other !== run);
  await run.close();
}

/** What a killed process leaves: a copy of the folder, without the lock, which falls with the process. */
function copyOf(bench: GatewayBench, name: string): string {
  const folder = `${bench.folder}-${name}`;
  cpSync(bench.folder, folder, { recursive: true, filter: (source) => !source.endsWith("/lock") });
  folders.push(folder);
  return folder;
}

/** Opens a run over another folder and another ledger's address. */
async function openOver(bench: GatewayBench, folder: string, ledgerUrl = ledger.url): Promise<GatewayRun> {
  const { gatewayOptions, config } = bench;
  const moved = { ...config, data_dir: folder, ledger: { ...config.ledger, url: ledgerUrl } };
  // A ledger that is not there is not waited for at the end.
  const run = await openRun({ ...gatewayOptions, config: moved, ...(ledgerUrl === NOWHERE ? { drainMs: 0 } : {}) });
  runs.push(run);
  return run;
}

/** Ends of the frames of a stream's file: after how many bytes each receipt is whole. */
function frameEnds(path: string): readonly number[] {
  const content = readFileSync(path);
  const ends: number[] = [];
  for (let end = 0; end < content.length; ends.push(end)) end += 8 + (content.readUInt32BE(end) & 0xffff);
  return ends;
}

/** A gate before the file: while `hold` is set, writes wait for it; while `fault` is set, they fail. */
class Gate {
  hold: Promise<void> | undefined;
  fault: Error | undefined;
  readonly wrap = (log: StreamLog): StreamLog => ({
    append: async (payloads) => {
      await this.hold;
      if (this.fault !== undefined) throw this.fault;
      await log.append(payloads);
    },
    rotate: log.rotate,
    close: log.close,
  });
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe("the order of writes", () => {
  it("a decision waits for its receipt, and an answer for its outcome's", async () => {
    const gate = new Gate();
    const { run } = await start({ wrapLog: gate.wrap });
    await runCall(run, callOf("echo", { message: "opens the session" }));
    let open: () => void = () => undefined;
    const holdWrites = (): void => {
      gate.hold = new Promise((resolve) => {
        open = resolve;
      });
    };
    holdWrites();
    const steps: string[] = [];
    const deciding = run.pipeline.decide(callOf("echo", { message: "x" })).then((decided) => {
      steps.push("decided");
      return decided;
    });
    await turns();
    expect(steps).toEqual([]);
    open();
    const decided = await deciding;
    if (decided.action !== "forward") throw new Error("refused");
    holdWrites();
    const finishing = run.pipeline.finish(decided.ticket, outcomeWith("x")).then(() => steps.push("finished"));
    await turns();
    expect(steps).toEqual(["decided"]);
    open();
    await finishing;
    expect(steps).toEqual(["decided", "finished"]);
  });

  it("after a failed write no call is decided, no answer is let go, no refusal is kept, and the gateway is not ready", async () => {
    const gate = new Gate();
    const { run } = await start({ mode: "silent", wrapLog: gate.wrap });
    const decided = await run.pipeline.decide(callOf("echo", { message: "x" }));
    if (decided.action !== "forward") throw new Error("refused");
    expect(run.status().ready).toBe(true);
    gate.fault = new Error("disk");
    const failed = { code: "ERR_STREAM_FAILED", fatal: true };
    await expect(run.pipeline.decide(callOf("echo", { message: "x" }))).rejects.toMatchObject(failed);
    await expect(run.pipeline.finish(decided.ticket, outcomeWith("x"))).rejects.toMatchObject(failed);
    await expect(
      run.pipeline.refuse({ step: "scan", reason: "json.syntax", wire: { transport: "http" } }),
    ).rejects.toMatchObject(failed);
    expect(run.status().ready).toBe(false);
    gate.fault = undefined;
    await expect(run.pipeline.decide(callOf("echo", { message: "x" }))).rejects.toMatchObject(failed);
  });
});

describe("after a crash", () => {
  it("at any byte of the stream, the run goes on: calls end as unknown, sessions are sealed, the chain holds", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "whole" }));
    await run.pipeline.decide(callOf("echo", { message: "cut off" }));
    await run.pipeline.decide(callOf("wipe", { path: "/" }));
    const { stream } = run.status();
    const killed = copyOf(bench, "killed");
    await stop(run);
    const ends = frameEnds(join(killed, "streams", stream, "receipts.log"));
    // No receipt reached a ledger that says so: every length may be continued.
    const silent = await startFakeLedger();
    try {
      for (const [index, end] of ends.entries()) {
        for (const size of [end, end - 3]) {
          const folder = `${killed}-${size}`;
          cpSync(killed, folder, { recursive: true });
          folders.push(folder);
          truncateSync(join(folder, "streams", stream, "receipts.log"), size);
          const again = await openOver(bench, folder, silent.url);
          expect(again.status().stream).toBe(stream);
          await runCall(again, callOf("echo", { message: "after" }));
          await stop(again);
          const kept = size === end ? index + 1 : index;
          expectRecovered(await readStream(folder, stream), kept);
          silent.rewriteStream(stream, []);
        }
      }
    } finally {
      await silent.close();
    }
  });

  it("between a new stream's keys and its first receipt, the next start still knows which stream it replaces", async () => {
    const { bench, run } = await start();
    const old = run.status().stream;
    await runCall(run, callOf("echo", { message: "x" }));
    const killed = copyOf(bench, "killed");
    await stop(run);
    // Unreachable at this start: continuing could sign a fork.
    const first = await openOver(bench, killed, NOWHERE);
    const { stream } = first.status();
    expect(stream).not.toBe(old);
    await stop(first);
    truncateSync(join(killed, "streams", stream, "receipts.log"), 0);
    const second = await openOver(bench, killed);
    expect(second.status().stream).toBe(stream);
    const [open] = await readStream(killed, stream);
    expect(open).toMatchObject({ kind: "stream-open", predecessor: { stream: old, reason: "ledger-unreachable" } });
  });

  it("with a folder that is behind the ledger, a new stream names the old one", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "x" }));
    const backup = copyOf(bench, "backup");
    await runCall(run, callOf("echo", { message: "y" }));
    const old = run.status().stream;
    await stop(run);
    expect(ledger.receiptsOf(old).length).toBeGreaterThan(7);
    const restored = await openOver(bench, backup);
    const { stream } = restored.status();
    expect(stream).not.toBe(old);
    expect((await readStream(backup, stream))[0]).toMatchObject({ predecessor: { stream: old, reason: "rollback" } });
  });
});

describe("a stop", () => {
  it("seals the sessions, brings everything to the ledger, and the next start goes on with the same stream", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "x" }));
    const { stream } = run.status();
    await stop(run);
    const kept = await readStream(bench.folder, stream);
    expect(kept.at(-1)).toMatchObject({ kind: "session-seal", reason: "shutdown" });
    expect(ledger.receiptsOf(stream).length).toBe(kept.length);
    const again = await reopen(bench);
    expect(again.status().stream).toBe(stream);
    await runCall(again, callOf("echo", { message: "y" }));
    const receipts = await readStream(bench.folder, stream);
    const loads = ofKind(receipts, "policy-load");
    expect(loads[1]?.previous).toEqual({ state: "present", value: loads[0]?.policy.digest });
  });

  it("does not prove again what an earlier run proved", async () => {
    const { bench, run } = await start();
    await runCall(run, callOf("echo", { message: "x" }));
    await untilProven(run);
    const proven = run.status().outbox.proven;
    await stop(run);
    const again = await reopen(bench);
    expect(again.status().outbox.proven).toBeGreaterThanOrEqual(proven);
    await untilProven(again);
    // A file that promises more than there is, is not believed.
    await stop(again);
    writeFileSync(join(bench.folder, "streams", again.status().stream, "proven"), "999999\n");
    const third = await reopen(bench);
    expect(third.status().outbox.pending).toBeGreaterThan(0);
    await untilProven(third);
  });

  it("that ends the stream says so, and the next start begins another that names it", async () => {
    const { bench, run } = await start({ config: { close_stream: true } });
    const { stream } = run.status();
    await stop(run);
    const receipts = await readStream(bench.folder, stream);
    expect(receipts.at(-1)).toMatchObject({ kind: "stream-close", reason: "shutdown", receipts: receipts.length });
    const again = await reopen(bench);
    const [open] = await readStream(bench.folder, again.status().stream);
    expect(open).toMatchObject({ predecessor: { stream, reason: "rotation" } });
  });
});

describe("a start that is refused", () => {
  it("by a policy that does not fit the catalog leaves no receipt and no lock", async () => {
    const { bulky, fine } = {
      bulky: '@id("x") permit (principal, action == Mcp::Action::"s/no-such-tool", resource);',
      fine: '@id("x") permit (principal, action == Mcp::Action::"s/echo", resource);',
    };
    const { bundleFiles } = await import("../support/policy-request.ts");
    const bench = makeGatewayBench(ledger.url, { policyFiles: bundleFiles(bulky) });
    benches.push(bench);
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_POLICY_BUNDLE" });
    expect(bench.upstreams[0]?.isClosed()).toBe(true);
    const run = await openRun({ ...bench.gatewayOptions, policyFiles: bundleFiles(fine) });
    runs.push(run);
    expect((await readStream(bench.folder, run.status().stream)).map(({ kind }) => kind)).toEqual([
      "stream-open",
      "policy-load",
      "catalog-load",
    ]);
  });

  it("by a server that does not answer its lists names the server", async () => {
    const bench = makeGatewayBench(ledger.url);
    benches.push(bench);
    bench.upstreams[0]?.breakLists();
    await expect(bench.open()).rejects.toMatchObject({
      code: "ERR_SERVICE_START",
      message: expect.stringContaining("server s"),
    });
  });

  it("by a pinned catalog with a changed byte", async () => {
    const { bench, run } = await start();
    await stop(run);
    const path = join(bench.folder, "catalog.json");
    writeFileSync(path, readFileSync(path, "utf8").replace("Says it again", "Says it twice"));
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_CATALOG" });
  });

  it("by a pinned catalog that approves one tool or one server twice", async () => {
    const { bench, run } = await start();
    await stop(run);
    const path = join(bench.folder, "catalog.json");
    const { servers, ...file } = JSON.parse(readFileSync(path, "utf8"));
    const [entry] = servers;
    writeFileSync(path, JSON.stringify({ ...file, servers: [entry, entry] }));
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_CATALOG" });
    writeFileSync(path, JSON.stringify({ ...file, servers: [{ ...entry, tools: [...entry.tools, entry.tools[0]] }] }));
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_CATALOG" });
  });

  it("by another run on the folder", async () => {
    const { bench } = await start();
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
  });
});

/** Every forwarded call has exactly one outcome, every opened session exactly one seal; what was cut off says so. */
function expectRecovered(receipts: readonly StreamReceipt[], kept: number): void {
  const before = receipts.slice(0, kept);
  const forwarded = ofKind(receipts, "decision").filter(({ ruling }) => ruling.action === "forward");
  const outcomes = ofKind(receipts, "outcome");
  expect(outcomes.map(({ call }) => call.id).sort()).toEqual(forwarded.map(({ call }) => call.id).sort());
  const cutOff = forwarded.filter(
    ({ seq, call }) => seq < kept && !ofKind(before, "outcome").some((o) => o.call.id === call.id),
  );
  expect(outcomes.filter(({ outcome }) => outcome.status === "unknown").length).toBe(cutOff.length);
  const sealed = ofKind(receipts, "session-seal");
  expect(sealed.map(({ session }) => session.id).sort()).toEqual(
    ofKind(receipts, "session-open")
      .map(({ session }) => session.id)
      .sort(),
  );
  expect(sealed.filter(({ reason }) => reason === "recovery").length).toBe(ofKind(before, "session-open").length);
}

async function untilProven(run: GatewayRun): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (run.status().outbox.pending > 0) {
    if (performance.now() > deadline) throw new Error("never proven");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
