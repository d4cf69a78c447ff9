/** docs/formats/workflow-token.md: its commands run as they stand there, and its check can fail. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { workflowTokenCommand } from "../../cli/commands/workflow-token.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { walkLines } from "../support/document-walks.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-workflow-token-page-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a line of the document in the folder: words in quotes as one, a redirection as a file. */
async function runLine(line: string): Promise<CommandRun> {
  const [command = "", target] = line.split(/\s+#/u)[0]?.split(" > ") ?? [];
  const words = [...command.matchAll(/'([^']*)'|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const [, name, ...args] = words.map((word) => (/\.(?:key|jwt|json)$/u.test(word) ? join(folder, word) : word));
  const done = await runInProcess(name === "keygen" ? keygenCommand : workflowTokenCommand, args);
  if (target !== undefined) writeFileSync(join(folder, target.trim()), done.out);
  return done;
}

describe("docs/formats/workflow-token.md", () => {
  it("has commands that run as they stand there, and a check that can fail", async () => {
    const lines = walkLines("workflow-token");
    expect(lines).toHaveLength(4);
    for (const line of lines) {
      const { exit, fault } = await runLine(line);
      expect([line, exit, fault]).toEqual([line, 0, undefined]);
    }
    const [check = ""] = lines.slice(-1);
    expect((await runLine(check.replace("https://runner", "https://other"))).exit).toBe(1);
    expect((await runLine(`${check} --at 4000000000`)).exit).toBe(1);
  });
});
