/** The rows of the acceptance page (cosai.md §2, §5, §6), and what is shown of each today: docs/coverage.md is this table. */

/**
 * How far a row goes today. `held`: a control holds it. `partly`: all of it but one check, which `open` names. `recorded`: no
 * control, and the receipts say `not_established`. `open`: no scenario yet.
 */
export type Coverage = "held" | "partly" | "recorded" | "open";

/** One row. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly coverage: Coverage;
  /** What holds it; what does not. */
  readonly words: string;
  /** Of a `partly` one: which check of the page is open, and the verdict and reason that its scenario asserts today. */
  readonly open?: string;
}

const row = (id: string, title: string, coverage: Coverage, words: string, open?: string): Row => ({
  id,
  title,
  coverage,
  words,
  ...(open === undefined ? {} : { open }),
});

/** The thirteen shapes of the seed. */
export const SHAPES: readonly Row[] = [
  row(
    "P1.1",
    "over-sharing",
    "held",
    "undeclared members and recognised values are policy context, denied or taken out",
  ),
  row(
    "P1.2",
    "chatty response",
    "held",
    "undeclared members, recognised values and items beyond the declared need leave structured content and the texts beside it, or the answer is withheld; it marks the session",
  ),
  row(
    "P1.3",
    "boundary crossing",
    "held",
    "domains and repeated values are policy context; the receipt names the earlier call",
  ),
  row(
    "P1.4",
    "transitive trust",
    "recorded",
    "what a server calls on its own is `not_established` (`attestation.no-device`)",
  ),
  row("P1.5", "session bleed", "held", "labels that only an operator's reset takes away, kept for the principal"),
  row(
    "P2.1",
    "poisoned description",
    "held",
    "what the scanner blocks is not pinned at first use, and signed only with an override that names approver and reason",
  ),
  row(
    "P2.2",
    "drive-by server",
    "held",
    "what the approved catalog does not have is neither offered nor called, in any mode",
  ),
  row("P2.3", "name collision", "held", "qualified names; a bare name of two servers is nobody's"),
  row(
    "P2.4",
    "coarse scope",
    "held",
    "a workflow is its token's, and may do what its sealed scope has; a workflow of the agent's own word widens nothing",
  ),
  row(
    "P3.1",
    "regulator's question",
    "held",
    "one bundle and one disclosure answer offline: tool and policy by the receipts and the disclosed files, what left by openings, and when by witnesses; whether the gateway's key was in hardware is `not_established`",
  ),
  row(
    "P3.2",
    "questionnaire",
    "held",
    "a report lists every call about one subject, with counts and a verdict that the list is complete: a withheld receipt is a named gap, an absent gateway `not_established`",
  ),
  row(
    "P4.1",
    "typosquat",
    "held",
    "a look-alike is refused, or blocks the approval that names what it looks like; one that was approved by mistake is not called where the configuration says whose the server must be: it has no signed statement of that publisher. Where nobody is asked for, receipts say `unchecked`; that a server runs its publisher's code is not attested",
  ),
  row(
    "P4.2",
    "rug pull",
    "held",
    "definitions are compared on notice, on a cycle and before use; a changed one is denied until approved again",
  ),
];

/** The four threats of the seed. */
export const THREATS: readonly Row[] = [
  row(
    "S-T1",
    "insider edits policy or log",
    "held",
    "digests in receipts, signatures, continuity; fsck finds a changed byte (test/ledger/fsck.test.ts)",
  ),
  row(
    "S-T2",
    "host flips the evaluator",
    "partly",
    "other code does not start, or is found on the cycle; ports and sockets are the declared ones; a signed decision that the policy does not give fails once its question is disclosed (`policy.replay`), and is not established by name where it is not",
    "“image digest differs, evidence `fail`”: the digest is compared by the gateway itself, so evidence of it waits for hardware that measures the image and holds the key. Today `attestation.hardware` is `not_established` (`attestation.software`), and decides wherever it is required",
  ),
  row(
    "S-T3",
    "history rebuilt after an incident",
    "held",
    "no witness goes along with another history or a shorter one, one signer is no quorum, and late receipts lie outside their sealed session",
  ),
  row(
    "S-T4",
    "policy swapped at enforcement",
    "partly",
    "unsigned and older policies are refused with a receipt, files on disk decide nothing, every decision names the digest that decided; a signed one is a logged change, and a trust policy that does not pin it says `fail`",
    "the third bundle, “validly signed but unmeasured”, appraised: hardware evidence that binds the digest of the policy in force waits for hardware. Today `attestation.hardware` is `not_established` (`attestation.software`)",
  ),
];

/** The twelve categories. */
export const CATEGORIES: readonly Row[] = [
  row(
    "T1",
    "authentication and identity",
    "held",
    "credentials are checked at every call, actor and subject apart; what a request says of itself is recorded as such",
  ),
  row(
    "T2",
    "access control",
    "held",
    "deny by default, forbids in nested values, digests of policies, approvals bound to their arguments",
  ),
  row(
    "T3",
    "input validation",
    "held",
    "arguments that the pinned schema does not admit are denied; its evaluation is bounded and fetches nothing",
  ),
  row(
    "T4",
    "data and control boundary",
    "held",
    "what was offered and what was answered is in receipts; that an injection did not happen is never claimed",
  ),
  row(
    "T5",
    "data protection",
    "held",
    "payloads stay with the gateway: an opening shows its field alone, guesses find nothing, and an erased secret opens nothing while all proofs hold",
  ),
  row(
    "T6",
    "integrity and verification",
    "partly",
    "swapped and shadowed definitions leave a receipt; one bit flipped in a receipt, a proof, a checkpoint or a cosignature is a `fail` of its own; code other than the sealed reference does not start; kill switch, and quarantine by an operator or a baseline that is left: answered, U = 0, a receipt for each attempt, ended by an operator alone",
    "“measurement ≠ reference value: `fail`” as a verdict: receipts hold no measurement by somebody else than the gateway. Today `attestation.hardware` is `not_established` (`attestation.software`)",
  ),
  row(
    "T7",
    "session and transport",
    "held",
    "headers and bodies agree, each call has receipts of its own, foreign hosts and origins are refused; a task is its maker's alone",
  ),
  row(
    "T8",
    "network binding",
    "held",
    "loopback by default, foreign hosts and origins refused, servers held to their pinned key, and a process that connects to nothing undeclared (test/slow/egress-guard.test.ts); traffic around the gateway is excluded by name, and `route.mediation` never passes: a self-test where agents run (`countersign route-test`) that reaches a server makes it `not_established` (`route.direct`)",
  ),
  row(
    "T9",
    "trust boundaries and privileges",
    "held",
    "each hop of a mandate is narrower in tools, resources, time and depth; operators' routes take no agent's token; approvals are bound to what was asked",
  ),
  row(
    "T10",
    "resource management",
    "held",
    "limits named in denials, sealed ones that the configuration cannot loosen, floods counted exactly, 200 calls at once",
  ),
  row(
    "T11",
    "supply chain and lifecycle",
    "partly",
    "rotation, retirement and decommissioning are entries that verdicts follow; a receipt leads to a build by its sealed artifact and a pinned builder's statement (`build.provenance`), and an unknown build is `not_established`; tenants are answered about each other's entries as about none. Log proofs are public: whoever has an entry whole learns that it is in its log",
    "the first step of “measurement → build provenance → reference value”: which code ran is what the gateway measured of itself. Today `attestation.hardware` is `not_established` (`attestation.software`)",
  ),
  row(
    "T12",
    "logging and auditability",
    "held",
    "gaps, forks, missing ends, open outcomes and silence are named offline; receipts become OCSF events that name their proofs",
  ),
];

/** Threats that go by a name which is in no row's title: what the rows above hold, shown under that name. */
export const NAMED: readonly Row[] = [
  row(
    "N1",
    "confused deputy",
    "held",
    "an agent's own authority does not count for a person who has less, nor beside a mandate that is narrower; what another party's answer led it to is denied by labels and domains of the session, and the receipt names the answer. A token for another audience calls nothing, and no token is handed on. That a model was led is not observed: labels, domains and repeated values are",
  ),
];

/** Name of the file that shows a row, without its title; undefined for an open one. */
export function filePrefix({ id, coverage }: Row): string | undefined {
  if (coverage === "open") return undefined;
  const short = id.toLowerCase().replace(".", "-");
  return /^t\d$/u.test(short) ? `t-0${short.slice(1)}-` : /^t\d\d$/u.test(short) ? `t-${short.slice(1)}-` : `${short}-`;
}
