import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProcess, until } from "../support/command.ts";
import { walkBlock } from "../support/document-walks.ts";
import { ROOT } from "../support/source-files.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-readme-"));
let system: ChildProcess;
let printed = "";

/** The shell block under the heading, as the newcomer pastes it, against this run's ports. */
function pastedBlock(): string {
  const port = (service: string): string =>
    String(JSON.parse(readFileSync(join(folder, ".countersign", "config", `${service}.json`), "utf8")).listen.port);
  return walkBlock("first-walk")
    .replaceAll(":4200/", `:${port("ledger")}/`)
    .replaceAll(":4300/", `:${port("api")}/`);
}

describe("the README's first walk", () => {
  beforeAll(async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    const main = join(ROOT, "dist", "cli", "main.js");
    writeFileSync(join(bin, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${main}" "$@"\n`, { mode: 0o755 });
    system = spawn(process.execPath, [main, "up"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    system.stdout?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    await until("the system stays up", async () => printed.includes("Running until Ctrl-C"), 60_000);
  }, 90_000);
  afterAll(async () => {
    expect(await endProcess(system, "SIGINT")).toBe(0);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it("verifies a bundle, shows the cosigned checkpoint, and asks the auditor node, as pasted", () => {
    const environment = { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}` };
    const options = { cwd: folder, env: environment, encoding: "utf8", timeout: 60_000 } as const;
    const out = execFileSync("bash", ["-euo", "pipefail", "-c", pastedBlock()], options);
    expect(out).toMatch(/pass\b.*log\.quorum|log\.quorum.*pass/u);
    expect(out.match(/^— /gmu)?.length ?? 0).toBeGreaterThanOrEqual(3);
    const answer = JSON.parse(out.slice(out.indexOf('{"data"')));
    expect(answer.data.receipts.edges.length).toBeGreaterThan(0);
  });
});
