/** Several logs in one process: each with its own identity, keys, tokens and faults, under its own name. */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isCodedError } from "../../kernel/errors.ts";
import { makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import type { LedgerConfig } from "../../ledger/config.ts";
import type { LedgerOptions } from "../../ledger/options.ts";
import { startLedger, startLedgers } from "../../ledger/start.ts";
import { errorCode, eventually, ledgerOptions, makeDataDir } from "../support/ledger-service.ts";
import { registrationOf, segmentOf } from "../support/ledger-submitter.ts";
import { conflict, type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
const originOf = (name: string): string => `ledger.example/${name}`;
const tokenOf = (name: string, who = "submit"): string => `${who}-token-of-${name}-0123456789-0123456789`;
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const submitTo = (name: string): Record<string, string> => bearer(tokenOf(name));

let folder = "";
let service: RunningService | undefined;
let witness: FakeWitness;
beforeEach(async () => {
  folder = await makeDataDir();
  witness = await startFakeWitness(1);
});
afterEach(async () => {
  await service?.close();
  service = undefined;
  await witness.close();
  await rm(folder, { recursive: true, force: true });
});

function keysOf(name: string): readonly SignerKey[] {
  const seed = name.charCodeAt(0);
  return [
    makeSignerKey(originOf(name), 0x01, new Uint8Array(32).fill(seed)),
    makeSignerKey(originOf(name), 0x06, new Uint8Array(32).fill(seed + 1)),
  ];
}

/** A log with everything of its own; a raw one unless told otherwise. */
function log(
  name: string,
  config: Partial<LedgerConfig> = {},
): { readonly name: string; readonly options: LedgerOptions } {
  const own = ledgerOptions(join(folder, name), QUIET, { config: { origin: originOf(name), ...config } });
  const tokens = { submitToken: tokenOf(name), readerTokens: [tokenOf(name, "reader")] };
  return { name, options: { ...own, ...tokens, logKeys: keysOf(name) } };
}

async function start(...logs: readonly ReturnType<typeof log>[]): Promise<string> {
  service = await startLedgers({ listen: { port: 0 }, logs, logger: QUIET, closeGraceMs: 100 });
  return service.url;
}

const post = (url: string, body: Uint8Array | string, headers: Record<string, string>): Promise<Response> =>
  fetch(url, { method: "POST", body, headers });

async function startCode(...logs: readonly ReturnType<typeof log>[]): Promise<string> {
  try {
    await start(...logs);
    return "started";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe("several logs in one process", () => {
  it("are served under their names, each with its own origin, keys and kind", async () => {
    const url = await start(log("a"), log("b", { log_kind: "receipts" }));
    for (const name of ["a", "b"]) {
      const text = await eventually(async () => {
        const answer = await fetch(`${url}/${name}/checkpoint`);
        return answer.status === 200 ? answer.text() : undefined;
      });
      const keys = keysOf(name).map(({ verifierKey }) => verifierKey);
      expect(openLogCheckpoint(text, keys).checkpoint.origin).toBe(originOf(name));
      expect(await (await fetch(`${url}/${name}/metadata`)).json()).toMatchObject({ origin: originOf(name) });
      expect((await fetch(`${url}/${name}/tile/0/000.p/1`)).status).toBe(200);
    }
    expect(await (await post(`${url}/a/add`, "entry", submitTo("a"))).text()).toBe("1");
    expect(await errorCode(await post(`${url}/b/add`, "entry", submitTo("b")))).toBe("ERR_LOG_KIND");
    const tiles = ["a/tile/0/000.p/%31", "%61/tile/0/000.p/1", "b/../a/tile/0/000.p/9", "a/tile/a/tile/0/000.p/1"];
    for (const path of [
      "checkpoint",
      "metadata",
      "c/checkpoint",
      "a",
      "a/",
      "A/checkpoint",
      "a%2fcheckpoint",
      ...tiles,
    ]) {
      expect([path, (await fetch(`${url}/${path}`)).status]).toEqual([path, 404]);
    }
  });

  it("take their own tokens and no others', on the short way of additions as well", async () => {
    const url = await start(log("a"), log("b"), log("c", { open_add: true }));
    expect(await (await post(`${url}/a/add`, "entry", submitTo("a"))).text()).toBe("1");
    expect(await (await post(`${url}/b/add`, "other", submitTo("b"))).text()).toBe("1");
    expect(await (await post(`${url}/b/add?promise=1`, "more", submitTo("b"))).text()).toBe("2");
    expect(await (await post(`${url}/c/add`, "open to all", {})).text()).toBe("1");
    for (const [at, by] of [
      ["a", "b"],
      ["b", "a"],
      ["a", "c"],
    ] as const) {
      const refused = await post(`${url}/${at}/add`, "not mine", submitTo(by));
      expect([refused.status, await errorCode(refused)]).toEqual([401, "ERR_TOKEN"]);
    }
    const entries = (name: string, token: string) =>
      fetch(`${url}/${name}/tile/entries/000.p/1`, { headers: bearer(token) });
    expect((await entries("a", tokenOf("a", "reader"))).status).toBe(200);
    expect((await entries("a", tokenOf("b", "reader"))).status).toBe(401);
  });

  it("know their own streams only", async () => {
    const url = await start(log("a", { log_kind: "receipts" }), log("b", { log_kind: "receipts" }));
    const stream = makeStream({ keys: gatewayKeys(30), log: originOf("a") });
    const json = { "content-type": "application/json" };
    const registration = registrationOf(stream.keys, { origin: originOf("a") });
    expect((await post(`${url}/a/register`, registration, { ...json, ...submitTo("a") })).status).toBe(201);
    expect((await post(`${url}/b/register`, registration, { ...json, ...submitTo("b") })).status).toBe(403);
    const segment = segmentOf(stream, 0, 3, originOf("a"));
    const ndjson = { "content-type": "application/x-ndjson" };
    expect(await (await post(`${url}/a/segments`, segment, { ...ndjson, ...submitTo("a") })).json()).toMatchObject({
      first_index: 2,
      count: 3,
    });
    expect(await errorCode(await post(`${url}/b/segments`, segment, { ...ndjson, ...submitTo("b") }))).toBe(
      "ERR_STREAM_UNKNOWN",
    );
  });

  it("are ready together, and go on without the one that halts", async () => {
    witness.behaviour = () => conflict(1_000_000n);
    const url = await start(log("a"), log("b", { witness_policy: `${witness.policyLine}\nquorum w1\n` }));
    await eventually(async () => ((await fetch(`${url}/b/readyz`)).status === 503 ? true : undefined));
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { ready: false, logs: { a: { ready: true }, b: { ready: false, fault: "ERR_WITNESS_AHEAD" } } },
    ]);
    expect(await errorCode(await post(`${url}/b/add`, "entry", submitTo("b")))).toBe("ERR_LEDGER_STOPPED");
    expect((await post(`${url}/a/add`, "entry", submitTo("a"))).status).toBe(200);
    expect((await fetch(`${url}/a/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("are counted apart: one exposition for all, labelled, and one of each", async () => {
    const url = await start(log("a"), log("b"));
    for (const text of ["1", "2", "3"]) await post(`${url}/a/add`, text, submitTo("a"));
    await fetch(`${url}/b/metadata`);
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'ledger_entries_total{log="a"} 4',
      'ledger_entries_total{log="b"} 1',
      'ledger_tree_size{log="a"} 4',
      'ledger_requests_total{log="a",route="/add",status="200"} 3',
      'ledger_requests_total{log="b",route="/metadata",status="200"} 1',
      'ledger_halted{log="b"} 0',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).toMatch(/^ledger_batch_seconds_bucket\{(?=.*le="0\.5")(?=.*log="a").*\} \d+$/mu);
    expect(text.match(/^# TYPE ledger_entries_total /gmu)?.length).toBe(1);
    expect(await (await fetch(`${url}/a/metrics`)).text()).toMatch(/^ledger_entries_total 4$/mu);
  });

  it("close together, with all that they acknowledged, and each can be run alone afterwards", async () => {
    const url = await start(log("a"), log("b"));
    await Promise.all(
      ["a", "b"].flatMap((name) => ["1", "2"].map((text) => post(`${url}/${name}/add`, text, submitTo(name)))),
    );
    await service?.close();
    service = await startLedger(log("b").options);
    expect(await (await fetch(`${service.url}/metadata`)).json()).toMatchObject({ origin: originOf("b"), size: 3 });
    expect((await fetch(`${service.url}/checkpoint`)).status).toBe(200);
  });

  it("start all or none: what was opened is given up again", async () => {
    await start(log("a"), log("b"));
    await service?.close();
    service = undefined;
    const wrong = log("b", { log_kind: "receipts" });
    expect(await startCode(log("a"), wrong)).toBe("ERR_GENESIS_MISMATCH");
    const same = {
      name: "b",
      options: { ...log("b").options, config: { ...log("b").options.config, data_dir: join(folder, "a") } },
    };
    expect(await startCode(log("a"), same)).toBe("ERR_FOLDER_LOCKED");
    await mkdir(join(folder, "c"));
    expect(await startCode(log("a"), log("b"), log("c"))).toBe("started");
  });
});
