/** The words of `countersign ledger`, on the folder of a stopped log and through a running one; and `countersign log-status`. */

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ledgerCommand } from "../../cli/commands/ledger.ts";
import { logStatusCommand } from "../../cli/commands/log-status.ts";
import { formatSignerKey, makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { add, ledgerPair, pinning } from "../support/ledger-operator.ts";
import {
  LEDGER_ORIGIN,
  makeDataDir,
  OPERATOR_TOKEN,
  READER_TOKEN,
  SUBMIT_TOKEN,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";

let folder = "";
let witness: FakeWitness;
let running: TestLedger | undefined;
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await makeDataDir();
  witness = await startFakeWitness(1);
  await mkdir(at("keys"));
  for (const n of [0, 1]) {
    for (const key of ledgerPair(n)) await writeFile(at(`keys/${n}-${key.type}`), `${formatSignerKey(key)}\n`);
  }
  await writeFile(at("keys/operator"), formatSecretKey({ alg: "ed25519", secret: new Uint8Array(32).fill(43) }));
  for (const [name, token] of [
    ["submit", SUBMIT_TOKEN],
    ["reader", READER_TOKEN],
    ["operator-token", OPERATOR_TOKEN],
  ] as const) {
    await writeFile(at(name), `${token}\n`);
  }
  await writeFile(at("pins"), pinning([0], [witness]));
  await configure([0, 1]);
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  await witness.close();
  await rm(folder, { recursive: true, force: true });
});

async function configure(pairs: readonly number[], port = 1): Promise<void> {
  const config = {
    listen: { port },
    data_dir: at("data"),
    origin: LEDGER_ORIGIN,
    log_kind: "raw",
    log_key_files: pairs.flatMap((n) => [at(`keys/${n}-1`), at(`keys/${n}-6`)]),
    operator_key_file: at("keys/operator"),
    operator_token_file: at("operator-token"),
    witness_policy: `${witness.policyLine}\nquorum w1\n`,
    admission: { software_evidence: "allow" },
    submit_token_file: at("submit"),
    reader_token_files: [at("reader")],
    readers: "token",
    checkpoint_ms: 20,
    witness_ms: 20,
  };
  await writeFile(at("ledger.json"), JSON.stringify(config));
}

const originOf = (name: string): string => `ledger.example/${name}`;
const shardKeys = (name: string): readonly SignerKey[] =>
  ledgerPair(0).map(({ type, seed }) => makeSignerKey(originOf(name), type, seed));
const shardPins = (name: string): string => {
  const logs = shardKeys(name).map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`);
  return `${logs.join("")}${witness.policyLine}\nquorum w1\n`;
};

/** Two shards of one process. */
async function configureShards(): Promise<void> {
  const { listen, ...common } = JSON.parse(await readFile(at("ledger.json"), "utf8"));
  const logs = await Promise.all(
    ["2025", "2026"].map(async (name) => {
      const files = shardKeys(name).map(
        (key) => [at(`keys/${name}-${key.type}`), `${formatSignerKey(key)}\n`] as const,
      );
      for (const [path, text] of files) await writeFile(path, text);
      const keys = { log_key_files: files.map(([path]) => path) };
      const shard = { start: "1970-01-01T00:00:00.000Z", end: "9999-01-01T00:00:00.000Z" };
      const before = name === "2026" ? { predecessor: originOf("2025") } : {};
      return { ...common, ...keys, ...before, name, origin: originOf(name), data_dir: at(`data-${name}`), shard };
    }),
  );
  await writeFile(at("ledger.json"), JSON.stringify({ listen, logs }));
}

const ledger = (word: string, ...more: readonly string[]): Promise<CommandRun> =>
  runInProcess(ledgerCommand, [word, "--config", at("ledger.json"), ...more]);
const status = (source: string, ...more: readonly string[]): Promise<CommandRun> =>
  runInProcess(logStatusCommand, [source, "--witness-policy", at("pins"), ...more]);
const indexOf = ({ out }: CommandRun): unknown => JSON.parse(out).index;

describe("countersign ledger, with a word", () => {
  it("works on the folder of a stopped log: rotates, retires, ends; the file proves it to whoever pinned the first key", async () => {
    const shown = await ledger("rotate-key", "--dry-run");
    expect([shown.exit, JSON.parse(shown.out).kind]).toEqual([0, "log-key-rotation"]);
    expect(indexOf(await ledger("rotate-key"))).toBe(1);
    expect(indexOf(await ledger("retire-key"))).toBe(2);
    await configure([1]);
    expect((await ledger("retire-key")).fault).toBe("ERR_ROTATION_ORDER");
    const freezing = ["--reason", "the year is over", "--successor", "ledger.example/next"];
    expect((await ledger("freeze", ...freezing, "--dry-run")).exit).toBe(0);
    expect(await ledger("freeze", ...freezing, "--out", at("frozen.json"))).toMatchObject({ exit: 0 });
    expect((await ledger("freeze", ...freezing)).fault).toBe("ERR_LOG_CLOSED");
    expect(await ledger("decommission", "--out", at("again.json"))).toMatchObject({ exit: 0, out: "" });
    for (const name of ["frozen.json", "again.json"]) {
      const told = await status(at(name));
      expect([told.exit, told.err]).toEqual([0, ""]);
      expect(told.out).toMatch(/^frozen at size 4: ledger\.example\/test\n/u);
      expect(told.out).toContain("successor:   ledger.example/next");
    }
    // A log that has ended does not age.
    expect((await status(at("frozen.json"), "--max-age-seconds", "1")).exit).toBe(0);
  });

  it("works through a running ledger, which goes on", async () => {
    const options = { witness_policy: `${witness.policyLine}\nquorum w1\n` };
    running = await startTestLedger({ dataDir: at("data"), logKeys: [0, 1].flatMap(ledgerPair), config: options });
    await configure([0, 1], Number(new URL(running.url).port));
    expect(await add(running, "one")).toBe(1);
    expect(indexOf(await ledger("rotate-key"))).toBe(2);
    expect(await add(running, "two")).toBe(3);
    expect((await ledger("rotate-key")).fault).toBe("ERR_SERVICE_ANSWER");
    const told = await status(running.url, "--json", "--save", at("kept.json"));
    expect(JSON.parse(told.out)).toMatchObject({ verdict: "pass", standing: "rotating", rotations: 1 });
    expect((await status(at("kept.json"))).exit).toBe(0);
    expect((await status(at("kept.json"), "--max-age-seconds", "60")).out).toContain("ERR_LOG_STATUS_STALE");
    expect((await ledger("end-stream", "--stream", "ab".repeat(32), "--reason", "x")).fault).toBe("ERR_SERVICE_ANSWER");
    expect(await ledger("decommission", "--reason", "moved", "--out", at("end.json"))).toMatchObject({ exit: 0 });
    expect((await status(at("end.json"))).out).toMatch(/^decommissioned at size 5/u);
    expect(await add(running, "three")).toBe("ERR_LOG_CLOSED");
  });

  it("links a log to the final tree of the one before it, and to no log that is open", async () => {
    await ledger("rotate-key", "--out", at("open.json"));
    const before = ["--predecessor-policy", at("pins"), "--predecessor"];
    expect((await ledger("link", ...before, at("open.json"))).fault).toBe("ERR_PREDECESSOR");
    await ledger("freeze", "--reason", "over", "--out", at("frozen.json"));
    expect((await ledger("link", ...before, at("frozen.json"))).fault).toBe("ERR_LOG_CLOSED");
  });

  it("works on one of several logs: a shard that is over is frozen, and the next one tied to its final tree", async () => {
    await configureShards();
    expect((await ledger("freeze", "--reason", "over", "--out", at("2025.json"))).fault).toBe("usage");
    const freezing = ["--log", "2025", "--reason", "over", "--successor", originOf("2026"), "--out", at("2025.json")];
    expect((await ledger("freeze", ...freezing)).exit).toBe(0);
    await writeFile(at("2025-policy"), shardPins("2025"));
    const before = [
      "--predecessor",
      at("2025.json"),
      "--predecessor-policy",
      at("2025-policy"),
      "--out",
      at("2026.json"),
    ];
    // This witness knows no origins.
    witness.size = 0n;
    const linked = await ledger("link", "--log", "2026", ...before);
    expect([linked.exit, indexOf(linked)]).toEqual([0, 1]);
    await writeFile(at("pins"), shardPins("2026"));
    const told = JSON.parse((await status(at("2026.json"), "--json")).out);
    expect(told).toMatchObject({ standing: "active", predecessor: { origin: originOf("2025"), size: 2 } });
    expect((await ledger("link", "--log", "2025", ...before.slice(0, 4))).fault).toBe("ERR_LOG_CLOSED");
  });

  it("says what is missing or does not belong", async () => {
    expect((await ledger("melt")).fault).toBe("usage");
    expect((await ledger("freeze")).fault).toBe("usage");
    expect((await ledger("decommission")).fault).toBe("usage");
    expect((await ledger("freeze", "--reason", "x", "--successor-url", "http://a")).fault).toBe("usage");
    expect((await ledger("rotate-key", "--log", "a")).fault).toBe("usage");
    const plain = await runInProcess(ledgerCommand, ["--config", at("ledger.json"), "--reason", "x"]);
    expect(plain.fault).toBe("usage");
  });
});

describe("countersign log-status", () => {
  it("tells what is false from what is not established", async () => {
    await ledger("freeze", "--reason", "over", "--out", at("frozen.json"));
    const text = await readFile(at("frozen.json"), "utf8");
    await writeFile(at("false.json"), text.replace('"reason":"over"', '"reason":"0ver"'));
    expect((await status(at("false.json"))).exit).toBe(1);
    await writeFile(at("pins"), pinning([0]));
    expect(await status(at("frozen.json"), "--json")).toMatchObject({ exit: 2 });
    await writeFile(at("pins"), pinning([1], [witness]));
    expect((await status(at("frozen.json"))).out).toMatch(/^not established \(ERR_ORIGIN\)/u);
    await writeFile(at("false.json"), text.slice(0, -1));
    expect((await status(at("false.json"))).fault).toBe("ERR_JSON_SYNTAX");
  });
});
