/** What a legacy agent subscribed to, when rules change: each notice stands under a decision of the rules that hold. */

import { describe, expect, it } from "vitest";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import { StandingSubscriptions } from "../../gateway/edge/standing-subscriptions.ts";
import type { InboundCall, PhantomAnswer } from "../../gateway/pipeline/call.ts";
import { callOf } from "../support/gateway-run.ts";
import { DENIED, type FakePipeline, makeFakePipeline } from "../support/mcp-pipeline.ts";

interface Side {
  readonly pipeline: FakePipeline;
  readonly rules: RuleChanges;
  readonly standing: StandingSubscriptions;
  readonly told: string[];
  readonly over: InboundCall[];
  /** Faults. */
  readonly logged: object[];
  readonly touch: (uri: string, text?: string) => void;
}

function start(): Side {
  const pipeline = makeFakePipeline();
  const rules = new RuleChanges();
  const over: InboundCall[] = [];
  const told: string[] = [];
  const logged: object[] = [];
  const logger = { info: () => undefined, warn: () => undefined, error: (line: object) => void logged.push(line) };
  const standing = new StandingSubscriptions({ pipeline, rules, logger }, (call) => over.push(call));
  const touch = (uri: string, text = uri): void => standing.changed("s", uri, () => told.push(text));
  return { pipeline, rules, standing, told, over, logged, touch };
}

function subscription(uri: string): InboundCall {
  return { ...callOf("echo", {}), serverId: "s", target: { kind: "subscribe", name: uri } };
}

describe("a subscription of a legacy agent", () => {
  it("is told at once while the rules are those that it was decided under", () => {
    const { standing, touch, told, pipeline } = start();
    standing.add(subscription("u:1"), false);
    touch("u:1");
    touch("u:2");
    expect(told).toEqual(["u:1"]);
    expect(pipeline.calls).toEqual([]);
    standing.delete("s", "u:1");
    touch("u:1");
    expect(told).toHaveLength(1);
  });

  it("is decided again once after a change that is about it, with an outcome; of what comes meanwhile the newest is told", async () => {
    const { standing, touch, told, pipeline, rules } = start();
    standing.add(subscription("u:1"), false);
    standing.add(subscription("u:2"), false);
    rules.tell(({ target }) => target.name === "u:1");
    touch("u:2");
    expect(told).toEqual(["u:2"]);
    touch("u:1", "first");
    touch("u:1", "second");
    expect(told).toHaveLength(1);
    await expect.poll(() => told).toEqual(["u:2", "second"]);
    expect(pipeline.calls).toMatchObject([{ target: { name: "u:1" }, isAnsweredHere: true, isUnasked: true }]);
    expect(pipeline.outcomes).toMatchObject([{ status: "ok", effect: "done" }]);
    touch("u:1", "third");
    expect(told.at(-1)).toBe("third");
  });

  it("is decided again if rules changed while it was being decided, the first time or later", async () => {
    const { standing, touch, told, pipeline, rules } = start();
    standing.add(subscription("u:1"), true);
    pipeline.policy = () => {
      if (pipeline.calls.length === 1) rules.tell();
      return undefined;
    };
    touch("u:1");
    await expect.poll(() => told).toEqual(["u:1"]);
    expect(pipeline.calls).toHaveLength(2);
  });

  it("is over when it is refused: nothing is told, the server is, and the refusal is the last receipt", async () => {
    const { standing, touch, told, pipeline, rules, over } = start();
    standing.add(subscription("u:1"), false);
    rules.tell();
    pipeline.policy = () => DENIED;
    touch("u:1");
    await expect.poll(() => over.map(({ target }) => target.name)).toEqual(["u:1"]);
    pipeline.policy = () => undefined;
    rules.tell();
    touch("u:1");
    expect([told, pipeline.calls.length, standing.of("s")]).toEqual([[], 1, []]);
  });

  it("of a subject in quarantine is silent, and is told again when the quarantine is over", async () => {
    const { standing, touch, told, pipeline, rules, over } = start();
    const { decide } = pipeline;
    const answer: PhantomAnswer = { result: {}, wait: () => Promise.resolve() };
    const phantom: FakePipeline["decide"] = async (call) => {
      const decided = await decide(call);
      if (decided.action !== "forward") return decided;
      return { action: "phantom", receipt: decided.receipt, ticket: decided.ticket, answer };
    };
    standing.add(subscription("u:1"), false);
    rules.tell();
    Object.assign(pipeline, { decide: phantom });
    touch("u:1");
    await expect.poll(() => pipeline.outcomes).toMatchObject([{ status: "phantom", effect: "none" }]);
    touch("u:1");
    Object.assign(pipeline, { decide });
    rules.tell();
    touch("u:1", "free");
    await expect.poll(() => told).toEqual(["free"]);
    expect(over).toEqual([]);
  });

  it("waits for a receipt that cannot be kept, and is not forgotten", async () => {
    const { standing, touch, told, pipeline, rules } = start();
    standing.add(subscription("u:1"), false);
    rules.tell();
    pipeline.finishFails = true;
    touch("u:1");
    await expect.poll(() => pipeline.calls).toHaveLength(1);
    await expect
      .poll(() => {
        pipeline.finishFails = false;
        touch("u:1", "late");
        return told;
      })
      .toContain("late");
    expect(told).not.toContain("u:1");
  });

  it.each(["decide", "finish"] as const)(
    "that a fault in %s keeps from being decided is told of nothing, ends nothing else, and is decided with the next change",
    async (step) => {
      const { standing, touch, told, pipeline, rules, logged } = start();
      const right = pipeline[step];
      const fault = (): never => {
        throw new TypeError("a fault of the gateway's");
      };
      standing.add(subscription("u:1"), false);
      rules.tell();
      Object.assign(pipeline, { [step]: fault });
      touch("u:1");
      await expect.poll(() => logged).toMatchObject([{ code: "ERR_BUG", server: "s" }]);
      expect(told).toEqual([]);
      Object.assign(pipeline, { [step]: right });
      touch("u:1", "late");
      await expect.poll(() => told).toEqual(["late"]);
    },
  );

  it("whose agent cannot be told, for a fault, is told of the next change", async () => {
    const { standing, touch, told, rules, logged } = start();
    standing.add(subscription("u:1"), false);
    rules.tell();
    standing.changed("s", "u:1", () => {
      throw new RangeError("no memory");
    });
    await expect.poll(() => logged).toMatchObject([{ code: "ERR_BUG", server: "s" }]);
    touch("u:1", "late");
    await expect.poll(() => told).toEqual(["late"]);
  });

  it("is not told when the agent let go of it meanwhile; the oldest of many is forgotten", async () => {
    const { standing, touch, told, pipeline, rules } = start();
    standing.add(subscription("u:1"), false);
    rules.tell();
    touch("u:1");
    standing.delete("s", "u:1");
    await expect.poll(() => pipeline.outcomes).toHaveLength(1);
    for (let at = 0; at < 1_001; at += 1) standing.add(subscription(`v:${at}`), false);
    touch("v:0");
    touch("v:1");
    expect(told).toEqual(["v:1"]);
    standing.close();
    touch("v:2");
    expect(told).toHaveLength(1);
  });

  it("is kept with its message, of which there is so much in a session: the oldest goes, and the newest stays whatever its size", () => {
    const { standing, touch, told } = start();
    const large = (uri: string, mebibytes: number): void =>
      standing.add({ ...subscription(uri), received: new Uint8Array(mebibytes * 1024 * 1024) }, false);
    for (const uri of ["u:1", "u:2", "u:3"]) large(uri, 3);
    expect(standing.of("s")).toEqual(["u:2", "u:3"]);
    large("u:4", 16);
    touch("u:4");
    expect([standing.of("s"), told]).toEqual([["u:4"], ["u:4"]]);
  });
});
