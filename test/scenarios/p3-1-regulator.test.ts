/** P3.1: one call, ninety days old, the log's key rotated since: which tool, which policy, what left, and was it true then? */

import { beforeAll, describe, expect, it } from "vitest";
import { formatBundle } from "../../kernel/bundle.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { formatTimestamp, timestampMs } from "../../kernel/time.ts";
import { verify, wordsOf } from "../support/evidence.ts";
import { ORIGIN, witnesses } from "../support/log-keys.ts";
import { pairOf, rotationBody, StatedLog } from "../support/log-statements.ts";
import type { EvidenceChange, Judged } from "./judged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const DAY_MS = 86_400_000;
const THEN = Date.now() - 90 * DAY_MS;
const SENT = { name: "Erika Beispiel", account: "4711" };
const rotated = new StatedLog().declare((index) => rotationBody(index, 0, 1));
const successor = makeLogSigner(ORIGIN, pairOf(1)[0].seed);

/** Everything that was kept: the log with its rotation, witnesses ten minutes after the call. */
const KEPT: EvidenceChange = {
  isDisclosed: true,
  more: {
    before: rotated.entries,
    signer: successor,
    cosigned: witnesses.slice(0, 2).map((by) => ({ by, at: BigInt(Math.ceil(THEN / 1000) + 600) })),
  },
  now: formatTimestamp(THEN + 90 * DAY_MS),
};

let began = 0;
beforeAll(() => {
  began = Date.now();
});

async function startAndCall(): Promise<{ readonly scenario: Scenario; readonly disclosure: Uint8Array }> {
  const scenario = await open(
    startScenario({
      rules: PERMIT_ALL,
      nowMs: () => THEN + Date.now() - began,
      config: { vault: { keep_payloads: true } },
      servers: { crm: { tools: [{ name: "update" }] } },
    }),
  );
  await scenario.call("update", SENT);
  const [decision] = await scenario.decisions();
  const { body } = await scenario.operate("POST", "/vault/disclose", {
    receipts: [`${scenario.stream}/${decision?.seq ?? 0}`],
    members: ["request_sent"],
    fields: ["/params/arguments"],
  });
  return { scenario, disclosure: formatUtf8(String((body as JsonObject)["text"])) };
}

describe("P3.1 a regulator's four questions", () => {
  it("are answered offline by one bundle and one disclosure", async () => {
    const { scenario, disclosure } = await startAndCall();
    expect(scenario.server("crm").count()).toBe(1);
    const [decision] = await scenario.decisions();
    const { words, result, hardware } = await scenario.evidence({ ...KEPT, disclosure });
    // Which tool, which policy: authenticated, and the files of the policy are there.
    expect(words).toEqual({});
    expect(decision && observedValue(decision.wire.mcp_name)).toEqual({ form: "name", name: "update" });
    expect(decision?.ruling).toMatchObject({ action: "forward", policies: ["all"] });
    // What left: each field that the receipt committed to.
    expect(result.openings?.map(({ verdict, part, value }) => [verdict, part, value])).toEqual([
      ["pass", "/params/arguments/account", '"4711"'],
      ["pass", "/params/arguments/name", '"Erika Beispiel"'],
    ]);
    // Then: two witnesses saw the entries ninety days ago.
    const at = "time" in result.at ? timestampMs(result.at.time) : 0;
    expect(Math.abs(at - THEN)).toBeLessThan(DAY_MS);
    expect([result.exit, result.verified]).toEqual([0, true]);
    expect(hardware).toBe("attestation.software");
  });

  it.each<readonly [string, (kept: EvidenceChange) => EvidenceChange, string, string]>([
    [
      "an edited receipt",
      (kept) => ({
        ...kept,
        entries: (rows) => rows.map((row) => swapped(row, '"action":"forward"', '"action":"refuse"')),
      }),
      "receipt.signature",
      "ERR_SHAPE",
    ],
    [
      "a policy file that was swapped",
      (kept) => ({ ...kept, swapPolicy: ({ path, content }) => ({ path, content: `${content} ` }) }),
      "policy.files",
      "ERR_POLICY_DIGEST",
    ],
    ["a policy that is missing", (kept) => ({ ...kept, isDisclosed: false }), "policy.files", "policy.not-disclosed"],
    [
      "a receipt that is missing",
      (kept) => ({ ...kept, entries: (rows) => rows.filter((_, i) => i !== 4) }),
      "stream.continuity",
      "ERR_STREAM_GAP",
    ],
    [
      "witnesses that are missing",
      (kept) => ({ ...kept, more: { ...kept.more, cosigned: [] } }),
      "log.quorum",
      "log.unauthenticated",
    ],
  ])("with %s are not answered, and the verdict names it", async (_what, change, obligation, word) => {
    const { scenario } = await startAndCall();
    const { words, result } = await scenario.evidence(change(KEPT));
    expect(words[obligation]).toBe(word);
    expect(result.verified).toBe(false);
  });

  it("with a checkpoint of a smaller tree are not answered: entries lie outside of it", async () => {
    const { scenario } = await startAndCall();
    const whole = await scenario.evidence(KEPT);
    const smaller: Judged = await scenario.evidence({ ...KEPT, entries: (rows) => rows.slice(0, 4) });
    const [log, small] = [whole.evidence.content.logs[0], smaller.evidence.content.logs[0]];
    if (log === undefined || small === undefined) throw new Error("no logs");
    const content = { ...whole.evidence.content, logs: [{ ...log, checkpoint: small.checkpoint }] };
    const result = verify({ bytes: formatBundle(content), trust: whole.evidence.trust });
    expect(wordsOf(result)["log.inclusion"]).toMatch(/^ERR_/u);
    expect(result.exit).toBe(1);
  });

  it("with an opening of something else are not answered: the commitment does not hold it", async () => {
    const { scenario, disclosure } = await startAndCall();
    const forged = formatUtf8(parseUtf8(disclosure).replace('"4711"', '"4712"'));
    const { result } = await scenario.evidence({ ...KEPT, disclosure: forged });
    expect(result.openings?.[0]).toMatchObject({ verdict: "fail", code: "ERR_OPENING_MISMATCH" });
    expect(result.exit).toBe(1);
  });
});

function swapped(row: Uint8Array, from: string, to: string): Uint8Array {
  return formatUtf8(parseUtf8(row).replace(from, to));
}
