import { expect, it } from "vitest";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { GENESIS_ROW, rowOf } from "../../ledger/lifecycle/statement-book.ts";
import type { Sql } from "../../ledger/postgres-s3/database.ts";
import { LevelFence, LOG_LEVEL, requireKnownLevel } from "../../ledger/postgres-s3/log-level.ts";
import type { IndexRow } from "../../ledger/sequence/index-store.ts";
import { codeOf } from "../support/code-of.ts";

/** Answers with the names that the log has; counts what was asked and raised. */
class Rows {
  readonly names: string[] = [GENESIS_ROW, "s/stream", "t/stream"];
  looks = 0;
  raises = 0;
  readonly sql: Sql = {
    query: (text, values = []) => {
      if (text.startsWith("UPDATE countersign_sequence SET level")) this.raises += 1;
      if (!text.startsWith("SELECT")) return Promise.resolve([]);
      this.looks += 1;
      const [from, to] = [values[1], values[2]].map((name) => parseUtf8(name as Uint8Array));
      return Promise.resolve(
        this.names.filter((name) => name > (from ?? "") && name < (to ?? "")).map((name) => ({ name })),
      );
    },
  };
}

const row = (key: string): IndexRow => ({ key, value: new Uint8Array(0) });
const STATEMENT = rowOf(1n, new Uint8Array(0));

it("raises a log of before the levels with the first turn that writes what they brought", async () => {
  for (const raising of [STATEMENT, row("m/name"), row("n/name"), row("x/name")]) {
    const rows = new Rows();
    const fence = new LevelFence(1n);
    await fence.keep(rows.sql, 1n, [row("s/stream"), row("t/stream"), row(GENESIS_ROW)]);
    const { looks } = rows;
    await fence.keep(rows.sql, 1n, []);
    expect([rows.raises, rows.looks]).toEqual([0, looks]);
    await fence.keep(rows.sql, 1n, [row("t/stream"), raising]);
    expect(rows.raises).toBe(1);
  }
});

it("raises it with the first turn of a node if it has such rows already, and a raised one never", async () => {
  for (const name of [STATEMENT.key, "m/name", "n/name", "x/name"]) {
    const rows = new Rows();
    rows.names.push(name);
    await new LevelFence(1n).keep(rows.sql, LOG_LEVEL, [STATEMENT]);
    expect([rows.raises, rows.looks]).toEqual([0, 0]);
    await new LevelFence(1n).keep(rows.sql, 1n, []);
    expect(rows.raises).toBe(1);
  }
});

it("refuses a level that it does not know", () => {
  for (const level of [1n, LOG_LEVEL]) expect(() => requireKnownLevel(level)).not.toThrow();
  expect(codeOf(() => requireKnownLevel(LOG_LEVEL + 1n))).toBe("ERR_DATABASE_SCHEMA");
});
