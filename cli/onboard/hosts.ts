/** Where MCP hosts keep their servers: Claude Code, Claude Desktop, VS Code and Cursor, for each operating system. */

import { join } from "node:path";
import type { Place } from "./jsonc.ts";

/** The hosts that are known. */
export const HOSTS = ["claude-code", "claude-desktop", "vscode", "cursor"] as const;
export type Host = (typeof HOSTS)[number];

/** A place in a file where servers stand. */
export interface HostFile {
  readonly host: Host;
  readonly scope: "user" | "project";
  readonly path: string;
  /** Objects whose members are servers by name. */
  readonly places: readonly Place[];
  /** False for hosts that only start commands. */
  readonly takesUrls: boolean;
}

/** What the paths depend on. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  /** The project's folder. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Every file that a host may read here, whether it is there or not. */
export function hostFiles(where: Surroundings): readonly HostFile[] {
  const { home, cwd } = where;
  const files: readonly HostFile[] = [
    {
      host: "claude-code",
      scope: "user",
      path: join(home, ".claude.json"),
      places: [["mcpServers"], ["projects", cwd, "mcpServers"]],
      takesUrls: true,
    },
    {
      host: "claude-desktop",
      scope: "user",
      path: join(applicationData(where), "Claude", "claude_desktop_config.json"),
      places: [["mcpServers"]],
      takesUrls: false,
    },
    {
      host: "vscode",
      scope: "user",
      path: join(applicationData(where), "Code", "User", "mcp.json"),
      places: [["servers"]],
      takesUrls: true,
    },
    {
      host: "cursor",
      scope: "user",
      path: join(home, ".cursor", "mcp.json"),
      places: [["mcpServers"]],
      takesUrls: true,
    },
    project(cwd, "claude-code", ".mcp.json", "mcpServers"),
    project(cwd, "vscode", join(".vscode", "mcp.json"), "servers"),
    project(cwd, "cursor", join(".cursor", "mcp.json"), "mcpServers"),
  ];
  // In the home folder user and project scope may be one file.
  return files.filter(({ path }, index) => files.findIndex((other) => other.path === path) === index);
}

function project(cwd: string, host: Host, path: string, member: string): HostFile {
  return { host, scope: "project", path: join(cwd, path), places: [[member]], takesUrls: true };
}

/** Where applications of this user keep their data. */
function applicationData({ platform, home, env }: Surroundings): string {
  if (platform === "darwin") return join(home, "Library", "Application Support");
  if (platform === "win32") return env["APPDATA"] ?? join(home, "AppData", "Roaming");
  return env["XDG_CONFIG_HOME"] ?? join(home, ".config");
}
