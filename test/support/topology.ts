/** A whole topology of real processes in a temporary folder, made by `countersign setup`. */

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endProcess, runCommandLine, startCommandLine, until } from "./command.ts";

/** A service of the topology, by the name of its configuration file. */
export type ServiceName = "witness-1" | "witness-2" | "witness-3" | "ledger" | "gateway" | "api";

interface Listen {
  readonly host: string;
  readonly port: number;
}

/** The running topology. */
export interface RunningTopology {
  readonly folder: string;
  readonly url: (service: ServiceName) => string;
  readonly operatorUrl: string;
  readonly token: (name: "submit" | "read" | "agent" | "operator") => string;
  readonly start: (service: ServiceName) => Promise<void>;
  /** Of the running service; undefined if it does not run. */
  readonly pid: (service: ServiceName) => number | undefined;
  /** Ends one service; SIGKILL is a crash. */
  readonly end: (service: ServiceName, signal: NodeJS.Signals) => Promise<number | null>;
  /** Ends everything and removes the folder. */
  readonly remove: () => Promise<void>;
}

const COMMANDS: Readonly<Record<ServiceName, string>> = {
  "witness-1": "witness",
  "witness-2": "witness",
  "witness-3": "witness",
  ledger: "ledger",
  gateway: "gateway",
  api: "api",
};

/** A ledger that starts beside a thousand agents takes its time. */
const START_LIMIT_MS = 120_000;

/** Sets up a topology; nothing runs yet. */
export function makeTopology(): RunningTopology {
  const folder = mkdtempSync(join(tmpdir(), "countersign-topology-"));
  const made = runCommandLine(["setup", "--data", folder]);
  if (made.status !== 0) throw new Error(`setup failed: ${made.err}`);
  const children = new Map<ServiceName, ChildProcess>();
  const config = (service: ServiceName): { listen: Listen; operator_listen?: Listen } =>
    JSON.parse(readFileSync(join(folder, "config", `${service}.json`), "utf8"));
  const address = ({ host, port }: Listen): string => `http://${host}:${port}`;
  const operatorUrl = address(config("gateway").operator_listen ?? config("gateway").listen);
  const url = (service: ServiceName): string => address(config(service).listen);
  return {
    folder,
    url,
    operatorUrl,
    token: (name) => readFileSync(join(folder, "tokens", name), "utf8").trim(),
    start: async (service) => {
      const child = startCommandLine([COMMANDS[service], "--config", join(folder, "config", `${service}.json`)]);
      child.stdout?.resume();
      let log = "";
      child.stderr?.on("data", (chunk: Buffer) => {
        log = `${log}${chunk.toString()}`.slice(-4_000);
      });
      children.set(service, child);
      const ready = `${service === "gateway" ? operatorUrl : url(service)}/readyz`;
      const look = async (): Promise<boolean> => {
        if (child.exitCode !== null) throw new Error(`${service} ended with ${child.exitCode}: ${log}`);
        return isReady(ready);
      };
      await until(`${service} is ready`, look, START_LIMIT_MS);
    },
    pid: (service) => children.get(service)?.pid,
    end: async (service, signal) => {
      const child = children.get(service);
      children.delete(service);
      return child === undefined ? null : endProcess(child, signal);
    },
    remove: async () => {
      for (const child of [...children.values()].reverse()) await endProcess(child, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
