/** The kill switch: what it stops, from when to when, and what is left of it in receipts and on disk. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { killSwitchCommand } from "../../cli/commands/kill-switch.ts";
import { startGateway } from "../../gateway/start.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { runInProcess } from "../support/command-io.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  CALLER,
  callOf,
  configOf,
  type GatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";

const benches = gatewayBenches("kill");

function bench(mode: "enforcing" | "advisory" | "silent" = "enforcing"): GatewayBench {
  return benches.make({ mode });
}

const { open } = benches;

const OPERATOR = { issuer: "operator", name: "local", evidence: "local-user", roles: [] } as const;
const echo = (changes = {}) => callOf("echo", { message: "x" }, changes);
const other = { caller: { ...CALLER, name: "somebody-else" } };

describe("a kill switch", () => {
  it.each(["enforcing", "advisory", "silent"] as const)(
    "refuses the next call in %s mode, until it is off",
    async (mode) => {
      const run = await open(bench(mode));
      expect(await runCall(run, echo())).toBe("forward");
      await run.switches.killSwitch.on("all", OPERATOR, "operator.incident");
      const refused = await run.pipeline.decide(echo());
      expect(refused).toMatchObject({ action: "refuse", refusal: { rpcCode: -31_003, reason: "kill-switch.active" } });
      await run.switches.killSwitch.off("all", OPERATOR, "operator.request");
      expect(await runCall(run, echo())).toBe("forward");
    },
  );

  it("stops a principal, a session, a server or a tool, and nothing beside it", async () => {
    const run = await open(bench());
    const { killSwitch, parseTarget } = run.switches;
    await runCall(run, echo());
    const [session] = ofKind(await readStream(benches.all[0]?.folder ?? "", run.status().stream), "session-open");
    const cases = [
      ["principal:local|example-agent", echo(other)],
      [`session:${session?.session.id}`, echo({ session: { ...SESSION, key: "another" } })],
      ["tool:s/wipe", echo()],
      ["server:other", echo()],
    ] as const;
    for (const [text, beside] of cases) {
      const target = parseTarget(text);
      await killSwitch.on(target, OPERATOR, "operator.incident");
      const stopped = await run.pipeline.decide(text === "tool:s/wipe" ? callOf("wipe", {}) : echo());
      expect(stopped).toMatchObject(
        text === "server:other" ? { action: "forward" } : { refusal: { reason: "kill-switch.active" } },
      );
      expect((await run.pipeline.decide(beside)).action, text).toBe("forward");
      await killSwitch.off(target, OPERATOR, "operator.request");
    }
  });

  it("survives a restart, and its file holds no name", async () => {
    const at = bench();
    const first = await at.open();
    await first.switches.killSwitch.on(
      first.switches.parseTarget("principal:local|example-agent"),
      OPERATOR,
      "operator.incident",
    );
    await first.close();
    const second = await open(at);
    expect(await second.pipeline.decide(echo())).toMatchObject({ refusal: { reason: "kill-switch.active" } });
    expect(JSON.stringify(second.switches.killSwitch.entries())).not.toContain("example-agent");
  });

  it.each([
    "",
    "{}",
    '{"v":1,"entries":[{}]}',
    '{"v":1,"entries":[{"target":"everything","since":"2026-01-01T00:00:00.000Z","reason":"operator.request","by":null}]}',
  ])("whose file cannot be read stops the start: %j", async (content) => {
    const at = bench();
    await writeFile(join(at.folder, "kill-switch.json"), content);
    await expect(at.open()).rejects.toMatchObject({ code: "ERR_CONTROL_FILE" });
  });

  it("leaves receipts of on and off with who and why; each refusal is a decision", async () => {
    const run = await open(bench());
    const { killSwitch } = run.switches;
    await killSwitch.on("tool:s/echo", OPERATOR, "operator.incident");
    await killSwitch.on("tool:s/echo", OPERATOR, "operator.incident");
    await run.pipeline.decide(echo());
    await killSwitch.off("tool:s/echo", OPERATOR, "operator.request");
    await expect(killSwitch.off("tool:s/echo", OPERATOR, "operator.request")).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    const stream = await readStream(benches.all[0]?.folder ?? "", run.status().stream);
    const target = { type: "tool", server: "s", name: { form: "name", name: "echo" } };
    expect(ofKind(stream, "operator-action")).toMatchObject([
      { action: "kill-switch-on", target, reason: "operator.incident", evidence: { value: "local-user" } },
      { action: "kill-switch-off", target, reason: "operator.request", by: { value: { issuer: "operator" } } },
    ]);
    const [refused] = ofKind(stream, "decision");
    expect(refused?.ruling).toMatchObject({ action: "refuse", step: "quarantine", reasons: ["kill-switch.active"] });
    expect(observedValue(refused?.principal ?? { state: "absent" })).toBeDefined();
  });

  it("stops a flood in few receipts, counted exactly", async () => {
    const at = bench();
    const run = await open(at);
    await run.switches.killSwitch.on("all", OPERATOR, "operator.incident");
    const flood = Promise.all(Array.from({ length: 200 }, () => run.pipeline.decide(echo())));
    let isThere = false;
    void flood.finally(() => {
      isThere = true;
    });
    while (!isThere) await at.world.advance(250, 250);
    const stream = await readStream(at.folder, run.status().stream);
    const counted = ofKind(stream, "refusals").reduce((sum, { count }) => sum + count, 0);
    expect(counted + ofKind(stream, "decision").length).toBe(200);
    expect(counted).toBeGreaterThan(100);
  });
});

describe("countersign kill-switch", () => {
  it("switches, lists and refuses what is no target, over the operator's routes", async () => {
    const at = bench();
    const gateway = await startGateway(at.gatewayOptions);
    benches.later(gateway.close);
    const token = join(at.folder, "operator.token");
    await writeFile(token, `${OPERATOR_TOKEN}\n`);
    const config = join(at.folder, "gateway.json");
    const port = Number(new URL(gateway.operatorUrl).port);
    await writeFile(
      config,
      JSON.stringify({
        ...configOf(at.folder, benches.ledgerUrl(), at.upstreams),
        operator_listen: { port },
        operator_token_file: token,
      }),
    );
    const command = async (...args: readonly string[]) => {
      const { exit, fault, out } = await runInProcess(killSwitchCommand, [...args, "--config", config]);
      return `${exit ?? fault} ${out}`;
    };
    expect(await command("list")).toBe("0 nothing\n");
    expect(await command("on", "tool:s/echo", "--reason", "incident")).toBe("0 on: tool:s/echo\n");
    expect(await command("list")).toMatch(/^0 tool:s\/echo {2}since .* operator\.incident/u);
    expect(await command("off", "tool:s/echo")).toBe("0 off: tool:s/echo\n");
    expect(await command("on", "echo")).toBe("ERR_SERVICE_ANSWER ");
    expect(await command("off", "all")).toBe("ERR_SERVICE_ANSWER ");
    expect(await command("on")).toBe("usage ");
    expect(await command("on", "all", "--reason", "whim")).toBe("usage ");
  });
});
