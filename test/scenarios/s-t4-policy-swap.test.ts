/** S-T4: another policy comes at enforcement: unsigned, older, validly signed, or as changed files under a running gateway. */

import { describe, expect, it } from "vitest";
import { type BundleFile, parseBundle } from "../../gateway/policy/bundle.ts";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { type PolicyArtifactBody, sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { ofKind } from "../support/gateway-run.ts";
import { SEALERS } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { boundBy, renewalOf, sealBoth, sealedBody } from "./sealed.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const [alice, , mallory] = SEALERS;
const NONE = '@id("none") permit (principal, action == Mcp::Action::"bank/read", resource);';
const STRICT = bundleFiles(NONE);
const LOOSE = bundleFiles(PERMIT_ALL, "2");

interface Started {
  readonly scenario: Scenario;
  readonly body: PolicyArtifactBody;
  /** What the cycle finds in the policy's folder. */
  readonly disk: { files: readonly BundleFile[] };
}

/** A gateway under a sealed policy, version 2, that lets nobody pay. */
async function start(): Promise<Started> {
  const disk = { files: STRICT };
  let body: PolicyArtifactBody | undefined;
  const scenario = await open(
    startScenario({
      rules: NONE,
      pinned: ["bank"],
      servers: { bank: { tools: [{ name: "pay" }, { name: "read" }] } },
      bench: (servers, catalog) => {
        body = sealedBody(servers, catalog, STRICT, { version: 2 });
        const bound = boundBy(sealBoth(body), STRICT);
        return { ...bound, options: { ...bound.options, measurements: { policyFiles: () => disk.files } } };
      },
    }),
  );
  if (body === undefined) throw new Error("nothing was sealed");
  return { scenario, body, disk };
}

const loose = (body: PolicyArtifactBody, changes: Partial<PolicyArtifactBody> = {}): PolicyArtifactBody => {
  const { digest, version } = parseBundle(LOOSE);
  return { ...body, version: 3, policy: { digest, version }, ...changes };
};

describe("S-T4 a policy that is swapped at enforcement", () => {
  it.each<readonly [string, string, (body: PolicyArtifactBody) => Uint8Array]>([
    ["signed by too few", "policy.unsigned", (body) => sealArtifact(loose(body), [alice.signer])],
    ["signed by nobody known", "policy.unsigned", (body) => sealArtifact(loose(body), [alice.signer, mallory.signer])],
    ["of a lower version", "policy.lower-version", (body) => sealBoth(loose(body, { version: 1 }))],
  ])("%s is refused with a receipt, and the policy that ran goes on: U is 0", async (_what, reason, make) => {
    const { scenario, body } = await start();
    const answer = await scenario.operate("POST", "/policy", renewalOf(make(body), LOOSE));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    await scenario.call("pay");
    expect(scenario.server("bank").count()).toBe(0);
    const loads = ofKind(await scenario.receipts(), "policy-load");
    expect(loads.map(({ result }) => result)).toEqual(["loaded", "refused"]);
    expect(JSON.stringify(loads[1])).toContain(reason);
    expect((await scenario.decisions()).map(({ policy }) => observedValue(policy)?.digest)).toEqual([
      parseBundle(STRICT).digest,
    ]);
  });

  it("validly signed is in force, logged as a change, and fails under a trust policy that pins the one before", async () => {
    const { scenario, body, disk } = await start();
    await scenario.call("pay");
    const artifact = sealBoth(loose(body));
    disk.files = LOOSE;
    const answer = await scenario.operate("POST", "/policy", renewalOf(artifact, LOOSE));
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    await scenario.call("pay");
    expect(scenario.server("bank").count()).toBe(1);
    const digests = [STRICT, LOOSE].map((files) => parseBundle(files).digest);
    expect((await scenario.decisions()).map(({ policy }) => observedValue(policy)?.digest)).toEqual(digests);
    const load = ofKind(await scenario.receipts(), "policy-load").at(-1);
    expect(load).toMatchObject({
      result: "loaded",
      policy: { digest: digests[1], artifact: { state: "present", value: digestFile(artifact) } },
    });
    const judged = await scenario.evidence({ trust: { policies: digests.slice(0, 1) }, isDisclosed: true });
    expect(judged.words["policy.allowed"]).toBe("ERR_POLICY_UNPINNED");
    expect([judged.exit, judged.hardware]).toEqual([1, "attestation.software"]);
    const demanding = await scenario.evidence({
      trust: { policies: digests.toSorted(), require: OBLIGATION_IDS },
      isDisclosed: true,
    });
    expect(demanding.words).toEqual({});
    expect([demanding.exit, demanding.result.verified]).toEqual([2, false]);
  });

  it("as changed files under a running gateway decides nothing: the cycle finds it, and every call is denied", async () => {
    const { scenario, disk } = await start();
    await scenario.call("read");
    disk.files = LOOSE;
    const halted = async (): Promise<number> =>
      ofKind(await scenario.receipts(), "operator-action").filter(({ action }) => action === "safe-state-on").length;
    await expect.poll(halted, { timeout: 30_000 }).toBe(1);
    await scenario.call("pay");
    await scenario.call("read");
    expect([scenario.server("bank").count("pay"), scenario.server("bank").count("read")]).toEqual([0, 1]);
    const decisions = await scenario.decisions();
    expect(new Set(decisions.map(({ policy }) => observedValue(policy)?.digest))).toEqual(
      new Set([parseBundle(STRICT).digest]),
    );
    expect(decisions.slice(1).every(({ ruling }) => ruling.reasons.includes("measurement.mismatch"))).toBe(true);
  });
});
