import { describe, expect, it } from "vitest";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { OBLIGATION_IDS, type ObligationId } from "../../kernel/obligation.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy, type TrustPolicyJson } from "../../kernel/trust-policy.ts";
import { renderVerdicts } from "../../verifier/render.ts";
import { CLOCK_TOLERANCE_MS } from "../../verifier/times.ts";
import type { VerificationResult } from "../../verifier/verify-bundle.ts";
import { LOADS, makeEvidence, objectOf, START_MS, verify, WITNESSED, wordsOf } from "../support/evidence.ts";
import { witnesses } from "../support/log-keys.ts";
import { gatewayKeys } from "../support/receipts.ts";

const honest = await makeEvidence();

const under = (change: Partial<TrustPolicyJson>): VerificationResult =>
  verify({ bytes: honest.bytes, trust: parseTrustPolicy({ ...honest.trustJson, ...change }) });

/** Every result of this kind has these properties, whatever else it says. */
function expectReadable(text: string): void {
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.split("\n")) {
    expect(line.length).toBeLessThanOrEqual(100);
    expect(line).toBe(line.trimEnd());
  }
  for (const id of OBLIGATION_IDS) expect(text).toContain(id);
}

describe("honest evidence under the keys that it was made with", () => {
  const result = verify(honest);

  it("passes everything that software keys can pass", () => {
    expect(wordsOf(result)).toEqual({});
    expect(result).toMatchObject({ exit: 0, verified: true, at: { source: "witnesses", time: WITNESSED } });
    expect(result.obligations.map(({ id }) => id)).toEqual(OBLIGATION_IDS);
  });

  it("counts what it holds", () => {
    expect(result.summary).toMatchObject({
      entries: 10,
      receipts: 9,
      decisions: 2,
      forwarded: 1,
      sealed_sessions: 1,
      streams: [honest.stream],
      windows: [{ stream: honest.stream, first_seq: 0, last_seq: 8 }],
      key_protections: ["software"],
    });
  });

  it("never establishes hardware attestation, and cannot be made to pass where it is required", () => {
    const demanding = under({ require: ["attestation.hardware"] });
    expect([demanding.exit, demanding.verified]).toEqual([2, false]);
    expect(demanding.obligations.at(-1)).toMatchObject({
      id: "attestation.hardware",
      required: true,
      verdict: "not_established",
      reason: "attestation.software",
    });
  });

  it("judges more than is required, and lets only what is required decide", () => {
    const lenient = under({ require: ["bundle.digest"], policies: [], gateways: [] });
    expect([lenient.exit, lenient.verified]).toEqual([0, false]);
    expect(lenient.obligations.filter(({ required }) => required).map(({ id }) => id)).toEqual(["bundle.digest"]);
    expect(lenient.obligations).toHaveLength(OBLIGATION_IDS.length);
  });

  it("has the exit of the worst required verdict: 1 before 2 before 0", () => {
    const other = `sha256:${"0".repeat(64)}`;
    const exits = (require: readonly ObligationId[]): number =>
      under({ require, policies: [other], catalogs: [] }).exit;
    expect(exits(["mode.enforcing"])).toBe(0);
    expect(exits(["mode.enforcing", "catalog.allowed"])).toBe(2);
    expect(exits(["catalog.allowed", "policy.allowed"])).toBe(1);
  });
});

describe("the judged time", () => {
  it("is an input: the same bundle gives the same verdict whenever it is judged as of the same time", () => {
    const at = formatTimestamp(START_MS + 10 * 86_400_000);
    const first = verify(honest, { at, now: formatTimestamp(START_MS) });
    const second = verify(honest, { at, now: formatTimestamp(START_MS + 1) });
    expect(first.at).toEqual({ source: "caller", time: at });
    expect({ ...second, status_now: undefined }).toEqual({ ...first, status_now: undefined });
  });

  it("allows a gateway's clock to be a minute ahead of the witnesses", () => {
    expect(CLOCK_TOLERANCE_MS).toBe(60_000);
  });

  it("is missing without a quorum, and nothing that depends on it passes", async () => {
    const evidence = await makeEvidence({ cosigned: [] });
    expect(verify(evidence)).toMatchObject({ exit: 1, verified: false, at: { source: "none" } });
  });
});

describe("verdicts as text", () => {
  it("say that everything passed, under whose keys, and what software keys are worth", () => {
    const text = renderVerdicts(verify(honest));
    expectReadable(text);
    expect(text).toContain("Verified: all 16 required obligations pass under the keys that the trust policy pins.");
    expect(text).toContain("software keys");
    expect(text).toMatch(/^ {2}attestation\.hardware +not_established +attestation\.software/mu);
    expect(text.indexOf("Required by the trust policy")).toBeLessThan(text.indexOf("Not required"));
    expect(text).toContain(`${honest.stream}, receipts 0 to 8`);
  });

  it.each<[string, () => Promise<VerificationResult> | VerificationResult]>([
    ["no pinned gateway", () => under({ gateways: [], require: ["bundle.digest", "log.quorum"] })],
    ["only the digest required", () => under({ gateways: [], policies: [], require: ["bundle.digest"] })],
    [
      "no witnesses, none required",
      async () => verify(await makeEvidence({ cosigned: [], trust: { require: ["receipt.issuer"] } })),
    ],
    ["one witness", async () => verify(await makeEvidence({ cosigned: witnesses.slice(0, 1).map((by) => ({ by })) }))],
    [
      "an attacker's gateway",
      async () => verify(await makeEvidence({ keys: gatewayKeys(90), trust: { gateways: honest.trustJson.gateways } })),
    ],
    ["nothing in it", async () => verify(await makeEvidence({ steps: LOADS, shown: () => false, windows: [] }))],
  ])('never say "verified" with %s', async (_, judge) => {
    const result = await judge();
    const text = renderVerdicts(result);
    expectReadable(text);
    expect(result.verified).toBe(false);
    expect(text.toLowerCase()).not.toContain("verified");
  });

  it("say what is wrong and where, with its code, and how often", async () => {
    const text = renderVerdicts(await makeEvidence({ shown: (place) => place !== 9 }).then((it) => verify(it)));
    expectReadable(text);
    expect(text).toMatch(/stream\.continuity +fail +ERR_STREAM_TAIL: [0-9a-f]{12}…\/8/u);
    expect(text).toContain("FAILED: 1 of 16 required obligations fail.");
    const silent = renderVerdicts(under({ policies: [`sha256:${"0".repeat(64)}`] }));
    expect(silent).toContain("(and 1 more)");
  });

  it("let nothing of a bundle command the terminal, and break no line", async () => {
    const name = `\u009b31m\u202e\u2028${"x".repeat(200)}`;
    const hostile = await makeEvidence({
      entries: (entries) =>
        entries.map((bytes, i) => (i === 9 ? canonicalBytes({ ...objectOf(bytes), [name]: 1 }) : bytes)),
    });
    const text = renderVerdicts(verify(hostile));
    expectReadable(text);
    expect(text).toContain("ERR_SHAPE");
    expect(text).not.toMatch(/[\u0080-\u009f\u2028\u202e]/u);
  });

  it("tell apart what would be judged otherwise now", () => {
    const now = formatTimestamp(START_MS + 86_400_000);
    const trust = parseTrustPolicy({ ...honest.trustJson, max_receipt_age_seconds: 3600 });
    const result = verify({ bytes: honest.bytes, trust }, { now });
    const text = renderVerdicts(result);
    expectReadable(text);
    expect([result.exit, result.verified]).toEqual([0, true]);
    expect(text).toContain(`If it were judged now (${now}); this changes no verdict`);
    expect(text).toContain("ERR_TIME_WINDOW");
    expect(renderVerdicts(verify(honest, { now }))).not.toContain("judged now");
  });
});
