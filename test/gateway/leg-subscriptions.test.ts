/** What one session subscribed to at its servers, and how a server is told that it is over. */

import { describe, expect, it } from "vitest";
import { LegSubscriptions } from "../../gateway/edge/leg-subscriptions.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import type { InboundCall } from "../../gateway/pipeline/call.ts";
import type { UpstreamLeg, UpstreamReply, UpstreamRequest } from "../../gateway/upstream/upstream.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { callOf } from "../support/gateway-run.ts";
import { DENIED, type FakePipeline, makeFakePipeline } from "../support/mcp-pipeline.ts";

interface Side {
  readonly pipeline: FakePipeline;
  readonly rules: RuleChanges;
  readonly subscriptions: LegSubscriptions;
  /** What the server was asked on the agent's own session. */
  readonly asked: string[];
  readonly told: string[];
  /** Faults. */
  readonly logged: object[];
}

/** @param answer  what comes of a request on the agent's own session at the server `s` */
function start(answer: (request: UpstreamRequest) => Promise<UpstreamReply>): Side {
  const pipeline = makeFakePipeline();
  const rules = new RuleChanges();
  const [asked, told, logged]: [string[], string[], object[]] = [[], [], []];
  const logger = { info: () => undefined, warn: () => undefined, error: (line: object) => void logged.push(line) };
  const { facts, nextId } = makeFakeUpstream("s");
  const request: UpstreamLeg["request"] = (sent) => {
    asked.push(sent.method);
    return answer(sent);
  };
  const leg = { facts, nextId, request, notify: async () => undefined, listen: () => undefined };
  const subscriptions = new LegSubscriptions({
    pipeline,
    rules,
    logger,
    tell: () => true,
    legAt: () => ({ ...leg, close: async () => undefined }),
    ended: new AbortController().signal,
  });
  return { pipeline, rules, subscriptions, asked, told, logged };
}

function subscription(uri: string): InboundCall {
  return { ...callOf("echo", {}), serverId: "s", target: { kind: "subscribe", name: uri } };
}

describe("a subscription of which the agent is not told that it stands", () => {
  it("is taken back at its server, unless the agent has it already", async () => {
    const { subscriptions, asked, rules } = start(() => Promise.reject(new TypeError("not looked at")));
    subscriptions.takeBack(subscription("u:1"));
    await expect.poll(() => asked).toEqual(["resources/unsubscribe"]);
    subscriptions.add(subscription("u:1"), rules.count);
    subscriptions.takeBack(subscription("u:1"));
    expect(asked).toHaveLength(1);
  });

  it("stays at its server while another request makes it, and goes with the last one that does not", async () => {
    const { subscriptions, asked, rules } = start(() => Promise.reject(new TypeError("not looked at")));
    const call = subscription("u:1");
    const [failed, made] = [subscriptions.begin(call), subscriptions.begin(call)];
    subscriptions.takeBack(call);
    failed();
    expect(asked).toEqual([]);
    subscriptions.add(call, rules.count);
    made();
    expect(asked).toEqual([]);
    subscriptions.delete("s", "u:1");
    const [one, other] = [subscriptions.begin(call), subscriptions.begin(call)];
    subscriptions.takeBack(call);
    one();
    other();
    await expect.poll(() => asked).toEqual(["resources/unsubscribe"]);
    subscriptions.takeBack(subscription("u:1"));
    await expect.poll(() => asked).toHaveLength(2);
  });
});

describe("a subscription that rules do not permit any more", () => {
  it("is over at its server, too; a fault on the way there ends nothing else", async () => {
    const side = start(() => Promise.reject(new TypeError("a fault of the gateway's")));
    const { pipeline, rules, subscriptions, asked, told, logged } = side;
    subscriptions.add(subscription("u:1"), rules.count);
    rules.tell();
    pipeline.policy = () => DENIED;
    subscriptions.changed("s", "u:1", () => told.push("u:1"));
    await expect.poll(() => asked).toEqual(["resources/unsubscribe"]);
    await expect.poll(() => logged).toMatchObject([{ code: "ERR_BUG", server: "s" }]);
    expect(told).toEqual([]);
  });

  it("stays at its server for a request that makes it anew", async () => {
    const side = start(() => Promise.reject(new TypeError("not looked at")));
    const { pipeline, rules, subscriptions, asked } = side;
    const call = subscription("u:1");
    subscriptions.add(call, rules.count);
    rules.tell();
    const made = subscriptions.begin(call);
    pipeline.policy = () => DENIED;
    subscriptions.changed("s", "u:1", () => undefined);
    await expect.poll(() => pipeline.calls).toHaveLength(1);
    await new Promise(setImmediate);
    subscriptions.add(call, rules.count);
    made();
    expect(asked).toEqual([]);
  });
});
