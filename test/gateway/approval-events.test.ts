/** Approvals tell somebody: signed events, an end by the clock, a page that knows nothing without a token. */

import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { eventOf } from "../../gateway/approval/approval-event.ts";
import type { Approval } from "../../gateway/approval/approval-store.ts";
import { parseWebhookSecret, Webhook } from "../../gateway/approval/webhook.ts";
import type { Operator } from "../../gateway/controls/operator.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";
import { until } from "../support/command.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, type GatewayBench, OPERATOR_TOKEN, ofKind, readStream } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("approval-events");
const RULES = `
@id("all") permit (principal, action, resource);
@id("ask") @decision("require-approval") @approvers("role:risk") @ttl("10m") @reason("Deleting needs a second pair of eyes.")
forbid (principal, action == Mcp::Action::"s/wipe", resource);
`;
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);
const CANARY = "/home/canary-51f7";
const RISK: Operator = { issuer: "operator", name: "rita", evidence: "authenticated", roles: ["risk"] };

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const receivers: Server[] = [];
afterEach(() => {
  for (const server of receivers.splice(0)) server.close();
});

/** A receiver that answers with these statuses, then 204. */
async function receiver(...statuses: readonly number[]): Promise<{ url: string; deliveries: Delivery[] }> {
  const deliveries: Delivery[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const status = statuses[deliveries.length] ?? 204;
      deliveries.push({ headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
      response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end();
    });
  });
  receivers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}/hook`, deliveries };
}

function bench(config: JsonObject): GatewayBench {
  return benches.make({ policyFiles: bundleFiles(RULES), config });
}

const hooked = (url: string): JsonObject => ({
  approvals: { page_url: "https://gateway.example/ops", webhook: { url, secret_file: "unused" } },
});

async function startRun(at: GatewayBench): Promise<GatewayRun> {
  const { secrets } = at.gatewayOptions;
  const run = await openRun({ ...at.gatewayOptions, secrets: { ...secrets, webhookSecret: SECRET } });
  benches.later(run.close);
  return run;
}

const typesOf = (deliveries: readonly Delivery[]): readonly string[] =>
  deliveries.map(({ body }) => JSON.parse(body).type);

describe("the approvals' webhook", () => {
  it("is told, signed, of what waits and what became of it, with no value of the call", async () => {
    const { url, deliveries } = await receiver();
    const run = await startRun(bench(hooked(url)));
    const held = await run.pipeline.decide(callOf("wipe", { path: CANARY }));
    if (held.action !== "refuse") throw new Error("not held");
    const id = String(held.refusal.data?.["approvalId"]);
    expect(held.refusal.data?.["url"]).toBe(`https://gateway.example/ops/#${id}`);
    await run.switches.approvals.decide(id, "grant", RISK);
    expect((await run.pipeline.decide(callOf("wipe", { path: CANARY }))).action).toBe("forward");
    await until("three events", async () => deliveries.length === 3);
    expect(typesOf(deliveries)).toEqual(["approval.requested", "approval.granted", "approval.consumed"]);
    for (const { headers, body } of deliveries) {
      const [name, stamp] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
      const mac = createHmac("sha256", SECRET).update(`${name}.${stamp}.${body}`).digest("base64");
      expect(headers["webhook-signature"]).toBe(`v1,${mac}`);
      expect(body).not.toContain("canary");
    }
    expect(new Set(deliveries.map(({ headers }) => headers["webhook-id"])).size).toBe(3);
    expect(JSON.parse(deliveries[0]?.body ?? "{}").data).toMatchObject({
      id,
      server: "s",
      tool: "wipe",
      policies: ["ask"],
      approvers: ["role:risk"],
      url: `https://gateway.example/ops/#${id}`,
    });
  });

  it("is tried again under the same id, follows no redirect, and is given up in the end", async () => {
    const { url, deliveries } = await receiver(500, 302, 204);
    const lost: string[] = [];
    const world = { fetch, nowMs: () => 1_000, sleep: async () => undefined };
    const hook = new Webhook({ url, secret: SECRET, world, onLost: ({ why }) => lost.push(why) });
    hook.tell({ id: "approval_1", body: { type: "t" }, untilMs: 1e9 });
    await until("three tries", async () => deliveries.length === 3);
    expect(new Set(deliveries.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set(["approval_1"]));
    expect(lost).toEqual([]);
    const dead = new Webhook({
      url: "http://127.0.0.1:1/",
      secret: SECRET,
      world,
      onLost: ({ why }) => lost.push(why),
    });
    dead.tell({ id: "approval_2", body: {}, untilMs: 1e9 });
    await until("it is given up", async () => lost.length === 1);
    await hook.close();
    await dead.close();
  });

  it("is told again at a start of what still waits, under the same id; a URI is never in it", async () => {
    const { url, deliveries } = await receiver();
    const at = bench(hooked(url));
    const first = await startRun(at);
    await first.pipeline.decide(callOf("wipe", { path: CANARY }));
    await until("the event", async () => deliveries.length === 1);
    await first.close();
    await startRun(at);
    await until("it comes again", async () => deliveries.length === 2);
    expect(deliveries[0]?.headers["webhook-id"]).toBe(deliveries[1]?.headers["webhook-id"]);
    const approval: Approval = {
      id: "a".repeat(32),
      match: "",
      binding: "",
      principal: "",
      server: "s",
      tool: "file:///canary",
      demands: [],
      state: "requested",
      requestedMs: 1,
      expiresMs: 2,
      seq: 3,
    };
    expect(JSON.stringify(eventOf(approval, "/#", 1))).not.toContain("canary");
  });

  it("wants a secret of its own form", () => {
    expect(parseWebhookSecret(`whsec_${Buffer.from(SECRET).toString("base64")}`)).toEqual(SECRET);
    for (const line of [
      "",
      "whsec_",
      "whsec_AAAA",
      `whsec_${"A".repeat(200)}`,
      Buffer.from(SECRET).toString("base64"),
    ]) {
      expect(codeOf(() => parseWebhookSecret(line))).toBe("ERR_TOKEN_FILE");
    }
  });
});

describe("an approval's time", () => {
  it("runs out by the clock, with a receipt, though nobody looks", async () => {
    const at = bench({});
    const run = await benches.open(at);
    await run.pipeline.decide(callOf("wipe", { path: CANARY }));
    await at.world.advance(599_000);
    const expired = async () =>
      ofKind(await readStream(at.folder, run.status().stream), "operator-action").filter(
        ({ action }) => action === "approval-expired",
      );
    expect(await expired()).toEqual([]);
    await at.world.advance(3_000, 1_000);
    await until("the receipt", async () => (await expired()).length === 1);
    expect(await expired()).toMatchObject([{ by: { state: "absent" }, reason: "approval.expired" }]);
  });
});

describe("the page of approvals", () => {
  it("is served without a token and without data, under a policy that lets nothing in; nothing else is", async () => {
    const at = bench({});
    const gateway = await startGateway(at.gatewayOptions);
    benches.later(gateway.close);
    for (const path of ["/", "/page/approvals.js", "/page/approvals.css"]) {
      const answer = await fetch(`${gateway.operatorUrl}${path}`);
      const policy = answer.headers.get("content-security-policy") ?? "";
      expect([answer.status, answer.headers.get("x-frame-options")]).toEqual([200, "DENY"]);
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain("unsafe");
      const text = await answer.text();
      expect(text).not.toMatch(/<script>|<style|\son\w+=|innerHTML|localStorage|document\.cookie/u);
      expect(answer.headers.get("set-cookie")).toBeNull();
    }
    expect((await fetch(`${gateway.operatorUrl}/approvals`)).status).toBe(401);
    const cross = await fetch(`${gateway.operatorUrl}/approvals/${"a".repeat(32)}/grant`, {
      method: "POST",
      headers: { origin: "https://evil.example" },
    });
    expect(cross.status).toBe(401);
    const own = { authorization: `Bearer ${OPERATOR_TOKEN}` };
    expect((await fetch(`${gateway.operatorUrl}/approvals`, { headers: own })).status).toBe(200);
  });
});
