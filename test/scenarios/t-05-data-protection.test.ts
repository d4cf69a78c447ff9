/** T5: what an auditor sees of payloads, what one opening shows, what guessing finds, and what is left when the secret is gone. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sha256 } from "#crypto";
import { commitMessage } from "../../gateway/pipeline/commitments.ts";
import { readSecret } from "../../gateway/receipts/vault.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { AGENT_TOKEN } from "../support/gateway-run.ts";
import { type ModernRequest, modernBody, postModern, toolCall } from "../support/modern-call.ts";
import { textResult } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const PIN = "482913";
const [CUSTOMER, ANSWER] = ["customer-7c1f0b52", "answer-91d2aa07"];

async function startAndCall(): Promise<Scenario> {
  const tools = [{ name: "unlock", answer: () => textResult(ANSWER) }];
  const scenario = await open(
    startScenario({ rules: PERMIT_ALL, config: { vault: { keep_payloads: true } }, servers: { bank: { tools } } }),
  );
  await scenario.call("unlock", { pin: PIN, customer: CUSTOMER });
  expect(scenario.server("bank").count()).toBe(1);
  return scenario;
}

async function disclose(scenario: Scenario, fields: readonly string[], token?: string): Promise<JsonObject> {
  const [decision] = await scenario.decisions();
  const body: JsonValue = { receipts: [`${scenario.stream}/${decision?.seq ?? 0}`], members: ["request_sent"], fields };
  const answer = await scenario.operate("POST", "/vault/disclose", body, token);
  return { ...(answer.body as JsonObject), status: answer.status };
}

describe("T5 an audit of tier 0 and 1", () => {
  it("passes with no payload in the evidence, in the ledger or in the metrics", async () => {
    const scenario = await startAndCall();
    const metrics = await (await fetch(`${scenario.operatorUrl}/metrics`)).text();
    const { words, evidence } = await scenario.evidence({ isDisclosed: true });
    expect(words).toEqual({});
    for (const text of [parseUtf8(evidence.bytes), metrics, scenario.log.join("\n")]) {
      expect([PIN, CUSTOMER, ANSWER].filter((canary) => text.includes(canary))).toEqual([]);
    }
  });

  it("finds nothing by guessing: none of a million values of a short field is in a receipt under any plain hash", async () => {
    const scenario = await startAndCall();
    const text = JSON.stringify(await scenario.receipts());
    const hashes = new Set(text.match(/[0-9a-f]{64}/gu));
    expect(hashes.size).toBeGreaterThan(10);
    const isThere = (guess: string): boolean => hashes.has(createHash("sha256").update(guess).digest("hex"));
    let found = 0;
    for (let pin = 0; pin < 1_000_000; pin += 1) {
      const guess = String(pin).padStart(6, "0");
      if (isThere(JSON.stringify(guess)) || isThere(`{"customer":"${CUSTOMER}","pin":"${guess}"}`)) found += 1;
    }
    expect(found).toBe(0);
  });
});

describe("T5 guesses by somebody who knows all of a call but a short field", () => {
  /** The request as it is posted, twice: all of it is known but the PIN. */
  const request = (pin: string): ModernRequest => toolCall("unlock", { customer: CUSTOMER, pin });
  const bytesOf = (pin: string): Uint8Array => formatUtf8(modernBody(request(pin)));

  it("find the right one under the secret of its receipt, and under no other that there is: not even that of the same call before", async () => {
    const scenario = await startAndCall();
    for (let i = 0; i < 2; i += 1) await postModern(scenario.url, request(PIN));
    const [, first, second] = await scenario.decisions();
    const roots = [first, second].map((one) => one && observedValue(one.request_received)?.root);
    const secretOf = async (seq: number): Promise<Uint8Array> =>
      (await readSecret(join(scenario.folder, "streams", scenario.stream, "vault"), seq)) ?? new Uint8Array();
    const [own, other] = [await secretOf(first?.seq ?? 0), await secretOf(second?.seq ?? 0)];
    const found = (secret: Uint8Array): readonly string[] => {
      const pins = ["482912", PIN, "482914"];
      return pins.filter((pin) => {
        return observedValue(commitMessage(secret, "request_received", bytesOf(pin)))?.root === roots[0];
      });
    };
    expect(found(own)).toEqual([PIN]);
    const stream = parseHex(scenario.stream);
    const guessable = [new Uint8Array(32), stream, sha256(stream), sha256(bytesOf(PIN))];
    expect([other, ...guessable].flatMap(found)).toEqual([]);
    expect(new Set(roots).size).toBe(2);
  });
});

describe("T5 an opening", () => {
  it("of one field shows that field and no other, holds against the receipt, and is itself a receipt", async () => {
    const scenario = await startAndCall();
    const made = await disclose(scenario, ["/params/arguments/customer"]);
    expect(made).toMatchObject({ status: 200, opened: 1 });
    const disclosure = formatUtf8(String(made["text"]));
    expect(parseUtf8(disclosure)).not.toContain(PIN);
    const { result } = await scenario.evidence({ disclosure });
    expect(result.openings).toMatchObject([
      { verdict: "pass", part: "/params/arguments/customer", value: `"${CUSTOMER}"` },
    ]);
    const told = (await scenario.receipts()).find((receipt) => receipt.kind === "operator-action");
    expect(told).toMatchObject({ action: "disclosed", target: { tier: 2 } });
  });

  it("is made for no agent", async () => {
    const scenario = await startAndCall();
    expect(await disclose(scenario, ["/params/arguments"], AGENT_TOKEN)).toMatchObject({ status: 401 });
  });
});

describe("T5 a secret that is destroyed", () => {
  it("opens nothing any more, while every other obligation still passes", async () => {
    const scenario = await startAndCall();
    const [decision] = await scenario.decisions();
    const session = decision?.session.state === "present" ? decision.session.value.id : "";
    const erased = await scenario.operate("POST", "/vault/erase", { target: `session:${session}` });
    expect(erased.status, JSON.stringify(erased.body)).toBe(200);
    const made = await disclose(scenario, ["/params/arguments"]);
    expect(made).toMatchObject({ opened: 0, erased: 1 });
    const { words, result } = await scenario.evidence({
      isDisclosed: true,
      disclosure: formatUtf8(String(made["text"])),
    });
    expect(words).toEqual({});
    expect(result.openings).toMatchObject([{ verdict: "not_established", reason: "opening.erased" }]);
  });
});

describe("T5 the key that signs", () => {
  it("is bound to no hardware, and whoever requires that is told so", async () => {
    const judged = await (await startAndCall()).evidence({ isDisclosed: true, trust: { require: OBLIGATION_IDS } });
    expect([judged.words, judged.hardware, judged.exit]).toEqual([{}, "attestation.software", 2]);
  });
});
