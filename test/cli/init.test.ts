import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { initCommand } from "../../cli/commands/init.ts";
import { readSecrets } from "../../cli/gateway-files.ts";
import type { Io } from "../../cli/io.ts";
import { changeFile, readChanges } from "../../cli/onboard/changes.ts";
import { hostFiles } from "../../cli/onboard/hosts.ts";
import { readJsonc } from "../../cli/onboard/jsonc.ts";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";

const TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/** As people have them: comments where the host allows them, other members, other people's indentation. */
const SAMPLES: Readonly<Record<string, string>> = {
  "home/.claude.json": `{
  "numStartups": 12,
  "mcpServers": {
    "github": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-github@2025.4.8"],
      "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "${TOKEN}" }
    }
  },
  "projects": {
    "@project@": { "allowedTools": [], "mcpServers": { "Local Notes": { "command": "./notes.sh" } } },
    "/elsewhere": { "mcpServers": { "other": { "command": "npx", "args": ["other"] } } }
  }
}
`,
  "home/.config/Claude/claude_desktop_config.json": `{
\t"globalShortcut": "",
\t"mcpServers": {
\t\t"github": {
\t\t\t"command": "npx",
\t\t\t"args": ["-y", "@modelcontextprotocol/server-github@2025.4.8"],
\t\t\t"env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "${TOKEN}"}
\t\t},
\t\t"gone": {"command": "no-such-command-anywhere", "args": []}
\t}
}`,
  "home/.config/Code/User/mcp.json": `{
  // what the team uses
  "servers": {
    "memory": {
      "type": "stdio", // started by the editor
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-memory"],
    },
    "prompted": { "type": "stdio", "command": "npx", "args": ["x"], "env": { "KEY": "\${input:key}" } },
    "filed": { "command": "npx", "envFile": "\${workspaceFolder}/.env" },
  },
  "inputs": [{ "type": "promptString", "id": "key", "password": true }]
}
`,
  "home/.cursor/mcp.json":
    '{"mcpServers":{"remote":{"url":"https://mcp.example.com/mcp","headers":{"Authorization":"Bearer @token@"}},"oauth":{"url":"https://mcp.linear.app/mcp"},"dev":{"url":"http://127.0.0.1:9999/mcp"}}}\r\n',
  "project/.mcp.json": `{
  "mcpServers": {
    "github": { "command": "npx", "args": ["-y", "another-github"] },
    "old": { "type": "sse", "url": "https://mcp.example.com/sse", "headers": { "Authorization": "Bearer @token@" } }
  }
}
`,
  "project/.vscode/mcp.json": "{ this is not JSON",
};

let root: string;
const at = (name: string): string => join(root, name);
const text = (name: string): string => readFileSync(at(name), "utf8");
const all = (): Record<string, string> => Object.fromEntries(Object.keys(SAMPLES).map((name) => [name, text(name)]));

async function init(...args: readonly string[]): Promise<{ exit: unknown; out: string }> {
  let out = "";
  const io: Io = {
    out: (more) => {
      out += more;
    },
    err: () => undefined,
    env: { HOME: at("home"), PATH: at("bin") },
    cwd: at("project"),
    isTerminal: false,
  };
  try {
    return { exit: await initCommand.run(args, io), out };
  } catch (error) {
    if (error instanceof UsageError) return { exit: "usage", out };
    if (isCodedError(error)) return { exit: error.code, out };
    throw error;
  }
}

function entry(
  name: string,
  ...place: readonly string[]
): { command?: string; args?: readonly string[]; [key: string]: unknown } {
  let value: unknown = readJsonc(text(name));
  for (const step of place) value = Object(value)[step];
  return Object(value);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "countersign-init-"));
  for (const [name, sample] of Object.entries(SAMPLES)) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), sample.replace("@project@", at("project")).replace("@token@", TOKEN));
  }
  mkdirSync(at("bin"));
  for (const [name, mode] of [
    ["bin/npx", 0o755],
    ["project/notes.sh", 0o755],
  ] as const) {
    writeFileSync(at(name), "#!/bin/sh\n", { mode });
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("countersign init", () => {
  it("with --dry-run shows what would change, without secrets, and writes nothing", async () => {
    const before = all();
    const { exit, out } = await init("--dry-run");
    expect(exit).toBe(0);
    expect(out).toContain("nothing was changed");
    expect(out).toContain("GITHUB_PERSONAL_ACCESS_TOKEN");
    expect(out).not.toContain(TOKEN);
    expect(out).toContain("supply.unpinned: @modelcontextprotocol/server-memory has");
    expect(out).not.toContain("supply.unpinned: @modelcontextprotocol/server-github");
    for (const reason of ["is not found in PATH", "OAuth", "environment from a file", "not JSON"]) {
      expect(out).toContain(reason);
    }
    expect(all()).toEqual(before);
    expect(readdirSync(at("home")).sort()).toEqual([".claude.json", ".config", ".cursor"]);
  });

  it("without a yes, and nobody to ask, changes nothing", async () => {
    const before = all();
    expect((await init()).exit).toBe("usage");
    expect(all()).toEqual(before);
  });

  it("puts commands behind wrap: absolute, variables by name, the same id for the same server, everything else as it was", async () => {
    expect((await init("--yes")).exit).toBe(0);
    const github = entry("home/.claude.json", "mcpServers", "github");
    expect(github).toEqual({
      type: "stdio",
      command: process.execPath,
      args: [
        expect.stringMatching(/^\/.*\/cli\/main\.(?:ts|js)$/u),
        ...["wrap", "--config", at("home/.countersign/config/hosts.json"), "--id", "github"],
        ...["--env", "GITHUB_PERSONAL_ACCESS_TOKEN", "--"],
        ...[at("bin/npx"), "-y", "@modelcontextprotocol/server-github@2025.4.8"],
      ],
      env: { GITHUB_PERSONAL_ACCESS_TOKEN: TOKEN },
    });
    const desktop = entry("home/.config/Claude/claude_desktop_config.json", "mcpServers");
    expect(desktop["github"]).toMatchObject({ args: github.args });
    expect(desktop["gone"]).toEqual({ command: "no-such-command-anywhere", args: [] });
    // A server of HTTP+SSE is behind the gateway too, which speaks Streamable HTTP toward the host.
    expect(entry("project/.mcp.json", "mcpServers", "old")).toMatchObject({
      type: "http",
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/s\/old\/mcp$/u),
    });
    // Another server of the same name is another server.
    const other = entry("project/.mcp.json", "mcpServers", "github").args ?? [];
    expect(other[other.indexOf("--id") + 1]).toMatch(/^github-[0-9a-f]{4}$/u);
    const notes = entry("home/.claude.json", "projects", at("project"), "mcpServers", "Local Notes").args ?? [];
    expect(notes.slice(-4)).toEqual(["--id", "local-notes", "--", at("project/notes.sh")]);
    expect(entry("home/.claude.json", "projects", "/elsewhere", "mcpServers", "other")).toEqual({
      command: "npx",
      args: ["other"],
    });
    expect(entry("home/.claude.json")).toMatchObject({ numStartups: 12 });
  });

  it("keeps comments, order and trailing commas, and indents as the file does", async () => {
    await init("--yes");
    const vscode = text("home/.config/Code/User/mcp.json");
    expect(vscode).toContain("// what the team uses");
    expect(vscode).toContain('"type": "stdio", // started by the editor');
    expect(vscode).toContain('"filed": { "command": "npx", "envFile": "$' + '{workspaceFolder}/.env" },\n  },');
    expect(entry("home/.config/Code/User/mcp.json", "servers", "prompted")).toMatchObject({
      env: { KEY: expect.stringMatching(/^\$\{input:key\}$/u) },
    });
    expect(text("home/.config/Claude/claude_desktop_config.json")).toContain('\n\t\t\t"command": ');
  });

  it("puts URLs with a token behind the gateway, whose configuration loads with every token, mode 0600", async () => {
    await init("--yes");
    const config = parseGatewayConfig(parseJson(formatUtf8(text("home/.countersign/config/hosts.json"))));
    const url = `http://127.0.0.1:${config.listen?.port}`;
    const secrets = readSecrets(config);
    const cursor = secrets.agentTokens.find(({ principal }) => principal === "cursor")?.token;
    expect(entry("home/.cursor/mcp.json", "mcpServers")).toEqual({
      remote: { url: `${url}/s/remote/mcp`, headers: { Authorization: `Bearer ${cursor}` } },
      oauth: { url: "https://mcp.linear.app/mcp" },
      dev: { url: `${url}/s/dev/mcp`, headers: { Authorization: `Bearer ${cursor}` } },
    });
    expect(text("home/.cursor/mcp.json").endsWith("\r\n")).toBe(true);
    expect(config.servers).toMatchObject([
      { id: "remote", url: "https://mcp.example.com/mcp" },
      { id: "dev", url: "http://127.0.0.1:9999/mcp" },
      { id: "old", url: "https://mcp.example.com/sse" },
    ]);
    expect(secrets.bearerTokens).toEqual(
      new Map([
        ["remote", TOKEN],
        ["old", TOKEN],
      ]),
    );
    expect(config.catalog).toEqual({ pin: "first-use" });
    for (const name of [
      "tokens/host-cursor",
      "tokens/server-remote",
      "tokens/operator",
      "keys/log.key",
      "changes.json",
    ]) {
      expect([name, statSync(at(`home/.countersign/${name}`)).mode & 0o777]).toEqual([name, 0o600]);
    }
  });

  it("changes nothing the second time, and later takes only what is new", async () => {
    await init("--yes");
    const [before, changes] = [all(), readChanges(at("home/.countersign")).length];
    const again = await init("--yes");
    expect([again.exit, again.out]).toEqual([0, expect.stringContaining("governed already")]);
    expect(again.out).toContain("nothing to change");
    expect(all()).toEqual(before);
    expect(readChanges(at("home/.countersign")).length).toBe(changes);
    writeFileSync(at("project/.cursor-mcp"), "");
    mkdirSync(at("project/.cursor"));
    writeFileSync(at("project/.cursor/mcp.json"), '{"mcpServers": {"memory": {"command": "npx"}}}');
    expect((await init("--yes")).exit).toBe(0);
    expect(all()).toEqual(before);
    const args = entry("project/.cursor/mcp.json", "mcpServers", "memory").args ?? [];
    expect(args[args.indexOf("--id") + 1]).toMatch(/^memory-[0-9a-f]{4}$/u);
  });

  it("takes only the hosts that are named", async () => {
    const before = all();
    expect((await init("--yes", "--host", "cursor", "--host", "vscode")).exit).toBe(0);
    const changed = Object.entries(all()).filter(([name, now]) => now !== before[name]);
    expect(changed.map(([name]) => name)).toEqual(["home/.config/Code/User/mcp.json", "home/.cursor/mcp.json"]);
    expect((await init("--host", "emacs")).exit).toBe("usage");
  });

  it("follows a symbolic link instead of replacing it", async () => {
    const dotfiles = at("dotfiles.json");
    writeFileSync(dotfiles, text("home/.cursor/mcp.json"));
    rmSync(at("home/.cursor/mcp.json"));
    symlinkSync(dotfiles, at("home/.cursor/mcp.json"));
    await init("--yes", "--host", "cursor");
    expect(readFileSync(dotfiles, "utf8")).toContain("/s/remote/mcp");
    expect(existsSync(`${dotfiles}.countersign-backup`)).toBe(true);
    await init("--undo");
    expect(readFileSync(dotfiles, "utf8")).toContain(TOKEN);
  });
});

describe("countersign init --undo", () => {
  it("restores every file byte for byte, with its mode, and leaves no backup", async () => {
    const before = all();
    await init("--yes");
    for (const { backup } of readChanges(at("home/.countersign"))) expect(statSync(backup).mode & 0o777).toBe(0o600);
    const mode = statSync(at("home/.claude.json")).mode;
    const { exit, out } = await init("--undo");
    expect([exit, out.match(/^restored /gmu)?.length]).toEqual([0, 5]);
    expect(all()).toEqual(before);
    expect(statSync(at("home/.claude.json")).mode).toBe(mode);
    expect(readdirSync(at("home"))).not.toContain(".claude.json.countersign-backup");
    expect(await init("--undo")).toEqual({ exit: 0, out: "nothing to undo\n" });
  });

  it("leaves a file that was changed since, and restores it once it is as init left it", async () => {
    await init("--yes");
    const ours = text("home/.cursor/mcp.json");
    writeFileSync(at("home/.cursor/mcp.json"), `${ours} `);
    const { exit, out } = await init("--undo");
    expect([exit, out]).toEqual([1, expect.stringContaining(`changed since: ${at("home/.cursor/mcp.json")}`)]);
    expect(text("home/.cursor/mcp.json")).toBe(`${ours} `);
    expect(text("home/.claude.json")).toContain('"command": "npx"');
    writeFileSync(at("home/.cursor/mcp.json"), ours);
    expect((await init("--undo")).exit).toBe(0);
    expect(text("home/.cursor/mcp.json")).toContain(TOKEN);
  });

  it("undoes several changes of one file in turn", async () => {
    const file = at("file.json");
    writeFileSync(file, "one");
    const change = (from: string, to: string): unknown =>
      changeFile(at("home/.countersign"), { host: "cursor", path: file, version: "0" }, formatUtf8(from), to);
    change("one", "two");
    change("two", "three");
    expect(() => change("two", "four")).toThrow(expect.objectContaining({ code: "ERR_FILE_CHANGED" }));
    expect(readFileSync(file, "utf8")).toBe("three");
    expect((await init("--undo")).exit).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("one");
  });
});

describe("the files of the hosts", () => {
  const paths = (platform: NodeJS.Platform, env = {}): readonly string[] =>
    hostFiles({ platform, home: "/home/u", cwd: "/w", env }).map(({ path }) => path);

  it("are where each system has them", () => {
    expect(paths("darwin")).toContain("/home/u/Library/Application Support/Claude/claude_desktop_config.json");
    expect(paths("darwin")).toContain("/home/u/Library/Application Support/Code/User/mcp.json");
    expect(paths("linux")).toContain("/home/u/.config/Code/User/mcp.json");
    expect(paths("linux", { XDG_CONFIG_HOME: "/x" })).toContain("/x/Code/User/mcp.json");
    expect(paths("win32", { APPDATA: "/roaming" })).toContain("/roaming/Claude/claude_desktop_config.json");
    for (const path of [
      "/home/u/.claude.json",
      "/home/u/.cursor/mcp.json",
      "/w/.mcp.json",
      "/w/.vscode/mcp.json",
      "/w/.cursor/mcp.json",
    ]) {
      expect(paths("linux")).toContain(path);
    }
  });

  it("are one file where the project is the home folder", () => {
    const files = hostFiles({ platform: "linux", home: "/home/u", cwd: "/home/u", env: {} }).map(({ path }) => path);
    expect(new Set(files).size).toBe(files.length);
  });
});
