import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { ASKED_OBLIGATION_IDS, OBLIGATION_IDS, OBLIGATIONS } from "../../kernel/obligation.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { parseTrustPolicy, type TrustPolicy } from "../../kernel/trust-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { ORIGIN, policyText, seedOf } from "../support/log-keys.ts";

const stream = (digit: string): string => digit.repeat(64);
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const other = `log ${formatVerifierKey(makeLogSigner("log.example/other", seedOf(5)).key)}\n`;

const file = {
  kind: "trust-policy",
  v: 1,
  logs: [policyText(2), `${other}quorum none\n`],
  gateways: [{ stream: stream("a"), label: "Zürich, gateway 1" }, { stream: stream("b") }],
  policies: [digest("1"), digest("2")],
  catalogs: [digest("3")],
  modes: ["enforcing", "advisory"],
  require: ["log.quorum", "bundle.digest"],
  max_receipt_age_seconds: 86_400,
  not_before: "2026-01-01T00:00:00.000Z",
  not_after: "2026-12-31T23:59:59.999Z",
};
const least = {
  kind: "trust-policy",
  v: 1,
  logs: [policyText(2)],
  gateways: [],
  policies: [],
  catalogs: [],
  modes: [],
  require: ["bundle.digest"],
};

const [keyA, keyB] = [1, 2].map((n) => formatPublicKey(createSigner("ed25519", seedOf(n)).publicKey));
const sealers = {
  threshold: 1,
  signers: [
    { name: "alice", key: keyA },
    { name: "bob", key: keyB },
  ],
};

/** As a file is read: text first. */
const parse = (value: unknown): TrustPolicy => parseTrustPolicy(parseJson(JSON.stringify(value)));
const codeWith = (change: object): string => codeOf(() => parse({ ...file, ...change }));

describe("a trust policy", () => {
  it("pins logs by origin, gateways, policies, catalogs, modes and times", () => {
    const policy = parse(file);
    expect([...policy.logs.keys()]).toEqual([ORIGIN, "log.example/other"]);
    expect(policy.logs.get(ORIGIN)?.quorum).toBe("g");
    expect(Object.fromEntries(policy.gateways)).toEqual({ [stream("a")]: "Zürich, gateway 1", [stream("b")]: "" });
    expect([...policy.policies, ...policy.catalogs, ...policy.modes]).toEqual([
      digest("1"),
      digest("2"),
      digest("3"),
      "enforcing",
      "advisory",
    ]);
    expect([...policy.require]).toEqual(["log.quorum", "bundle.digest"]);
    expect([policy.maxReceiptAgeSeconds, policy.notBefore, policy.notAfter]).toEqual([
      86_400,
      "2026-01-01T00:00:00.000Z",
      "2026-12-31T23:59:59.999Z",
    ]);
  });

  it("may pin nothing but a log: then nothing else passes", () => {
    const policy = parse(least);
    expect([policy.gateways.size, policy.policies.size, policy.catalogs.size, policy.modes.size]).toEqual([0, 0, 0, 0]);
    expect("notBefore" in policy || "notAfter" in policy || "maxReceiptAgeSeconds" in policy).toBe(false);
  });

  it("may pin who seals artifacts, and how many of them it takes", () => {
    const rule = parse({ ...file, sealers }).sealers;
    expect([rule?.threshold, rule?.signers.map(({ name, key }) => [name, formatPublicKey(key)])]).toEqual([
      1,
      [
        ["alice", keyA],
        ["bob", keyB],
      ],
    ]);
    expect("sealers" in parse(file)).toBe(false);
  });

  it("may name two logs under one witness policy", () => {
    const policy = parse({ ...least, logs: [`${other}${policyText(2)}`] });
    expect([...policy.logs.keys()].toSorted()).toEqual(["log.example/other", ORIGIN].toSorted());
  });

  it.each([
    ["a log of two witness policies", { logs: [policyText(2), policyText(1)] }],
    ["a witness policy without a log", { logs: [policyText(2).replace(/^log .*\n/u, "")] }],
    ["a stream twice", { gateways: [{ stream: stream("a") }, { stream: stream("a"), label: "x" }] }],
    ["an obligation twice", { require: ["log.quorum", "log.quorum"] }],
    ["a sealer's name twice", { sealers: { ...sealers, signers: [sealers.signers[0], { name: "alice", key: keyB }] } }],
    ["a sealer's key twice", { sealers: { ...sealers, signers: [sealers.signers[0], { name: "bob", key: keyA }] } }],
    ["more sealers wanted than named", { sealers: { ...sealers, threshold: 3 } }],
    ["a window of time that ends before it begins", { not_before: "2027-01-01T00:00:00.000Z" }],
  ])("is refused when it contradicts itself, with %s: ERR_TRUST_POLICY", (_, change) => {
    expect(codeWith(change)).toBe("ERR_TRUST_POLICY");
  });

  it.each([
    ["another kind", { kind: "trust" }],
    ["another version", { v: 2 }],
    ["an unknown member", { trust_everything: true }],
    ["no log", { logs: [] }],
    ["a log that is no text", { logs: [1] }],
    ["a text that is no witness policy", { logs: ["quorum all\n"] }],
    ["a witness policy without its last newline", { logs: [policyText(2).trimEnd()] }],
    ["nothing required", { require: [] }],
    ["an unknown obligation", { require: ["log.quorums"] }],
    ["a stream in upper case", { gateways: [{ stream: "A".repeat(64) }] }],
    ["a label with a control character", { gateways: [{ stream: stream("a"), label: "a\u001b[2J" }] }],
    ["a label of 129 characters", { gateways: [{ stream: stream("a"), label: "x".repeat(129) }] }],
    ["a digest without its algorithm", { policies: ["1".repeat(64)] }],
    ["a digest with a line feed", { catalogs: [`${digest("1")}\n`] }],
    ["an unknown mode", { modes: ["strict"] }],
    ["nobody who seals", { sealers: { threshold: 1, signers: [] } }],
    ["a threshold of none", { sealers: { ...sealers, threshold: 0 } }],
    ["a threshold above what an artifact can have", { sealers: { ...sealers, threshold: 5 } }],
    ["an age of zero", { max_receipt_age_seconds: 0 }],
    ["an age with a fraction", { max_receipt_age_seconds: 0.5 }],
    ["a time without milliseconds", { not_after: "2026-12-31T23:59:59Z" }],
    ["null for what is optional", { not_after: null }],
  ])("is refused with %s: ERR_SHAPE", (_, change) => {
    expect(codeWith(change)).toBe("ERR_SHAPE");
  });

  it.each(Object.keys(least))("is refused without %s", (name) => {
    const without = Object.fromEntries(Object.entries(least).filter(([member]) => member !== name));
    expect(codeOf(() => parse(without))).toBe("ERR_SHAPE");
  });

  it("is refused if it is no object at all", () => {
    const values: readonly JsonValue[] = [null, 1, "trust", [], [least]];
    for (const value of values) expect(codeOf(() => parseTrustPolicy(value))).toBe("ERR_SHAPE");
  });

  it("refuses keys of the wrong type and weak keys in its witness policies", () => {
    const logKey = `witness w ${formatVerifierKey(makeLogSigner("w", seedOf(9)).key)}\nquorum w\n`;
    expect(codeWith({ logs: [`${other}${logKey}`] })).toBe("ERR_SHAPE");
    // The neutral point as a key: every signature of its kind would hold under it.
    const key = Buffer.concat([Uint8Array.of(0x04, 1), new Uint8Array(31)]);
    const id = createHash("sha256").update("w\n").update(key).digest("hex").slice(0, 8);
    const weak = `witness w w+${id}+${key.toString("base64")}\nquorum w\n`;
    expect(codeWith({ logs: [`${other}${weak}`] })).toBe("ERR_KEY_WEAK");
  });
});

describe("the obligations", () => {
  it("are listed once each, in the order of their table", () => {
    expect([...OBLIGATION_IDS, ...ASKED_OBLIGATION_IDS]).toEqual(Object.keys(OBLIGATIONS));
  });
});
