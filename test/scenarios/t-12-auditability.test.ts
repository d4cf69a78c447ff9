/** T12: what is dropped, doubled, reordered or left open in the record, and what a verifier says of it offline. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exportOcsfCommand } from "../../cli/commands/export-ocsf.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { formatTimestamp, timestampMs } from "../../kernel/time.ts";
import { ofKind } from "../support/gateway-run.ts";
import { ORIGIN } from "../support/log-keys.ts";
import { ocsfFaults } from "../support/ocsf-rules.ts";
import { recordIo } from "../support/recorded-io.ts";
import { forgeStream, stealKeys } from "./forged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const HONEST = { "policy.files": "policy.not-disclosed" };
type Rows = readonly Uint8Array[];

async function startAndCall(config: JsonObject = {}, nowMs: () => number = Date.now): Promise<Scenario> {
  const tools = [{ name: "find" }, { name: "wait", isSilent: true }];
  const bench = (): { readonly options: object } => ({ options: { edgeLimits: { closeMs: 200 } } });
  const scenario = await open(startScenario({ rules: PERMIT_ALL, config, nowMs, bench, servers: { crm: { tools } } }));
  await scenario.call("find");
  await scenario.call("find");
  return scenario;
}

/** A window over the first `count` receipts. */
const firstOf = (
  { stream }: Scenario,
  count: number,
): { readonly windows: readonly [{ stream: string; first_seq: number; last_seq: number }] } => ({
  windows: [{ stream, first_seq: 0, last_seq: count - 1 }],
});

describe("T12 the record, verified offline", () => {
  it("whole: inclusion, quorum and continuity pass, and no hardware speaks for it", async () => {
    const judged = await (await startAndCall()).evidence();
    expect(judged.words).toEqual(HONEST);
    expect([judged.exit, judged.hardware]).toEqual([2, "attestation.software"]);
  });

  it.each<readonly [string, (rows: Rows) => Rows, string]>([
    ["a receipt is missing", (rows) => rows.filter((_, i) => i !== 5), "ERR_STREAM_GAP"],
    [
      "two receipts change places",
      (rows) => [...rows.slice(0, 5), ...rows.slice(5, 7).reverse(), ...rows.slice(7)],
      "ERR_STREAM_GAP",
    ],
    ["a receipt stands twice", (rows) => [...rows, ...rows.slice(5, 6)], "ERR_STREAM_FORK"],
    ["the last one is gone", (rows) => rows.slice(0, -1), "ERR_STREAM_TAIL"],
  ])("where %s, the fault is named with the number at which it lies", async (_what, entries, code) => {
    const scenario = await startAndCall();
    const { words, exit, result } = await scenario.evidence({ entries });
    expect(words["stream.continuity"]).toBe(code);
    expect(exit).toBe(1);
    const found = result.obligations.find(({ id }) => id === "stream.continuity");
    expect(JSON.stringify(found)).toMatch(/"subject":"[0-9a-f]{64}\/\d+"/u);
  });

  it("cut by the key's holder, with a window to fit: the session has no seal, and once it is too old that is a fault", async () => {
    const scenario = await startAndCall();
    const count = (await scenario.finish()).length;
    const cut = { entries: (rows: Rows) => rows.slice(0, -1), more: firstOf(scenario, count - 1) };
    const now = formatTimestamp(Date.now() + 2 * 3_600_000);
    const { words, result } = await scenario.evidence({ ...cut, now });
    expect(words).toEqual({ ...HONEST, "session.sealed": "session.open" });
    const later = result.status_now?.obligations.find(({ id }) => id === "session.sealed");
    expect(later).toMatchObject({ verdict: "fail" });
  });

  it("forked by the key's holder: both histories under one log are a fork", async () => {
    const scenario = await startAndCall();
    const keys = stealKeys(scenario.folder, scenario.stream);
    const other = (body: JsonObject): JsonObject =>
      body["kind"] === "outcome" ? { ...body, latency: { state: "absent" } } : body;
    const both = (rows: Rows): Rows => [...rows, ...forgeStream(keys, rows.slice(1), other).slice(6)];
    const { words, exit } = await scenario.evidence({ entries: both });
    expect(words["stream.continuity"]).toBe("ERR_STREAM_FORK");
    expect(exit).toBe(1);
  });
});

describe("T12 a decision without an outcome", () => {
  it("is pending where the window ends before it", async () => {
    const scenario = await startAndCall();
    const decision = (await scenario.decisions()).at(-1);
    const count = (decision?.seq ?? 0) + 1;
    const { words } = await scenario.evidence({
      entries: (rows) => rows.slice(0, count + 1),
      more: firstOf(scenario, count),
    });
    expect(words["call.outcome"]).toBe("call.no-outcome");
  });

  it("whose server never answered stays open as an effect that nobody knows, also in the sealed session: U is 1", async () => {
    const scenario = await startAndCall();
    const waiting = scenario.call("wait").catch(() => undefined);
    await expect.poll(() => scenario.server("crm").count("wait"), { timeout: 30_000 }).toBe(1);
    const { words, result } = await scenario.evidence();
    await waiting;
    expect(words).toEqual({ ...HONEST, "call.outcome": "call.effect-unknown" });
    const found = result.obligations.find(({ id }) => id === "call.outcome");
    expect(JSON.stringify(found)).toMatch(/"subject":"[0-9a-f]{64}\/\d+"/u);
    const last = (await scenario.outcomes()).at(-1);
    expect(last?.outcome.effect).toBe("unknown");
  });
});

describe("T12 silence", () => {
  it("is broken by heartbeats before the declared interval is over", async () => {
    const scenario = await startAndCall({ heartbeat_seconds: 1 });
    const beats = async (): Promise<number> => ofKind(await scenario.receipts(), "heartbeat").length;
    await expect.poll(beats, { timeout: 30_000 }).toBeGreaterThanOrEqual(2);
    const [opened] = ofKind(await scenario.receipts(), "stream-open");
    expect(opened?.heartbeat_seconds).toBe(1);
    const [first, second] = ofKind(await scenario.receipts(), "heartbeat");
    expect(first && second && timestampMs(second.time) > timestampMs(first.time)).toBe(true);
  });
});

describe("T12 an hour without a receipt", () => {
  it("is silence that nobody vouches for: the coverage is not established", async () => {
    const hour = 3_600_000;
    let gone = 0;
    const scenario = await startAndCall({ session_ttl_seconds: 7_200 }, () => Date.now() - 2 * hour + gone);
    gone = hour;
    await scenario.call("find");
    const { words } = await scenario.evidence();
    expect(words["stream.coverage"]).toBe("stream.silent");
  });
});

describe("T12 what a record says of a call", () => {
  it("correlation, method, name, delegation and attestation each have a member, also where there is nothing", async () => {
    const scenario = await startAndCall();
    await scenario.call(
      "find",
      {},
      { meta: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" } },
    );
    const [first, , traced] = await scenario.decisions();
    expect(first).toMatchObject({
      wire: {
        mcp_method: { state: "present", value: "tools/call" },
        mcp_name: { value: { form: "name", name: "find" } },
        correlation: { state: "absent" },
      },
      delegation: { state: "absent" },
      attestation: { state: "not_available", reason: "attestation.software" },
    });
    expect(traced?.wire.correlation).toMatchObject({ state: "present" });
    expect(JSON.stringify(traced)).not.toContain("4bf92f3577b34da6");
  });
});

describe("T12 the record as OCSF", () => {
  it("is valid by the schema's rules, from the bundle and from the gateway's folder, and holds no payload", async () => {
    const scenario = await startAndCall();
    await scenario.call("find", { text: "canary-4711" });
    await scenario.call("none");
    const { evidence } = await scenario.evidence();
    const folder = mkdtempSync(join(tmpdir(), "countersign-ocsf-"));
    const bundle = join(folder, "bundle.json");
    writeFileSync(bundle, evidence.bytes);
    const exported = async (...from: readonly string[]): Promise<readonly JsonValue[]> => {
      const out = join(folder, `${from.length}.ndjson`);
      expect(await exportOcsfCommand.run([...from, "--out", out], recordIo().io)).toBe(0);
      return readFileSync(out, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => parseJson(line));
    };
    const [ofBundle, ofFolder] = [await exported(bundle), await exported("--data", scenario.folder)];
    rmSync(folder, { recursive: true });
    for (const event of [...ofBundle, ...ofFolder]) expect(ocsfFaults(event)).toEqual([]);
    const names = ["delegation_path", "attestation_state", "correlation_id", "mcp_method", "mcp_name"];
    const calls = ofBundle.filter((event) => isJsonObject(event) && event["class_uid"] === 6003);
    expect(calls).toHaveLength(7);
    for (const call of calls) {
      const unmapped = isJsonObject(call) ? call["unmapped"] : undefined;
      expect(isJsonObject(unmapped) ? Object.keys(unmapped) : []).toEqual(expect.arrayContaining(names));
    }
    expect(ofFolder).toHaveLength(ofBundle.length);
    expect(JSON.stringify([ofBundle, ofFolder])).not.toContain("canary-4711");
    expect(ofBundle[0]).toMatchObject({ class_uid: 6002, unmapped: { countersign: { log: { origin: ORIGIN } } } });
  });
});
