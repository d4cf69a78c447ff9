/** The public MCP conformance suite in server mode, as a process: what it reports of each check. */

import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The suite's revisions that are run. */
export const SUITE_REVISIONS = ["2025-11-25", "2026-07-28"] as const;
/** One of them. */
export type SuiteRevision = (typeof SUITE_REVISIONS)[number];

/** Checks of one scenario: their ids in order of the report, each with its status. */
export type ScenarioChecks = readonly { readonly id: string; readonly status: string; readonly why: string }[];

/** What one run of the suite reported. */
export interface SuiteReport {
  /** The suite's own word: zero if every scenario that counts for the revision passed. */
  readonly exitCode: number;
  /** By scenario. */
  readonly scenarios: ReadonlyMap<string, ScenarioChecks>;
  /** What it printed last. */
  readonly words: string;
}

/** It needs a Node that is newer than the oldest one which the project supports. */
const PACKAGES = ["node@26.10.0", "@modelcontextprotocol/conformance@0.2.0-alpha.12"] as const;
const LIMIT_MS = 240_000;
const WORDS = 4_000;

/** Runs what `revision` requires against `url`, with a folder of its own for the reports. */
export async function runSuite(url: string, revision: SuiteRevision, folder: string): Promise<SuiteReport> {
  const packages = PACKAGES.flatMap((name) => ["-p", name]);
  const command = ["conformance", "server", "--url", url, "--requirements", revision, "-o", folder];
  const child = spawn("npx", ["--yes", ...packages, "--", ...command], { stdio: ["ignore", "pipe", "pipe"] });
  let words = "";
  const keep = (chunk: Buffer): void => {
    words = `${words}${chunk.toString("utf8")}`.slice(-WORDS);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const exitCode = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(-1));
    child.once("close", (code) => resolve(code ?? -1));
  });
  clearTimeout(timer);
  return { exitCode, scenarios: await readReports(folder), words };
}

/** `server-<scenario>-<time>/checks.json`, one folder a scenario. */
async function readReports(folder: string): Promise<ReadonlyMap<string, ScenarioChecks>> {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.map(async (name): Promise<[string, ScenarioChecks][]> => {
      const scenario = /^server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/u.exec(name)?.[1];
      if (scenario === undefined) return [];
      const text = await readFile(join(folder, name, "checks.json"), "utf8");
      return [[scenario, readChecks(JSON.parse(text))]];
    }),
  );
  return new Map(found.flat());
}

function readChecks(value: unknown): ScenarioChecks {
  if (!Array.isArray(value)) return [];
  return value.map((check: { readonly id?: unknown; readonly status?: unknown; readonly errorMessage?: unknown }) => ({
    id: String(check.id),
    status: String(check.status),
    why: typeof check.errorMessage === "string" ? check.errorMessage : "",
  }));
}
