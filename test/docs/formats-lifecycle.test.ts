/** The examples and tables of docs/formats/log-statement.md and log-status.md are what the code makes and accepts. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { nextLogState, startLogState } from "../../kernel/lifecycle/log-state.ts";
import { formatLogStatus, MAX_STATUS_BYTES } from "../../kernel/lifecycle/log-status.ts";
import { parseStatement, STATEMENT_KINDS, signStatement } from "../../kernel/lifecycle/statement.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { genesis, header, objectOf, operator, pairOf, StatedLog, vkeysOf } from "../support/log-statements.ts";
import { ROOT } from "../support/source-files.ts";

const documentOf = (name: string): string => readFileSync(join(ROOT, "docs", "formats", `${name}.md`), "utf8");
const listedIn = (text: string): readonly string[] =>
  [...text.matchAll(/^\| `([a-z_-]+)` \|/gmu)].map((row) => row[1] ?? "");

describe("docs/formats/log-statement.md", () => {
  const [ed25519] = pairOf(0);

  it("shows a statement to the byte, and one that holds", () => {
    const example = fencedBlocks("docs/formats/log-statement.md")("statement");
    const body = { ...header(7), kind: "log-closing", end: "frozen", reason: "end of 2025", final_size: 8 } as const;
    const made = signStatement({ ...body, successor: { origin: "log.example/2026" } }, [ed25519], operator);
    expect(parseUtf8(made)).toBe(example);
    const state = startLogState({ ...genesis, keys: vkeysOf([ed25519]) });
    expect(nextLogState(state, parseStatement(formatUtf8(example)), 7).closing?.finalSize).toBe(8n);
  });

  it("lists the members that all have, and every kind", () => {
    const {
      successor: _,
      end: __,
      reason: ___,
      final_size: ____,
      ...common
    } = objectOf(formatUtf8(fencedBlocks("docs/formats/log-statement.md")("statement")));
    expect(listedIn(documentOf("log-statement")).toSorted()).toEqual(
      [...Object.keys(common), ...STATEMENT_KINDS].toSorted(),
    );
  });
});

describe("docs/formats/log-status.md", () => {
  it("lists its members, and the bound", async () => {
    const log = new StatedLog();
    const document = objectOf(formatLogStatus(await log.document(log.note([0]))));
    const listed = listedIn(documentOf("log-status").split("## Checking")[0] ?? "");
    expect(listed.toSorted()).toEqual(Object.keys(document).toSorted());
    expect(MAX_STATUS_BYTES).toBe(16 * 1024 * 1024);
  });
});
