/** Quarantine of a subject: plausible answers, nothing forwarded, no tell, a receipt of each attempt; only an operator ends it. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import type { InboundCall } from "../../gateway/pipeline/call.ts";
import { phantomResult } from "../../gateway/quarantine/phantom-answer.ts";
import { sampleOf } from "../../gateway/quarantine/schema-sample.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { ECHO, makeFakeUpstream, WIPE } from "../support/fake-upstream.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  type BenchOptions,
  CALLER,
  callOf,
  type GatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { postModern } from "../support/modern-call.ts";

const benches = gatewayBenches("quarantine");

const WEATHER: JsonObject = {
  name: "echo",
  description: "Says the weather.",
  inputSchema: ECHO["inputSchema"] ?? {},
  outputSchema: {
    type: "object",
    properties: { celsius: { type: "number" }, sky: { enum: ["clear", "rain"] } },
    required: ["celsius", "sky"],
  },
};

function benchWith(config: JsonObject, given: BenchOptions = {}): GatewayBench {
  return benches.make({ ...given, config });
}

const { open } = benches;

const OPERATOR = { issuer: "operator", name: "local", evidence: "local-user", roles: [] } as const;
const echo = (changes: Partial<InboundCall> = {}) => callOf("echo", { message: "x" }, changes);
const OTHER = { caller: { ...CALLER, name: "somebody-else" } };
const phantomOutcome = { status: "phantom", effect: "none", upstreamUs: 0, uninspectedBytes: 0 } as const;

describe("a subject in quarantine", () => {
  it.each(["enforcing", "advisory", "silent"] as const)(
    "is answered without a server in %s mode; decision and outcome say phantom, and it counts as denied",
    async (mode) => {
      const bench = benchWith({ quarantine: {} }, { mode });
      const run = await open(bench);
      await run.switches.quarantine.on(
        run.switches.parseTarget("principal:local|example-agent"),
        OPERATOR,
        "operator.incident",
      );
      const decided = await run.pipeline.decide(echo());
      if (decided.action !== "phantom") throw new Error(decided.action);
      expect(decided.answer.result).toEqual({ content: [{ type: "text", text: "" }] });
      await run.pipeline.finish(decided.ticket, {
        ...phantomOutcome,
        returned: outcomeWith("x").received ?? new Uint8Array(),
      });
      expect(await runCall(run, echo(OTHER))).toBe("forward");
      await run.pipeline.sealAll("operator");
      const stream = await readStream(bench.folder, run.status().stream);
      expect(ofKind(stream, "decision")[0]).toMatchObject({
        ruling: {
          action: "phantom",
          judgement: "deny",
          step: "quarantine",
          reasons: ["subject.quarantined", "policy.permit"],
          would_deny: false,
        },
        request_sent: { state: "absent" },
        accounting: { value: { charge: "reserved" } },
      });
      expect(ofKind(stream, "outcome")[0]).toMatchObject({
        outcome: { status: "phantom", effect: "none" },
        response_received: { state: "absent" },
        accounting: { value: { charge: "released" } },
      });
      expect(ofKind(stream, "session-seal")[0]?.calls).toEqual({
        total: 1,
        allowed: 0,
        denied: 1,
        faulted: 0,
        open: 0,
      });
    },
  );

  it("is still denied what policy denies, and never learns from it that it is in quarantine", async () => {
    const run = await open(benchWith({ quarantine: {} }));
    await run.switches.quarantine.on(
      run.switches.parseTarget("principal:local|example-agent"),
      OPERATOR,
      "operator.incident",
    );
    expect(await run.pipeline.decide(callOf("wipe", {}))).toMatchObject({
      action: "refuse",
      refusal: { reason: "policy.forbid", message: "Deleting is left to people." },
    });
  });

  it("stays so over a restart, also without the member of the configuration, until an operator ends it", async () => {
    const bench = benchWith({ quarantine: {} });
    const first = await bench.open();
    await first.switches.quarantine.on(
      first.switches.parseTarget("principal:local|example-agent"),
      OPERATOR,
      "operator.incident",
    );
    const left = await first.pipeline.decide(echo());
    expect(left.action).toBe("phantom");
    await first.close();
    const { quarantine: _, ...config } = bench.config;
    const run = await open({ ...bench, open: () => makeAgain(bench, { ...bench.gatewayOptions, config }) });
    expect((await run.pipeline.decide(echo())).action).toBe("phantom");
    await run.switches.quarantine.off(
      run.switches.parseTarget("principal:local|example-agent"),
      OPERATOR,
      "operator.request",
    );
    expect((await run.pipeline.decide(echo())).action).toBe("forward");
    const stream = await readStream(bench.folder, run.status().stream);
    expect(ofKind(stream, "operator-action").map(({ action }) => action)).toEqual(["quarantine-on", "quarantine-off"]);
    // The phantom that the first run left open had no effect: nothing was sent.
    expect(ofKind(stream, "outcome")[0]).toMatchObject({ outcome: { status: "phantom", effect: "none" } });
  });

  it("cannot be one without the configuration's leave, nor a server, a tool or everybody", async () => {
    const plain = await open(benchWith({}));
    const session = `session:${"ab".repeat(32)}`;
    await expect(plain.switches.quarantine.on(session, OPERATOR, "operator.request")).rejects.toMatchObject({
      code: "ERR_QUARANTINE",
    });
    const run = await open(benchWith({ quarantine: {} }));
    for (const target of ["all", "server:s", "tool:s/echo"]) {
      await expect(run.switches.quarantine.on(target, OPERATOR, "operator.request")).rejects.toMatchObject({
        code: "ERR_QUARANTINE",
      });
    }
  });

  it("whose file cannot be read stops the start", async () => {
    const bench = benchWith({ quarantine: {} });
    await writeFile(join(bench.folder, "quarantine.json"), "[]");
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_CONTROL_FILE" });
  });
});

const makeAgain = async (_bench: GatewayBench, options: GatewayBench["gatewayOptions"]): Promise<GatewayRun> => {
  const { openRun } = await import("../../gateway/run.ts");
  return openRun(options);
};

describe("on the wire", () => {
  async function ask(url: string, id: number, method: string, params: JsonObject) {
    const named = method === "tools/call" ? { name: "echo" } : {};
    const response = await postModern(url, { method, params, id, ...named });
    const names = [...response.headers.keys()].toSorted();
    return { status: response.status, names, body: (await response.json()) as JsonObject };
  }

  it("status, headers, lists and the form of a result are those of an ordinary answer; the server sees nothing", async () => {
    const upstream = makeFakeUpstream("s", [WEATHER, WIPE]);
    const bench = benchWith({ quarantine: {} }, { upstreams: [upstream] });
    const gateway = await startGateway(bench.gatewayOptions);
    benches.later(gateway.close);
    const call = () => ask(gateway.url, 1, "tools/call", { name: "echo", arguments: { message: "x" } });
    const lists = () => ask(gateway.url, 2, "tools/list", {});
    const [before, listBefore] = [await call(), await lists()];
    const operator = { authorization: `Bearer ${"o".repeat(40)}`, "content-type": "application/json" };
    const put = await fetch(`${gateway.operatorUrl}/quarantine`, {
      method: "PUT",
      headers: operator,
      body: JSON.stringify({ target: "principal:local|example-agent", reason: "operator.incident" }),
    });
    expect(put.status).toBe(200);
    const seen = upstream.requests.length;
    const [after, listAfter] = [await call(), await lists()];
    expect(upstream.requests.length).toBe(seen);
    expect(after.status).toBe(before.status);
    expect(after.names).toEqual(before.names);
    expect(listAfter.body).toEqual(listBefore.body);
    const result = after.body["result"] as JsonObject;
    expect(result["structuredContent"]).toEqual({ celsius: 0, sky: "clear" });
    expect(result["resultType"]).toBe("complete");
    expect(JSON.stringify(after.body)).not.toMatch(/quarantin|phantom/iu);
  });
});

describe("a baseline", () => {
  const rules = (baseline: JsonObject, more: JsonObject = {}) => ({ quarantine: { baseline, ...more } });
  const cases: readonly (readonly [string, JsonObject, readonly InboundCall[]])[] = [
    ["too many calls of a tool", { calls_per_tool: 2 }, [echo(), echo(), echo()]],
    ["a tool that it does not know", { tools: ["s/other"] }, [echo()]],
    ["a server that it does not know", { servers: ["t"] }, [echo()]],
    ["too many denials", { denials: 1 }, [callOf("wipe", {}), callOf("wipe", {}), echo()]],
    ["too many bytes", { bytes: 300 }, [echo(), callOf("echo", { message: "y".repeat(300) })]],
    ["a pair of tools that it does not know", { pairs: [["s/echo", "s/echo"]] }, [callOf("wipe", {}), echo()]],
  ];
  it.each(cases)("quarantines a session by %s, from that call on", async (_name, baseline, calls) => {
    const bench = benchWith(rules(baseline));
    const run = await open(bench);
    const actions: string[] = [];
    for (const call of calls) {
      const decided = await run.pipeline.decide(call);
      actions.push(decided.action);
      if (decided.action === "phantom") await decided.answer.wait();
    }
    expect(actions.slice(0, -1)).not.toContain("phantom");
    expect(actions.at(-1)).toBe("phantom");
    const stream = await readStream(bench.folder, run.status().stream);
    const [entered] = ofKind(stream, "operator-action");
    expect(entered).toMatchObject({
      action: "quarantine-on",
      by: { state: "absent" },
      evidence: { state: "absent" },
      reason: "subject.drift",
      target: { type: "principal" },
      cause: { state: "present" },
    });
    // Another session of the same principal is no way out.
    const elsewhere = await run.pipeline.decide(echo({ session: { ...SESSION, key: "another" } }));
    expect(elsewhere.action).toBe("phantom");
  });

  it("that is kept lets every call through; one session's counts are not another's", async () => {
    const run = await open(
      benchWith(rules({ calls_per_tool: 2, pairs: [["s/echo", "s/echo"]] }, { subject: "session" })),
    );
    for (const key of ["a", "b"]) {
      const session = { ...SESSION, key };
      for (let n = 0; n < 2; n += 1) expect(await runCall(run, echo({ session }))).toBe("forward");
    }
    expect((await run.pipeline.decide(echo({ session: { ...SESSION, key: "a" } }))).action).toBe("phantom");
    expect((await run.pipeline.decide(echo({ session: { ...SESSION, key: "c" } }))).action).toBe("forward");
  });
});

describe("an invented value", () => {
  it("is the tool's fixed answer where there is one, and has the form of the method's result everywhere", () => {
    const answer = { content: [{ type: "text", text: "sunny" }] };
    const of = (kind: InboundCall["target"]["kind"], name: string) =>
      phantomResult({ serverId: "s", target: { kind, name } }, undefined, { "s/echo": answer });
    expect(of("tool", "echo")).toBe(answer);
    expect(of("tool", "toString")).toEqual({ content: [{ type: "text", text: "" }] });
    expect(of("prompt", "p")).toMatchObject({ messages: [{ role: "user" }] });
    expect(of("resource", "a://b")).toMatchObject({ contents: [{ uri: "a://b" }] });
    expect(of("completion", "p")).toMatchObject({ completion: { values: [] } });
  });

  const schemas: readonly JsonObject[] = [
    { type: "object" },
    {
      type: "object",
      properties: { a: { type: "string", minLength: 3 }, b: { type: "integer", minimum: 5 } },
      required: ["a"],
    },
    {
      type: "object",
      properties: {
        when: { type: "string", format: "date-time" },
        tags: { type: "array", minItems: 2, items: { type: "string" } },
      },
    },
    {
      type: "object",
      properties: { x: { anyOf: [{ type: "null" }, { type: "string" }] }, y: { const: 7 } },
      required: ["x", "y"],
    },
    {
      $defs: { p: { type: "object", properties: { q: { type: "boolean" } }, required: ["q"] } },
      type: "object",
      properties: { r: { $ref: "#/$defs/p" } },
      required: ["r"],
    },
    {
      type: "object",
      allOf: [
        { properties: { a: { type: "number", exclusiveMinimum: 2 } }, required: ["a"] },
        { properties: { b: { enum: ["z"] } }, required: ["b"] },
      ],
    },
    { type: "object", properties: { n: { type: "number", multipleOf: 5, minimum: 3 } } },
    { type: "object", properties: { t: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }] } } },
  ];
  it.each(schemas.map((schema) => [JSON.stringify(schema), schema] as const))("fits %s", (_name, schema) => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const value = sampleOf(schema);
    expect(ajv.validate(schema, value), JSON.stringify(value)).toBe(true);
  });

  it("ends for a schema that refers to itself", () => {
    expect(sampleOf({ $ref: "#" })).toEqual({});
    const tree = { type: "object", properties: { child: { $ref: "#" } }, required: ["child"] };
    expect(JSON.stringify(sampleOf(tree)).length).toBeLessThan(1000);
  });
});
