/** Real processes whose output nobody takes: the exit code is the command's, and never one that says a verdict which is none. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../support/command.ts";
import { ROOT } from "../support/source-files.ts";

const MAIN = `"${process.execPath}" "${join(ROOT, "dist", "cli", "main.js")}"`;
const folder = mkdtempSync(join(tmpdir(), "countersign-output-"));
afterAll(() => rmSync(folder, { recursive: true }));

function shell(line: string): { readonly codes: string; readonly err: string } {
  const script = `${line.replaceAll("countersign", MAIN)}; echo "\${PIPESTATUS[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8", timeout: 60_000 });
  return { codes: stdout.trim().split("\n").at(-1) ?? "", err: stderr };
}

describe("a command whose output nobody takes", () => {
  it("keeps its exit code when the reader is gone", () => {
    expect(shell("(sleep 0.2; countersign verify --help) | true")).toEqual({ codes: "0 0", err: "" });
    expect(shell("(sleep 0.2; countersign --help; exit $?) | true")).toEqual({ codes: "0 0", err: "" });
  });

  it("is unusable on a full disk, in one line", () => {
    const { codes, err } = shell("countersign verify --help > /dev/full");
    expect([codes, err.trim().split("\n").length]).toEqual(["3", 1]);
    expect(err).toContain("ERR_FILE_WRITE");
  });
});

describe("a service whose address is taken", () => {
  it("says so in one line", async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, "127.0.0.1", () => {
        const address = other.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const run = runCommandLine(["mirror", "--to", folder, "--serve", `127.0.0.1:${port}`]);
    other.close();
    expect(run).toMatchObject({
      status: 3,
      err: expect.stringMatching(/^countersign mirror: ERR_SERVICE_START: [^\n]+\n$/u),
    });
    expect(runCommandLine(["mirror", "--to", folder, "--serve", "127.0.0.1:99999"]).status).toBe(3);
  });
});
