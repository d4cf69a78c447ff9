import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loopbackAddresses, makeLayout } from "../../cli/demo/layout.ts";
import { setUp } from "../../cli/demo/setup.ts";
import { runCommandLine } from "../support/command.ts";
import { ROOT } from "../support/source-files.ts";

const MAIN = join(ROOT, "dist", "cli", "main.js");
const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");
const folder = mkdtempSync(join(tmpdir(), "countersign-wrap-"));
const layout = makeLayout(folder);
const DATA = join(folder, "data", "wrap", "everything");

async function wrapped(mode: "auto" | "legacy", ...options: readonly string[]): Promise<[Client, number]> {
  const client = new Client({ name: "host", version: "1" }, { versionNegotiation: { mode } });
  const args = [
    ...options,
    MAIN,
    "wrap",
    "--config",
    layout.config("gateway"),
    "--id",
    "everything",
    "--",
    process.execPath,
    EVERYTHING,
  ];
  const transport = new StdioClientTransport({ command: process.execPath, args, stderr: "pipe" });
  await client.connect(transport);
  return [client, transport.pid ?? 0];
}

describe("countersign wrap", () => {
  // Nobody listens on these ports: the receipts wait in the outbox.
  beforeAll(() => setUp(layout, loopbackAddresses([1, 2, 3, 4, 5, 6, 7]), "localhost/wrap"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(["auto", "legacy"] as const)(
    "is a stdio server to the SDK's client in mode %s, also without a ledger",
    async (mode) => {
      const [client] = await wrapped(mode);
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain("echo");
      const result = await client.callTool({ name: "echo", arguments: { message: "wrapped" } });
      expect(result.content).toEqual([{ type: "text", text: "Echo: wrapped" }]);
      await client.close();
      const stream = readFileSync(join(DATA, "current"), "utf8").trim();
      const log = readFileSync(join(DATA, "streams", stream, "receipts.log"), "latin1");
      for (const kind of ["stream-open", "session-open", "decision", "outcome"])
        expect(log).toContain(`"kind":"${kind}"`);
      expect(log).toContain('"source":"launcher"');
      expect(log).not.toContain("wrapped");
    },
  );

  it("connects to nothing that its configuration does not declare", async () => {
    const out = join(folder, "egress.txt");
    const preload = `import net from "node:net";
      import { writeFileSync } from "node:fs";
      const tell = (error) => writeFileSync(${JSON.stringify(out)}, String(error.code));
      process.on("SIGUSR2", () => net.connect(9, "127.0.0.1").on("error", tell));`;
    const [client, pid] = await wrapped("legacy", "--import", `data:text/javascript,${encodeURIComponent(preload)}`);
    process.kill(pid, "SIGUSR2");
    await expect.poll(() => (existsSync(out) ? readFileSync(out, "utf8") : ""), { timeout: 20_000 }).toBe("ERR_EGRESS");
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });

  it("says what is wrong with its arguments, its configuration and its server", () => {
    const wrap = (...args: readonly string[]): unknown => {
      const { status, out, err } = runCommandLine(["wrap", ...args]);
      return [status, out, /ERR_[A-Z_]+|behind "--"|--id: want/u.exec(err)?.[0]];
    };
    const config = ["--config", layout.config("gateway")] as const;
    expect(wrap(...config)).toEqual([3, "", 'behind "--"']);
    expect(wrap(...config, "--id", "A B", "--", "true")).toEqual([3, "", "--id: want"]);
    const bad = join(folder, "bad.json");
    writeFileSync(bad, "[]");
    expect(wrap("--config", bad, "--", "true")).toEqual([3, "", "ERR_SHAPE"]);
    expect(wrap(...config, "--", "no-such-command-anywhere")).toEqual([3, "", "ERR_SERVICE_START"]);
    expect(wrap(...config, "--", "true")).toEqual([3, "", "ERR_SERVICE_START"]);
  });
});
