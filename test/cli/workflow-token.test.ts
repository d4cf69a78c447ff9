/** `countersign workflow-token`: what it issues is what a gateway and another implementation take, and nothing else passes its check. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { workflowTokenCommand } from "../../cli/commands/workflow-token.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { workflowDigest } from "../../kernel/policy-artifact.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, ofKind, readStream } from "../support/gateway-run.ts";
import { makeManualWorld } from "../support/manual-world.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("workflow-token command");
const folder = mkdtempSync(join(tmpdir(), "countersign-workflow-token-"));
const path = (name: string): string => join(folder, name);
const FROM = ["--issuer", "https://runner.example", "--audience", "https://gateway.example"];
const FOR = ["--holder", "local|example-agent", "--workflow", "nightly", "--tools", "s/wipe,s/echo"];
const ALGS = ["ed25519", "es256"] as const;

const token = (...args: readonly string[]): Promise<CommandRun> => runInProcess(workflowTokenCommand, args);
const issue = (key: string, out: string, ...more: readonly string[]): Promise<CommandRun> =>
  token("issue", "--key", path(`${key}.key`), ...FROM, ...FOR, "--out", path(out), ...more);
const check = (file: string, keys: string, ...more: readonly string[]): Promise<CommandRun> =>
  token("check", path(file), "--keys", path(keys), ...FROM, ...more);
const textOf = (name: string): string => readFileSync(path(name), "utf8").trimEnd();

beforeAll(async () => {
  for (const alg of [...ALGS, "mldsa65-ed25519"]) {
    await runInProcess(keygenCommand, ["envelope", "--alg", alg, "--out", path(`${alg}.key`)]);
  }
  for (const alg of ALGS) {
    writeFileSync(path(`${alg}.json`), (await token("keys", "--key", path(`${alg}.key`))).out);
    await issue(alg, `${alg}.jwt`, "--id", "run-1");
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("countersign workflow-token", () => {
  it.each(ALGS)("issues with %s what another implementation verifies, in a file for its owner alone", async (alg) => {
    const set = JSON.parse(textOf(`${alg}.json`)) as JSONWebKeySet;
    expect(set.keys.map((key) => [key.use, "d" in key])).toEqual([["sig", false]]);
    const { payload } = await jwtVerify(textOf(`${alg}.jwt`), createLocalJWKSet(set), {
      issuer: "https://runner.example",
      audience: "https://gateway.example",
      typ: "countersign-workflow+jwt",
    });
    expect(payload).toMatchObject({ jti: "run-1", workflow: { id: "nightly", tools: ["s/echo", "s/wipe"] } });
    expect(statSync(path(`${alg}.jwt`)).mode & 0o777).toBe(0o600);
  });

  it.each(ALGS)("issues with %s what a gateway takes, and the receipt names the workflow", async (alg) => {
    const scopes: JsonObject[] = [{ id: "nightly", tools: ["s/*"], resources: [] }];
    const issuers: JsonObject[] = [{ issuer: "https://runner.example", jwks_file: `${alg}.json` }];
    const workflows = { issuers, audience: "https://gateway.example", scopes, required: { all: true } };
    const bench = benches.make({
      world: makeManualWorld(Date.now(), `workflow-token command ${alg}`),
      policyFiles: bundleFiles(`@id("all") permit (principal, action, resource);`),
      config: { auth: { tokens: [{ principal: "example-agent", token_file: "unused" }], workflows } },
      options: { readFile: (name) => formatUtf8(textOf(name)) },
    });
    const run = await benches.open(bench);
    const call = callOf("echo", { message: "hello" }, { mount: "/mcp" });
    const params = { ...call.params, _meta: { "countersign/workflow-token": textOf(`${alg}.jwt`) } };
    expect((await run.pipeline.decide({ ...call, params })).action).toBe("forward");
    const [decision] = ofKind(await readStream(bench.folder, run.status().stream), "decision");
    const scope = workflowDigest({ id: "nightly", tools: ["s/echo", "s/wipe"], resources: [] });
    expect(decision?.workflow).toEqual({
      state: "present",
      value: { id: "nightly", provenance: "workflow-token", scope },
    });
  });

  it("checks a token as a gateway does, and says which reason a wrong one has", async () => {
    expect(await check("es256.jwt", "es256.json")).toMatchObject({ exit: 0, fault: undefined });
    const reasonOf = async (...args: readonly string[]): Promise<string | undefined> => {
      const { exit, out } = await token("check", ...args);
      expect(exit).toBe(1);
      return /: (\S+)\n$/u.exec(out)?.[1];
    };
    const [file, keys] = [path("es256.jwt"), ["--keys", path("es256.json")]];
    expect(await reasonOf(file, "--keys", path("ed25519.json"), ...FROM)).toBe("workflow.untrusted");
    expect(await reasonOf(file, ...keys, ...FROM, "--issuer", "https://other.example")).toBe("workflow.untrusted");
    expect(await reasonOf(file, ...keys, ...FROM, "--audience", "https://other.example")).toBe("workflow.audience");
    expect(await reasonOf(file, ...keys, ...FROM, "--max-ttl", "599")).toBe("workflow.expired");
    expect(await reasonOf(file, ...keys, ...FROM, "--at", "4000000000")).toBe("workflow.expired");
    expect(await reasonOf(file, ...keys, ...FROM, "--at", "0")).toBe("workflow.expired");
  });

  it("refuses every token that is changed in one character or cut", async () => {
    const whole = textOf("ed25519.jwt");
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (let at = 0; at < whole.length; at += 1) {
      // They differ in the lowest bit, which carries nothing in the last character: a token has one spelling.
      const other = letters.charAt(letters.indexOf(whole.charAt(at)) ^ 1);
      for (const changed of [whole.slice(0, at) + other + whole.slice(at + 1), whole.slice(0, at)]) {
        writeFileSync(path("changed.jwt"), changed);
        const { exit } = await check("changed.jwt", "ed25519.json");
        expect([at, exit]).toEqual([at, 1]);
      }
    }
  });

  it("makes a set of several keys, and each of their tokens holds under it", async () => {
    const { out } = await token("keys", ...ALGS.flatMap((alg) => ["--key", path(`${alg}.key`)]));
    writeFileSync(path("both.json"), out);
    for (const alg of ALGS) expect((await check(`${alg}.jwt`, "both.json")).exit).toBe(0);
  });

  it("signs nothing that no gateway would take, and writes over nothing", async () => {
    const faultOf = async (key: string, ...more: readonly string[]): Promise<string | undefined> =>
      (await issue(key, "none.jwt", ...more)).fault;
    expect(await faultOf("mldsa65-ed25519")).toBe("ERR_KEY_INVALID");
    expect(await faultOf("es256", "--ttl", "0")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--ttl", "ten")).toBe("usage");
    expect(await faultOf("es256", "--tools", "echo")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--workflow", "night ly")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--id", "run 1")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--audience", "two words")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--issuer", "two words")).toBe("ERR_SHAPE");
    expect(await faultOf("es256", "--holder", "worker")).toBe("usage");
    const many = Array.from({ length: 256 }, (_, at) => `file:///${"x".repeat(30)}/${at}`).join(",");
    expect(await faultOf("es256", "--resources", many)).toBe("ERR_SHAPE");
    expect((await issue("es256", "es256.jwt")).fault).toBe("ERR_FILE_WRITE");
    expect((await token("sign")).fault).toBe("usage");
  });
});
