/** T7: headers that disagree with the body, reused ids, what leaves a receipt, and tasks, whose handles are state. */

import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { openListen } from "../support/mcp-listen.ts";
import { postModern } from "../support/modern-call.ts";
import { sendRaw, statusesOf } from "../support/raw-http.ts";
import type { AnswerTask } from "./hostile-server.ts";
import { type Answer, type CallOptions, PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const start = async (): Promise<Scenario> =>
  open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }, { name: "wipe" }] } } }));

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "scenario", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Posts a call of `find` with these headers and this JSON-RPC id. */
function post({ url }: Scenario, headers: Record<string, string>, id: number | string = 1): Promise<Response> {
  const params = { name: "find", arguments: {}, _meta: META };
  return postModern(url, { method: "tools/call", name: "find", params, id, headers });
}

/** Posts a body as a legacy agent does. */
async function send({ url }: Scenario, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${AGENT_TOKEN}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body: JSON.stringify(body),
  });
}

describe("T7 session and transport", () => {
  it.each([
    ["mcp-name", "wipe"],
    ["mcp-method", "tools/list"],
    ["mcp-protocol-version", "2025-11-25"],
  ])(
    "a header %s that says something else than the body is refused before policy: U is 0, with a receipt",
    async (name, value) => {
      const scenario = await start();
      const answer = await post(scenario, { [name]: value });
      expect(answer.status).toBe(400);
      expect(scenario.server("crm").count()).toBe(0);
      const [decision] = await scenario.decisions();
      expect(decision?.ruling).toMatchObject({ action: "refuse", reasons: ["http.header-mismatch"] });
    },
  );

  it.each<readonly [string, string, string]>([
    ["a legacy call", "mcp-name", "find"],
    ["a legacy call", "mcp-name", "=?base64?!?="],
    ["a legacy call", "mcp-method", "tools/list"],
    ["a batch of them", "mcp-name", "find"],
    ["a handshake", "mcp-method", "tools/list"],
    ["a notification", "mcp-method", "tools/call"],
  ])(
    "of %s, too, a header %s that says %s is refused: whoever goes by it on the way saw another call; U is 0",
    async (of, name, value) => {
      const scenario = await start();
      const hello = {
        protocolVersion: "2025-03-26",
        clientInfo: META["io.modelcontextprotocol/clientInfo"],
        capabilities: {},
      };
      const handshake = { jsonrpc: "2.0", id: 0, method: "initialize", params: hello };
      const session = (await send(scenario, handshake)).headers.get("mcp-session-id") ?? "";
      const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "wipe", arguments: {} } };
      const notification = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } };
      const bodies: Readonly<Record<string, object>> = {
        "a legacy call": call,
        "a batch of them": [call, { ...call, id: 2 }],
        "a handshake": handshake,
        "a notification": notification,
      };
      const body = bodies[of] ?? [];
      const answer = await send(scenario, body, { "mcp-session-id": session, [name]: value });
      expect([answer.status, scenario.server("crm").count()]).toEqual([Array.isArray(body) ? 200 : 400, 0]);
      const rulings = (await scenario.decisions()).map(({ ruling }) => [ruling.action, ruling.step, ...ruling.reasons]);
      const reason = value.startsWith("=?") ? "http.header" : "http.header-mismatch";
      expect(new Set(rulings.map(String))).toEqual(new Set([`refuse,classify,${reason}`]));
      // One that says the same as the body is taken.
      await send(scenario, call, { "mcp-session-id": session, "mcp-method": "tools/call", "mcp-name": "wipe" });
      expect(scenario.server("crm").count()).toBe(1);
    },
  );

  it("a body that is said to be compressed is refused, whatever its bytes are: whoever inflates it on the way saw another", async () => {
    const scenario = await start();
    expect((await post(scenario, { "content-encoding": "gzip" })).status).toBe(415);
    expect((await post(scenario, { "content-encoding": "identity, br" })).status).toBe(415);
    expect(scenario.server("crm").count()).toBe(0);
    expect((await post(scenario, { "content-encoding": "Identity" })).status).toBe(200);
    const reasons = (await scenario.decisions()).map(({ ruling }) => ruling.reasons[0]);
    expect(reasons).toEqual(["http.content-type", "http.content-type", "policy.permit"]);
  });

  it.each([
    ["mcp_name: find", "http.header"],
    ["Mcp_Name: wipe", "http.header"],
    ["mcp_session-id: x", "http.header"],
    ["content_type: text/plain", "http.header"],
    ["transfer-encoding: gzip, chunked", "http.header"],
  ])(
    "a header that others on the way read as another one, or inflate by, is refused: %s; U is 0",
    async (line, reason) => {
      const scenario = await start();
      const body = JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "wipe", arguments: {}, _meta: META },
      });
      const length = line.startsWith("transfer") ? "" : `content-length: ${body.length}\r\n`;
      const sent = length === "" ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      const ask = async (more: string): Promise<readonly number[]> => {
        const head = [
          "POST /mcp HTTP/1.1",
          `host: ${new URL(scenario.url).host}`,
          `authorization: Bearer ${AGENT_TOKEN}`,
          "content-type: application/json",
          "accept: application/json, text/event-stream",
          "mcp-protocol-version: 2026-07-28",
          "mcp-method: tools/call",
          "mcp-name: wipe",
          "x_request_id: 7",
          "connection: close",
          more,
        ];
        return statusesOf(await sendRaw(scenario.url, `${head.join("\r\n")}\r\n${length}\r\n${sent}`));
      };
      expect(await ask(line)).toEqual([400]);
      expect(scenario.server("crm").count()).toBe(0);
      expect((await scenario.decisions()).map(({ ruling }) => [ruling.action, ...ruling.reasons])).toEqual([
        ["refuse", reason],
      ]);
      expect(await ask(length === "" ? "transfer-encoding: Chunked" : "x-more: 1")).toEqual([200]);
    },
  );

  it("an argument that a legacy call repeats in a header is the one of its body, where it is there: U is 0, then 1", async () => {
    const mirrored = { type: "object", properties: { tenant: { type: "string", "x-mcp-header": "Tenant" } } };
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find", inputSchema: mirrored }] } } }),
    );
    const hello = {
      protocolVersion: "2025-11-25",
      clientInfo: META["io.modelcontextprotocol/clientInfo"],
      capabilities: {},
    };
    const opened = await send(scenario, { jsonrpc: "2.0", id: 0, method: "initialize", params: hello });
    const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
    const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "find", arguments: { tenant: "a" } } };
    const answer = await send(scenario, call, { ...session, "mcp-param-tenant": "b" });
    expect(await answer.json()).toMatchObject({ error: { data: { reason: "http.header-mismatch" } } });
    expect(scenario.server("crm").count()).toBe(0);
    await send(scenario, call, { ...session, "mcp-param-tenant": "a" });
    await send(scenario, call, session);
    expect(scenario.server("crm").count()).toBe(2);
  });

  it('a JSON-RPC id that is used again is another call with receipts of its own, and 1 is not "1"', async () => {
    const scenario = await start();
    for (const id of [1, 1, "1", "1"]) expect((await post(scenario, {}, id)).status).toBe(200);
    expect(scenario.server("crm").count()).toBe(4);
    const [decisions, outcomes] = [await scenario.decisions(), await scenario.outcomes()];
    expect([decisions.length, outcomes.length]).toEqual([4, 4]);
    expect(new Set(decisions.map(({ call }) => call.id)).size).toBe(4);
  });

  it("a Host and an Origin of somebody else are refused", async () => {
    const scenario = await start();
    expect((await post(scenario, { origin: "https://evil.example" })).status).toBe(403);
    expect(scenario.server("crm").count()).toBe(0);
  });
});

const TIME = "2026-11-25T10:30:00Z";
const TASK_META = {
  "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } },
};
const CONVERSATION = { "vscode.conversationId": "one" };
const NOTHING = { state: "absent" } as const;
const CARD = "4111 1111 1111 1111";
/** Calls and tasks are permitted; card numbers leave results, and totals above one keep them back. */
const RULES = `
@id("all") permit (principal, action in [Mcp::Action::"call_tool", Mcp::Action::"task"], resource);
@id("results") @redact("pii.card") @taint("paid") permit (principal, action in Mcp::Action::"respond", resource);
@id("few") @reason("Too many.")
forbid (principal, action == Mcp::Action::"respond:crm/report", resource)
when { context.output has total && context.output.total > 1 };
`;
const SCHEMA = { type: "object", properties: { total: { type: "integer" }, note: { type: "string" } } };

function stated(status: string, more: JsonObject = {}): JsonObject {
  return {
    resultType: "complete",
    taskId: "t-1",
    status,
    createdAt: TIME,
    lastUpdatedAt: TIME,
    ttlMs: 60_000,
    ...more,
  };
}

function done(total: number): JsonObject {
  const value = { total, note: `paid with ${CARD}` };
  return stated("completed", {
    result: { content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: value },
  });
}

async function startTasks(tasks: AnswerTask, config: JsonObject = {}, nowMs?: () => number): Promise<Scenario> {
  const answer = (): JsonObject => ({ ...stated("working"), resultType: "task" });
  const tools = [{ name: "report", outputSchema: SCHEMA, answer }];
  return open(
    startScenario({
      rules: RULES,
      servers: { crm: { tools, tasks } },
      config,
      ...(nowMs === undefined ? {} : { nowMs }),
    }),
  );
}

async function make(scenario: Scenario, options: CallOptions = {}): Promise<string> {
  const { result } = await scenario.call("report", {}, { meta: TASK_META, ...options });
  return String(result?.["taskId"]);
}

function get(scenario: Scenario, taskId: string, options: CallOptions = {}): Promise<Answer> {
  return scenario.request("tasks/get", { taskId }, { meta: TASK_META, ...options });
}

describe("T7 tasks", () => {
  it("a result that comes as a task is redacted, labelled and recorded as the call's own, and the stream verifies", async () => {
    let answer = stated("working");
    const scenario = await startTasks(() => answer);
    const id = await make(scenario);
    expect(id).not.toBe("t-1");
    expect((await get(scenario, id)).result).toMatchObject({ taskId: id, status: "working" });
    answer = done(1);
    const [first, again] = [await get(scenario, id), await get(scenario, id)];
    expect(first.text).not.toContain(CARD);
    expect(first.result).toMatchObject({ result: { structuredContent: { note: "paid with [redacted:pii.card]" } } });
    expect(again.result).toEqual(first.result);
    const [call, ...polls] = await scenario.decisions();
    const outcomes = await scenario.outcomes();
    const own = outcomes.filter(({ call: ties }) => ties.decision_seq === call?.seq);
    expect(own.map(({ outcome }) => [outcome.status, outcome.effect])).toEqual([
      ["task_created", "unknown"],
      ["task_completed", "done"],
    ]);
    expect(observedValue(own[1]?.call.resolves ?? { state: "absent" })).toBe(own[0]?.seq);
    expect(own[1]?.respond).toMatchObject({ value: { policies: ["results"], action: "forward" } });
    expect(own[1]?.redactions.state).toBe("present");
    expect(polls.map(({ call: ties }) => [ties.round, observedValue(ties.first_round)])).toEqual(
      polls.map(() => [1, call?.seq]),
    );
    expect(polls.map(({ wire }) => [observedValue(wire.mcp_method), observedValue(wire.mcp_name)?.form])).toEqual(
      polls.map(() => ["tasks/get", "commitment"]),
    );
    expect(outcomes.at(-1)?.taint).toMatchObject({ value: { after: expect.arrayContaining(["paid"]) } });
    const { words, exit } = await scenario.evidence();
    expect(words["call.outcome"]).toBeUndefined();
    expect(words["session.sealed"]).toBeUndefined();
    expect([exit, Object.values(words).includes("fail")]).toEqual([expect.any(Number), false]);
  });

  it("a result that a server tells unasked is redacted, labelled and recorded as one that was asked for", async () => {
    const scenario = await startTasks(() => done(1));
    const id = await make(scenario);
    const stream = await openListen(scenario.url, { taskIds: [id] }, { token: AGENT_TOKEN, meta: CONVERSATION });
    await expect.poll(() => stream.heard.length).toBe(2);
    expect(stream.heard[1]).toMatchObject({
      method: "notifications/tasks",
      params: { taskId: id, result: { structuredContent: { note: "paid with [redacted:pii.card]" } } },
    });
    expect(JSON.stringify(stream.heard)).not.toContain(CARD);
    stream.close();
    await expect.poll(async () => (await scenario.outcomes()).length).toBe(3);
    const [call, listened] = await scenario.decisions();
    expect([observedValue(listened?.wire.mcp_name ?? NOTHING)?.form, listened?.call.round]).toEqual(["commitment", 1]);
    const ended = (await scenario.outcomes()).filter(({ call: ties }) => ties.decision_seq === call?.seq);
    expect(ended.map(({ outcome }) => outcome.status)).toEqual(["task_created", "task_completed"]);
    expect(ended[1]?.respond).toMatchObject({ value: { policies: ["results"], action: "forward" } });
    expect(ended[1]?.taint).toMatchObject({ value: { after: expect.arrayContaining(["paid"]) } });
    const { words } = await scenario.evidence();
    expect([words["call.outcome"], Object.values(words).includes("fail")]).toEqual([undefined, false]);
  });

  it("outlasts a restart: its result goes through the rules of its call, which has its second outcome then, and no other", async () => {
    let answer = stated("working");
    const scenario = await startTasks(() => answer);
    const id = await make(scenario);
    expect((await get(scenario, id)).result).toMatchObject({ status: "working" });
    await scenario.restart();
    expect((await scenario.outcomes()).map(({ outcome }) => outcome.status)).toEqual(["task_created", "ok"]);
    expect((await get(scenario, id, { conversation: "two" })).error?.data).toMatchObject({ reason: "task.unknown" });
    expect((await get(scenario, id)).result).toMatchObject({ taskId: id, status: "working" });
    await scenario.restart();
    answer = done(1);
    const [first, again] = [await get(scenario, id), await get(scenario, id)];
    expect(first.text).not.toContain(CARD);
    expect(first.result).toMatchObject({ result: { structuredContent: { note: "paid with [redacted:pii.card]" } } });
    expect(again.result).toEqual(first.result);
    const [call] = await scenario.decisions();
    const own = (await scenario.outcomes()).filter(({ call: ties }) => ties.decision_seq === call?.seq);
    expect(own.map(({ outcome }) => [outcome.status, outcome.effect])).toEqual([
      ["task_created", "unknown"],
      ["task_completed", "done"],
    ]);
    expect(own[1]?.respond).toMatchObject({ value: { policies: ["results"], action: "forward" } });
    // The session of the call was sealed with its run; the one that asks has the label.
    expect((await scenario.outcomes()).at(-1)?.taint).toMatchObject({
      value: { after: expect.arrayContaining(["paid"]) },
    });
    await scenario.restart();
    expect((await get(scenario, id)).error?.data).toMatchObject({ reason: "task.gone" });
    const { words } = await scenario.evidence();
    expect([words["call.outcome"], Object.values(words).includes("fail")]).toEqual([undefined, false]);
  });

  it("that nobody asks about behind a restart ends as unknown when its time is over", async () => {
    let later = 0;
    const scenario = await startTasks(
      () => done(1),
      {},
      () => Date.now() + later,
    );
    const id = await make(scenario);
    await scenario.restart();
    later = 10 * 60_000;
    expect((await get(scenario, id)).error?.data).toMatchObject({ reason: "task.gone" });
    await expect
      .poll(async () => (await scenario.outcomes()).map(({ outcome }) => outcome.status))
      .toEqual(["task_created", "unknown"]);
    await scenario.restart();
    expect(await scenario.outcomes()).toHaveLength(2);
  });

  it("a result that policy denies is withheld behind a restart, too", async () => {
    const scenario = await startTasks(() => done(2));
    const id = await make(scenario);
    await scenario.restart();
    expect((await get(scenario, id)).text).toContain("Too many.");
    const outcomes = await scenario.outcomes();
    expect(outcomes.map(({ outcome }) => outcome.status)).toEqual(["task_created", "blocked", "blocked"]);
  });

  it("a subject in quarantine hears nothing of its task, and is not told why", async () => {
    const scenario = await startTasks(() => done(1), { quarantine: {} });
    const id = await make(scenario);
    await scenario.operate("PUT", "/quarantine", { target: "principal:local|example-agent" });
    const stream = await openListen(scenario.url, { taskIds: [id] }, { token: AGENT_TOKEN, meta: CONVERSATION });
    expect(stream.heard).toMatchObject([{ params: { notifications: { taskIds: [id] } } }]);
    stream.close();
    await expect.poll(async () => (await scenario.outcomes()).at(-1)?.outcome.status).toBe("phantom");
    expect(stream.heard).toHaveLength(1);
    expect(scenario.server("crm").count()).toBe(1);
  });

  it("a result that policy denies is withheld however often it is asked for", async () => {
    const scenario = await startTasks(() => done(2));
    const id = await make(scenario);
    for (let poll = 0; poll < 2; poll += 1) {
      const { result, text } = await get(scenario, id);
      expect(result).toMatchObject({ status: "completed", result: { isError: true } });
      expect(text).toContain("Too many.");
      expect(text).not.toContain("paid with");
    }
    const outcomes = await scenario.outcomes();
    expect(outcomes.map(({ outcome }) => outcome.status)).toEqual(["task_created", "blocked", "blocked", "blocked"]);
  });

  it("a handle is of no use in another session or under another name, and each attempt has a receipt", async () => {
    const scenario = await startTasks(() => stated("working"));
    const id = await make(scenario);
    const before = scenario.server("crm").bytes();
    const answers = [
      await get(scenario, id, { conversation: "two" }),
      await get(scenario, "t-1"),
      await get(scenario, "x"),
    ];
    for (const { error } of answers) {
      expect(error).toMatchObject({ code: -32602, message: "there is no such task", data: { reason: "task.unknown" } });
    }
    expect(scenario.server("crm").bytes()).toBe(before);
    const refused = (await scenario.decisions()).filter(({ ruling }) => ruling.action === "refuse");
    expect(refused.map(({ ruling }) => ruling.reasons[0])).toEqual(["task.foreign", "task.unknown", "task.unknown"]);
  });

  it("a revoked principal gets no result of a task that it made before, and a stopped tool's task gives none", async () => {
    const scenario = await startTasks(() => done(1));
    const id = await make(scenario);
    for (const target of ["principal:local|example-agent", "tool:crm/report", "server:crm", "all"]) {
      const body = { target };
      expect((await scenario.operate("PUT", "/kill-switch", body)).status).toBe(200);
      const before = scenario.server("crm").bytes();
      expect((await get(scenario, id)).error?.data).toMatchObject({ reason: "kill-switch.active" });
      expect(scenario.server("crm").bytes()).toBe(before);
      await scenario.operate("DELETE", "/kill-switch", body);
    }
    expect((await get(scenario, id)).result).toMatchObject({ status: "completed" });
  });

  it("a subject in quarantine is told of its task as before, and nothing of it is asked of the server", async () => {
    let later = 0;
    const scenario = await startTasks(
      () => stated("working"),
      { quarantine: {} },
      () => Date.now() + later,
    );
    const id = await make(scenario);
    await scenario.operate("PUT", "/quarantine", { target: "principal:local|example-agent" });
    const before = scenario.server("crm").bytes();
    expect((await get(scenario, id)).result).toMatchObject({
      resultType: "complete",
      taskId: id,
      status: "working",
      ttlMs: 60_000,
    });
    later = 10_000;
    const ended = await get(scenario, id);
    expect(ended.result).toMatchObject({ status: "completed", result: { structuredContent: {} } });
    expect(ended.text).not.toMatch(/phantom|quarantine/iu);
    expect((await scenario.request("tasks/cancel", { taskId: id }, { meta: TASK_META })).result).toEqual({
      resultType: "complete",
    });
    expect(scenario.server("crm").bytes()).toBe(before);
    const outcomes = await scenario.outcomes();
    expect(new Set(outcomes.slice(1).map(({ outcome }) => outcome.status))).toEqual(new Set(["phantom"]));
    const { words } = await scenario.evidence();
    expect(words["call.outcome"]).toBe("call.effect-unknown");
  });

  it("a task that is open when its gateway stops is open in the receipts, and nobody is told more of it than that", async () => {
    const scenario = await startTasks(() => stated("working"));
    await make(scenario);
    const { words, result } = await scenario.evidence();
    expect(words["call.outcome"]).toBe("call.effect-unknown");
    const found = result.obligations.find(({ id }) => id === "call.outcome");
    expect(JSON.stringify(found)).toContain("status task_created");
  });
});
