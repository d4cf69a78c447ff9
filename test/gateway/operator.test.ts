import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeOperatorServer } from "../../gateway/operator/server.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { startGateway } from "../../gateway/start.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  AGENT_TOKEN,
  callOf,
  type GatewayBench,
  makeGatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  readStream,
  runCall,
} from "../support/gateway-run.ts";

let ledger: FakeLedger;
let bench: GatewayBench;
let run: GatewayRun;
let server: FastifyInstance;
let isFailing = false;
beforeEach(async () => {
  isFailing = false;
  ledger = await startFakeLedger();
  bench = makeGatewayBench(ledger.url, {
    wrapLog: (log) => ({
      ...log,
      append: async (payloads) => {
        if (isFailing) throw new Error("disk");
        await log.append(payloads);
      },
    }),
  });
  run = await openRun(bench.gatewayOptions);
  server = makeOperatorServer({
    token: OPERATOR_TOKEN,
    operators: [],
    switches: run.switches,
    pipeline: run.pipeline,
    catalog: run.catalog,
    reloadCatalog: run.reloadCatalog,
    reloadPolicy: run.reloadPolicy,
    boundary: run.boundary,
    resetLabels: run.resetLabels,
    status: run.status,
    metrics: run.metrics,
    onFault: () => undefined,
  });
});
afterEach(async () => {
  await server.close();
  await run.close();
  bench.remove();
  await ledger.close();
});

const GUARDED = [
  ["GET", "/status"],
  ["GET", "/boundary"],
  ["GET", "/catalog"],
  ["POST", "/sessions/seal"],
  ["GET", "/kill-switch"],
  ["PUT", "/kill-switch"],
  ["DELETE", "/kill-switch"],
  ["GET", "/quarantine"],
  ["PUT", "/quarantine"],
  ["DELETE", "/quarantine"],
  ["POST", "/catalog"],
  ["POST", "/labels/reset"],
] as const;

const asOperator = { authorization: `Bearer ${OPERATOR_TOKEN}` };

describe("the operator's routes", () => {
  it.each(GUARDED)("%s %s refuses no token, a wrong one and an agent's, each with a receipt", async (method, url) => {
    await runCall(run, callOf("echo", { message: "x" }));
    for (const authorization of [undefined, "Bearer wrong", `Bearer ${AGENT_TOKEN}`, OPERATOR_TOKEN]) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await server.inject({ method, url, headers });
      expect(answer.statusCode).toBe(401);
      expect(answer.json()).toMatchObject({ error: { code: "ERR_TOKEN" } });
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
    }
    const receipts = await readStream(bench.folder, run.status().stream);
    const refused = ofKind(receipts, "decision").filter(({ ruling }) => ruling.step === "authenticate");
    expect(refused.map(({ ruling }) => ruling.reasons)).toEqual([
      ["auth.missing"],
      ["auth.invalid"],
      ["auth.invalid"],
      ["auth.invalid"],
    ]);
    expect(ofKind(receipts, "session-seal")).toEqual([]);
  });

  it("tell what runs: stream, mode, keys, policy, catalog, outbox, sessions", async () => {
    await runCall(run, callOf("echo", { message: "x" }));
    const answer = await server.inject({ method: "GET", url: "/status", headers: asOperator });
    expect(answer.json()).toMatchObject({
      ready: true,
      stream: run.status().stream,
      next_seq: 6,
      mode: "enforcing",
      key_protection: "software",
      attestation: { state: "not_available", reason: "attestation.software" },
      policy: { digest: expect.stringMatching(/^sha256:/u), version: "1" },
      catalog: { digest: expect.stringMatching(/^sha256:/u) },
      outbox: { written: 6 },
      sessions: 1,
      open_calls: 0,
    });
    expect(answer.headers["cache-control"]).toBe("no-store");
  });

  it("serve the capture scope and the catalog under the digests that receipts name", async () => {
    const boundary = await server.inject({ method: "GET", url: "/boundary", headers: asOperator });
    expect(boundary.json()).toMatchObject({ digest: run.status().boundary, statement: { kind: "capture-scope" } });
    const catalog = await server.inject({ method: "GET", url: "/catalog", headers: asOperator });
    expect(catalog.json()).toMatchObject({
      digest: run.status().catalog.digest,
      file: { kind: "catalog" },
      drifts: [],
    });
  });

  it("seal every session", async () => {
    await runCall(run, callOf("echo", { message: "x" }));
    const answer = await server.inject({ method: "POST", url: "/sessions/seal", headers: asOperator });
    expect(answer.json()).toEqual({ sealed: 1 });
    expect(run.status().sessions).toBe(0);
  });

  it("need no token for health and metrics, which hold no names", async () => {
    await runCall(run, callOf("echo", { message: "x" }));
    expect((await server.inject("/healthz")).json()).toEqual({ status: "ok" });
    expect((await server.inject("/readyz")).statusCode).toBe(200);
    const metrics = (await server.inject("/metrics")).body;
    expect(metrics).toContain('gateway_decisions_total{action="forward",judgement="allow",step="policy"} 1');
    expect(metrics).not.toMatch(/echo|example-agent/u);
  });

  it("answer 503 at /readyz once the stream has failed, and still answer", async () => {
    isFailing = true;
    await expect(run.pipeline.decide(callOf("echo", { message: "x" }))).rejects.toMatchObject({
      code: "ERR_STREAM_FAILED",
    });
    expect((await server.inject("/readyz")).statusCode).toBe(503);
    const answer = await server.inject({ method: "GET", url: "/status", headers: asOperator });
    expect(answer.json()).toMatchObject({ ready: false });
    // Refusing still works; that its receipt is impossible is said with its own code.
    expect((await server.inject("/status")).json()).toMatchObject({ error: { code: "ERR_STREAM_FAILED" } });
  });

  it("answer what is not a route, a method or a body with a code", async () => {
    expect((await server.inject({ method: "GET", url: "/nothing", headers: asOperator })).json()).toMatchObject({
      error: { code: "ERR_NOT_FOUND" },
    });
    const large = await server.inject({
      method: "POST",
      url: "/sessions/seal",
      headers: { ...asOperator, "content-type": "application/json" },
      payload: JSON.stringify("x".repeat(5_000)),
    });
    expect([large.statusCode, large.json()]).toMatchObject([413, { error: { code: "ERR_BODY_SIZE" } }]);
    const xml = await server.inject({
      method: "POST",
      url: "/sessions/seal",
      headers: { ...asOperator, "content-type": "application/xml" },
      payload: "<a/>",
    });
    expect([xml.statusCode, xml.json()]).toMatchObject([415, { error: { code: "ERR_CONTENT_TYPE" } }]);
  });
});

describe("a gateway whose agent has the operator's token", () => {
  it("does not start", async () => {
    const { gatewayOptions } = bench;
    const agentTokens = [{ principal: "example-agent", token: OPERATOR_TOKEN }];
    const secrets = { ...gatewayOptions.secrets, agentTokens };
    await expect(startGateway({ ...gatewayOptions, secrets })).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });
});
