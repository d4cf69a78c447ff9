/** docs/formats/mandate.md: its examples are what the code makes and accepts, its commands run, its members are the code's. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { mandateCommand } from "../../cli/commands/mandate.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { MAX_CHAIN, MAX_MANDATE_BYTES, parseMandate } from "../../kernel/mandate/mandate.ts";
import { checkMandateChain } from "../../kernel/mandate/mandate-chain.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { walkLines } from "../support/document-walks.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { firstMandate, MANDATE_ROOT, MANDATE_START_MS, nextMandate } from "../support/mandates.ts";
import { ROOT } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "formats", "mandate.md"), "utf8");
const example = fencedBlocks("docs/formats/mandate.md");
const folder = mkdtempSync(join(tmpdir(), "countersign-mandate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a line of the document in the folder: words in quotes as one, a redirection as a file. */
async function runLine(line: string): Promise<CommandRun> {
  const [command = "", target] = line.split(/\s+#/u)[0]?.split(" > ") ?? [];
  const words = [...command.matchAll(/'([^']*)'|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const [, name, ...args] = words.map((word) => (/\.(?:key|pub|json)$/u.test(word) ? join(folder, word) : word));
  const done = await runInProcess(name === "keygen" ? keygenCommand : mandateCommand, args);
  if (target !== undefined) writeFileSync(join(folder, target.trim()), done.out);
  return done;
}

describe("docs/formats/mandate.md", () => {
  it("shows two mandates to the byte, and a chain that holds", () => {
    const first = firstMandate();
    expect(parseUtf8(first)).toBe(example("first-mandate"));
    expect(parseUtf8(nextMandate(first))).toBe(example("second-mandate"));
    const chain = [example("first-mandate"), example("second-mandate")].map(formatUtf8);
    expect(checkMandateChain(chain, [MANDATE_ROOT], MANDATE_START_MS).hops).toHaveLength(2);
  });

  it("lists the members, the reasons and the bounds that the code has", () => {
    const { mandate } = parseMandate(firstMandate());
    const rows = document.slice(document.indexOf("## Members"), document.indexOf("## A chain"));
    const listed = [...rows.matchAll(/^\| (`.*?`) \|/gmu)].flatMap(([, cell = ""]) => cell.match(/[a-z_]+/gu) ?? []);
    expect([...listed, "v"].toSorted()).toEqual([...Object.keys(mandate), "v"].toSorted());
    expect(document).toContain(`at most ${MAX_MANDATE_BYTES.toLocaleString("en-US")} bytes`);
    expect(document).toContain(`1 to ${MAX_CHAIN} mandates`);
  });

  it("has commands that run as they stand there, and a check that can fail", async () => {
    const lines = walkLines("mandate");
    expect(lines).toHaveLength(8);
    for (const line of lines) {
      const { exit, fault } = await runLine(line);
      expect([line, exit, fault]).toEqual([line, 0, undefined]);
    }
    const [check = ""] = lines.slice(-1);
    expect((await runLine(check.replace("local|worker", "local|planner"))).exit).toBe(1);
    expect((await runLine(check.replace("alice.pub", "planner.pub"))).exit).toBe(1);
    expect((await runLine(`${check} --at 2098-06-01T00:00:00.000Z`)).exit).toBe(1);
    expect((await runLine(check.replace("worker.json", "planner.json"))).exit).toBe(1);
    expect((await runLine(`${check} --revocations alice-revoked.json`)).exit).toBe(1);
    expect((await runLine("countersign mandate revoke worker.json --key worker.key --list none.json")).exit).not.toBe(
      0,
    );
    expect((await runLine("countersign mandate revoke")).fault).toBe("usage");
  });
});
