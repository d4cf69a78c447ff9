/**
 * Obligations about what decisions were made under: `policy.allowed`, `policy.files`, `catalog.allowed`, `mode.allowed`,
 * `mode.enforcing`. They look at every decision of the bundle, inside a window or not.
 */

import type { BundleCatalog, BundlePolicy, EvidenceBundle } from "../kernel/bundle.ts";
import { canonicalBytes } from "../kernel/json/canonical.ts";
import { digestFile, policyDigest } from "../kernel/policy-manifest.ts";
import type { Observed } from "../kernel/receipt/observed.ts";
import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import type { Mode } from "../kernel/receipt/vocabulary.ts";
import type { TrustPolicy } from "../kernel/trust-policy.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import { type Doubt, doubt, type Finding, fault, type Judgement, judge } from "./verdict.ts";
import type { VerdictReason } from "./verdict-reasons.ts";

/** The decisions and loads of a bundle. */
export interface Decisions {
  readonly decisions: readonly ReceiptOf<"decision">[];
  readonly policyLoads: readonly ReceiptOf<"policy-load">[];
}

/** The verdicts of this file. */
export type DecisionJudgement = Readonly<
  Record<"policy.allowed" | "policy.files" | "catalog.allowed" | "mode.allowed" | "mode.enforcing", Judgement>
>;

/** Picks out what this file looks at. */
export function pickDecisions(placed: readonly PlacedReceipt[]): Decisions {
  const receipts = placed.map(({ receipt }) => receipt);
  return {
    decisions: receipts.filter((receipt) => receipt.kind === "decision"),
    policyLoads: receipts.filter((receipt) => receipt.kind === "policy-load"),
  };
}

/** Judges all decisions. */
export function judgeDecisions(found: Decisions, bundle: EvidenceBundle, trust: TrustPolicy): DecisionJudgement {
  const { decisions } = found;
  return {
    "policy.allowed": judgePinned(decisions, POLICY, trust.policies, []),
    "policy.files": judgeFiles(found, bundle),
    "catalog.allowed": judgePinned(decisions, CATALOG, trust.catalogs, checkCatalogs(bundle.catalogs)),
    "mode.allowed": judgeModes(decisions, trust.modes),
    "mode.enforcing": judgeModes(decisions, new Set<Mode>(["enforcing"])),
  };
}

/** What is pinned by digest: where it stands in a decision, and the words for what is wrong with it. */
interface Pinned {
  readonly field: (decision: ReceiptOf<"decision">) => Observed<{ readonly digest: string }>;
  readonly none: VerdictReason;
  readonly missing: VerdictReason;
  readonly code: "ERR_POLICY_UNPINNED" | "ERR_CATALOG_UNPINNED";
  readonly plural: string;
}

const POLICY: Pinned = {
  field: ({ policy }) => policy,
  none: "policies.none-pinned",
  missing: "policy.not-recorded",
  code: "ERR_POLICY_UNPINNED",
  plural: "policies",
};

const CATALOG: Pinned = {
  field: ({ catalog }) => catalog,
  none: "catalogs.none-pinned",
  missing: "catalog.not-recorded",
  code: "ERR_CATALOG_UNPINNED",
  plural: "catalogs",
};

function judgePinned(
  decisions: readonly ReceiptOf<"decision">[],
  what: Pinned,
  pins: ReadonlySet<string>,
  more: readonly Finding[],
): Judgement {
  const judged = decisions.filter((decision) => !wasRefusedBefore(decision, what));
  const findings = [...more, ...judged.flatMap((decision) => checkPin(decision, what, pins))];
  if (pins.size === 0) return judge([...more, doubt(what.none, "trust policy", `it pins no ${what.plural}`)], "");
  if (judged.length === 0) return judge([...more, noDecisions()], "");
  return judge(findings, `${judged.length} decisions`);
}

/** Refused before the pipeline came to it, so it played no part and nothing was sent. */
function wasRefusedBefore(decision: ReceiptOf<"decision">, { field }: Pinned): boolean {
  const observed = field(decision);
  const isUnreached = observed.state === "not_established" && observed.reason === "field.not-reached";
  return isUnreached && decision.ruling.action === "refuse";
}

function checkPin(
  decision: ReceiptOf<"decision">,
  { field, missing, code, plural }: Pinned,
  pins: ReadonlySet<string>,
): readonly Finding[] {
  const observed = field(decision);
  const subject = receiptSubject(decision);
  if (observed.state !== "present") return [doubt(missing, subject, `the receipt says: ${observed.state}`)];
  const { digest } = observed.value;
  return pins.has(digest) ? [] : [fault(code, subject, `${digest} is not among the pinned ${plural}`)];
}

function judgeModes(decisions: readonly ReceiptOf<"decision">[], allowed: ReadonlySet<Mode>): Judgement {
  if (allowed.size === 0) return doubt("modes.none-pinned", "trust policy", "it names no mode");
  if (decisions.length === 0) return noDecisions();
  const findings = decisions
    .filter(({ ruling }) => !allowed.has(ruling.mode))
    .map((decision) => fault("ERR_MODE", receiptSubject(decision), `decided in ${decision.ruling.mode} mode`));
  return judge(findings, `${decisions.length} decisions, ${[...allowed].join(" or ")}`);
}

/** Every policy of a decision must be disclosed; what is disclosed must be what its digest says. */
function judgeFiles({ decisions, policyLoads }: Decisions, { policies }: EvidenceBundle): Judgement {
  const disclosed = new Set(policies.map(({ digest }) => digest));
  const wanted = new Map<string, string>();
  const unrecorded: Finding[] = [];
  const judged = decisions.filter((decision) => !wasRefusedBefore(decision, POLICY));
  for (const decision of judged) {
    if (decision.policy.state === "present") wanted.set(decision.policy.value.digest, receiptSubject(decision));
    else unrecorded.push(doubt("policy.not-recorded", receiptSubject(decision), "the receipt names no policy"));
  }
  const missing = [...wanted]
    .filter(([digest]) => !disclosed.has(digest))
    .map(([digest, subject]) => doubt("policy.not-disclosed", subject, `the files of ${digest} are not in the bundle`));
  const wrong = policies.flatMap((policy) => checkPolicy(policy, policyLoads));
  const none = judged.length === 0 ? [noDecisions()] : [];
  const files = policies.reduce((sum, policy) => sum + policy.files.length, 0);
  return judge([...wrong, ...missing, ...unrecorded, ...none], `${wanted.size} policies, ${files} files`);
}

function checkPolicy(policy: BundlePolicy, loads: readonly ReceiptOf<"policy-load">[]): readonly Finding[] {
  const manifest = policy.files.map(({ path, content }) => ({ path, digest: digestFile(content) }));
  if (policyDigest(policy.version, manifest) !== policy.digest) {
    return [fault("ERR_POLICY_DIGEST", policy.digest, "the files have another digest")];
  }
  const spelled = JSON.stringify(manifest);
  return loads
    .filter((load) => load.policy.digest === policy.digest && load.result === "loaded")
    .filter((load) => JSON.stringify(load.files.map(({ path, digest }) => ({ path, digest }))) !== spelled)
    .map((load) => fault("ERR_POLICY_DIGEST", receiptSubject(load), "the receipt lists other files"));
}

function checkCatalogs(catalogs: readonly BundleCatalog[]): readonly Finding[] {
  return catalogs
    .filter(({ digest, content }) => digestFile(canonicalBytes(content)) !== digest)
    .map(({ digest }) => fault("ERR_CATALOG_DIGEST", digest, "the content has another digest"));
}

function noDecisions(): Doubt {
  return doubt("decisions.none", "bundle", "the bundle holds no decision that this is about");
}
