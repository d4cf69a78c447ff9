import { cpSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseGatewayConfig } from "../../gateway/config.ts";
import type { GatewayOptions } from "../../gateway/options.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { callOf, configOf, type GatewayBench, makeGatewayBench, readStream, runCall } from "../support/gateway-run.ts";
import { operate } from "../support/ledger-operator.ts";
import {
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  removeLedgers,
  SUBMIT_TOKEN,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";

let witnesses: FakeWitness[] = [];
let ledger: TestLedger;
let bench: GatewayBench;
let runs: GatewayRun[] = [];
let folders: string[] = [];
beforeEach(async () => {
  witnesses = await Promise.all([1, 2].map((n) => startFakeWitness(n)));
  ledger = await startTestLedger({ config: { log_kind: "receipts", witness_policy: policyOf(2) } });
  bench = makeGatewayBench(ledger.url);
});
afterEach(async () => {
  for (const run of runs) await run.close();
  bench.remove();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  [runs, folders] = [[], []];
  await removeLedgers([ledger]);
  for (const witness of witnesses) await witness.close();
});

function policyOf(quorum: number): string {
  const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  const lines = witnesses.map((witness) => `${witness.policyLine}\n`).join("");
  return `${logs}${lines}group g ${quorum} w1 w2\nquorum g\n`;
}

/** A run whose receipts go to the real ledger. */
async function open(folder = bench.folder, more: Partial<GatewayOptions> = {}): Promise<GatewayRun> {
  const target = {
    url: ledger.url,
    origin: LEDGER_ORIGIN,
    witness_policy: policyOf(2),
    submit_token_file: "unused",
  };
  const config = parseGatewayConfig(configOf(folder, ledger.url, bench.upstreams, { config: { ledger: target } }));
  const { gatewayOptions } = bench;
  const secrets = { ...gatewayOptions.secrets, submitToken: SUBMIT_TOKEN };
  const run = await openRun({ ...gatewayOptions, config, secrets, ...more });
  runs.push(run);
  return run;
}

const proven = (run: GatewayRun): Promise<true> =>
  eventually(async () => (run.status().outbox.pending === 0 ? true : undefined));

describe("a gateway and the ledger of this repository", () => {
  it("meet: the stream is registered, admitted, witnessed, and let go", async () => {
    const run = await open();
    await Promise.all(Array.from({ length: 20 }, (_, i) => runCall(run, callOf("echo", { message: `${i}` }))));
    await run.pipeline.sealAll("operator");
    await proven(run);
    const { stream, outbox, next_seq } = run.status();
    expect(outbox).toEqual({ written: next_seq, acknowledged: next_seq, proven: next_seq, pending: 0 });
    expect((await readStream(bench.folder, stream)).length).toBe(next_seq);
    expect(await (await ledger.get("/metrics")).text()).toMatch(/^ledger_promises_total [1-9]/mu);
  });

  it("do not meet where the ledger takes no software keys: the log line says so, and calls go on until the bound", async () => {
    await removeLedgers([ledger]);
    ledger = await startTestLedger({
      config: { log_kind: "receipts", witness_policy: policyOf(2), admission: { software_evidence: "refuse" } },
    });
    const run = await open(bench.folder, { drainMs: 0 });
    expect(await runCall(run, callOf("echo", { message: "x" }))).toBe("forward");
    await eventually(async () => (run.status().outbox.fault === "ERR_LEDGER_ANSWER" ? true : undefined));
    expect(run.status()).toMatchObject({ ready: true, outbox: { acknowledged: 0 } });
    expect(bench.whys.join(" ")).toContain("ERR_ADMISSION");
  });

  it("part when the log ends: the gateway says which log goes on, and has no room for more calls", async () => {
    const run = await open();
    await runCall(run, callOf("echo", { message: "x" }));
    await proven(run);
    const closing = { action: "close", end: "frozen", reason: "over", successor: { origin: "ledger.example/next" } };
    expect(await operate(ledger, closing)).toBeGreaterThan(0);
    await runCall(run, callOf("echo", { message: "second" }));
    await eventually(async () => (run.status().outbox.fault === "ERR_LOG_CLOSED" ? true : undefined));
    expect(bench.whys.join(" ")).toContain("it goes on as ledger.example/next");
    await expect(run.pipeline.decide(callOf("echo", { message: "third" }))).rejects.toMatchObject({
      code: "ERR_LOG_CLOSED",
    });
  });

  it("part when a copy of the data folder writes: the second writer is refused for good, and has no room", async () => {
    const run = await open();
    await runCall(run, callOf("echo", { message: "x" }));
    await proven(run);
    const copy = `${bench.folder}-copy`;
    folders.push(copy);
    cpSync(bench.folder, copy, { recursive: true, filter: (source) => !source.endsWith("/lock") });
    const twin = await open(copy);
    expect(twin.status().stream).toBe(run.status().stream);
    await proven(twin);
    await runCall(twin, callOf("echo", { message: "first" }));
    await proven(twin);
    // The original has not seen the twin's receipts; its next ones take their numbers.
    await runCall(run, callOf("echo", { message: "second" }));
    await eventually(async () => (run.status().outbox.fault === "ERR_STREAM_FORK" ? true : undefined));
    expect(run.status().ready).toBe(false);
    await expect(run.pipeline.decide(callOf("echo", { message: "third" }))).rejects.toMatchObject({
      code: "ERR_STREAM_FORK",
    });
  });
});
