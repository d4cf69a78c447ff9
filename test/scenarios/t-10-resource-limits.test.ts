/** T10: the call beyond the limit, also one that is sealed and was loosened in the configuration, and a flood of denials. */

import { describe, expect, it } from "vitest";
import type { CallLimitsConfig } from "../../gateway/limits/call-limits.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { codeFrom } from "../support/code-of.ts";
import { ofKind } from "../support/gateway-run.ts";
import { ALL_LIMITS } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { type Answer, PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { boundBy, sealBoth, sealedBody } from "./sealed.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();

describe.each(["enforcing", "advisory"] as const)("T10 limits, %s", (mode) => {
  it("call N + 1 is refused with limit and counter named: U is N", async () => {
    const limits = { calls_per_minute: { principal: 3 } };
    const scenario = await open(
      startScenario({ mode, rules: PERMIT_ALL, config: { limits }, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    for (let i = 0; i < 3; i += 1) await scenario.call("find");
    const refused = await scenario.call("find");
    expect(refused.error).toMatchObject({
      code: -31_006,
      data: { limit: "calls-per-minute-principal", budget: 3, reason: "limit.per-principal" },
    });
    expect(refused.error?.data?.["retryAfterMs"]).toBeGreaterThan(0);
    expect(scenario.server("crm").count()).toBe(3);
    const last = (await scenario.decisions()).at(-1);
    expect(last && observedValue(last.accounting)).toMatchObject({ charge: "refused", budget: 3, remaining: 0 });
  });
});

describe("T10 sealed limits", () => {
  const files = bundleFiles(PERMIT_ALL);
  const tools = [{ tool: "crm/find", limit: 2 }];
  const limits = { ...ALL_LIMITS, calls_per_minute: { principal: 600, session: 300, tools } };

  /** A gateway whose artifact seals two calls of the tool a minute; `said` is what its configuration says at the start. */
  async function start(said: JsonObject, measured: () => CallLimitsConfig): Promise<Scenario> {
    return open(
      startScenario({
        rules: PERMIT_ALL,
        pinned: ["crm"],
        servers: { crm: { tools: [{ name: "find" }] } },
        bench: (servers, catalog) => {
          const { options, config, ...bound } = boundBy(
            sealBoth(sealedBody(servers, catalog, files, { v: 2, limits })),
            files,
          );
          const measurements = { limits: measured };
          return { ...bound, config: { ...config, ...said }, options: { ...options, measurements } };
        },
      }),
    );
  }

  it("hold for a configuration that says nothing; loosened under a running gateway they are found on the cycle: U is 2", async () => {
    let onDisk: CallLimitsConfig = {};
    const scenario = await start({}, () => onDisk);
    for (let i = 0; i < 2; i += 1) await scenario.call("find");
    expect((await scenario.call("find")).error).toMatchObject({ data: { limit: "calls-per-minute-tool", budget: 2 } });
    onDisk = { calls_per_minute: { tools: { "crm/find": 2_000 } } };
    const halted = async (): Promise<number> =>
      ofKind(await scenario.receipts(), "operator-action").filter(({ action }) => action === "safe-state-on").length;
    await expect.poll(halted, { timeout: 30_000 }).toBe(1);
    await scenario.call("find");
    expect((await scenario.decisions()).at(-1)?.ruling.reasons).toEqual(["measurement.mismatch"]);
    expect(scenario.server("crm").count()).toBe(2);
  });

  it("refuse the start of a configuration that loosens one: U is 0", async () => {
    const loose = { calls_per_minute: { tools: { "crm/find": 2_000 } } };
    expect(await codeFrom(start({ limits: loose }, () => loose))).toBe("ERR_ARTIFACT_MISMATCH");
  });
});

describe("T10 floods", () => {
  it("300 denials are counted exactly, in receipts of their own and in counts, with no number missing", async () => {
    const limits = { calls_per_minute: { principal: 10_000, session: 10_000 } };
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, config: { limits }, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    await Promise.all(Array.from({ length: 300 }, () => scenario.request("tools/unknown", {})));
    const receipts = await scenario.finish();
    const single = receipts.filter(({ kind }) => kind === "decision").length;
    const counted = receipts.flatMap((receipt) => (receipt.kind === "refusals" ? [receipt.count] : []));
    expect(single + counted.reduce((sum, count) => sum + count, 0)).toBe(300);
    expect(receipts.map(({ seq }) => seq)).toEqual(receipts.map((_, i) => i));
  });

  it("what is denied behind the first 64 of a window is counted in one receipt, whose number is that of the denials", async () => {
    const jobs: (readonly [everyMs: number, run: () => void])[] = [];
    // No window ends by itself: how many denials fall into one does not depend on the machine.
    const schedule = (everyMs: number, run: () => void): (() => void) => {
      jobs.push([everyMs, run]);
      return () => undefined;
    };
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, schedule, servers: { crm: { tools: [{ name: "find" }] } } }),
    );
    const deny = (): Promise<Answer> => scenario.request("tools/unknown", {});
    await Promise.all(Array.from({ length: 64 }, deny));
    let waiting = 0;
    const counted = Array.from({ length: 100 }, () => deny().finally(() => (waiting -= 1)));
    waiting = counted.length;
    // Calls that came later are answered, one after the other: all of them are there.
    for (let i = 0; i < 4; i += 1) await scenario.call("find");
    expect(waiting).toBe(100);
    for (const [everyMs, run] of jobs) if (everyMs === 250) run();
    const answers = await Promise.all(counted);
    expect(answers.every(({ error }) => error?.code === -32_601)).toBe(true);
    const receipts = await scenario.receipts();
    expect(receipts.flatMap((receipt) => (receipt.kind === "refusals" ? [receipt.count] : []))).toEqual([100]);
    expect(
      receipts.filter((receipt) => receipt.kind === "decision" && receipt.ruling.action === "refuse"),
    ).toHaveLength(64);
  });

  it("200 calls at once: none is lost, none is refused for contention", async () => {
    const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }));
    const answers = await Promise.all(Array.from({ length: 200 }, () => scenario.call("find")));
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(scenario.server("crm").count()).toBe(200);
    expect((await scenario.outcomes()).length).toBe(200);
  });
});
