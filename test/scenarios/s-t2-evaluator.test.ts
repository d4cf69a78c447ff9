/** S-T2: the host replaces the evaluator, or writes with stolen keys what no policy decided. */

import { describe, expect, it } from "vitest";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { codeFrom } from "../support/code-of.ts";
import { ofKind } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { forgeStream, stealKeys } from "./forged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { boundBy, sealBoth, sealedBody } from "./sealed.ts";
import { listeningSockets, unixSockets } from "./socket-table.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const FILES = bundleFiles(PERMIT_ALL);
const APPROVED = digestFile("the code that was approved");

/** A gateway whose artifact seals its code; `code` is what is measured of it. */
const startSealed = async (code: () => string): Promise<Scenario> =>
  open(
    startScenario({
      rules: PERMIT_ALL,
      pinned: ["bank"],
      servers: { bank: { tools: [{ name: "pay" }] } },
      bench: (servers, catalog) => {
        const bound = boundBy(sealBoth(sealedBody(servers, catalog, FILES, { code: APPROVED })), FILES);
        return { ...bound, options: { ...bound.options, measurements: { code } } };
      },
    }),
  );

describe("S-T2 another evaluator", () => {
  it("does not start under an artifact that seals the approved code", async () => {
    expect(await codeFrom(startSealed(() => digestFile("other code")))).toBe("ERR_ARTIFACT_MISMATCH");
  });

  it("that is put in place of the running one is found on the cycle: every call is denied, U stays 1", async () => {
    let code = APPROVED;
    const scenario = await startSealed(() => code);
    await scenario.call("pay");
    code = digestFile("other code");
    const halted = async (): Promise<number> =>
      ofKind(await scenario.receipts(), "operator-action").filter(({ action }) => action === "safe-state-on").length;
    await expect.poll(halted, { timeout: 30_000 }).toBe(1);
    await scenario.call("pay");
    expect(scenario.server("bank").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)?.ruling.reasons).toContain("measurement.mismatch");
    expect((await scenario.evidence()).hardware).toBe("attestation.software");
  });
});

describe("S-T2 receipts that say allow where the approved policy says deny", () => {
  it("made with stolen software keys pass every other obligation; the hardware's is not established, and decides", async () => {
    const approved = bundleFiles('@id("none") permit (principal, action == Mcp::Action::"bank/read", resource);');
    const { digest, version } = parseBundle(approved);
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }, { name: "read" }] } } }),
    );
    await scenario.call("pay");
    const forge = (rows: readonly Uint8Array[]): readonly Uint8Array[] => [
      ...rows.slice(0, 1),
      ...forgeStream(stealKeys(scenario.folder, scenario.stream), rows.slice(1), (body) =>
        named(body, digest, version),
      ),
    ];
    const trust = { policies: [digest], require: OBLIGATION_IDS };
    const { words, hardware, result } = await scenario.evidence({ entries: forge, trust });
    expect(words).toEqual({ "policy.files": "policy.not-disclosed" });
    expect(hardware).toBe("attestation.software");
    expect([result.exit, result.verified]).toEqual([2, false]);
  });

  it("are told from honest ones by nothing that is disclosed: no obligation decides the calls again", async () => {
    const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }] } } }));
    await scenario.call("pay");
    const { result } = await scenario.evidence({ isDisclosed: true, trust: { require: OBLIGATION_IDS } });
    expect(result.obligations.filter(({ verdict }) => verdict !== "pass").map(({ id }) => id)).toEqual([
      "attestation.hardware",
    ]);
    expect([result.exit, result.verified]).toEqual([2, false]);
  });
});

describe("S-T2 ways in", () => {
  it("are the two declared listeners, on the loopback: no port and no local socket beside them", async () => {
    const before = { ports: new Set(listeningSockets().map(({ port }) => port)), unix: unixSockets() };
    const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }] } } }));
    const opened = listeningSockets().filter(({ port }) => !before.ports.has(port));
    const portOf = (url: string): number => Number(new URL(url).port);
    const others = [scenario.server("bank").url, scenario.ledgerUrl].map(portOf);
    const own = opened.filter(({ port }) => !others.includes(port));
    expect(own.map(({ port }) => port).sort()).toEqual([scenario.url, scenario.operatorUrl].map(portOf).sort());
    expect(own.every(({ isLoopback }) => isLoopback)).toBe(true);
    expect(unixSockets()).toEqual(before.unix);
    const answer = await fetch(`${scenario.operatorUrl}/status`);
    expect(answer.status).toBe(401);
  });
});

/** The body with another policy named where a policy is named. */
function named(body: JsonObject, digest: string, version: string): JsonObject {
  const policy = body["policy"] as JsonObject | undefined;
  if (body["kind"] === "policy-load") {
    return { ...body, policy: { ...policy, digest, version } };
  }
  if (policy?.["state"] !== "present") return body;
  return { ...body, policy: { ...policy, value: { ...(policy["value"] as JsonObject), digest, version } } };
}
