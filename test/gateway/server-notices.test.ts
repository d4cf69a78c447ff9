/** What a legacy server says to an agent outside of calls: looked at like the rest, with a receipt of what may not pass. */

import { describe, expect, it } from "vitest";
import { AgentLegs } from "../../gateway/edge/agent-legs.ts";
import { PendingAsks } from "../../gateway/edge/pending-asks.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import type { LegAgent, Upstream } from "../../gateway/upstream/upstream.ts";
import { type RpcNotification, readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { CALLER, type GatewayBench, ofKind, readStream, SESSION } from "../support/gateway-run.ts";

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
  const told: string[] = [];
  let agent: LegAgent | undefined;
  const upstream: Upstream = {
    ...makeFakeUpstream("s"),
    openLeg: (given) => {
      agent = given;
      const { facts, nextId, request } = upstream;
      return {
        facts,
        nextId,
        request,
        notify: async () => undefined,
        listen: () => undefined,
        close: async () => undefined,
      };
    },
  };
  const legs = new AgentLegs({
    tasks: { atServer: () => undefined, promised: () => undefined, renew: () => undefined },
    rules: new RuleChanges(),
    pipeline: run.pipeline,
    logger: bench.gatewayOptions.logger,
    agent: {
      caller: CALLER,
      session: SESSION,
      transport: "http",
      revision: "2025-11-25",
      capabilities: {},
      asks: new PendingAsks(),
    },
    capabilities: "{}",
    tell: (message) => told.push(parseUtf8(message)) > 0,
  });
  benches.later(() => legs.close());
  legs.leg(upstream);
  const says = (params: object): void => agent?.onNotification(notification(params), undefined);
  return { bench, run, says, told };
}

function notification(params: object): RpcNotification {
  const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params }));
  const message = readMessage(bytes, "egress", 1_000_000);
  if (message.type !== "notification") throw new Error("no notification");
  return message;
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
