import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatAddCheckpoint, MAX_REQUEST_BYTES } from "../../kernel/add-checkpoint.ts";
import { checkLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { FormatError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { parseWitnessConfig } from "../../witness/config.ts";
import { sourceOf } from "../../witness/rate-limit.ts";
import { type RunningWitness, startWitness } from "../../witness/start.ts";
import { originHash } from "../../witness/state-book.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 12);
const keys = [makeSignerKey("witness.example/w", 0x04, new Uint8Array(32).fill(9))];
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
let folder: string;
let service: RunningService;

function start(extra = {}): Promise<RunningService> {
  const config = parseWitnessConfig(
    parseJson(
      JSON.stringify({
        listen: { port: 0 },
        data_dir: folder,
        key_files: ["unused"],
        logs: [{ origin: log.origin, keys: [formatVerifierKey(log.key)] }],
        ...extra,
      }),
    ),
  );
  return startWitness({ config, keys, logger });
}

function post(body: string, path = "/add-checkpoint"): Promise<Response> {
  return fetch(`${service.url}${path}`, { method: "POST", body });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-witness-"));
  service = await start();
});
afterEach(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the witness service", () => {
  it("cosigns over HTTP, serves the monitoring path, and says 404 for logs it never cosigned", async () => {
    const monitoring = `${service.url}/${originHash(log.origin)}/checkpoint`;
    expect((await fetch(monitoring)).status).toBe(404);
    const answer = await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    expect(answer.status).toBe(200);
    expect(await (await fetch(monitoring)).text()).toBe(log.checkpoint(5) + (await answer.text()));
  });

  it("answers the 409 with its content type and the bare size", async () => {
    await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    const answer = await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      409,
      "text/x.tlog.size",
      "5\n",
    ]);
  });

  it("refuses bodies above its limit, wrong methods and unknown paths, and stays healthy", async () => {
    expect((await post("x".repeat(10 * 1024 * 1024))).status).toBe(413);
    expect((await post("x".repeat(MAX_REQUEST_BYTES - 1))).status).toBe(400);
    expect((await fetch(`${service.url}/add-checkpoint`)).status).toBe(404);
    expect((await post("", "/sign-subtree")).status).toBe(404);
    expect((await fetch(`${service.url}/..%2f..%2fetc/checkpoint`)).status).toBe(404);
    expect((await post("{}")).status).toBe(400);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${service.url}/metrics`)).text()).toContain("countersign_witness_answers_total");
  });

  it("survives a client that goes away in the middle of its body", async () => {
    await new Promise<void>((resolve) => {
      const half = httpRequest(`${service.url}/add-checkpoint`, {
        method: "POST",
        headers: { "content-length": "1000" },
      });
      half.on("error", () => resolve());
      half.write("old 0\n", () => half.destroy(new Error("gone")));
    });
    expect((await post(formatAddCheckpoint(0n, [], log.checkpoint(5)))).status).toBe(200);
  });

  it("answers 429 with Retry-After above its rate", async () => {
    await service.close();
    service = await start({ requests_per_minute: 2 });
    const answers = [];
    for (let i = 0; i < 3; i += 1) answers.push(await post(formatAddCheckpoint(0n, [], log.checkpoint(0))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(Number(answers[2]?.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("keeps its state over a restart, and leaves no temporary file", async () => {
    await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    await service.close();
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    service = await start();
    expect((await post(formatAddCheckpoint(0n, [], log.checkpoint(5)))).status).toBe(409);
  });

  it("refuses to start on a folder that another one holds", async () => {
    await expect(start()).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
  });
});

describe("the configuration of a witness", () => {
  const good = { data_dir: "d", key_files: ["k"], logs: [{ origin: log.origin, keys: [formatVerifierKey(log.key)] }] };
  const read = (config: object): unknown => parseWitnessConfig(parseJson(JSON.stringify(config)));

  it("is read strictly, and refusals name the member", () => {
    expect(() => read(good)).not.toThrow();
    expect(() => read({ ...good, extra: 1 })).toThrow(/config\."?extra/u);
    expect(() => read({ ...good, logs: [] })).toThrow(/config\.logs/u);
    expect(() => read({ ...good, logs: [], logs_path: "logs" })).not.toThrow();
    expect(() => read({ ...good, listen: { port: 70_000 } })).toThrow(/config\.listen\.port/u);
  });

  it("refuses a log whose key has another name, and an origin that stands twice", () => {
    const [entry] = good.logs;
    expect(() => read({ ...good, logs: [{ origin: "other.example", keys: entry?.keys }] })).toThrow(/want keys named/u);
    expect(() => read({ ...good, logs: [entry, entry] })).toThrow(/stands twice/u);
  });
});

describe("the list of logs, evidence and operation of a witness", () => {
  const other = makeSmallLog("log.example/b", 2, 12);
  const token = "operator-token-0123456789-0123456789";
  let list: readonly { readonly origin: string; readonly keys: readonly (typeof log.key)[] }[] = [];

  async function startListed(): Promise<RunningWitness> {
    await service.close();
    const config = {
      listen: { port: 0 },
      data_dir: folder,
      key_files: [],
      logs: [{ origin: log.origin, keys: [log.key] }],
    };
    const readLogs = (): typeof list => {
      if (list.some(({ keys: none }) => none.length === 0))
        throw new FormatError("ERR_SHAPE", "logs[0].keys: want one");
      return list;
    };
    const started = await startWitness({ config, keys, logger, readLogs, operatorToken: token });
    service = started;
    return started;
  }
  const reload = (bearer: string): Promise<Response> =>
    fetch(`${service.url}/reload`, { method: "POST", headers: { authorization: `Bearer ${bearer}` } });

  it("is read again while it runs; a bad list changes nothing and says so; what was recorded of a log stays", async () => {
    list = [];
    const witness = await startListed();
    expect((await post(formatAddCheckpoint(0n, [], other.checkpoint(5)))).status).toBe(404);
    list = [{ origin: other.origin, keys: [other.key] }];
    expect(await (await reload(token)).json()).toEqual({ logs: 2 });
    expect((await post(formatAddCheckpoint(0n, [], other.checkpoint(5)))).status).toBe(200);
    list = [{ origin: other.origin, keys: [] }];
    const refused = await reload(token);
    expect([refused.status, (await refused.text()).split(":")[0]]).toEqual([422, "ERR_SHAPE"]);
    await expect(witness.reload()).rejects.toMatchObject({ code: "ERR_SHAPE" });
    expect((await post(formatAddCheckpoint(5n, [], other.checkpoint(5)))).status).toBe(200);
    list = [];
    await witness.reload();
    expect((await post(formatAddCheckpoint(5n, [], other.checkpoint(5)))).status).toBe(404);
    list = [{ origin: other.origin, keys: [other.key] }];
    await witness.reload();
    expect((await post(formatAddCheckpoint(0n, [], other.checkpoint(5)))).status).toBe(409);
    expect((await reload("wrong")).status).toBe(401);
  });

  it("shows evidence of a fork that anybody can check", async () => {
    const fork = makeSmallLog(log.origin, 1, 12, (i) => `forked ${i}`);
    await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    expect((await post(formatAddCheckpoint(5n, [], fork.checkpoint(5)))).status).toBe(422);
    expect((await post(formatAddCheckpoint(5n, [], log.checkpoint(9)))).status).toBe(422);
    const names = [...(await (await fetch(`${service.url}/evidence`)).text()).matchAll(/"([^"]+\.(fork|conflict))"/gu)];
    expect(names.map((match) => match[2]).sort()).toEqual(["conflict", "fork"]);
    const name = names.find((match) => match[2] === "fork")?.[1];
    const document = new Uint8Array(await (await fetch(`${service.url}/evidence/${name}`)).arrayBuffer());
    expect(checkLogFork(document, [log.key]).origin).toBe(log.origin);
    expect((await fetch(`${service.url}/evidence/none.fork`)).status).toBe(404);
    expect((await fetch(`${service.url}/evidence/..%2fwitness.journal`)).status).toBe(404);
  });

  it("counts by log, and tells size and age of each", async () => {
    await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    await post(formatAddCheckpoint(0n, [], other.checkpoint(5)));
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    const lines = [
      `countersign_witness_answers_total{route="add-checkpoint",log="${log.origin}",status="200",code="cosigned"} 1`,
      'countersign_witness_answers_total{route="add-checkpoint",log="",status="404",code="ERR_ORIGIN"} 1',
      `countersign_witness_size{log="${log.origin}"} 5`,
    ];
    for (const line of lines) expect(metrics).toContain(line);
    expect(metrics).toContain(`countersign_witness_cosignature_age_seconds{log="${log.origin}"}`);
  });

  it("bounds a source, and a stranger's unsigned requests take nothing of a log's rate", async () => {
    await service.close();
    service = await start({ requests_per_minute: 2 });
    for (let i = 0; i < 5; i += 1) await post(`old 0\n\n${log.checkpoint(5).replace("\n5\n", "\n6\n")}`);
    expect((await post(formatAddCheckpoint(0n, [], log.checkpoint(5)))).status).toBe(200);
    await service.close();
    service = await start({ requests_per_minute_per_source: 1 });
    expect((await post("")).status).toBe(400);
    const second = await post("");
    expect([second.status, Number(second.headers.get("retry-after")) > 0]).toEqual([429, true]);
  });

  it("counts an IPv6 network of 64 bits as one source", () => {
    expect(sourceOf("::ffff:192.0.2.7")).toBe("192.0.2.7");
    expect(sourceOf("2001:db8:1:2:3:4:5:6")).toBe(sourceOf("2001:db8:1:2::9"));
    expect(sourceOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
    expect(sourceOf("2001:db8:1:3::1")).not.toBe(sourceOf("2001:db8:1:2::1"));
    expect(sourceOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  });
});
