import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { endProcess, runCommandLine, startCommandLine, until } from "../support/command.ts";
import { ROOT } from "../support/source-files.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-compose-"));
const children: ChildProcess[] = [];

interface Listener {
  readonly listen: { readonly port: number };
  readonly operator_listen?: { readonly port: number };
}

/** The commands of docker-compose.yml with the volume's path replaced by a local folder. */
function composeCommands(): ReadonlyMap<string, readonly string[]> {
  const file = parse(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"), { merge: true }) as {
    readonly services: Readonly<Record<string, { readonly command: readonly string[] }>>;
  };
  const local = (word: string): string => (word.startsWith("/data") ? word.replace("/data", folder) : word);
  return new Map(Object.entries(file.services).map(([name, { command }]) => [name, command.map(local)]));
}

describe("the commands of docker-compose.yml", () => {
  afterAll(async () => {
    for (const child of children.reverse()) await endProcess(child);
    rmSync(folder, { recursive: true, force: true });
  });

  it("run as plain processes on one machine, and every service becomes ready", async () => {
    const commands = composeCommands();
    const setup = (commands.get("setup") ?? []).map((word) => (word === "compose" ? "loopback" : word));
    expect(runCommandLine(setup).status).toBe(0);
    for (const name of ["witness-1", "witness-2", "witness-3", "ledger", "api", "gateway"]) {
      const command = commands.get(name) ?? [];
      children.push(startCommandLine(command));
      const config = JSON.parse(readFileSync(join(folder, "config", `${name}.json`), "utf8")) as Listener;
      const { port } = config.operator_listen ?? config.listen;
      await until(`${name} is ready`, () => isReady(`http://127.0.0.1:${port}/readyz`));
    }
  });

  it("stop cleanly on SIGTERM", async () => {
    for (const child of children.splice(0).reverse()) expect(await endProcess(child)).toBe(0);
  });
});

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
