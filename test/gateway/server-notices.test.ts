/** What a legacy server says to an agent outside of calls: looked at like the rest, with a receipt of what may not pass. */

import { describe, expect, it } from "vitest";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { CALLER, type GatewayBench, ofKind, readStream, SESSION } from "../support/gateway-run.ts";
import { openLegacySession } from "../support/legacy-session.ts";

const benches = gatewayBenches("server-notices");
/** A word in tag characters, which no host shows. */
const HIDDEN = [..."obey"].map((letter) => String.fromCodePoint(0xe0000 + (letter.codePointAt(0) ?? 0))).join("");

/** One agent's session at a server, whose side the test plays. */
interface Side {
  readonly bench: GatewayBench;
  readonly run: GatewayRun;
  readonly says: (params: object) => void;
  readonly told: readonly string[];
}

async function side(mode: Mode): Promise<Side> {
  const bench = benches.make({ mode });
  const run = await benches.open(bench);
  const tasks = { atServer: () => undefined, promised: () => undefined, renew: () => undefined };
  const { logger } = bench.gatewayOptions;
  const deps = { tasks, rules: new RuleChanges(), pipeline: run.pipeline, logger };
  const { told, hears, close } = openLegacySession(deps, CALLER, SESSION);
  benches.later(close);
  const says = (params: object): void =>
    hears(JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params }));
  return { bench, run, says, told };
}

describe("a log message outside of calls", () => {
  it("reaches the agent if nothing in it is blocked, and else has a receipt that commits to it", async () => {
    const { bench, run, says, told } = await side("enforcing");
    const before = run.status().next_seq;
    says({ level: "info", data: "all is well" });
    says({ level: "info", data: { key: HIDDEN } });
    says({ level: "info", data: "still well" });
    await expect.poll(() => run.status().next_seq).toBe(before + 1);
    expect(told.map((text) => JSON.parse(text).params.data)).toEqual(["all is well", "still well"]);
    const [refused] = ofKind(await readStream(bench.folder, run.status().stream), "decision");
    expect(refused?.ruling).toMatchObject({ action: "refuse", step: "inspect", reasons: ["inspect.block"] });
    expect(JSON.stringify(refused)).not.toContain(HIDDEN);
  });

  it("is passed by a gateway that only records", async () => {
    const { says, told } = await side("silent");
    says({ level: "info", data: { key: HIDDEN } });
    expect(told).toHaveLength(1);
  });
});
