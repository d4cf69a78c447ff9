/** The grants of one who listens, when they cannot be decided again for a fault: the stream ends, and nothing else does. */

import { describe, expect, it } from "vitest";
import { NoticePacer } from "../../gateway/edge/notice-pacer.ts";
import { Renewal, StandingGrants } from "../../gateway/edge/standing-grants.ts";
import type { InboundCall } from "../../gateway/pipeline/call.ts";
import { callOf } from "../support/gateway-run.ts";
import { type FakePipeline, makeFakePipeline } from "../support/mcp-pipeline.ts";

interface Side {
  readonly pipeline: FakePipeline;
  readonly standing: StandingGrants;
  readonly updated: NoticePacer;
  readonly renewal: Renewal;
  readonly told: string[];
  /** Faults. */
  readonly logged: object[];
}

/** A stream with one resource. */
async function start(): Promise<Side> {
  const pipeline = makeFakePipeline();
  const logged: object[] = [];
  const told: string[] = [];
  const logger = { info: () => undefined, warn: () => undefined, error: (line: object) => void logged.push(line) };
  const standing = new StandingGrants({ pipeline, logger });
  const call: InboundCall = { ...callOf("echo", {}), serverId: "s", target: { kind: "subscribe", name: "u:1" } };
  const decided = await pipeline.decide(call);
  if (decided.action === "refuse") throw new Error("refused");
  standing.add([{ decided, call, lists: ["tools"] }]);
  const updated = new NoticePacer((key) => void told.push(key));
  updated.start();
  return { pipeline, standing, updated, renewal: new Renewal(standing, updated, logger), told, logged };
}

function fault(): never {
  throw new TypeError("a fault of the gateway's");
}

describe("a stream that cannot be decided again for a fault of the gateway's", () => {
  it.each([
    ["in the decision", (side: Side) => void Object.assign(side.pipeline, { decide: fault }), (): boolean => true],
    ["in the outcome", (side: Side) => void Object.assign(side.pipeline, { finish: fault }), (): boolean => true],
    ["in what the change is about", (): void => undefined, fault],
  ])("%s ends as one whose receipt could not be kept, and tells nothing", async (_name, breaks, concerns) => {
    const side = await start();
    breaks(side);
    side.renewal.ask(concerns);
    side.updated.push("u:1");
    await expect.poll(() => side.renewal.over.aborted).toBe(true);
    expect(await side.renewal.settle()).toBe("withheld");
    expect(side.logged).toMatchObject([{ code: "ERR_BUG" }]);
    expect(side.told).toEqual([]);
    side.updated.stop();
  });
});
