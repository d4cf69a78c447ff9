import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");
const home = mkdtempSync(join(tmpdir(), "countersign-init-"));
const file = join(home, ".config", "Claude", "claude_desktop_config.json");

interface Entry {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function countersign(...args: readonly string[]): { readonly status: number | null; readonly out: string } {
  const main = join(ROOT, "dist", "cli", "main.js");
  const env = { PATH: process.env["PATH"] ?? "", HOME: home };
  const done = spawnSync(process.execPath, [main, ...args], { encoding: "utf8", cwd: home, env, timeout: 60_000 });
  return { status: done.status, out: done.stdout };
}

/** What the host would do with its entry. */
async function start({ command, args, env }: Entry): Promise<Client> {
  const client = new Client({ name: "host", version: "1" });
  await client.connect(new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: "ignore" }));
  return client;
}

describe("a host whose file init has rewritten", () => {
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it("starts its server as before, twice at a time, with its variables and receipts, and is put back", async () => {
    const entry = { command: process.execPath, args: [EVERYTHING], env: { MY_TOKEN: "canary-of-the-host" } };
    const before = JSON.stringify({ mcpServers: { everything: entry } }, null, 2);
    mkdirSync(join(home, ".config", "Claude"), { recursive: true });
    writeFileSync(file, before);
    expect(countersign("init", "--yes").status).toBe(0);
    const after: { mcpServers: { everything: Entry } } = JSON.parse(readFileSync(file, "utf8"));
    const hosts = [await start(after.mcpServers.everything), await start(after.mcpServers.everything)];
    for (const host of hosts) {
      const result = await host.callTool({ name: "get-env", arguments: {} });
      expect(JSON.stringify(result.content)).toContain("canary-of-the-host");
    }
    for (const host of hosts) await host.close();
    const wrapped = join(home, ".countersign", "data", "wrap");
    expect(readdirSync(wrapped).sort()).toEqual(["everything", "everything.2"]);
    for (const name of readdirSync(wrapped)) {
      const stream = readFileSync(join(wrapped, name, "current"), "utf8").trim();
      const receipts = readFileSync(join(wrapped, name, "streams", stream, "receipts.log"), "latin1");
      expect(receipts).toContain('"name":"get-env"');
      expect(receipts).not.toContain("canary");
    }
    expect(countersign("init", "--undo").status).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(before);
  });
});
