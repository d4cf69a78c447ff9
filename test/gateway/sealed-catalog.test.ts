/** A renewal of the sealed policy that brings the signed catalog which it names: both in one step, or neither. */

import { describe, expect, it } from "vitest";
import type { RevisedCatalog } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, sealArtifact } from "../../kernel/policy-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeFrom } from "../support/code-of.ts";
import { ECHO, type FakeUpstream, makeFakeUpstream, WIPE } from "../support/fake-upstream.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, type GatewayBench, ofKind, readStream, runCall } from "../support/gateway-run.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { ALICE, BOB, catalogConfig, MALLORY, proposal, signedBy } from "../support/signed-catalog.ts";

const benches = gatewayBenches("sealed-catalog");
const [alice, bob] = SEALERS;
const FILES = bundleFiles('@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);');
const START_MS = 1_790_000_000_000;
const NEXT: JsonObject = { ...ECHO, name: "next" };

function bodyOf(version: number, catalog: RevisedCatalog): PolicyArtifactBody {
  const { code: _, sbom: __, baseline: ___, ...rest } = artifactBody();
  const { digest, version: policyVersion } = parseBundle(FILES);
  return {
    ...rest,
    version,
    not_before: formatTimestamp(START_MS - 1),
    not_after: formatTimestamp(START_MS + 3_600_000),
    policy: { digest, version: policyVersion },
    catalog: digestOf(catalog),
    subjects: [{ principal: "local|example-agent" }],
    tools: ["s/*"],
    workflows: [],
  };
}

const seal = (body: PolicyArtifactBody): Uint8Array => sealArtifact(body, [alice.signer, bob.signer]);

function renewal(artifact: Uint8Array, catalog: Uint8Array): Uint8Array {
  return formatUtf8(JSON.stringify({ artifact: formatBase64(artifact), catalog: formatBase64(catalog) }));
}

/** A gateway under the first catalog, and the next one, with one tool more. */
async function opened(): Promise<{
  readonly bench: GatewayBench;
  readonly run: GatewayRun;
  readonly upstream: FakeUpstream;
  readonly next: RevisedCatalog;
}> {
  const upstream = makeFakeUpstream("s");
  const first = await proposal([upstream]);
  const signers = SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) }));
  const artifact: JsonObject = { file: "unused", gateway: "support-eu", signers, threshold: 2 };
  const bench = benches.make({
    upstreams: [upstream],
    policyFiles: FILES,
    catalogFile: signedBy(first, ALICE, BOB),
    config: { artifact, catalog: catalogConfig() },
    options: { artifactFile: seal(bodyOf(1, first)) },
  });
  const run = await benches.open(bench);
  upstream.setTools([ECHO, WIPE, NEXT]);
  return { bench, run, upstream, next: await proposal([upstream], first) };
}

const callNext = (run: GatewayRun): Promise<string> => runCall(run, callOf("next", { message: "x" }));

describe("a renewal with a catalog", () => {
  it("puts both in force at once, with one receipt behind the other", async () => {
    const { bench, run, upstream, next } = await opened();
    expect(await callNext(run)).toBe("refuse");
    const busy = Array.from({ length: 8 }, () => runCall(run, callOf("echo", { message: "x" })));
    await run.reloadPolicy(renewal(seal(bodyOf(2, next)), signedBy(next, ALICE, BOB)));
    await Promise.all(busy);
    expect(run.status()).toMatchObject({ catalog: { digest: digestOf(next) }, artifact: { version: 2 } });
    upstream.notify();
    expect(await callNext(run)).toBe("forward");
    const receipts = await readStream(bench.folder, run.status().stream);
    const loads = receipts.filter(({ kind }) => kind === "policy-load" || kind === "catalog-load");
    const [policy, catalog] = loads.slice(-2);
    expect([policy?.kind, catalog?.kind]).toEqual(["policy-load", "catalog-load"]);
    expect(catalog?.seq).toBe((policy?.seq ?? 0) + 1);
    expect(ofKind(receipts, "catalog-load")[1]).toMatchObject({
      result: "loaded",
      catalog: { digest: digestOf(next) },
      previous: { value: ofKind(receipts, "catalog-load")[0]?.catalog.digest },
    });
    // Every decision was made on the catalog that was loaded last before it.
    for (const decision of ofKind(receipts, "decision")) {
      const before = ofKind(receipts, "catalog-load").filter(({ seq }) => seq < decision.seq);
      expect(decision.catalog).toMatchObject({ value: { digest: before.at(-1)?.catalog.digest } });
    }
  });

  it("is refused as a whole: too few approvers, a stranger's signature, another catalog than the artifact names", async () => {
    const { bench, run, next } = await opened();
    const before = run.status();
    const bad: readonly (readonly [Uint8Array, string, string])[] = [
      [renewal(seal(bodyOf(2, next)), signedBy(next, ALICE)), "ERR_CATALOG_THRESHOLD", "catalog.unapproved"],
      [renewal(seal(bodyOf(2, next)), signedBy(next, ALICE, MALLORY)), "ERR_CATALOG_UNSIGNED", "catalog.unsigned"],
      [
        renewal(seal({ ...bodyOf(2, next), catalog: before.catalog.digest }), signedBy(next, ALICE, BOB)),
        "ERR_ARTIFACT_MISMATCH",
        "artifact.mismatch",
      ],
    ];
    for (const [body, code] of bad) expect(await codeFrom(run.reloadPolicy(body))).toBe(code);
    expect(run.status()).toMatchObject({ catalog: before.catalog, artifact: before.artifact });
    const receipts = await readStream(bench.folder, run.status().stream);
    expect(
      ofKind(receipts, "policy-load")
        .slice(1)
        .map(({ reasons }) => reasons),
    ).toEqual(bad.map(([, , reason]) => [reason]));
    // Nothing of it is remembered: the right one is taken afterwards.
    await run.reloadPolicy(renewal(seal(bodyOf(2, next)), signedBy(next, ALICE, BOB)));
    expect(run.status().catalog.digest).toBe(digestOf(next));
  });
});
