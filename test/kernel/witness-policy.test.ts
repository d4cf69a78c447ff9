/** Witness policies: syntax, quorum, and opening checkpoints under them. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeCosigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { asRootHash, hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatNote, formatSignatureLine } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey, makeVerifierKey } from "../../kernel/note/verifier-key.ts";
import {
  checkQuorum,
  openLogCheckpoint,
  openWitnessedCheckpoint,
  parseWitnessPolicy,
} from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import {
  checkpointText,
  logMlDsaSigner,
  logSigner,
  mlDsaWitness,
  ORIGIN,
  policyText,
  seedOf,
  TIME,
  witnessedNote,
  witnesses,
} from "../support/log-keys.ts";

const LOG = formatVerifierKey(logSigner.key);
const [W1 = "", W2 = "", W3 = ""] = witnesses.map(({ key }) => formatVerifierKey(key));
const TEXT = checkpointText(1n, asRootHash(hashLeaf(new Uint8Array(0))));
const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join("");

describe("a witness policy", () => {
  test("tells its logs, witnesses, groups and quorum, through tabs, blank lines and comments", () => {
    const policy = parseWitnessPolicy(
      lines(
        "# c",
        `\t log ${LOG}\t https://log.example/`,
        "",
        `witness a ${W1}`,
        `witness b ${W2} https://b.example/`,
        "\t# d",
        "group g any a b",
        "quorum  g ",
      ),
    );
    expect(policy.logs).toEqual([{ key: logSigner.key, url: "https://log.example/" }]);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ["a", undefined],
      ["b", "https://b.example/"],
    ]);
    expect(policy.groups).toEqual([{ name: "g", threshold: 1, members: ["a", "b"] }]);
    expect(policy.quorum).toBe("g");
  });

  const two = lines(`witness a ${W1}`, `witness b ${W2}`);
  const alias = formatVerifierKey(makeVerifierKey("alias.example", 0x04, witnesses[0]?.key.publicKey ?? seedOf(0)));
  const asLog = formatVerifierKey(makeVerifierKey("second.example", 0x01, logSigner.key.publicKey));
  test.each([
    ["no quorum", lines(`log ${LOG}`), "ERR_POLICY_QUORUM"],
    ["two quorums", lines("quorum none", "quorum none"), "ERR_POLICY_QUORUM"],
    ["a quorum before its group", lines(`witness a ${W1}`, "quorum g", "group g any a"), "ERR_POLICY_NAME"],
    ["a quorum that is nowhere defined", lines("quorum g"), "ERR_POLICY_NAME"],
    ["a member that is nowhere defined", lines(`witness a ${W1}`, "group g any a b", "quorum g"), "ERR_POLICY_NAME"],
    ["a group that is its own member", `${two}${lines("group g any a g", "quorum g")}`, "ERR_POLICY_NAME"],
    ["the member none", `${two}${lines("group g any a none", "quorum g")}`, "ERR_POLICY_NAME"],
    ["a member listed twice", `${two}${lines("group g 2 a a", "quorum g")}`, "ERR_POLICY_NAME"],
    ["a member of two groups", `${two}${lines("group g any a", "group h any a b", "quorum h")}`, "ERR_POLICY_NAME"],
    ["a name used twice", lines(`witness a ${W1}`, `witness a ${W2}`, "quorum a"), "ERR_POLICY_NAME"],
    ["a group named as a witness", `${two}${lines("group a any b", "quorum a")}`, "ERR_POLICY_NAME"],
    ["a witness named none", lines(`witness none ${W1}`, "quorum none"), "ERR_POLICY_NAME"],
    ["a threshold of 0", `${two}${lines("group g 0 a b", "quorum g")}`, "ERR_POLICY"],
    ["a threshold above the members", `${two}${lines("group g 3 a b", "quorum g")}`, "ERR_POLICY"],
    ["a threshold with a leading zero", `${two}${lines("group g 02 a b", "quorum g")}`, "ERR_DECIMAL"],
    ["a group without members", `${two}${lines("group g any", "quorum g")}`, "ERR_POLICY"],
    [
      "the same witness key under two names",
      lines(`witness a ${W1}`, `witness b ${alias}`, "quorum a"),
      "ERR_POLICY_KEY",
    ],
    ["the same log key under two names", lines(`log ${LOG}`, `log ${asLog}`, "quorum none"), "ERR_POLICY_KEY"],
    ["a log key as a witness", lines(`witness a ${LOG}`, "quorum a"), "ERR_POLICY_KEY"],
    ["a witness key as a log", lines(`log ${W1}`, "quorum none"), "ERR_POLICY_KEY"],
    ["a comment after a statement", lines("quorum none # all"), "ERR_POLICY"],
    ["a fourth item on a log line", lines(`log ${LOG} https://a/ b`, "quorum none"), "ERR_POLICY"],
    ["an unknown statement", lines("logs x", "quorum none"), "ERR_POLICY"],
    ["a carriage return", "quorum none\r\n", "ERR_POLICY"],
    ["a delete character", "# \u007f\nquorum none\n", "ERR_POLICY"],
    ["a last line without a newline", "quorum none", "ERR_POLICY"],
    ["white space that is not space or tab", "quorum\u00a0none\n", "ERR_POLICY"],
  ])("with %s is refused", (_, text, code) => {
    expect(codeOf(() => parseWitnessPolicy(text))).toBe(code);
  });

  test("may have 40 logs, 40 witnesses and 40 groups, and names in any script, none of them normalised", () => {
    const many = Array.from({ length: 40 }, (_, i) => i);
    const text = lines(
      ...many.map((i) => `log ${formatVerifierKey(makeLogSigner(`l${i}`, seedOf(100 + i)).key)}`),
      ...many.map((i) => `witness w${i} ${formatVerifierKey(makeCosigner(`w${i}`, 0x04, seedOf(150 + i)).key)}`),
      ...many.map((i) => `group g${i} all w${i}`),
      "quorum g39",
    );
    expect(parseWitnessPolicy(text).groups.length).toBe(40);
    const kelvin = lines(`witness K ${W1}`, `witness \u212a ${W2}`, "quorum \u212a");
    expect(parseWitnessPolicy(kelvin).witnesses.length).toBe(2);
  });
});

describe("a quorum", () => {
  test("is met by exactly the sets of witnesses that a slow evaluation says", () => {
    const policy = parseWitnessPolicy(
      lines(
        `witness a ${W1}`,
        `witness b ${W2}`,
        `witness c ${W3}`,
        `witness q ${formatVerifierKey(mlDsaWitness.key)}`,
        "group x 2 a b",
        "group y any c q",
        "group z all x y",
        "quorum z",
      ),
    );
    const cosigners = [...witnesses, mlDsaWitness];
    fc.assert(
      fc.property(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()), ([a, b, c, q]) => {
        const keys = cosigners.filter((_, i) => [a, b, c, q][i]).map(({ key }) => key);
        const met = codeOf(() => checkQuorum(policy, keys)) === "accepted";
        expect(met).toBe(a && b && (c || q));
      }),
    );
  });

  test("counts witnesses, not lines", () => {
    const policy = parseWitnessPolicy(policyText(2));
    const [first, second] = witnesses;
    if (first === undefined || second === undefined) throw new Error("no witnesses");
    const twice = [first.cosign(TEXT, TIME), first.cosign(TEXT, TIME + 1n)];
    const note = formatNote(TEXT, [logSigner.signLine(TEXT), ...twice]);
    expect(codeOf(() => openWitnessedCheckpoint(note, policy))).toBe("ERR_QUORUM");
    expect(codeOf(() => openWitnessedCheckpoint(witnessedNote(TEXT, [first, second]), policy))).toBe("accepted");
  });

  test("of none needs no witness", () => {
    const policy = parseWitnessPolicy(lines(`log ${LOG}`, "quorum none"));
    expect(codeOf(() => openWitnessedCheckpoint(witnessedNote(TEXT, []), policy))).toBe("accepted");
  });
});

describe("a checkpoint under a policy", () => {
  const policy = parseWitnessPolicy(policyText(2));

  test("opens with its log key and the times of its cosignatures", () => {
    const opened = openWitnessedCheckpoint(witnessedNote(TEXT, witnesses.slice(0, 2)), policy);
    expect(opened.checkpoint.size).toBe(1n);
    expect(opened.text).toBe(TEXT);
    expect(opened.logKey).toEqual(logSigner.key);
    expect(opened.cosignatures).toEqual([
      { witness: "w1", timestampSeconds: TIME },
      { witness: "w2", timestampSeconds: TIME },
    ]);
  });

  test("of another origin is refused, whoever signed it", () => {
    const text = TEXT.replace(ORIGIN, "other.example");
    const note = formatNote(text, [logSigner.signLine(text), ...witnesses.map(({ cosign }) => cosign(text, TIME))]);
    expect(codeOf(() => openWitnessedCheckpoint(note, policy))).toBe("ERR_ORIGIN");
    expect(codeOf(() => openLogCheckpoint(note, [logSigner.key]))).toBe("ERR_ORIGIN");
  });

  test("without a line of the log is refused, however many witnesses cosigned", () => {
    const note = formatNote(
      TEXT,
      witnesses.map(({ cosign }) => cosign(TEXT, TIME)),
    );
    expect(codeOf(() => openWitnessedCheckpoint(note, policy))).toBe("ERR_LOG_SIGNATURE");
    expect(codeOf(() => openLogCheckpoint(note, [logSigner.key]))).toBe("ERR_LOG_SIGNATURE");
  });

  test("signed by another key of the same name is refused", () => {
    const impostor = makeLogSigner(ORIGIN, seedOf(99));
    const note = formatNote(TEXT, [impostor.signLine(TEXT), ...witnesses.map(({ cosign }) => cosign(TEXT, TIME))]);
    expect(codeOf(() => openWitnessedCheckpoint(note, policy))).toBe("ERR_LOG_SIGNATURE");
  });

  test("with one false line of a witness is refused, though the others are enough", () => {
    const [first, second, third] = witnesses;
    if (first === undefined || second === undefined || third === undefined) throw new Error("no witnesses");
    const forged = formatSignatureLine(third.key.name, third.key.keyId, new Uint8Array(72));
    const note = witnessedNote(TEXT, [first, second]) + forged;
    expect(codeOf(() => openWitnessedCheckpoint(note, policy))).toBe("ERR_NOTE_SIGNATURE");
  });

  test("of a log that is known from elsewhere opens under a policy without logs", () => {
    const noLogs = parseWitnessPolicy(lines(`witness a ${W1}`, "quorum a"));
    const note = witnessedNote(TEXT, witnesses.slice(0, 1));
    expect(codeOf(() => openWitnessedCheckpoint(note, noLogs))).toBe("ERR_ORIGIN");
    expect(codeOf(() => openWitnessedCheckpoint(note, noLogs, [logSigner.key]))).toBe("accepted");
  });

  test("signed with the log's ML-DSA-44 key alone opens", () => {
    const text = lines(`log ${formatVerifierKey(logMlDsaSigner.key)}`, "quorum none");
    const note = formatNote(TEXT, [logMlDsaSigner.cosign(TEXT, TIME)]);
    expect(openWitnessedCheckpoint(note, parseWitnessPolicy(text)).logKey.type).toBe(0x06);
  });
});
