/** The page of an approval, as hosts are asked to open it: who is asked, what a state is good for, and what waits. */

import { Client, ProtocolError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { describe, expect, it } from "vitest";
import type { World } from "../../gateway/options.ts";
import { pause } from "../../gateway/upstream/pause.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { type Answer, type CallOptions, type Scenario, startScenario } from "../scenarios/rig.ts";
import { withScenarios } from "../scenarios/with-scenarios.ts";
import { SUBMIT_TOKEN } from "../support/fake-ledger.ts";
import { AGENT_TOKEN, OPERATOR_TOKEN } from "../support/gateway-run.ts";

const PAGE = "https://approvals.example";
const BOB = "b".repeat(40);
const RULES = `
@id("all") permit (principal, action, resource);
@id("ask") @decision("require-approval") @approvers("local-user") @ttl("10m")
forbid (principal, action == Mcp::Action::"s/wipe", resource);
`;
const URL_MODE: JsonObject = { elicitation: { url: {} } };
const QUESTION = "countersign-approval";
const ACCEPTED: JsonObject = { [QUESTION]: { action: "accept" } };

const open = withScenarios();

interface Given {
  readonly pageUrl?: string;
  readonly nowMs?: () => number;
  readonly sleep?: World["sleep"];
  readonly answer?: (argument: JsonObject) => JsonObject;
}

function start({ pageUrl = PAGE, nowMs, sleep, answer }: Given = {}): Promise<Scenario> {
  const secrets = {
    submitToken: SUBMIT_TOKEN,
    operatorToken: OPERATOR_TOKEN,
    agentTokens: [
      { principal: "example-agent", token: AGENT_TOKEN },
      { principal: "bob", token: BOB },
    ],
    bearerTokens: new Map<string, string>(),
  };
  return open(
    startScenario({
      rules: RULES,
      config: { approvals: { page_url: pageUrl } },
      servers: { s: { tools: [{ name: "wipe", ...(answer === undefined ? {} : { answer }) }, { name: "echo" }] } },
      ...(nowMs === undefined ? {} : { nowMs }),
      ...(sleep === undefined ? {} : { sleep }),
      bench: () => ({ options: { secrets } }),
    }),
  );
}

interface Round extends CallOptions {
  readonly args?: JsonObject;
  readonly tool?: string;
  readonly state?: string;
  readonly responses?: JsonObject;
  readonly capabilities?: JsonObject;
}

/** A call of a modern agent whose host opens pages. */
function call(scenario: Scenario, round: Round = {}): Promise<Answer> {
  const { args = { path: "/tmp" }, tool = "wipe", state, responses = ACCEPTED, capabilities = URL_MODE } = round;
  const more = state === undefined ? {} : { inputResponses: responses, requestState: state };
  return scenario.request(
    "tools/call",
    { name: tool, arguments: args, ...more },
    { ...round, meta: { "io.modelcontextprotocol/clientCapabilities": capabilities } },
  );
}

function stateOf({ result, text }: Answer): string {
  const { requestState } = result ?? {};
  if (typeof requestState !== "string") throw new Error(text);
  return requestState;
}

/** Id of the approval that an answer sends the user to. */
function pageOf({ result, text }: Answer): string {
  const asked = ((result?.["inputRequests"] ?? {}) as JsonObject)[QUESTION] as JsonObject | undefined;
  const { url } = (asked?.["params"] ?? {}) as JsonObject;
  const id = typeof url === "string" ? new RegExp(`^${PAGE}/#([0-9a-f]{32})$`, "u").exec(url)?.[1] : undefined;
  if (id === undefined) throw new Error(text);
  return id;
}

const reasonOf = ({ error, result }: Answer): unknown =>
  error?.data?.["reason"] ?? ((result?.["_meta"] ?? {}) as JsonObject)["countersign/reason"];

async function decide(scenario: Scenario, id: string, event: "grant" | "refuse" = "grant"): Promise<void> {
  const { status } = await scenario.operate("POST", `/approvals/${id}/${event}`, {});
  if (status !== 200) throw new Error(`status ${status}`);
}

describe("a modern agent whose host opens pages", () => {
  it("is sent to the gateway's page, and its call goes out once somebody has decided: U is 0, then 1", async () => {
    const scenario = await start();
    const asked = await call(scenario);
    expect(asked.result).toMatchObject({
      resultType: "input_required",
      inputRequests: { [QUESTION]: { method: "elicitation/create", params: { mode: "url" } } },
    });
    expect(asked.text).not.toContain("elicitationId");
    expect(scenario.server("s").count()).toBe(0);
    await decide(scenario, pageOf(asked));
    const done = await call(scenario, { state: stateOf(asked) });
    expect(done.result).toMatchObject({ resultType: "complete" });
    expect(scenario.server("s").count()).toBe(1);
    expect(scenario.server("s").bytes()).not.toMatch(/countersign|requestState|inputResponses/u);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling, call: { retry_of: retryOf } }) => [ruling.action, observedValue(retryOf)])).toEqual(
      [
        ["hold", undefined],
        ["forward", decisions[0]?.seq],
      ],
    );
    for (const { approval } of decisions) {
      expect(observedValue(approval)).toMatchObject({ id: pageOf(asked), notified: ["url-elicitation"] });
    }
  });

  it("waits with its retry until somebody decides, and is refused when that is no", async () => {
    const scenario = await start();
    const asked = await call(scenario);
    const waiting = call(scenario, { state: stateOf(asked) });
    await decide(scenario, pageOf(asked), "refuse");
    expect(reasonOf(await waiting)).toBe("approval.refused");
    expect(scenario.server("s").count()).toBe(0);
    const last = (await scenario.decisions()).at(-1);
    expect(last?.ruling).toMatchObject({ action: "refuse", step: "approval", reasons: ["approval.refused"] });
    expect(last && observedValue(last.approval)).toMatchObject({ id: pageOf(asked) });
  });

  it("is asked again while nobody has decided, under another state; without the page it gets the error of before", async () => {
    const scenario = await start();
    const asked = await call(scenario);
    const again = await call(scenario, { state: stateOf(asked), responses: {} });
    expect(pageOf(again)).toBe(pageOf(asked));
    expect(stateOf(again)).not.toBe(stateOf(asked));
    const declined = await call(scenario, { state: stateOf(again), responses: { [QUESTION]: { action: "decline" } } });
    expect(declined.error).toMatchObject({ code: -31_002, data: { approvalId: pageOf(asked) } });
    const silent = await call(scenario, { capabilities: { elicitation: {} } });
    expect(silent.error).toMatchObject({ code: -31_002, data: { approvalId: pageOf(asked) } });
    const told = (await scenario.decisions()).map(({ approval }) => observedValue(approval)?.notified);
    expect(told.at(0)).toEqual(["url-elicitation"]);
    expect(told.at(-1)).toEqual(["error", "url-elicitation"]);
  });

  it("is told when the time ran out before somebody decided, and before it came back", async () => {
    let now = Date.now();
    const scenario = await start({ nowMs: () => now });
    const asked = await call(scenario);
    const granted = await call(scenario, { args: { path: "/var" } });
    await decide(scenario, pageOf(granted));
    now += 601_000;
    expect(reasonOf(await call(scenario, { state: stateOf(asked) }))).toBe("approval.expired");
    const late = { state: stateOf(granted), args: { path: "/var" } };
    expect(reasonOf(await call(scenario, late))).toBe("approval.expired");
    now += 601_000;
    expect(reasonOf(await call(scenario, late))).toBe("state.invalid");
    expect(scenario.server("s").count()).toBe(0);
  });

  it("keeps what it answered its server over the approval of a later round", async () => {
    let hasAnswered = false;
    const ask = { method: "elicitation/create", params: { mode: "form", message: "Name?", requestedSchema: {} } };
    const answer = (): JsonObject => {
      if (hasAnswered) return { content: [] };
      hasAnswered = true;
      return { resultType: "input_required", inputRequests: { who: ask }, requestState: "of-the-server" };
    };
    const scenario = await start({ answer });
    const capabilities = { elicitation: { url: {}, form: {} } };
    const first = await call(scenario, { capabilities });
    await decide(scenario, pageOf(first));
    const question = await call(scenario, { capabilities, state: stateOf(first) });
    const said: JsonObject = { who: { action: "accept", content: { name: "Ada" } } };
    const second = await call(scenario, { capabilities, state: stateOf(question), responses: said });
    expect(pageOf(second)).not.toBe(pageOf(first));
    await decide(scenario, pageOf(second));
    const done = await call(scenario, { capabilities, state: stateOf(second) });
    expect(done.result).toMatchObject({ resultType: "complete" });
    const sent = JSON.parse(scenario.server("s").bytes().split("\n").at(-1) ?? "{}") as { readonly params: JsonObject };
    expect(sent.params).toMatchObject({ inputResponses: said, requestState: "of-the-server" });
    const rounds = (await scenario.decisions()).map(({ ruling, call: { round } }) => `${ruling.action} ${round}`);
    expect(rounds).toEqual(["hold 0", "forward 0", "forward 0", "hold 1", "forward 1"]);
  });
});

describe("the state of a call that waits", () => {
  it("is good once, for the same agent's same call in the same conversation", async () => {
    const scenario = await start();
    const asked = await call(scenario);
    await decide(scenario, pageOf(asked));
    const state = stateOf(asked);
    const others: readonly Round[] = [
      { token: BOB },
      { args: { path: "/" } },
      { tool: "echo" },
      { conversation: "two" },
    ];
    for (const other of others) expect(reasonOf(await call(scenario, { ...other, state }))).toBe("state.invalid");
    for (const damaged of [`${state}A`, state.slice(0, -2), state.replace(/.$/u, (end) => (end === "A" ? "Q" : "A"))]) {
      expect(reasonOf(await call(scenario, { state: damaged }))).toBe("state.invalid");
    }
    expect(scenario.server("s").count()).toBe(0);
    expect((await call(scenario, { state })).result).toMatchObject({ resultType: "complete" });
    expect(reasonOf(await call(scenario, { state }))).toBe("state.invalid");
    expect(scenario.server("s").count()).toBe(1);
  });

  it("names an approval that lifts one call, whoever of the agent's calls comes first", async () => {
    const scenario = await start();
    const one = await call(scenario);
    const two = await call(scenario);
    expect(pageOf(two)).toBe(pageOf(one));
    await decide(scenario, pageOf(one));
    expect((await call(scenario, { state: stateOf(two) })).result).toMatchObject({ resultType: "complete" });
    expect(reasonOf(await call(scenario, { state: stateOf(one) }))).toBe("approval.spent");
    expect(scenario.server("s").count()).toBe(1);
  });
});

describe("the page", () => {
  it("gives an agent that opens it nothing: neither what waits nor a decision, and each try has a receipt", async () => {
    const scenario = await start();
    const id = pageOf(await call(scenario));
    for (const [method, path] of [
      ["GET", "/approvals"],
      ["GET", `/approvals/${id}`],
      ["POST", `/approvals/${id}/grant`],
      ["POST", `/approvals/${id}/refuse`],
    ] as const) {
      const answer = await scenario.operate(method, path, method === "POST" ? {} : undefined, AGENT_TOKEN);
      expect(answer).toMatchObject({ status: 401, body: { error: { code: "ERR_TOKEN" } } });
    }
    const page = await fetch(`${scenario.operatorUrl}/`);
    expect(await page.text()).not.toContain(id);
    const refused = (await scenario.decisions()).filter(({ ruling }) => ruling.step === "authenticate");
    expect(refused).toHaveLength(4);
    const waiting = await scenario.operate("GET", `/approvals/${id}`);
    expect(waiting.body).toMatchObject({ state: "requested" });
  });

  it.each(["http://approvals.example", ""])(
    "is offered to no host where a web browser would not reach it safely: %j",
    async (pageUrl) => {
      const scenario = await open(
        startScenario({
          rules: RULES,
          servers: { s: { tools: [{ name: "wipe" }] } },
          config: pageUrl === "" ? {} : { approvals: { page_url: pageUrl } },
        }),
      );
      expect((await call(scenario)).error).toMatchObject({ code: -31_002 });
    },
  );
});

interface Host {
  readonly client: Client;
  readonly asked: JsonObject[];
  readonly completed: unknown[];
}

describe("a legacy agent whose host opens pages", () => {
  async function connect(
    scenario: Scenario,
    answer: (params: JsonObject) => Promise<string>,
    onComplete: () => void = () => undefined,
  ): Promise<Host> {
    const client = new Client({ name: "agent", version: "1" }, { capabilities: { elicitation: { url: {} } } });
    const asked: JsonObject[] = [];
    const completed: unknown[] = [];
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      const given = params as unknown as JsonObject;
      asked.push(given);
      return { action: (await answer(given)) as "accept" };
    });
    client.setNotificationHandler("notifications/elicitation/complete", ({ params }) => {
      completed.push(params.elicitationId);
      onComplete();
    });
    const headers = { Authorization: `Bearer ${AGENT_TOKEN}` };
    let listens = (): void => undefined;
    const listening = new Promise<void>((resolve) => {
      listens = resolve;
    });
    const fetchNoting: typeof fetch = async (url, init) => {
      const answer = await fetch(url, init);
      if (init?.method === "GET") listens();
      return answer;
    };
    const at = new URL(`${scenario.url}/mcp`);
    await client.connect(new StreamableHTTPClientTransport(at, { requestInit: { headers }, fetch: fetchNoting }));
    await listening;
    return { client, asked, completed };
  }

  it("is asked inside its call, which goes on when somebody has decided, and is told that it is over", async () => {
    const scenario = await start();
    const { client, asked, completed } = await connect(scenario, async ({ elicitationId }) => {
      await decide(scenario, String(elicitationId));
      return "accept";
    });
    const { content } = await client.callTool({ name: "wipe", arguments: { path: "/tmp" } });
    expect(content).toEqual([{ type: "text", text: "done" }]);
    const [question] = asked;
    expect(question).toMatchObject({ mode: "url", url: `${PAGE}/#${String(question?.["elicitationId"])}` });
    expect(completed).toEqual([question?.["elicitationId"]]);
    expect(scenario.server("s").count()).toBe(1);
    const decisions = await scenario.decisions();
    expect(decisions.map(({ ruling }) => ruling.action)).toEqual(["hold", "forward"]);
    expect(observedValue(decisions[1]?.call.retry_of ?? { state: "absent" })).toBe(decisions[0]?.seq);
    await client.close();
  });

  it("is refused inside its call when the approver says no; a user who does not go there ends the wait", async () => {
    const scenario = await start();
    let event: "refuse" | undefined = "refuse";
    const { client } = await connect(scenario, async ({ elicitationId }) => {
      if (event !== undefined) await decide(scenario, String(elicitationId), event);
      return event === undefined ? "decline" : "accept";
    });
    const refused = await client.callTool({ name: "wipe", arguments: { path: "/tmp" } });
    expect(refused).toMatchObject({ isError: true, _meta: { "countersign/reason": "approval.refused" } });
    event = undefined;
    const declined = await client
      .callTool({ name: "wipe", arguments: { path: "/tmp" } })
      .catch((error: unknown) => error);
    expect(declined).toBeInstanceOf(ProtocolError);
    expect(declined).toMatchObject({ code: -31_002 });
    expect(scenario.server("s").count()).toBe(0);
    await client.close();
  });

  it("gets the error -32042 when nobody decides in time, and a notification when somebody does", async () => {
    // No call waits; who is told later does.
    const sleep: World["sleep"] = (ms, signal) => (ms === 50_000 ? Promise.resolve() : pause(ms, signal));
    const scenario = await start({ sleep });
    let isOver = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      isOver = resolve;
    });
    const { client, completed } = await connect(
      scenario,
      () => Promise.resolve("accept"),
      () => isOver(),
    );
    const held = await client.callTool({ name: "wipe", arguments: { path: "/tmp" } }).catch((error: unknown) => error);
    expect(held).toMatchObject({
      code: -32_042,
      data: { elicitations: [{ mode: "url", url: expect.stringContaining(`${PAGE}/#`) }] },
    });
    const [waiting] = await waitingAt(scenario);
    expect(completed).toEqual([]);
    await decide(scenario, String(waiting));
    await over;
    expect(completed).toEqual([waiting]);
    const { content } = await client.callTool({ name: "wipe", arguments: { path: "/tmp" } });
    expect(content).toEqual([{ type: "text", text: "done" }]);
    await client.close();
  });
});

async function waitingAt(scenario: Scenario): Promise<readonly unknown[]> {
  const { body } = await scenario.operate("GET", "/approvals");
  const { approvals } = body as { readonly approvals: readonly JsonObject[] };
  return approvals.map(({ id }) => id);
}
