import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatAddCheckpoint, MAX_REQUEST_BYTES } from "../../kernel/add-checkpoint.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseWitnessConfig } from "../../witness/config.ts";
import { type RunningService, startWitness } from "../../witness/start.ts";
import { originHash } from "../../witness/store.ts";
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

  it("keeps its state over a restart, in one file an origin, and leaves no temporary file", async () => {
    await post(formatAddCheckpoint(0n, [], log.checkpoint(5)));
    await service.close();
    expect(readdirSync(folder).filter((name) => name.endsWith(".state"))).toEqual([`${originHash(log.origin)}.state`]);
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
    expect(() => read({ ...good, listen: { port: 70_000 } })).toThrow(/config\.listen\.port/u);
  });

  it("refuses a log whose key has another name, and an origin that stands twice", () => {
    const [entry] = good.logs;
    expect(() => read({ ...good, logs: [{ origin: "other.example", keys: entry?.keys }] })).toThrow(/want keys named/u);
    expect(() => read({ ...good, logs: [entry, entry] })).toThrow(/stands twice/u);
  });
});
