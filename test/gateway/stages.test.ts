/** The seam of the pipeline's stages: what a stage says is decided on, recorded and done. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { carriedOut } from "../../gateway/pipeline/judge.ts";
import type { ObligationStage, RequestStage, Stages } from "../../gateway/pipeline/stage.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, outcomeWith, readStream } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("stages");

async function start(stages: Partial<Stages>, cedar?: string, mode: "enforcing" | "advisory" = "enforcing") {
  const bench = benches.make({
    mode,
    ...(cedar === undefined ? {} : { policyFiles: bundleFiles(cedar) }),
    options: { wrapStages: (own) => ({ ...own, ...stages }) },
  });
  const run = await benches.open(bench);
  return { bench, run, receipts: async () => readStream(bench.folder, run.status().stream) };
}

const SEEN = present({ inspector: "1.0.0", findings: [], uninspected_bytes: 7 });
const TAINT = present({ before: ["phi"], after: ["phi"], sources: [] });

describe("a request stage", () => {
  const full: RequestStage = {
    name: "limits",
    begin: () => () => ({
      denials: [
        {
          step: "limits",
          reason: "limit.per-principal",
          rpcCode: -31_006,
          message: "Too many calls.",
          isFinal: true,
          data: { limit: "calls-per-minute-principal", retryAfterMs: 10 },
        },
      ],
    }),
  };

  it("refuses in every mode what it calls final, before policy, and says more in the error's data", async () => {
    const { run, receipts } = await start({ request: [full] }, undefined, "advisory");
    const decided = await run.pipeline.decide(callOf("wipe", {}));
    expect(decided).toMatchObject({
      action: "refuse",
      refusal: { rpcCode: -31_006, reason: "limit.per-principal", data: { retryAfterMs: 10 } },
    });
    expect((await receipts()).at(-1)).toMatchObject({
      ruling: { action: "refuse", step: "limits", reasons: ["limit.per-principal", "policy.forbid"] },
    });
  });

  it("adds facts that policy decides on, and members that the receipt holds", async () => {
    const look = { name: "taint", begin: () => () => ({ system: { argumentBytes: 99 }, fields: { taint: TAINT } }) };
    const cedar = `@id("big") permit (principal, action == Mcp::Action::"s/echo", resource)
      when { context.system.argumentBytes == 99 };`;
    const { run, receipts } = await start({ request: [look] }, cedar);
    expect(await run.pipeline.decide(callOf("echo", { message: "hi" }))).toMatchObject({ action: "forward" });
    expect((await receipts()).at(-1)).toMatchObject({ taint: TAINT });
  });
});

describe("an obligation", () => {
  it("changes what goes to the server, and the receipt commits to what went", async () => {
    const { run, receipts } = await start({
      obligations: [{ name: "redact", settle: (_turn, _answer, before) => ({ ...before, toSend: formatUtf8("{}") }) }],
    });
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    expect(decided).toMatchObject({ action: "forward", toSend: formatUtf8("{}") });
    const last = (await receipts()).at(-1);
    if (last?.kind !== "decision") throw new Error("no decision");
    expect(last.request_sent).not.toEqual(last.request_received);
  });
});

describe("a bundle that asks for more than allow or deny", () => {
  const cedar =
    '@id("echo") @redact("pii.*") @taint("phi") permit (principal, action == Mcp::Action::"s/echo", resource);';
  const settle: ObligationStage["settle"] = (_turn, answer, before) => {
    expect(answer).toMatchObject({ redact: ["pii.*"], taint: ["phi"] });
    return { ...before, judged: carriedOut(before.judged, "redact") };
  };

  it("is refused if no stage carries it out, and the stream stays empty", async () => {
    for (const carriesOut of [[], ["redact"]] as const) {
      const stage = { name: "redact", carriesOut, settle };
      await expect(start({ obligations: [stage] }, cedar)).rejects.toMatchObject({ code: "ERR_POLICY_BUNDLE" });
      const folder = join(benches.all.at(-1)?.folder ?? "", "streams");
      for (const stream of readdirSync(folder)) expect(await readStream(join(folder, ".."), stream)).toEqual([]);
    }
  });

  it("is decided with what it asks for, and the receipt says what was carried out", async () => {
    const stage: ObligationStage = { name: "redact", carriesOut: ["redact", "taint"], settle };
    const { run, receipts } = await start({ obligations: [stage] }, cedar);
    await run.pipeline.decide(callOf("echo", { message: "hi" }));
    expect((await receipts()).at(-1)).toMatchObject({
      ruling: {
        obligations: [
          { policy: "echo", kind: "redact", applied: true },
          { policy: "echo", kind: "taint", applied: false },
        ],
      },
    });
  });
});

describe("a response stage", () => {
  it("changes what the agent gets and what the outcome says; the next stage sees it changed", async () => {
    const seen: (Uint8Array | undefined)[] = [];
    const { run, receipts } = await start({
      response: [
        {
          name: "redact",
          end: ({ outcome }) => ({ outcome: { ...outcome, status: "redacted", returned: formatUtf8("cut") } }),
        },
        {
          name: "see",
          end: ({ outcome }) => {
            seen.push(outcome.returned);
            return { outcome, look: () => ({ inspection: SEEN }) };
          },
        },
      ],
    });
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (decided.action !== "forward") throw new Error("refused");
    const kept = await run.pipeline.finish(decided.ticket, outcomeWith("whole"));
    expect(kept.returned).toEqual(formatUtf8("cut"));
    expect(seen).toEqual([formatUtf8("cut")]);
    expect((await receipts()).at(-1)).toMatchObject({ outcome: { status: "redacted" }, inspection: SEEN });
  });

  it("that fails withholds the answer, and the receipt says that it was blocked", async () => {
    const failing = {
      name: "broken",
      end: () => {
        throw new Error("broken");
      },
    };
    const { run, receipts } = await start({ response: [failing] });
    const decided = await run.pipeline.decide(callOf("echo", { message: "hi" }));
    if (decided.action !== "forward") throw new Error("refused");
    await expect(run.pipeline.finish(decided.ticket, outcomeWith("whole"))).rejects.toThrow("broken");
    expect((await receipts()).at(-1)).toMatchObject({
      outcome: { status: "blocked", effect: "done" },
      response_returned: { state: "absent" },
    });
  });
});
