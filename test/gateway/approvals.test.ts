/** Approvals: a call is held until somebody entitled grants it; it lifts exactly that call, once. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { approvalsCommand } from "../../cli/commands/approvals.ts";
import { isEntitled } from "../../gateway/approval/approval-desk.ts";
import { APPROVAL_STATES, next } from "../../gateway/approval/approval-state.ts";
import type { Operator } from "../../gateway/controls/operator.ts";
import type { Decided, InboundCall } from "../../gateway/pipeline/call.ts";
import { startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { runInProcess } from "../support/command-io.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  CALLER,
  callOf,
  configOf,
  type GatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  outcomeWith,
  readStream,
  SESSION,
} from "../support/gateway-run.ts";
import { callTool } from "../support/modern-call.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("approvals");

const RULES = `
@id("all") permit (principal, action, resource);
@id("ask") @decision("require-approval") @approvers("role:risk,local-user") @ttl("10m")
forbid (principal, action == Mcp::Action::"s/wipe", resource);
@id("never") forbid (principal, action == Mcp::Action::"s/wipe", resource) when { context.input has path && context.input.path == "/" };
`;

function bench(mode: "enforcing" | "advisory" = "enforcing", policyFiles = bundleFiles(RULES)): GatewayBench {
  return benches.make({ mode, policyFiles });
}

const { open } = benches;

const RISK: Operator = { issuer: "operator", name: "rita", evidence: "authenticated", roles: ["risk"] };
const wipe = (path = "/tmp", changes: Partial<InboundCall> = {}) => callOf("wipe", { path }, changes);

function idOf(decided: Decided): string {
  if (decided.action !== "refuse") throw new Error(decided.action);
  const { data = {} } = decided.refusal;
  return String((data as JsonObject)["approvalId"]);
}

describe("a call that needs an approval", () => {
  it("is held with nothing sent; granted, the same call passes once; the receipts say who and with what evidence", async () => {
    const at = bench();
    const run = await open(at);
    const held = await run.pipeline.decide(wipe());
    expect(held).toMatchObject({
      action: "refuse",
      refusal: {
        rpcCode: -31_002,
        reason: "approval.required",
        policies: ["ask"],
        data: { url: `/#${idOf(held)}` },
      },
    });
    const id = idOf(held);
    expect(idOf(await run.pipeline.decide(wipe()))).toBe(id);
    expect(await run.switches.approvals.decide(id, "grant", RISK)).toMatchObject({ state: "granted" });
    const passed = await run.pipeline.decide(wipe());
    if (passed.action !== "forward") throw new Error("not lifted");
    await run.pipeline.finish(passed.ticket, outcomeWith("done"));
    const again = await run.pipeline.decide(wipe());
    expect(idOf(again)).not.toBe(id);
    const stream = await readStream(at.folder, run.status().stream);
    const decisions = ofKind(stream, "decision");
    expect(decisions.map(({ ruling }) => [ruling.action, ruling.judgement, ruling.step, ruling.reasons[0]])).toEqual([
      ["hold", "hold", "approval", "approval.required"],
      ["hold", "hold", "approval", "approval.required"],
      ["forward", "allow", "approval", "approval.granted"],
      ["hold", "hold", "approval", "approval.required"],
    ]);
    expect(decisions[0]).toMatchObject({
      request_sent: { state: "absent" },
      approval: { value: { id, approver: { state: "absent" } } },
    });
    expect(decisions[2]).toMatchObject({
      approval: { value: { id, evidence: "authenticated", approver: { value: { issuer: "operator" } } } },
      ruling: { obligations: [{ policy: "ask", kind: "require-approval", applied: true }] },
    });
    expect(ofKind(stream, "operator-action")).toMatchObject([
      {
        action: "approval-granted",
        target: { type: "approval", id },
        evidence: { value: "authenticated" },
        cause: { value: decisions[0]?.seq },
      },
    ]);
  });

  it("with other arguments, another principal or another tool is not the one that was granted", async () => {
    const run = await open(bench());
    const id = idOf(await run.pipeline.decide(wipe()));
    await run.switches.approvals.decide(id, "grant", RISK);
    for (const other of [wipe("/tmp2"), wipe("/tmp", { caller: { ...CALLER, name: "somebody-else" } })]) {
      expect(idOf(await run.pipeline.decide(other))).not.toBe(id);
    }
    expect((await run.pipeline.decide(wipe())).action).toBe("forward");
  });

  it("in another session than the one it is bound to is refused, and the approval is spent", async () => {
    const at = bench();
    const run = await open(at);
    const id = idOf(await run.pipeline.decide(wipe()));
    await run.switches.approvals.decide(id, "grant", RISK);
    const elsewhere = wipe("/tmp", { session: { ...SESSION, key: "another" } });
    expect(await run.pipeline.decide(elsewhere)).toMatchObject({ refusal: { reason: "approval.mismatch" } });
    expect(idOf(await run.pipeline.decide(wipe()))).not.toBe(id);
    expect(run.switches.approvals.show(id, RISK)).toMatchObject({ state: "mismatched" });
  });

  it("that another policy denies too is denied, whoever approves; advisory mode asks nobody", async () => {
    const run = await open(bench());
    expect(await run.pipeline.decide(wipe("/"))).toMatchObject({ refusal: { reason: "policy.forbid" } });
    const advisory = await open(bench("advisory"));
    expect(await advisory.pipeline.decide(wipe())).toMatchObject({ action: "forward", wouldDeny: true });
  });

  it("passes once over a restart, and not a second time", async () => {
    const at = bench();
    const first = await at.open();
    const id = idOf(await first.pipeline.decide(wipe()));
    await first.switches.approvals.decide(id, "grant", RISK);
    await first.close();
    const second = await at.open();
    expect((await second.pipeline.decide(wipe("/tmp", {}))).action).toBe("forward");
    await second.close();
    const third = await open(at);
    expect(idOf(await third.pipeline.decide(wipe()))).not.toBe(id);
  });

  it("expires, asked for or granted, with a receipt", async () => {
    const at = bench();
    const run = await open(at);
    const id = idOf(await run.pipeline.decide(wipe()));
    await at.world.advance(600_000, 60_000);
    await expect(run.switches.approvals.decide(id, "grant", RISK)).rejects.toMatchObject({
      code: "ERR_APPROVAL_STATE",
    });
    const other = idOf(await run.pipeline.decide(wipe()));
    await run.switches.approvals.decide(other, "grant", RISK);
    await at.world.advance(600_000, 60_000);
    expect(idOf(await run.pipeline.decide(wipe()))).not.toBe(other);
    const actions = ofKind(await readStream(at.folder, run.status().stream), "operator-action");
    expect(actions.map(({ action }) => action)).toEqual(["approval-expired", "approval-granted", "approval-expired"]);
    expect(actions[0]).toMatchObject({ by: { state: "absent" }, reason: "approval.expired" });
  });

  it("is decided by nobody who is not entitled, nor by who asks, nor twice", async () => {
    const run = await open(bench());
    const { approvals } = run.switches;
    const id = idOf(await run.pipeline.decide(wipe()));
    const stranger: Operator = { ...RISK, name: "sam", roles: [] };
    await expect(approvals.decide(id, "grant", stranger)).rejects.toMatchObject({ code: "ERR_APPROVER" });
    await expect(approvals.decide(id, "grant", { ...RISK, name: "example-agent" })).rejects.toMatchObject({
      code: "ERR_APPROVER",
    });
    const asAgent = { ...RISK, principals: [{ issuer: "local", name: "example-agent" }] };
    await expect(approvals.decide(id, "grant", asAgent)).rejects.toMatchObject({ code: "ERR_APPROVER" });
    expect(approvals.show(id, stranger)).not.toHaveProperty("arguments");
    expect(approvals.show(id, RISK)).toMatchObject({ arguments: { path: "/tmp" } });
    await approvals.decide(id, "refuse", RISK);
    await expect(approvals.decide(id, "grant", RISK)).rejects.toMatchObject({ code: "ERR_APPROVAL_STATE" });
    await expect(approvals.decide("ab".repeat(16), "grant", RISK)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    expect((await run.pipeline.decide(wipe())).action).toBe("refuse");
  });

  it("is decided neither by whom the caller acts for nor by who acts for it", async () => {
    const run = await open(bench());
    const facts = {
      kind: "user",
      groups: [],
      roles: [],
      scopes: [],
      actors: [{ issuer: "https://idp.example", name: "bot-7" }],
      subject: { issuer: "https://idp.example", name: "u-17" },
      binding: "connection",
    } as const;
    const id = idOf(await run.pipeline.decide(wipe("/tmp", { caller: { ...CALLER, facts } })));
    for (const name of ["u-17", "bot-7"]) {
      const self = { ...RISK, principals: [{ issuer: "https://idp.example", name }] };
      await expect(run.switches.approvals.decide(id, "grant", self)).rejects.toMatchObject({ code: "ERR_APPROVER" });
    }
    const other = { ...RISK, principals: [{ issuer: "https://idp.example", name: "u-18" }] };
    expect(await run.switches.approvals.decide(id, "grant", other)).toMatchObject({ state: "granted" });
  });

  it("stops the start if its file cannot be read; the file holds no argument", async () => {
    const at = bench();
    await writeFile(join(at.folder, "approvals.json"), "{}");
    await expect(at.open()).rejects.toMatchObject({ code: "ERR_CONTROL_FILE" });
  });
});

describe("a host that opens pages", () => {
  it("is sent to none that this process does not serve", async () => {
    const config = { approvals: { page_url: "https://approvals.example" } };
    for (const agents of ["http", "stdio"] as const) {
      const run = await open(benches.make({ policyFiles: bundleFiles(RULES), config, options: { agents } }));
      const held = await run.pipeline.decide(wipe("/tmp", { takesPage: true }));
      if (held.action !== "refuse") throw new Error(held.action);
      expect([agents, held.refusal.offer !== undefined]).toEqual([agents, agents === "http"]);
    }
  });
});

describe("over the operator's routes", () => {
  it("an operator lists, shows and grants", async () => {
    const at = bench();
    const gateway = await startGateway({
      ...at.gatewayOptions,
      secrets: { ...at.gatewayOptions.secrets, operators: [{ name: "rita", roles: ["risk"], token: "r".repeat(40) }] },
    });
    benches.later(gateway.close);
    const ask = async (method: string, path: string, token = "r".repeat(40)) => {
      const answer = await fetch(`${gateway.operatorUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
      });
      return { status: answer.status, body: (await answer.json()) as JsonObject };
    };
    const config = join(at.folder, "gateway.json");
    const token = join(at.folder, "rita.token");
    await writeFile(token, `${"r".repeat(40)}\n`);
    const port = Number(new URL(gateway.operatorUrl).port);
    await writeFile(
      config,
      JSON.stringify({ ...configOf(at.folder, benches.ledgerUrl(), at.upstreams), operator_listen: { port } }),
    );
    const command = async (...args: readonly string[]) => {
      const { exit, fault, out } = await runInProcess(approvalsCommand, [
        ...args,
        "--config",
        config,
        "--token-file",
        token,
      ]);
      return `${exit ?? fault} ${out}`;
    };
    expect(await command("list")).toBe("0 nothing\n");
    expect(await command("grant", "ab".repeat(16))).toBe("ERR_SERVICE_ANSWER ");
    expect(await command("grant")).toBe("usage ");
    const held = await callTool(gateway.url, "wipe", { path: "/tmp" });
    const { error } = (await held.json()) as { readonly error: { readonly code: number; readonly data: JsonObject } };
    expect(error.code).toBe(-31_002);
    const id = String(error.data["approvalId"]);
    expect(await command("show", id)).toMatch(/^0 [0-9a-f]{32} {2}requested {2}s\/wipe .*\n\{"path":"\/tmp"\}\n$/u);
    expect(await command("grant", id)).toMatch(/^0 [0-9a-f]{32} {2}granted/u);
    expect((await ask("GET", "/approvals")).body).toMatchObject({ approvals: [{ id, state: "granted" }] });
    expect((await ask("POST", `/approvals/${id}/refuse`)).status).toBe(409);
    expect((await ask("POST", `/approvals/${"ab".repeat(16)}/grant`, OPERATOR_TOKEN)).status).toBe(404);
    expect((await ask("GET", "/approvals", "a".repeat(40))).status).toBe(401);
  });
});

describe("the rules", () => {
  it("let an approval move along one path only", () => {
    const moves = APPROVAL_STATES.flatMap((state) =>
      (["grant", "refuse", "consume", "expire", "mismatch", "revoke"] as const).flatMap((event) => {
        const to = next(state, event);
        return to === undefined ? [] : [`${state} ${event} ${to}`];
      }),
    );
    expect(moves).toEqual([
      "requested grant granted",
      "requested refuse refused",
      "requested expire expired",
      "requested revoke refused",
      "granted consume consumed",
      "granted expire expired",
      "granted mismatch mismatched",
      "granted revoke refused",
    ]);
  });

  it("want every demand satisfied, a person by default, and the machine's account only where it is named", () => {
    const demand = (approvers: readonly string[]) => ({ policy: "p", approvers, ttlSeconds: 1 });
    const local: Operator = { issuer: "operator", name: "local", evidence: "local-user", roles: [] };
    expect(isEntitled([demand([])], RISK)).toBe(true);
    expect(isEntitled([demand([])], local)).toBe(false);
    expect(isEntitled([demand(["local-user"])], local)).toBe(true);
    expect(isEntitled([demand(["user:rita"])], RISK)).toBe(true);
    expect(isEntitled([demand(["role:risk"]), demand(["role:other"])], RISK)).toBe(false);
    expect(isEntitled([demand(["host"])], RISK)).toBe(false);
  });
});
