/**
 * What released peers were seen to get wrong, case by case, and the test of ours that would notice. What is about the log, the
 * verifier or a later step names where that is tested, or why nothing is.
 */

/** A test by its file and a part of its name. */
export interface Shown {
  readonly file: string;
  readonly name: string;
}

/** One case. */
export type Lesson =
  | { readonly id: string; readonly case: string; readonly by: readonly Shown[] }
  /** Not a gateway's. `files` are where it is tested; none if it is not. */
  | { readonly id: string; readonly case: string; readonly why: string; readonly files: readonly string[] };

const gateway = (file: string, name: string): Shown => ({ file: `test/gateway/${file}.test.ts`, name });
const scenario = (file: string, name: string): Shown => ({ file: `test/scenarios/${file}.test.ts`, name });
const verifier = (file: string, name: string): Shown => ({ file: `test/verifier/${file}.test.ts`, name });
const of = (id: string, words: string, ...by: readonly Shown[]): Lesson => ({ id, case: words, by });
const not = (id: string, words: string, why: string, ...files: readonly string[]): Lesson => ({
  id,
  case: words,
  why,
  files: files.map((file) => `test/${file}.test.ts`),
});

const POLICY: readonly Lesson[] = [
  of(
    "policy.erring",
    "a forbid that errs is skipped, and the call goes out",
    gateway("pipeline", "is denied when a policy errs, and the receipt names the policy"),
    gateway("policy-evaluator", "denies although a permit matches, and names the policy that erred"),
  ),
  of(
    "policy.other-schema",
    "documented rules of another schema match nothing",
    gateway("policy-cedar-facts", "refuses a rule that was written for another schema"),
  ),
  of(
    "policy.anonymous",
    "the principal is always anonymous, the destination constant",
    gateway("pipeline", "is asked about with the principal that the caller is"),
    gateway("policy-evaluator", "is made for each server by its own attributes"),
  ),
  of(
    "policy.folded-names",
    "names of tools fold to one action",
    gateway("policy-evaluator", "keeps tools apart whose names differ by one character"),
  ),
  of(
    "policy.nested",
    "a forbidden value passes inside an object or an array; a missing path skips its rule",
    scenario("t-02-access-control", "the same value nested in an object or in an array is denied too"),
    gateway("policy-evaluator", "by leaving out a required argument is denied, so no rule about it is skipped"),
  ),
  of(
    "policy.unknown-mode",
    "an unknown mode becomes advisory",
    gateway("pipeline", "a mode that does not exist refuses the start"),
  ),
  of(
    "policy.workflow-word",
    "the workflow is the agent's own word",
    scenario("p2-4-coarse-scope", "a workflow that the agent names in _meta widens nothing"),
  ),
  of(
    "policy.approval-label",
    "require-approval only labels a denial",
    gateway("approvals", "is held with nothing sent; granted, the same call passes once"),
    scenario("t-09-trust-boundaries", "of one request answers no other"),
  ),
  of(
    "policy.domain-words",
    "a boundary rule knows other domain words than the catalog",
    scenario("p1-3-boundary-crossing", "has no domain word that the catalog admits and the rule does not know"),
  ),
  of(
    "policy.unplugged",
    "a stage is written and not wired",
    gateway("flow", "without the flow stages the boundary would not hold"),
    gateway("inspection-stages", "bad arguments pass, and the receipt says that nobody looked"),
  ),
];

const RECEIPTS: readonly Lesson[] = [
  of(
    "receipts.refusals",
    "calls that drift, health or staleness refuses leave no entry",
    scenario("p4-2-rug-pull", "a drift receipt, the call denied"),
    gateway("fresh-listings", "does not answer its lists is denied when its last listing is too old"),
    gateway("pipeline", "a flood of refusals is counted exactly, with no gap"),
  ),
  of(
    "receipts.reused-id",
    'a JSON-RPC id that is used again is forwarded and not recorded; 1 equals "1"',
    scenario("t-07-session-and-transport", "a JSON-RPC id that is used again is another call with receipts of its own"),
  ),
  of(
    "receipts.shown",
    "the receipt that a denied client is shown is not in the chain",
    gateway("end-to-end", "names in its denial the receipt that the ledger has"),
  ),
  of(
    "receipts.methods",
    "other methods than tools/call pass unrecorded",
    gateway("edge-methods", "has a decision and an outcome: %s"),
    gateway("edge-methods", "does not reach it when it is denied: %s"),
  ),
  of(
    "receipts.single",
    "one signature a session, so no call can be shown alone",
    verifier("attacks", "one receipt with its log proof stands alone for what it says itself"),
  ),
  of(
    "receipts.crash",
    "a crash before the session closes leaves no claim",
    gateway("pipeline-disk", "the run goes on: calls end as unknown, sessions are sealed, the chain holds"),
  ),
  of(
    "receipts.totals",
    "totals omit faults, and nobody computes them again",
    verifier("attacks", "a seal with other counts than its receipts give: ERR_SESSION_COUNTS"),
  ),
  of(
    "receipts.false-stop",
    "a signed statement about what did not happen",
    verifier("attacks", "an outcome of another call, another decision, a denied one, or a second one"),
    gateway("pipeline", "has a decision receipt on disk before it may be sent"),
  ),
  of(
    "receipts.schema",
    "emitted entries fail the published schema",
    gateway("end-to-end", "both have receipts in the ledger"),
    scenario("s-t1-insider-edits", "nothing: everything passes but what was not disclosed"),
  ),
  of(
    "receipts.arguments",
    "a reason quotes the argument; a plain hash of it can be guessed",
    gateway("pipeline", "leaves none of its values in any file, log line or metric"),
    scenario("t-05-data-protection", "none of a million values of a short field is in a receipt"),
  ),
  of(
    "receipts.other-parts",
    "parts of an answer that are no text are dropped",
    gateway("edge-calls", "is forwarded byte for byte but for its id, and its receipts have both bytes"),
    gateway("inspection-stages", "have bytes that nobody read: media, and what is beyond the bound"),
  ),
];

const CREDENTIALS: readonly Lesson[] = [
  of(
    "credentials.one-token",
    "one token for agents and operators",
    scenario("t-09-trust-boundaries", "is refused with a receipt, and nothing has changed"),
    gateway("operator", "refuses no token, a wrong one and an agent's, each with a receipt"),
  ),
  of(
    "credentials.all-interfaces",
    "listens on all interfaces, without authentication",
    scenario("t-08-network-binding", "are on the loopback unless the configuration says otherwise"),
    gateway("edge-hostile", "refuse a missing, malformed or wrong token before the body is read"),
  ),
  of(
    "credentials.control-port",
    "a local control port that anybody reads",
    scenario("s-t2-evaluator", "are the two declared listeners, on the loopback"),
  ),
  of(
    "credentials.new-keys",
    "keys that a restart replaces without a trace",
    gateway("pipeline-disk", "with a folder that is behind the ledger, a new stream names the old one"),
  ),
];

const CATALOG: readonly Lesson[] = [
  of(
    "catalog.first-contact",
    "drift is looked for at the first contact only",
    scenario("p4-2-rug-pull", "on the second page of a list"),
    gateway("fresh-listings", "announces in a storm is judged by a listing of its own"),
    gateway("fresh-listings", "changed without notice is found when its listing is older than the bound"),
  ),
  of(
    "catalog.no-answer",
    "no answer to a list counts as fine",
    gateway("fresh-listings", "does not answer its lists follows policy as unchecked"),
  ),
  of(
    "catalog.members",
    "only description and schemas are compared",
    scenario("p4-2-rug-pull", "a changed %s"),
    gateway("catalog-digests", "does not depend on the order of the list, and does on every part"),
  ),
  of(
    "catalog.break-glass",
    "an exception enters with a zero hash, and the digest stays",
    gateway("catalog-approval", "holds overrides by those who sign it and by nobody else"),
    gateway("catalog-reload", "restores a tool that had drifted, once the change is approved"),
  ),
  of(
    "catalog.unapproved",
    "an approval that nothing asks for",
    gateway("catalog-reload", "does not start in mode %s with a proposed one, or one signed by too few"),
  ),
];

const MERKLE = ["kernel/merkle", "kernel/subtree-proof"] as const;
const ATTACKS = "verifier/attacks";

const LOG: readonly Lesson[] = [
  not("log.right-edge", "inclusion is wrong at the right edge", "the log's mathematics", ...MERKLE),
  not("log.odd-leaf", "an odd leaf is doubled", "the log's mathematics", ...MERKLE),
  not(
    "log.hex-text",
    "the text of a hash is hashed",
    "bytes of the kernel",
    "kernel/commitment",
    "kernel/signature-envelope",
  ),
  not("log.no-prefix", "an inner node passes for a leaf", "the log's mathematics", ...MERKLE),
  of(
    "log.tail",
    "a tail is cut and the checkpoint signed again",
    scenario("t-12-auditability", "cut by the key's holder, with a window to fit"),
    scenario("s-t3-rebuilt-history", "has no consistency with any checkpoint that somebody kept"),
  ),
  not("log.empty-bundle", "an empty or unproven bundle verifies", "the verifier's", ATTACKS, "verifier/verify-bundle"),
  not("log.attacker-key", "an attacker's key under a genuine envelope", "the verifier's", ATTACKS),
  not("log.many-keys", "each receipt under another key", "the verifier's", ATTACKS),
  of(
    "log.two-histories",
    "two histories under one key",
    scenario("t-12-auditability", "both histories under one log are a fork"),
  ),
  not("log.no-anchor", "an anchor that is none", "the log's and the verifier's", "kernel/trace-anchor", ATTACKS),
  not("log.own-tree", "a tree that the submitter built", "the verifier's", ATTACKS),
  not("log.single-leaf", "a checkpoint of one leaf", "the verifier's", ATTACKS),
  not(
    "log.witness",
    "a witness that cosigns what is not consistent",
    "the witness's",
    "witness/add-checkpoint",
    "witness/rollback",
  ),
  of(
    "log.absence",
    "log and operator are one, so nothing absent can be shown",
    scenario("t-12-auditability", "is silence that nobody vouches for"),
    scenario("t-12-auditability", "is broken by heartbeats before the declared interval is over"),
  ),
];

const BYTES: readonly Lesson[] = [
  not("bytes.sorted", "signed as one form, checked as another", "bytes of the kernel", "kernel/json-canonical"),
  not(
    "bytes.key-order",
    "keys in another order; __proto__ dropped",
    "bytes of the kernel",
    "kernel/json-canonical",
    "kernel/json-parse",
  ),
  of(
    "bytes.numbers",
    "numbers that a double rounds",
    gateway("wire-scan", "lets servers send numbers that a double rounds, and keys that agents may not"),
  ),
  of(
    "bytes.duplicates",
    "the first or the last of two equal members",
    gateway("wire-scan", "judges %s as the fixture says"),
  ),
  not(
    "bytes.base64",
    "padded or respelled base64, upper-case hex",
    "bytes of the kernel",
    "kernel/shape",
    "kernel/signed-note",
  ),
  of(
    "bytes.hostile",
    "surrogates, UTF-8, depth and trailing bytes end in an exception",
    gateway("wire-fuzz", "gives a verdict on every truncation and every one-byte change, and never throws"),
  ),
  not(
    "bytes.keys",
    "small-order keys, zero signatures, high S",
    "keys of the kernel",
    "kernel/crypto",
    "kernel/signature-key",
  ),
  not("bytes.time", "timestamps through a date library", "bytes of the kernel", "kernel/time"),
];

const ATTESTATION: readonly Lesson[] = [
  not("attestation.place", "evidence stands where nobody reads it", "hardware evidence is not collected yet"),
  not("attestation.measurement", "a measurement hashed twice, or of zeros", "hardware evidence is not collected yet"),
  not("attestation.nonce", "a nonce compared as text", "hardware evidence is not collected yet"),
  not("attestation.swapped", "another quote of the same machine", "hardware evidence is not collected yet"),
  of(
    "attestation.affirming",
    "an operator's own word counts as evidence",
    scenario("s-t2-evaluator", "the hardware's is not established, and decides"),
  ),
  of(
    "attestation.staleness",
    "a bound on age is read and does nothing",
    gateway("fresh-listings", "changed without notice is found when its listing is older than the bound"),
  ),
];

const SCALE: readonly Lesson[] = [
  of(
    "scale.contention",
    "calls at once are refused for contention",
    scenario("t-10-resource-limits", "200 calls at once: none is lost, none is refused for contention"),
    gateway("end-to-end", "200 at once: none lost, none refused"),
  ),
  not("scale.export", "the time of an export is quadratic", "measured (docs/benchmarks.md)", "cli/bundle"),
  not(
    "scale.mocks",
    "benchmarks of mocks",
    "measured with real processes and disks (docs/benchmarks.md)",
    "house/bars-table",
  ),
  of(
    "scale.flood",
    "a flood of denials fills the log",
    scenario("t-10-resource-limits", "300 denials are counted exactly"),
    gateway("kill-switch", "stops a flood in few receipts, counted exactly"),
  ),
];

const WORDS: readonly Lesson[] = [
  of(
    "words.verified",
    '"verified" of what nobody pinned',
    verifier("verify-bundle", "say that everything passed, under whose keys, and what software keys are worth"),
    scenario("s-t2-evaluator", "the hardware's is not established, and decides"),
  ),
  of(
    "words.claims",
    "claims beyond what holds",
    scenario("t-04-data-and-control", "no obligation says that an injection did not happen"),
    { file: "test/house/coverage-doc.test.ts", name: "has a scenario for every row that is not open" },
  ),
];

/** Every case, by section. */
export const LESSONS: readonly (readonly [section: string, cases: readonly Lesson[]])[] = [
  ["Policy", POLICY],
  ["Receipts", RECEIPTS],
  ["Credentials and network", CREDENTIALS],
  ["Catalog", CATALOG],
  ["Log and proofs", LOG],
  ["Canonical bytes", BYTES],
  ["Attestation", ATTESTATION],
  ["Scale", SCALE],
  ["Words", WORDS],
];
