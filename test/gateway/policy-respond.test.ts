/** What policy says of results: asked only where the bundle speaks of them, done by mode, recorded in the outcome. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallOutcome } from "../../gateway/pipeline/call.ts";
import type { RespondStage } from "../../gateway/pipeline/stage.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { ECHO, makeFakeUpstream } from "../support/fake-upstream.ts";
import { callOf, type GatewayBench, makeGatewayBench, ofKind, readStream } from "../support/gateway-run.ts";
import { bundleFiles, evaluatorOf, requestOf, sourceOf } from "../support/policy-request.ts";

const CALL = '@id("call") permit (principal, action in Mcp::Action::"call_tool", resource);';
const ROWS = '@id("rows") permit (principal, action in Mcp::Action::"respond", resource);';
const FEW = `@id("few") @reason("Too many rows.") @control("DORA:9")
  forbid (principal, action == Mcp::Action::"respond:s/echo", resource) when { context.output has total && context.output.total > 9 };`;
const OUTPUT: JsonObject = {
  type: "object",
  properties: { total: { type: "integer" }, who: { type: "string" } },
  required: ["total", "who"],
};

let ledger: FakeLedger;
const benches: GatewayBench[] = [];
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  for (const bench of benches.splice(0)) bench.remove();
  await ledger.close();
});

async function start(cedar: string, mode: Mode = "enforcing", respond: readonly RespondStage[] = []) {
  const bench = makeGatewayBench(ledger.url, {
    mode,
    policyFiles: bundleFiles(cedar),
    upstreams: [makeFakeUpstream("s", [{ ...ECHO, outputSchema: OUTPUT }])],
    options: { wrapStages: (own) => ({ ...own, respond: [...own.respond, ...respond] }) },
  });
  benches.push(bench);
  const run = await bench.open();
  closers.push(run.close);
  const call = async (outcome: CallOutcome): Promise<CallOutcome> => {
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (decided.action !== "forward") throw new Error("refused");
    return run.pipeline.finish(decided.ticket, outcome);
  };
  const last = async () => ofKind(await readStream(bench.folder, run.status().stream), "outcome").at(-1);
  return { call, last, run };
}

function resultOf(structuredContent: JsonObject | undefined, changes: Partial<CallOutcome> = {}): CallOutcome {
  const result = { content: [], ...(structuredContent === undefined ? {} : { structuredContent }) };
  const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id: 7, result }));
  return {
    status: "ok",
    effect: "done",
    received: bytes,
    returned: bytes,
    upstreamUs: 1,
    uninspectedBytes: 0,
    ...changes,
  };
}

const MANY = resultOf({ total: 200, who: "ann" });

describe("a result that policy denies", () => {
  it("is withheld in enforcing mode, and the outcome says blocked by which policy", async () => {
    const { call, last } = await start(CALL + ROWS + FEW);
    const kept = await call(MANY);
    expect(kept).toMatchObject({
      status: "blocked",
      refusal: { rpcCode: -31_001, reason: "policy.forbid", policies: ["few"], message: "Too many rows." },
    });
    expect(kept.returned).toBeUndefined();
    expect(await last()).toMatchObject({
      outcome: { status: "blocked", effect: "done" },
      response_returned: { state: "absent" },
      respond: {
        state: "present",
        value: {
          mode: "enforcing",
          action: "refuse",
          judgement: "deny",
          would_deny: false,
          step: "respond",
          reasons: ["policy.forbid"],
          policies: ["few"],
          controls: ["DORA:9"],
        },
      },
    });
  });

  it.each(["advisory", "silent"] as const)(
    "reaches the agent in %s mode, and the receipt says it would not",
    async (mode) => {
      const { call, last } = await start(CALL + ROWS + FEW, mode);
      expect(await call(MANY)).toEqual(MANY);
      expect(await last()).toMatchObject({
        outcome: { status: "ok" },
        respond: {
          value: { mode, action: "forward", judgement: "deny", would_deny: true, reasons: ["policy.forbid"] },
        },
      });
    },
  );

  it("is one that no permit matches, once the bundle speaks of results", async () => {
    const { call, last } = await start(
      `${CALL} @id("ann") permit (principal, action == Mcp::Action::"respond:s/echo", resource) when { context.output has who && context.output.who == "ann" };`,
    );
    expect((await call(resultOf({ total: 1, who: "ann" }))).status).toBe("ok");
    expect((await call(resultOf({ total: 1, who: "bob" }))).status).toBe("blocked");
    expect(await last()).toMatchObject({ respond: { value: { reasons: ["policy.default-deny"], policies: [] } } });
  });

  it("is one whose structured content is not of its declared type: policy would see nothing of it", async () => {
    const { call, last } = await start(CALL + ROWS + FEW);
    expect((await call(resultOf({ total: "200", who: "ann" }))).status).toBe("blocked");
    expect(await last()).toMatchObject({ respond: { value: { reasons: ["policy.request-unmappable"] } } });
  });

  it("may be that there is a task, and is the task's result, which a policy tells apart", async () => {
    const later = `@id("later") forbid (principal, action in Mcp::Action::"respond", resource)
      when { context.system.result == "task_created" };`;
    const { call } = await start(CALL + ROWS + later);
    const task = resultOf(undefined, { status: "task_created", effect: "unknown" });
    expect(await call(task)).toMatchObject({ status: "blocked", refusal: { reason: "policy.forbid" } });
    const { call: other, last, run } = await start(CALL + ROWS + FEW);
    expect((await other(task)).status).toBe("task_created");
    const ticket = { callId: (await last())?.call.id ?? "", receipt: { stream: "", seq: 0 } };
    const many = resultOf({ total: 50, who: "ann" }, { status: "task_completed" });
    expect(await run.pipeline.finishTask(ticket, many)).toMatchObject({ status: "blocked" });
  });

  it("is one at which a policy errs", async () => {
    const errs = `@id("errs") forbid (principal, action in Mcp::Action::"respond", resource) when { context.system.resultBytes * 9223372036854775807 == 4 };`;
    const { call, last } = await start(CALL + ROWS + errs);
    expect((await call(resultOf(undefined))).status).toBe("blocked");
    expect(await last()).toMatchObject({ respond: { value: { reasons: ["policy.error"], erring: ["errs"] } } });
  });
});

describe("a result that policy permits", () => {
  it("reaches the agent as it came, and the receipt names the permit", async () => {
    const { call, last } = await start(CALL + ROWS + FEW);
    const few = resultOf({ total: 2, who: "ann" });
    expect(await call(few)).toEqual(few);
    expect(await last()).toMatchObject({
      respond: { value: { action: "forward", judgement: "allow", reasons: ["policy.permit"], policies: ["rows"] } },
    });
  });

  it("may come without structured content, and policy sees how it came", async () => {
    const plain = `@id("plain") forbid (principal, action in Mcp::Action::"respond", resource)
      when { !context.system.structured && context.system.result == "ok" };`;
    const { call } = await start(CALL + ROWS + plain);
    expect((await call(resultOf(undefined))).status).toBe("blocked");
    expect((await call(resultOf(undefined, { status: "tool_error" }))).status).toBe("tool_error");
    expect((await call(resultOf({ total: 1, who: "ann" }))).status).toBe("ok");
  });

  it("shows policy what its schema does not declare", async () => {
    const more = `@id("more") forbid (principal, action in Mcp::Action::"respond", resource)
      when { context.system.undeclared.contains("ssn") };`;
    const { call } = await start(CALL + ROWS + more);
    expect((await call(resultOf({ total: 1, who: "ann", ssn: "x" }))).status).toBe("blocked");
  });

  it("is redacted by the stage that carries that out, and the ruling says so", async () => {
    const stage: RespondStage = {
      name: "redact",
      carriesOut: ["redact"],
      settle: ({ outcome }, answer) => {
        if (answer?.redact.length === 0) return { outcome };
        return { outcome: { ...outcome, status: "redacted", returned: formatUtf8("{}") }, carriedOut: ["redact"] };
      },
    };
    const redact = '@id("cut") @redact("pii.*") permit (principal, action == Mcp::Action::"respond:s/echo", resource);';
    const { call, last } = await start(CALL + redact, "enforcing", [stage]);
    expect(await call(MANY)).toMatchObject({ status: "redacted", returned: formatUtf8("{}") });
    expect(await last()).toMatchObject({
      outcome: { status: "redacted" },
      respond: { value: { obligations: [{ policy: "cut", kind: "redact", applied: true }] } },
    });
  });
});

describe("nobody asks about a result", () => {
  it("if no policy names results, whatever unscoped policies say", async () => {
    const { call, last } = await start('@id("all") permit (principal, action, resource);');
    expect((await call(MANY)).status).toBe("ok");
    expect(await last()).toMatchObject({ respond: { state: "absent" } });
  });

  it("if the server gave none", async () => {
    const { call, last } = await start(CALL + ROWS);
    const { received: _, ...failed } = resultOf(undefined, { status: "timeout", effect: "unknown" });
    expect((await call(failed)).status).toBe("timeout");
    expect(await last()).toMatchObject({ respond: { state: "absent" } });
  });
});

describe("a bundle that speaks of results", () => {
  it("is refused if no permit can match: it would deny every result", async () => {
    await expect(start(CALL + FEW)).rejects.toMatchObject({ code: "ERR_POLICY_BUNDLE" });
  });

  it("only in advisory policies denies nothing and records what matches", () => {
    const watch = `@id("watch") @decision("advisory") forbid (principal, action == Mcp::Action::"respond:s/echo", resource)
      when { context.output has total && context.output.total > 9 };`;
    const evaluator = evaluatorOf(CALL + watch, {
      ...sourceOf({}),
      tools: [{ name: "echo", inputSchema: undefined, outputSchema: OUTPUT }],
    });
    const question = requestOf("respond:s/echo", {});
    const asked = { ...question, system: { ...question.system, result: "ok", structured: true, resultBytes: 2 } };
    expect(evaluator.evaluate({ ...asked, output: { total: 10 } })).toMatchObject({
      allowed: true,
      reason: "policy.advisory-forbid",
      advisory: ["watch"],
    });
    expect(evaluator.evaluate({ ...asked, output: { total: 9 } })).toMatchObject({ allowed: true, advisory: [] });
  });

  it("does not decide calls: a rule of the server's group is about calls alone", () => {
    const rule = '@id("calls") forbid (principal, action in Mcp::Action::"server:s", resource);';
    const evaluator = evaluatorOf(CALL + ROWS + rule, sourceOf({ echo: undefined }));
    const question = requestOf("respond:s/echo", {});
    const system = { ...question.system, result: "ok", structured: false, resultBytes: 2 };
    expect(evaluator.evaluate({ ...question, system })).toMatchObject({ allowed: true, policies: ["rows"] });
    expect(evaluator.evaluate(requestOf("s/echo", {}))).toMatchObject({ allowed: false, policies: ["calls"] });
  });
});
