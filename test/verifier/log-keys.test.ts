/** A bundle under keys that the trust policy never heard of: the log's own statements lead to them, or nothing does. */

import { describe, expect, it } from "vitest";
import { formatBundle } from "../../kernel/bundle.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import type { StatementBody } from "../../kernel/lifecycle/statement.ts";
import { signStatement } from "../../kernel/lifecycle/statement.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { renderVerdicts } from "../../verifier/render.ts";
import { type EvidenceOptions, makeEvidence, verify, wordOf, wordsOf } from "../support/evidence.ts";
import { ORIGIN, policyText } from "../support/log-keys.ts";
import { genesisBytes, header, operator, pairOf, rotationBody, StatedLog } from "../support/log-statements.ts";
import { gatewayKeys } from "../support/receipts.ts";

const successor = makeLogSigner(ORIGIN, pairOf(1)[0].seed);
const retirement = (index: number): StatementBody => ({
  ...header(index),
  kind: "log-key-retirement",
  rotation_index: index - 1,
});
const rotated = new StatedLog().declare((index) => rotationBody(index, 0, 1)).declare(retirement);
const forged = (index: number, from: number, to: number, by: readonly number[]): Uint8Array =>
  signStatement(rotationBody(index, from, to), by.flatMap(pairOf), operator);

const judged = async (options: EvidenceOptions): Promise<Readonly<Record<string, string>>> =>
  wordsOf(verify(await makeEvidence(options)));

describe("a bundle whose checkpoint the successor signed", () => {
  it("holds for whoever pinned the old key, by the rotation that is proven in it", async () => {
    const before = rotated.entries;
    expect(await judged({ before, signer: successor })).toEqual({});
  });

  it("does not without the rotation, or without the genesis entry that it starts from", async () => {
    expect(await judged({ signer: successor })).toMatchObject({ "log.signature": "ERR_LOG_SIGNATURE" });
    const evidence = await makeEvidence({ before: rotated.entries, signer: successor });
    const [log] = evidence.content.logs;
    if (log === undefined) throw new Error("a log");
    const without = (index: number) =>
      formatBundle({ ...evidence.content, logs: [{ ...log, entries: log.entries.filter((e) => e.index !== index) }] });
    const word = (bytes: Uint8Array) => wordOf(verify({ bytes, trust: evidence.trust }), "log.signature");
    expect(word(without(0))).toBe("ERR_LOG_STATUS");
    expect(word(without(1))).toBe("ERR_LOG_KEY_MISSING");
    // The retirement only takes the old key away.
    expect(word(without(2))).toBe("pass");
  });

  it("does not without a quorum over the rotation", async () => {
    const before = rotated.entries;
    expect(await judged({ before, signer: successor, cosigned: [] })).toMatchObject({ "log.signature": "ERR_QUORUM" });
    const none = `${policyText(2).split("\n")[0]}\nquorum none\n`;
    expect(await judged({ before, signer: successor, trust: { logs: [none] } })).toMatchObject({
      "log.signature": "ERR_LOG_UNWITNESSED",
    });
  });

  it.each([
    ["signed by the old pair alone", forged(1, 0, 1, [0]), "ERR_LOG_KEY_MISSING"],
    ["signed by the new pair alone", forged(1, 0, 1, [1]), "ERR_LOG_KEY_MISSING"],
    ["of strangers", forged(1, 3, 1, [3, 1]), "ERR_LOG_KEY_STRANGER"],
    ["of another place", forged(2, 0, 1, [0, 1]), "ERR_STATEMENT_PLACE"],
  ])("does not by a rotation %s", async (_name, statement, code) => {
    expect(await judged({ before: [genesisBytes, statement], signer: successor })).toMatchObject({
      "log.signature": code,
    });
  });

  it("does not when the keys were rotated twice, to two successors", async () => {
    const before = [genesisBytes, forged(1, 0, 1, [0, 1]), forged(2, 0, 2, [0, 2])];
    expect(await judged({ before, signer: successor })).toMatchObject({ "log.signature": "ERR_ROTATION_FORK" });
  });

  it("does not by a rotation whose proof is false", async () => {
    const evidence = await makeEvidence({ before: rotated.entries, signer: successor });
    const [log] = evidence.content.logs;
    if (log === undefined) throw new Error("a log");
    const proof = log.entries[2]?.proof ?? [];
    const entries = log.entries.map((each) => (each.index === 1 ? { ...each, proof } : each));
    const bytes = formatBundle({ ...evidence.content, logs: [{ ...log, entries }] });
    const result = verify({ bytes, trust: evidence.trust });
    expect(wordOf(result, "log.signature")).not.toBe("pass");
    expect(wordOf(result, "log.inclusion")).not.toBe("pass");
  });
});

describe("a bundle of a log", () => {
  it("that has retired the key which signed is refused", async () => {
    expect(await judged({ before: rotated.entries })).toMatchObject({ "log.signature": "ERR_LOG_SIGNATURE" });
  });

  it("that has entries behind its end is refused", async () => {
    const ended = new StatedLog().declare((index) => ({
      ...header(index),
      kind: "log-closing",
      end: "frozen",
      reason: "over",
      final_size: index + 1,
    }));
    expect(await judged({ before: ended.entries })).toMatchObject({ "log.signature": "ERR_LOG_CLOSED" });
  });

  it("says that the log is frozen, and at which size", async () => {
    // The evidence's log ends with two entries of others: the closing statement is told to be the very last.
    const evidence = await makeEvidence({
      before: [genesisBytes],
      after: (index) => {
        const log = new StatedLog().fill(index - 1);
        return [
          log.sign({ ...header(index), kind: "log-closing", end: "frozen", reason: "over", final_size: index + 1 }),
        ];
      },
    });
    const result = verify(evidence);
    expect(wordsOf(result)).toEqual({});
    expect(result.summary.ended_logs).toMatchObject([{ origin: ORIGIN, end: "frozen" }]);
    expect(renderVerdicts(result)).toContain(`, frozen at size ${result.summary.ended_logs?.[0]?.final_size}`);
  });
});

describe("receipts of a decommissioned stream", () => {
  const stream = parseKid(gatewayKeys().instance.publicKey.kid);
  const end = (index: number): StatementBody => ({
    ...header(index),
    kind: "registration-end",
    stream,
    reason: "retired",
  });

  it("fail behind the end of its registration", async () => {
    const before = new StatedLog().declare(end).entries;
    expect(await judged({ before })).toMatchObject({ "receipt.issuer": "ERR_STREAM_ENDED" });
  });

  it("hold in front of it", async () => {
    const after = (index: number): readonly Uint8Array[] => [new StatedLog().fill(index - 1).sign(end(index))];
    expect(await judged({ before: [genesisBytes], after })).toEqual({});
  });
});
