/** Status documents: what a log is can be checked from a file and a witness policy alone. */

import { describe, expect, it } from "vitest";
import {
  checkLogStatus,
  formatLogStatus,
  type LogStatusDocument,
  parseLogStatus,
} from "../../kernel/lifecycle/log-status.ts";
import type { StatementBody } from "../../kernel/lifecycle/statement.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { policyText } from "../support/log-keys.ts";
import { header, pairOf, retirementBody, rotationBody, StatedLog, vkeysOf } from "../support/log-statements.ts";

const lines = policyText(2).split("\n").slice(1).join("\n");
/** Pins these keys of the log, and wants two of three witnesses. */
const policyOf = (keys: readonly string[], rest = lines): WitnessPolicy =>
  parseWitnessPolicy(`${keys.map((key) => `log ${key}\n`).join("")}${rest}`);
const oldPolicy = policyOf(vkeysOf(pairOf(0)).slice(0, 1));
const newPolicy = policyOf(vkeysOf(pairOf(1)).slice(0, 1));

const rotation = (index: number): StatementBody => rotationBody(index, 0, 1);
const closing = (index: number): StatementBody => ({
  ...header(index),
  kind: "log-closing",
  end: "decommissioned",
  reason: "moved",
  final_size: index + 1,
  successor: { origin: "log.example/next" },
});
const check = (document: LogStatusDocument, policy = oldPolicy) => codeOf(() => checkLogStatus(document, policy));

describe("a status document", () => {
  it("is read back as it was written", async () => {
    const log = new StatedLog().fill(2).declare(rotation).fill(1);
    const document = await log.document(log.note([0, 1]), log.next, true);
    const bytes = formatLogStatus(document);
    expect(formatLogStatus(parseLogStatus(bytes))).toEqual(bytes);
    expect(checkLogStatus(parseLogStatus(bytes), oldPolicy)).toMatchObject({ standing: "rotating", openBelow: 5n });
  });

  it("says how far an open log was open", async () => {
    const log = new StatedLog().fill(4);
    const hidden = checkLogStatus(await log.document(log.note([0])), oldPolicy);
    expect(hidden).toMatchObject({ standing: "active", openBelow: 4n, witnessedSeconds: 1_700_000_000n });
    const shown = checkLogStatus(await log.document(log.note([0]), 5, true), oldPolicy);
    expect(shown).toMatchObject({ standing: "active", openBelow: 5n });
  });

  it("proves the end of a log to whoever pinned any of its keys", async () => {
    const log = new StatedLog().declare(rotation).declare(retirementBody).fill(1).declare(closing);
    const document = await log.document(log.note([1]));
    for (const policy of [oldPolicy, newPolicy, policyOf(vkeysOf(pairOf(0))), policyOf(vkeysOf(pairOf(1)).slice(1))]) {
      const status = checkLogStatus(document, policy);
      expect(status).toMatchObject({ standing: "decommissioned", openBelow: 5n });
      expect(status.state.closing?.successor?.origin).toBe("log.example/next");
    }
    expect(check(document, policyOf(vkeysOf(pairOf(3))))).toBe("ERR_ORIGIN");
  });

  it("does not follow a rotation that is left out", async () => {
    const log = new StatedLog().declare(rotation).declare(retirementBody).fill(1);
    const document = await log.document(log.note([1]));
    expect(check({ ...document, statements: [] })).toBe("ERR_LOG_SIGNATURE");
    expect(check({ ...document, statements: document.statements.slice(1) })).toBe("ERR_LOG_KEY_MISSING");
    expect(check({ ...document, statements: document.statements.slice(0, 1) })).toBe("accepted");
  });

  it("takes no checkpoint of keys that had retired by then, or had not begun", async () => {
    const log = new StatedLog().declare(rotation).declare(retirementBody).fill(1);
    expect(check(await log.document(log.note([0])))).toBe("ERR_LOG_SIGNATURE");
    const before = new StatedLog().fill(1).declare(rotation);
    const document = await before.document(before.note([1], 2), 2);
    expect(check(document, oldPolicy)).toBe("ERR_LOG_SIGNATURE");
    expect(check({ ...document, statements: (await before.document(before.note([0, 1]))).statements }, newPolicy)).toBe(
      "ERR_ORIGIN",
    );
  });

  it("rests on a quorum of witnesses", async () => {
    const log = new StatedLog().declare(rotation).declare(retirementBody).fill(1);
    expect(check(await log.document(log.note([1], log.next, 1)))).toBe("ERR_QUORUM");
    const document = await log.document(log.note([1]));
    expect(check(document, policyOf(vkeysOf(pairOf(0)), "quorum none\n"))).toBe("ERR_LOG_UNWITNESSED");
    const own = checkLogStatus(document, policyOf(vkeysOf(pairOf(1)), "quorum none\n"));
    expect(own.witnessedSeconds).toBeUndefined();
  });

  it("finds entries behind the closing statement, and a closing statement that is not told", async () => {
    const log = new StatedLog().fill(1).declare(closing);
    const honest = await log.document(log.note([0]), log.next, true);
    expect(check(honest)).toBe("accepted");
    expect(check({ ...honest, statements: [] })).toBe("ERR_LOG_STATUS");
    log.fill(1);
    expect(check(await log.document(log.note([0])))).toBe("ERR_LOG_CLOSED");
  });

  it("shows the last leaf of this tree and no other", async () => {
    const log = new StatedLog().fill(3);
    const document = await log.document(log.note([0]), 4, true);
    const other = log.entries[1] ?? new Uint8Array();
    expect(check({ ...document, last: { ...document.last, entry: other } })).toBe("ERR_LOG_STATUS");
    expect(check({ ...document, last: { ...document.last, leaf: hashLeaf(other) } })).toBe("ERR_ROOT_MISMATCH");
    expect(check({ ...document, genesis: { ...document.genesis, index: 1 } })).toBe("ERR_LOG_STATUS");
  });
});
