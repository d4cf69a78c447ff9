/** The verdicts of the offline verifier about the stream of a scenario, in a log with a quorum of witnesses. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeReplayEngine } from "../../cli/policy/replay-engine.ts";
import { parseBase64 } from "../../kernel/base64.ts";
import { type BundleCatalog, type BundlePolicy, type BundlePolicyFile, parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Timestamp } from "../../kernel/time.ts";
import type { TrustPolicyJson } from "../../kernel/trust-policy.ts";
import type { BuildFiles } from "../../verifier/build-provenance.ts";
import type { ReplayEngine } from "../../verifier/replay.ts";
import { type VerificationResult, verifyBundle } from "../../verifier/verify-bundle.ts";
import { type Evidence, type EvidenceOptions, makeEvidence, trustOf, wordOf, wordsOf } from "../support/evidence.ts";
import { ofKind } from "../support/gateway-run.ts";
import { witnesses } from "../support/log-keys.ts";

/** What an attacker does to the log's entries before they are bundled, and what the trust policy says otherwise. */
export interface EvidenceChange {
  readonly entries?: (honest: readonly Uint8Array[]) => readonly Uint8Array[];
  readonly trust?: Partial<TrustPolicyJson>;
  /** True: the files of the policies and the catalogs are in the bundle, as the gateway kept them. */
  readonly isDisclosed?: boolean;
  /** What somebody makes of each disclosed policy file. */
  readonly swapPolicy?: (file: BundlePolicyFile) => BundlePolicyFile;
  /** Anything else of the bundle and its log. */
  readonly more?: Partial<EvidenceOptions>;
  /** The verifier's clock. */
  readonly now?: Timestamp;
  /** Openings that are handed in with the bundle. */
  readonly disclosure?: Uint8Array | (() => Uint8Array);
  /** Policies in the bundle beside the gateway's. */
  readonly morePolicies?: readonly BundlePolicy[];
  /** Sealed artifacts and statements of builders that are handed in with the bundle. */
  readonly build?: BuildFiles;
  /** Session artifacts that are handed in with the bundle. */
  readonly sessionArtifacts?: readonly Uint8Array[];
  /** Tests of routes around the gateway that are handed in with the bundle. */
  readonly routeTests?: readonly Uint8Array[];
  /** True: the calls are decided again by what the bundle discloses. */
  readonly isReplayed?: boolean;
}

/** Verdicts of the offline verifier: what does not pass, by obligation, and its exit code. */
export interface Judged {
  readonly words: Readonly<Record<string, string>>;
  readonly exit: number;
  /** Why no hardware speaks for the keys. */
  readonly hardware: string;
  readonly result: VerificationResult;
  readonly evidence: Evidence;
}

/**
 * Puts the entries into a log whose checkpoint two of three witnesses cosigned a second from now, and verifies.
 *
 * @param folder  the gateway's data folder
 */
export async function judgeStream(
  entries: readonly Uint8Array[],
  receipts: readonly StreamReceipt[],
  folder: string,
  {
    entries: changed = (honest) => honest,
    trust = {},
    isDisclosed = false,
    more = {},
    now,
    disclosure,
    build,
    sessionArtifacts,
    routeTests,
    isReplayed = false,
    morePolicies = [],
    swapPolicy = (file) => file,
  }: EvidenceChange,
): Promise<Judged> {
  const at = BigInt(Math.ceil(Date.now() / 1000) + 1);
  const stream = receipts[0]?.stream ?? "";
  const decided = ofKind(receipts, "decision");
  const policies = [...new Set(decided.flatMap(({ policy }) => observedValue(policy)?.digest ?? []))].sort();
  const catalogs = [...new Set(decided.flatMap(({ catalog }) => observedValue(catalog)?.digest ?? []))].sort();
  const evidence = await makeEvidence({
    entries: () => changed(entries),
    windows: [{ stream, first_seq: 0, last_seq: receipts.length - 1 }],
    cosigned: witnesses.slice(0, 2).map((by) => ({ by, at })),
    policies: isDisclosed
      ? [...policies.map((digest) => policyOf(folder, digest, swapPolicy)), ...morePolicies].sort(byDigest)
      : [],
    catalogs: isDisclosed ? catalogs.map((digest) => catalogOf(folder, digest)) : [],
    ...more,
    trust: { ...trustOf(stream), policies, catalogs, ...trust },
  });
  const result = verifyBundle({
    bundle: evidence.bytes,
    trust: evidence.trust,
    ...(now === undefined ? {} : { now }),
    ...(disclosure === undefined ? {} : { disclosure: typeof disclosure === "function" ? disclosure() : disclosure }),
    ...(build === undefined ? {} : { build }),
    ...(sessionArtifacts === undefined ? {} : { sessionArtifacts }),
    ...(routeTests === undefined ? {} : { routeTests }),
    ...(isReplayed ? { replay: engineOf(evidence) } : {}),
  });
  const hardware = wordOf(result, "attestation.hardware");
  return { words: wordsOf(result), exit: result.exit, hardware, result, evidence };
}

const byDigest = (a: BundlePolicy, b: BundlePolicy): number => (a.digest < b.digest ? -1 : 1);

function engineOf({ bytes }: Evidence): ReplayEngine {
  const { policies, catalogs } = parseBundle(bytes);
  const files = policies.map((policy) =>
    policy.files.map(({ path, content }) => ({ path, content: formatUtf8(content) })),
  );
  return makeReplayEngine(files, catalogs);
}

/** A document that the gateway kept under its digest. */
function keptDocument(folder: string, digest: string): JsonValue {
  return parseJson(readFileSync(join(folder, "evidence", `${digest.replace(":", "-")}.json`)));
}

function policyOf(folder: string, digest: string, change: (file: BundlePolicyFile) => BundlePolicyFile): BundlePolicy {
  const { version, files } = keptDocument(folder, digest) as {
    readonly version: string;
    readonly files: readonly { readonly path: string; readonly content: string }[];
  };
  return {
    digest,
    version,
    files: files.map(({ path, content }) => change({ path, content: parseUtf8(parseBase64(content)) })),
  };
}

function catalogOf(folder: string, digest: string): BundleCatalog {
  return { digest, content: keptDocument(folder, digest) };
}
