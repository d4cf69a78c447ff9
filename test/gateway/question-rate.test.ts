/** What servers ask agents has a rate, and what is not asked takes no place of what is. */

import { describe, expect, it } from "vitest";
import { type AskedAgent, askAgent } from "../../gateway/edge/ask-agent.ts";
import { PendingAsks } from "../../gateway/edge/pending-asks.ts";
import { QuestionRates } from "../../gateway/edge/question-rate.ts";
import { Cancellation } from "../../gateway/upstream/cancellation.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { localCaller } from "../support/mcp-gateway.ts";
import { DENIED, type FakePipeline, makeFakePipeline } from "../support/mcp-pipeline.ts";

const [ALICE, BOB] = [localCaller("alice"), localCaller("bob")];
const UPSTREAM = { transport: "http", era: "legacy", auth: "none", revision: "2025-11-25" } as const;

describe("the rate of questions", () => {
  it("is that of calls for a session and a caller, and each server's own", () => {
    let nowMs = 0;
    const rates = new QuestionRates(() => nowMs);
    const [first, second, third] = [rates.ofSession(ALICE), rates.ofSession(ALICE), rates.ofSession(ALICE)];
    const taken = (take: typeof first, server = "s"): readonly unknown[] => [
      ...new Set(Array.from({ length: 300 }, () => take(server))),
    ];
    expect(taken(first)).toEqual([undefined]);
    expect(first("s")).toBe("limit.per-session");
    expect(taken(second)).toEqual([undefined]);
    expect(third("s")).toBe("limit.per-principal");
    expect([third("other"), rates.ofSession(BOB)("s")]).toEqual([undefined, undefined]);
    nowMs = 62_000;
    expect([first("s"), third("s")]).toEqual([undefined, undefined]);
  });
});

describe("a server that asks an agent", () => {
  const makeAgent = (
    pipeline: FakePipeline,
  ): { ask: (send?: () => boolean) => Promise<unknown>; agent: AskedAgent } => {
    const asks = new PendingAsks(new QuestionRates(() => 0).ofSession(ALICE));
    const session = { key: "k", source: "mcp-session-id", trust: "authenticated" } as const;
    const agent = {
      caller: ALICE,
      session,
      transport: "http",
      revision: "2025-11-25",
      capabilities: { roots: {} },
      asks,
    } as const;
    const received = formatUtf8('{"jsonrpc":"2.0","id":"q","method":"roots/list"}');
    const message = readMessage(received, "egress", 1_000);
    if (message.type !== "request") throw new Error("no request");
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const ask = async (send = (): boolean => true): Promise<unknown> => {
      const asking = { serverId: "s", upstream: UPSTREAM, message, received, send, signal: new Cancellation() };
      return JSON.parse(parseUtf8(await askAgent({ pipeline, logger }, agent, asking)));
    };
    return { ask, agent };
  };

  it("without end has a decision for as many as a session may call, and the others are refused before policy", async () => {
    const pipeline = makeFakePipeline();
    pipeline.policy = () => DENIED;
    const { ask } = makeAgent(pipeline);
    for (let n = 0; n < 1_000; n += 1) expect(await ask()).toMatchObject({ id: "q", error: {} });
    expect(pipeline.calls).toHaveLength(300);
    expect(pipeline.refusals).toHaveLength(700);
    expect(new Set(pipeline.refusals.map(({ step, reason }) => `${step} ${reason}`))).toEqual(
      new Set(["classify limit.per-session"]),
    );
  });

  it("takes no place with what policy refuses, or what cannot be sent", async () => {
    const pipeline = makeFakePipeline();
    pipeline.policy = () => DENIED;
    const { ask, agent } = makeAgent(pipeline);
    for (let n = 0; n < 70; n += 1) await ask();
    pipeline.policy = () => undefined;
    for (let n = 0; n < 70; n += 1) await ask(() => false);
    expect(pipeline.outcomes).toHaveLength(70);
    let sent = 0;
    const asked = ask(() => {
      sent += 1;
      return true;
    });
    await expect.poll(() => sent).toBe(1);
    agent.asks.cancelAll();
    await asked;
  });

  it("is not heard where the labels of what it says cannot be kept", async () => {
    const pipeline = makeFakePipeline();
    const { ask } = makeAgent(pipeline);
    pipeline.bringLabels = () => Promise.reject(new Error("the disk is full"));
    let sent = 0;
    const send = (): boolean => {
      sent += 1;
      return false;
    };
    expect(await ask(send)).toMatchObject({ id: "q", error: { data: { reason: "receipt.unavailable" } } });
    expect([sent, pipeline.abandoned.length]).toEqual([0, 1]);
    pipeline.bringLabels = () => Promise.resolve();
    await ask(send);
    expect(sent).toBe(1);
  });

  it("is answered under its id where a fault of the gateway's ends its question, which takes no place", async () => {
    const pipeline = makeFakePipeline();
    const { ask } = makeAgent(pipeline);
    const fault = (): never => {
      throw new TypeError("a fault of the gateway's");
    };
    const error = { code: -32603, data: { reason: "receipt.unavailable" } };
    for (let n = 0; n < 70; n += 1) expect(await ask(fault)).toMatchObject({ id: "q", error });
    expect(pipeline.calls).toHaveLength(70);
  });
});
