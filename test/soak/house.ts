/** What the soak runs: a topology as `countersign setup` makes it, whose gateway stands before two servers of the soak. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { endProcess } from "../support/command.ts";
import { makeTopology, type RunningTopology, type ServiceName } from "../support/topology.ts";
import { SERVERS, type ServerId } from "./tools.ts";

/** Everything that runs. */
export interface House {
  readonly topology: RunningTopology;
  /** Bearer tokens of the agents. */
  readonly tokens: readonly string[];
  /** Tells a server to hang, or to go on; or asks it what reached it. */
  readonly ask: (server: ServerId, path: "/hang" | "/go" | "/counts") => Promise<Readonly<Record<string, number>>>;
  readonly remove: () => Promise<void>;
}

const PRINCIPALS = 64;
const MANY = 10_000_000;
const SERVICES: readonly ServiceName[] = ["witness-1", "witness-2", "witness-3", "ledger", "gateway"];
const SCRIPT = fileURLToPath(new URL("./server-process.js", import.meta.url));

const RULES = `@id("soak.orders") permit (principal, action in Mcp::Action::"call_tool", resource);
@id("soak.forbidden") @reason("Nobody may.") forbid (principal, action == Mcp::Action::"work/forbidden", resource);
`;

/** Starts it. */
export async function openHouse(): Promise<House> {
  const children: ChildProcess[] = [];
  const urls = new Map<ServerId, string>();
  const topology = makeTopology();
  const remove = async (): Promise<void> => {
    await topology.remove();
    for (const child of children) await endProcess(child, "SIGKILL");
  };
  try {
    for (const id of SERVERS) urls.set(id, await startServer(children));
    const tokens = Array.from({ length: PRINCIPALS }, () => randomBytes(32).toString("base64url"));
    configure(topology.folder, urls, tokens);
    for (const service of SERVICES) await topology.start(service);
    return { topology, tokens, ask: (server, path) => ask(`${urls.get(server)}${path}`), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function startServer(children: ChildProcess[]): Promise<string> {
  const child = spawn(process.execPath, [SCRIPT], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const { url }: { readonly url: string } = JSON.parse(line);
    return url;
  }
  throw new Error("a server of the soak did not start; its output is above");
}

/** The gateway's configuration, with the soak's servers, policy, agents and limits. */
function configure(folder: string, urls: ReadonlyMap<ServerId, string>, tokens: readonly string[]): void {
  const path = join(folder, "config", "gateway.json");
  const config: object = JSON.parse(readFileSync(path, "utf8"));
  const policy = join(folder, "policy");
  for (const file of ["everything.cedar", "memory.cedar"]) rmSync(join(policy, file));
  writeFileSync(join(policy, "soak.cedar"), RULES);
  const agents = tokens.map((token, index) => {
    const file = join(folder, "tokens", `agent-${index}`);
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    return { principal: `agent-${index}`, token_file: file };
  });
  const changed = {
    servers: [...urls].map(([id, url]) => ({ id, url: `${url}/mcp` })),
    auth: { tokens: agents },
    // Rates are not what is tried here; calls under way are left at their defaults.
    limits: { calls_per_minute: { principal: MANY, session: MANY } },
  };
  writeFileSync(path, JSON.stringify({ ...config, ...changed }));
}

async function ask(url: string): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(url, { method: "POST", signal: AbortSignal.timeout(30_000) });
  return JSON.parse(await answer.text());
}
