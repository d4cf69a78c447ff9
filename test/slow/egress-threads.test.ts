/** Threads of a guarded process: none but the declared ones, begun by the guard alone, and what those may do. */

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

const ATTACKS = join(ROOT, "test", "support", "thread-attacks.mjs");
const PRELOAD = join(ROOT, "test", "support", "thread-preload.mjs");
const folder = mkdtempSync(join(tmpdir(), "countersign-threads-"));
const home = join(folder, "package");
const loaded = join(folder, "loaded");

let undeclared: Server;
let allowed: Server;
let connections = 0;

const listening = (server: Server): Promise<Server> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
function portOf(server: Server): string {
  const address = server.address();
  return typeof address === "object" && address !== null ? String(address.port) : "";
}

/** The guard as it is built, in a package whose thread is hostile. */
function copyPackage(): void {
  cpSync(join(ROOT, "dist", "gateway", "egress"), join(home, "gateway", "egress"), { recursive: true });
  cpSync(join(ROOT, "dist", "kernel"), join(home, "kernel"), { recursive: true });
  cpSync(join(ROOT, "test", "support", "hostile-thread.mjs"), join(home, "gateway", "thread.js"));
  symlinkSync(join(ROOT, "node_modules"), join(home, "node_modules"));
  writeFileSync(join(home, "package.json"), '{"type":"module","imports":{"#crypto":"./kernel/crypto/node.js"}}');
}

interface Told {
  readonly results: Readonly<Record<string, unknown>>;
  readonly refused: readonly string[];
}

/** Runs a scenario in a process of its own. */
function run(scenario: string, env: Readonly<Record<string, string>> = {}): Told {
  const args = ["--import", PRELOAD, ATTACKS, home, scenario, portOf(undeclared), portOf(allowed)];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  if (!stdout.startsWith("{")) throw new Error(`${stdout}\n${stderr}`);
  return JSON.parse(stdout);
}

/** As told by Node or by the guard: refused. */
const REFUSED = /^(?:ERR_EGRESS|EACCES|EPERM|ENOENT|EAI_\w+)$/u;

describe("threads of a guarded process", () => {
  beforeAll(async () => {
    undeclared = await listening(createServer(() => (connections += 1)));
    allowed = await listening(createServer((socket) => socket.end()));
  });
  beforeEach(copyPackage);
  afterEach(() => rmSync(home, { recursive: true, force: true }));
  afterAll(() => {
    undeclared.close();
    allowed.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are refused to everybody but the guard: kept classes, data URLs, the guard's own file, loader hooks", () => {
    const { results, refused } = run("others");
    const { again, ...ways } = results;
    for (const [way, result] of Object.entries(ways)) expect(result, way).toBe("ERR_EGRESS");
    expect(Object.keys(ways)).toHaveLength(11);
    expect(again).toBe("TypeError");
    expect(refused.filter((each) => each.startsWith("thread "))).toHaveLength(Object.keys(ways).length);
    expect(refused).toContain("thread other");
  });

  it("have no variables, flags or preloads, and connect to what each of them may and to nothing else", () => {
    const { results, refused } = run("declared", { LOADED_FILE: loaded });
    const open = Object(results["open"]);
    const closed = Object(results["closed"]);
    for (const report of [open, closed]) {
      const { isMainThread, env, execArgv, argv, allowed: own, ed25519, ...others } = report;
      expect({ isMainThread, env, execArgv, argv }).toEqual({ isMainThread: false, env: [], execArgv: [], argv: [] });
      for (const [way, result] of Object.entries(others)) expect(result, way).toMatch(REFUSED);
      expect(Object.keys(others)).toHaveLength(10);
      // What is declared is loaded before the guard takes addons away.
      expect(ed25519).toBe("sodium-native");
      expect(own).toMatch(report === open ? /^out$/u : REFUSED);
    }
    // By the process, and by no thread.
    expect(existsSync(loaded) ? readFileSync(loaded, "utf8") : "").toBe("loaded\n");
    expect(refused).toContain(`tcp 127.0.0.1:${portOf(undeclared)} (t)`);
    expect(refused).toContain("dns data.exfiltration.example (closed)");
    expect(refused).toContain("thread worker (t)");
    expect(connections).toBe(0);
  });

  it("do not begin if their file was replaced, leads out of the package, or was never in it", () => {
    expect(run("replaced")).toEqual({ results: { start: "ERR_EGRESS" }, refused: ["thread t"] });
    for (const scenario of ["linked", "outside", "climbing"]) {
      rmSync(home, { recursive: true });
      copyPackage();
      const { results } = run(scenario);
      for (const result of Object.values(results)) expect(result, scenario).toBe("ERR_EGRESS");
    }
  });

  it("do not begin if another one was put in their place meanwhile", () => {
    expect(run("stolen").results).toEqual({ start: "ERR_EGRESS" });
  });

  it("that began before the guard are told, though nothing can be taken from them", () => {
    expect(run("early", { EARLY_THREAD: "1" }).refused).toContain("thread 1 that began before the guard");
    expect(run("early").refused).toEqual(["dns x.example"]);
  });
});
