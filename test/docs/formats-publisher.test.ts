/** docs/formats/publisher-statement.md: its example is what the code makes and accepts, its members are the code's. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { catalogCommand } from "../../cli/commands/catalog.ts";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { publisherCommand } from "../../cli/commands/publisher.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { checkPublisher, MAX_PUBLISHER_BYTES, parsePublisherStatement } from "../../kernel/publisher-statement.ts";
import { SERVER_PROVENANCES } from "../../kernel/receipt/vocabulary.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { walkLines } from "../support/document-walks.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { ACME, ACME_PINNED, acmeStatement } from "../support/publishers.ts";
import { ROOT } from "../support/source-files.ts";

const PATH = "docs/formats/publisher-statement.md";
const document = readFileSync(join(ROOT, PATH), "utf8");
const block = fencedBlocks(PATH);

function firstCells(from: string, to: string): readonly string[] {
  const rows = document.slice(document.indexOf(from), document.indexOf(to));
  return [...rows.matchAll(/^\| (`.*?`) \|/gmu)].flatMap(([, cell = ""]) => cell.match(/[a-z_-]+/gu) ?? []);
}

const folder = mkdtempSync(join(tmpdir(), "countersign-publisher-doc-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a line of a document in the folder. */
async function runLine(line: string): Promise<CommandRun> {
  const [, name, ...args] = (line.split(/\s+#/u)[0] ?? "").split(" ");
  const words = args.map((word) => (/\.(?:key|statement)$/u.test(word) ? join(folder, word) : word));
  return runInProcess(name === "publisher" ? publisherCommand : catalogCommand, words);
}

describe("docs/gateway.md, publishers of servers", () => {
  it("has commands that run as they stand there", async () => {
    const lines = walkLines("publisher");
    expect(lines).toHaveLength(2);
    await runInProcess(keygenCommand, ["envelope", "--out", join(folder, "acme.key")]);
    for (const line of lines) {
      const { exit, fault } = await runLine(line);
      expect([line, exit, fault]).toEqual([line, 0, undefined]);
    }
    expect(parsePublisherStatement(readFileSync(join(folder, "crm.statement"))).server.name).toBe("com.acme/crm");
  });
});

describe(PATH, () => {
  it("shows a statement to the byte, and the publisher whose it is", () => {
    expect(parseUtf8(acmeStatement())).toBe(block("statement"));
    checkPublisher(parsePublisherStatement(formatUtf8(block("statement"))), { name: "acme", key: ACME.publicKey });
    expect(formatCanonical(parseJson(block("publishers")))).toBe(formatCanonical(ACME_PINNED));
  });

  it("lists the members, the outcomes and the bound that the code has", () => {
    const members = firstCells("## Members", "## What is proven");
    expect(members.toSorted()).toEqual(Object.keys(parsePublisherStatement(acmeStatement())).toSorted());
    const outcomes = firstCells("`server.provenance` of a decision", "## Example");
    expect(outcomes.toSorted()).toEqual([...SERVER_PROVENANCES].toSorted());
    expect(document).toContain(`at most ${MAX_PUBLISHER_BYTES.toLocaleString("en-US")} bytes`);
  });
});
