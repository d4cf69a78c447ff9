/** Scenarios under a sealed policy artifact: alice and bob seal it, for the gateway `scenario`. */

import { parseCatalog } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { type BundleFile, parseBundle } from "../../gateway/policy/bundle.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, sealArtifact } from "../../kernel/policy-artifact.ts";
import { sealSessionArtifact } from "../../kernel/session-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { BenchOptions } from "../support/gateway-run.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import type { HostileServer } from "./hostile-server.ts";
import type { ScenarioOptions } from "./rig.ts";

const HOUR_MS = 3_600_000;
const [alice, bob] = SEALERS;

/** `artifact` of the gateway's configuration. */
export const ARTIFACT_CONFIG: JsonObject = {
  file: "unused",
  gateway: "scenario",
  signers: SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) })),
  threshold: 2,
  remeasure_seconds: 1,
};

/** What is sealed: these servers with all their tools, this policy, this catalog, for an hour; `changes` say otherwise. */
export function sealedBody(
  servers: readonly HostileServer[],
  catalog: Uint8Array | undefined,
  files: readonly BundleFile[],
  changes: Partial<PolicyArtifactBody> = {},
): PolicyArtifactBody {
  if (catalog === undefined) throw new Error("an artifact names a catalog: pin the servers");
  const { digest, version } = parseBundle(files);
  const { code: _, sbom: __, baseline: ___, ...body } = artifactBody();
  return {
    ...body,
    gateway: "scenario",
    not_before: formatTimestamp(Date.now() - HOUR_MS),
    not_after: formatTimestamp(Date.now() + HOUR_MS),
    policy: { digest, version },
    catalog: digestOf(parseCatalog(parseJson(catalog))),
    subjects: [{ principal: "local|example-agent" }],
    tools: servers.map(({ id }) => `${id}/*`).sort(),
    upstreams: servers.map(({ id, url }) => ({ server: id, identity: { kind: "http", url } })),
    limits: {},
    workflows: [],
    ...changes,
  };
}

/** The bytes of the artifact under both seals. */
export function sealBoth(body: PolicyArtifactBody): Uint8Array {
  return sealArtifact(body, [alice.signer, bob.signer]);
}

/** The same of the first agent alone, with these tools. */
export function sealSession({ subjects, tools, ...outer }: PolicyArtifactBody): Uint8Array {
  const [subject] = subjects;
  if (subject === undefined) throw new Error("an artifact without an agent");
  const { version, gateway, not_before, not_after, mode, policy, catalog, upstreams, limits } = outer;
  const kept = { version, gateway, not_before, not_after, mode, policy, catalog, upstreams, limits };
  return sealSessionArtifact({ kind: "session-artifact", v: 1, ...kept, subject, tools }, [alice.signer, bob.signer]);
}

/** What a gateway that is bound by this artifact starts with. */
export function boundBy(artifactFile: Uint8Array, files: readonly BundleFile[]): Partial<BenchOptions> {
  return { policyFiles: files, config: { artifact: ARTIFACT_CONFIG }, options: { artifactFile } };
}

/** What a gateway is measured against: `sealed` is the digest of its code in the artifact, `measured` gives the one that runs. */
export interface MeasuredCode {
  readonly files: readonly BundleFile[];
  readonly sealed: string;
  readonly measured: () => string;
  /** Told of the artifact's file. */
  readonly onSealed?: (artifact: Uint8Array) => void;
}

/** `bench` of a scenario whose gateway is bound by an artifact that seals its code. */
export function boundToCode({
  files,
  sealed,
  measured,
  onSealed,
}: MeasuredCode): NonNullable<ScenarioOptions["bench"]> {
  return (servers, catalog) => {
    const artifact = sealBoth(sealedBody(servers, catalog, files, { code: sealed }));
    onSealed?.(artifact);
    const bound = boundBy(artifact, files);
    return { ...bound, options: { ...bound.options, measurements: { code: measured } } };
  };
}

/** Body of `POST /policy`. */
export function renewalOf(artifact: Uint8Array, files?: readonly BundleFile[]): JsonObject {
  const list = files?.map(({ path, content }) => ({ path, content: formatBase64(content) }));
  return { artifact: formatBase64(artifact), ...(list === undefined ? {} : { files: list }) };
}
