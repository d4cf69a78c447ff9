/** fsck over the statements of a log: order, signatures, and what stands behind the end. */

import { describe, expect, it } from "vitest";
import { signStatement } from "../../kernel/lifecycle/statement.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { Findings } from "../../ledger/fsck/finding.ts";
import type { Group } from "../../ledger/fsck/log-walk.ts";
import { StatementAudit } from "../../ledger/fsck/statement-audit.ts";
import { closingBody, genesis, header, operator, pairOf, rotationBody, StatedLog } from "../support/log-statements.ts";

/** What the audit finds in entries, as code and index. */
function audit(
  entries: readonly (Uint8Array | undefined)[],
  kind: "receipts" | "raw" = "receipts",
): { readonly faults: readonly string[]; readonly remarks: number; readonly rows: number } {
  const findings = new Findings();
  const found = new StatementAudit(findings, { ...genesis, log_kind: kind });
  const group: Group = {
    index: 0n,
    path: "tile/entries/000",
    isStored: false,
    entries: entries.map((bytes, offset) =>
      bytes === undefined ? undefined : { bytes, leaf: hashLeaf(bytes), isSure: true, path: "wal/0", offset },
    ),
  };
  found.take(group);
  found.finish();
  const faults = findings.faults.map(({ code, index, offset }) => `${code} ${index} ${offset}`);
  return { faults, remarks: findings.remarks.length, rows: found.rows.length };
}

describe("the audit of statements", () => {
  it("finds nothing in statements that follow from each other, and knows their rows", () => {
    const log = new StatedLog()
      .fill(1)
      .declare((index) => rotationBody(index, 0, 1))
      .declare(closingBody);
    expect(audit(log.entries)).toEqual({ faults: [], remarks: 0, rows: 3 });
  });

  it("names the first entry behind a closing statement, and counts the others", () => {
    const log = new StatedLog().declare(closingBody).fill(3);
    for (const kind of ["receipts", "raw"] as const) {
      expect(audit(log.entries, kind)).toEqual({ faults: ["ERR_LOG_CLOSED 2 2"], remarks: 1, rows: 2 });
    }
  });

  it("names a statement that does not follow; in a raw log it is an entry like any other", () => {
    const forged = signStatement(closingBody(2), pairOf(1), operator);
    const entries = [...new StatedLog().fill(1).entries, forged, new TextEncoder().encode("more")];
    expect(audit(entries).faults).toEqual(["ERR_LOG_KEY_MISSING 2 2"]);
    expect(audit(entries, "raw")).toEqual({ faults: [], remarks: 0, rows: 1 });
  });

  it("accuses nothing behind a hole, where a statement may be missing", () => {
    const log = new StatedLog()
      .declare((index) => rotationBody(index, 0, 1))
      .declare((index) => ({
        ...header(index),
        kind: "log-key-retirement",
        rotation_index: index - 1,
      }));
    const [first, , retirement] = log.entries;
    expect(audit([first, undefined, retirement])).toEqual({ faults: [], remarks: 1, rows: 1 });
  });
});
