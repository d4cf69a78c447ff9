/** Questions that a server asks inside an answer. */

import { expect, it } from "vitest";
import { decideQuestions } from "../../gateway/edge/input-required.ts";
import type { Pipeline } from "../../gateway/pipeline/call.ts";
import { callOf } from "../support/gateway-run.ts";
import { makeFakePipeline } from "../support/mcp-pipeline.ts";

const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
const METHOD = "elicitation/create";
const questions = ["a", "b"].map((key) => ({ key, kind: "elicit" as const, method: METHOD, params: {}, text: "{}" }));

it("are not asked in quarantine, and the decision about one has its outcome", async () => {
  const pipeline = makeFakePipeline();
  const decide: Pipeline["decide"] = async (call) => {
    const decided = await pipeline.decide(call);
    if (decided.action !== "forward") return decided;
    const answer = { result: {}, wait: () => Promise.resolve() };
    return { action: "phantom", receipt: decided.receipt, ticket: decided.ticket, answer };
  };
  expect(await decideQuestions({ pipeline: { ...pipeline, decide }, logger }, callOf("echo", {}), questions)).toBe(
    "withheld",
  );
  expect(pipeline.calls).toHaveLength(1);
  expect([...pipeline.open]).toEqual([]);
  expect(pipeline.abandoned).toEqual(["0"]);
});

it("have their outcomes at once, also one that cannot be kept", async () => {
  const pipeline = makeFakePipeline();
  expect(await decideQuestions({ pipeline, logger }, callOf("echo", {}), questions)).toBeUndefined();
  expect(pipeline.outcomes.map(({ status }) => status)).toEqual(["input_required", "input_required"]);
  pipeline.finishFails = true;
  expect(await decideQuestions({ pipeline, logger }, callOf("echo", {}), questions)).toBe("withheld");
  expect([...pipeline.open]).toEqual([]);
});
