/**
 * Commands of the documents as they stand there, over one small topology: services, bundle and verdicts, disclosure, mirrors,
 * copies and checks of the log. What a reader fills in is filled in, and nothing else is changed.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProcess, runCommandLine, until } from "../support/command.ts";
import { walkBlock } from "../support/document-walks.ts";
import { freePort } from "../support/free-port.ts";
import { ROOT } from "../support/source-files.ts";

type Filled = readonly (readonly [string, string])[];

const folder = mkdtempSync(join(tmpdir(), "countersign-walks-"));
const data = join(folder, ".countersign");
const at = (...names: readonly string[]): string => join(folder, ...names);
const running: ChildProcess[] = [];
const environment = { ...process.env, PATH: `${at("bin")}:${process.env["PATH"] ?? ""}` };

const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const portOf = (service: string): string => String(readJson(join(data, "config", `${service}.json`)).listen.port);
const fill = (text: string, filled: Filled): string =>
  filled.reduce((line, [from, to]) => line.replaceAll(from, to), text);

/** Runs the text in the folder by bash, which stops at the first command that fails. */
function paste(text: string, filled: Filled = []): { readonly exit: number | null; readonly said: string } {
  const args = ["-euo", "pipefail", "-c", fill(text, filled)];
  const done = spawnSync("bash", args, { cwd: folder, env: environment, encoding: "utf8", timeout: 120_000 });
  return { exit: done.status, said: done.stdout + done.stderr };
}

/** Starts a service by a command of a document, and waits until it says that it listens. */
async function start(text: string, filled: Filled = []): Promise<void> {
  const args = ["-c", `exec ${fill(text, filled)}`];
  const child = spawn("bash", args, { cwd: folder, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  running.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const isUp = async (): Promise<boolean> => child.exitCode !== null || said.includes('"service":');
  await until(`${text} is up`, isUp, 60_000);
  expect(child.exitCode, said).toBeNull();
}

async function stopAll(): Promise<void> {
  for (const child of running.splice(0).reverse()) await endProcess(child);
}

/** Changes members of a JSON file of the folder. */
function change(path: string, members: object): void {
  writeFileSync(path, JSON.stringify({ ...readJson(path), ...members }));
}

/** The stream and the session that a bundle is about. */
function idsOf(bundle: string): { readonly stream: string; readonly session: string } {
  const texts = readFileSync(bundle, "utf8").replaceAll('\\"', '"');
  const stream = readJson(bundle).streams[0].stream as string;
  return { stream, session: /"session":\{"id":"([0-9a-f-]{36})"/u.exec(texts)?.[1] ?? "" };
}

/** The programs that a reader has: the installed command, and npx. */
function install(): void {
  mkdirSync(at("bin"));
  const main = `exec "${process.execPath}" "${join(ROOT, "dist", "cli", "main.js")}" "$@"\n`;
  writeFileSync(at("bin", "countersign"), `#!/bin/sh\n${main}`, { mode: 0o755 });
  writeFileSync(at("bin", "npx"), `#!/bin/sh\nshift\n${main}`, { mode: 0o755 });
}

beforeAll(async () => {
  install();
  expect(runCommandLine(["setup", "--data", data, "--origin", "ledger.example.org/2026"]).status).toBe(0);
  change(join(data, "config", "gateway.json"), { vault: { keep_payloads: true } });
  const first = runCommandLine(["up", "--once", "--data", data], 120_000);
  expect(first.status, first.out + first.err).toBe(0);
  for (const name of ["ledger", "api", "gateway"])
    copyFileSync(join(data, "config", `${name}.json`), at(`${name}.json`));
  copyFileSync(join(data, "config", "witness-1.json"), at("witness.json"));
  for (const name of ["policy.txt", "witnesses.txt"]) copyFileSync(join(data, "witness-policy.txt"), at(name));
  copyFileSync(join(data, "tokens", "read"), at("reader.token"));
  cpSync(join(data, "policy"), at("policy"), { recursive: true });
  copyFileSync(join(data, readdirSync(data).find((name) => name.startsWith("trust")) ?? ""), at("trust.json"));
  change(at("ledger.json"), { readers: "public" });
}, 240_000);
afterAll(async () => {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
});

describe("the commands of the documents, with a running system", () => {
  it("start witnesses, ledger, gateway and auditor node", async () => {
    const witness = walkBlock("witness");
    await start(witness);
    for (const n of [2, 3]) await start(witness, [["witness.json", join(data, "config", `witness-${n}.json`)]]);
    await start(walkBlock("ledger"));
    await start(walkBlock("gateway"));
    await start(walkBlock("api"));
  });

  it("make a bundle and verify it, as docs/verify.md says", () => {
    const [name = ""] = readdirSync(join(data, "bundles"));
    const { stream, session } = idsOf(join(data, "bundles", name));
    const { exit, said } = paste(walkBlock("bundle"), [
      ["127.0.0.1:4200", `127.0.0.1:${portOf("ledger")}`],
      ["--stream <id>", `--stream ${stream}`],
      ["--session <id>", `--session ${session}`],
    ]);
    expect([exit, said]).toEqual([0, expect.stringContaining("Verified: all")]);
  });

  it("draw it and export it", () => {
    for (const text of [walkBlock("graph"), walkBlock("ocsf")]) expect(paste(text)).toMatchObject({ exit: 0 });
    expect(readFileSync(at("session.svg"), "utf8")).toMatch(/^<svg[\s>]/u);
    expect(readFileSync(at("events.ndjson"), "utf8").trim().split("\n").length).toBeGreaterThan(5);
  });

  it("open its calls, decide them again, and open fields of them until they are erased", () => {
    const opened = `${walkBlock("disclose-for-replay")} --bundle session.bundle.json --config gateway.json --out session.disclosure.json`;
    expect(paste(opened)).toMatchObject({ exit: 0 });
    // The catalog is neither in the bundle nor named, as docs/verify.md asks: the verdict says so, and is not required.
    const replayed = paste(walkBlock("replay"));
    expect([replayed.exit, replayed.said]).toEqual([
      0,
      expect.stringMatching(/policy\.replay\s+not_established\s+replay\.catalog-not-disclosed/u),
    ]);
    rmSync(at("session.disclosure.json"));
    const { exit, said } = paste(walkBlock("disclose"));
    expect([exit, said]).toEqual([0, expect.stringContaining("receipts have lost their secrets")]);
  });

  it("make a key for a witness, and a mirror that has one", async () => {
    const made = paste(walkBlock("witness-key"));
    expect([made.exit, made.said]).toEqual([0, expect.stringMatching(/^witness\.example\/w1\+/u)]);
    const logKeys = readJson(at("witness.json")).logs[0].keys;
    const logs = [{ origin: "ledger.example.org/2026", keys: logKeys }];
    const config = { listen: { port: await freePort() }, data_dir: at("pushed"), key_files: [at("w1.key")], logs };
    writeFileSync(at("mirror.json"), JSON.stringify(config));
    await start(walkBlock("mirror-server"));
  });

  it("mirror the log and serve the mirror", async () => {
    const [follow = "", serve = ""] = walkBlock("mirror").trim().split("\n");
    const port = await freePort();
    const filled: Filled = [
      ["https://ledger.example.org/2026/", `http://127.0.0.1:${portOf("ledger")}/`],
      ["/srv/mirror", at("mirror")],
      ["0.0.0.0:4300", `127.0.0.1:${port}`],
    ];
    const follower = spawn("bash", ["-c", `exec ${fill(follow, filled)}`], {
      cwd: folder,
      env: environment,
      stdio: "ignore",
    });
    running.push(follower);
    await until("the mirror has a checkpoint", async () => existsSync(at("mirror", "checkpoint")), 60_000);
    await start(serve, filled);
    const answer = await fetch(`http://127.0.0.1:${port}/checkpoint`);
    expect(await answer.text()).toMatch(/^ledger\.example\.org\/2026\n/u);
  });

  it("copy the running log, and restore the copy after asking who has seen more", async () => {
    const [backup = "", restore = ""] = walkBlock("backup").trim().split("\n");
    // Gateway and auditor go first: a log that grows behind its copy is no way back.
    const filled: Filled = [
      ["<data folder>", join(data, "data", "ledger")],
      ["<new folder>", at("copy")],
      ["<backup>", at("copy")],
      ["<new data folder>", at("restored")],
      ["https://ledger.example.org/2026", `http://127.0.0.1:${portOf("ledger")}`],
    ];
    await endProcess(running.splice(4, 1)[0] as ChildProcess);
    await until(
      "the log has told its last entries",
      async () => {
        rmSync(at("copy"), { recursive: true, force: true });
        rmSync(at("restored"), { recursive: true, force: true });
        return paste(`${backup}\n${restore}`, filled).exit === 0;
      },
      60_000,
    );
    expect(existsSync(at("restored", "wal"))).toBe(true);
    expect(paste(walkBlock("fsck-of-copy"), filled)).toEqual({ exit: 0, said: expect.stringContaining("clean") });
  });

  it("end a stream, and freeze the log with a document that says so", () => {
    const [name = ""] = readdirSync(join(data, "bundles"));
    const { stream } = idsOf(join(data, "bundles", name));
    expect(paste(walkBlock("end-stream"), [["<id>", stream]])).toMatchObject({ exit: 0 });
    expect(paste(walkBlock("freeze"))).toMatchObject({ exit: 0 });
    expect(readJson(at("frozen.json"))).toHaveProperty("checkpoint");
  });
});

describe("the commands of the documents, with a stopped log", () => {
  const folderOfLog: Filled = [["<data folder>", join(data, "data", "ledger")]];

  beforeAll(stopAll);

  it("check it from disk, and make its index anew", () => {
    expect(paste(walkBlock("fsck"), folderOfLog)).toEqual({ exit: 0, said: expect.stringContaining("clean") });
    expect(paste(walkBlock("reindex"), folderOfLog)).toEqual({ exit: 0, said: expect.stringContaining("indexed") });
    const byConfig = paste(walkBlock("fsck-by-config"), [[" [--log <name>]", ""]]);
    expect(byConfig).toEqual({ exit: 0, said: expect.stringContaining("clean") });
  });

  it("write it into one file, from its folder and by its configuration, and read that as a mirror", () => {
    const [byFolder = "", byConfig = "", read = ""] = walkBlock("export").trim().split("\n");
    const filled: Filled = [
      ["<data folder | mirror folder | url>", join(data, "data", "ledger")],
      [" [--from-index 100000 --to-index 200000]", ""],
      [" [--log <name>]", ""],
      ["/srv/mirror", at("imported")],
    ];
    expect(paste(byFolder, filled)).toMatchObject({ exit: 0 });
    const archive = readFileSync(at("log.tar"));
    rmSync(at("log.tar"));
    expect(paste(byConfig, filled)).toMatchObject({ exit: 0 });
    expect(readFileSync(at("log.tar")).equals(archive)).toBe(true);
    expect(paste(read, filled)).toMatchObject({ exit: 0 });
    expect(existsSync(at("imported", "checkpoint"))).toBe(true);
  });

  it("say what pruning it would do, and do nothing", () => {
    const { exit, said } = paste(walkBlock("prune"), [...folderOfLog, ["1000000", "4"]]);
    expect([exit, said]).toEqual([0, expect.stringContaining("would be")]);
    expect(existsSync(join(data, "data", "ledger", "retention"))).toBe(false);
  });
});
