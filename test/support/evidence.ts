/**
 * Small, real evidence: a stream signed by its keys, in a log with other entries around it, under a checkpoint that
 * witnesses cosigned, as a bundle; and a trust policy that pins all of it. Every part can be made otherwise.
 */

import { type BundleContent, type BundleEntry, formatBundle, type StreamWindow } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import type { Cosigner, NoteSigner } from "../../kernel/checkpoint/note-signer.ts";
import { FormatError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { OBLIGATION_IDS, type ObligationId } from "../../kernel/obligation.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { type SignedReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatTimestamp, type Timestamp } from "../../kernel/time.ts";
import { parseTrustPolicy, type TrustPolicy, type TrustPolicyJson } from "../../kernel/trust-policy.ts";
import { type VerificationResult, verifyBundle } from "../../verifier/verify-bundle.ts";
import { logSigner, ORIGIN, policyText, TIME, witnesses } from "./log-keys.ts";
import { makeMemoryTree } from "./memory-tree.ts";
import { type ContentOf, type GatewayKeys, gatewayKeys, type ReceiptContent, receiptContents } from "./receipts.ts";

/** Milliseconds of the first receipt: a minute before the witnesses' time. Each later one is a second younger. */
export const START_MS: number = Number(TIME) * 1000 - 60_000;

/** The witnesses' time as a timestamp. */
export const WITNESSED: Timestamp = formatTimestamp(Number(TIME) * 1000);

/** The disclosed catalog; its digest is in the decisions. */
export const CATALOG: JsonObject = { kind: "catalog", servers: [], v: 1 };
export const CATALOG_DIGEST: string = digestFile(canonicalBytes(CATALOG));

/** One receipt to be: its content, from the receipts made so far. */
export type Step = (made: readonly SignedReceipt[]) => ReceiptContent;

/** What evidence is made of. */
export interface EvidenceOptions {
  readonly keys?: GatewayKeys;
  readonly steps?: readonly Step[];
  /** Milliseconds of the first receipt. */
  readonly startMs?: number;
  /** Milliseconds from one receipt to the next; default a second. */
  readonly stepMs?: number;
  /** Log entry bytes of the stream, given the honest ones; default as they are. */
  readonly entries?: (honest: readonly Uint8Array[]) => readonly Uint8Array[];
  /** Which entries the bundle shows, by their bytes' place in the list that `entries` gave; default all. */
  readonly shown?: (place: number) => boolean;
  /** Origin that the registration and the stream-open receipt name. */
  readonly home?: string;
  readonly origin?: string;
  readonly signer?: NoteSigner;
  /** Entries in front of the stream's; shown as well. Default: one of somebody else, not shown. */
  readonly before?: readonly Uint8Array[];
  /** Entries behind the stream's, from this index on; shown as well. Default: two of others, not shown. */
  readonly after?: (index: number) => readonly Uint8Array[];
  readonly cosigned?: readonly { readonly by: Cosigner; readonly at?: bigint }[];
  /** Default: one window over the whole stream. */
  readonly windows?: readonly StreamWindow[];
  readonly policies?: BundleContent["policies"];
  readonly catalogs?: BundleContent["catalogs"];
  readonly trust?: Partial<TrustPolicyJson>;
}

/** A bundle, what it was made from, and the policy that it passes under. */
export interface Evidence {
  readonly content: BundleContent;
  readonly bytes: Uint8Array;
  readonly receipts: readonly SignedReceipt[];
  readonly stream: string;
  readonly trustJson: TrustPolicyJson;
  readonly trust: TrustPolicy;
}

const contents = receiptContents();
const POLICY = policyOf(contents.decision);

/** Digest of the disclosed policy. */
export const POLICY_DIGEST: string = POLICY.digest;

/** The files of the policy in the decisions. */
export const POLICIES: BundleContent["policies"] = [
  {
    digest: POLICY.digest,
    version: POLICY.version,
    files: [{ path: "a.cedar", content: "permit(principal, action, resource);" }],
  },
];

function policyOf({ policy }: ContentOf<"decision">): { readonly digest: string; readonly version: string } {
  if (policy.state !== "present") throw new Error("a decision without a policy");
  return policy.value;
}

/** A step that does not depend on earlier receipts. */
export const say =
  (content: ReceiptContent): Step =>
  () =>
    content;

/** Session number `n`. */
export const sessionId = (n: number): string => `01234567-89ab-cdef-0123-${n.toString(16).padStart(12, "0")}`;

const sessionOf = (n: number): ContentOf<"session-open">["session"] => ({
  ...contents["session-open"].session,
  id: sessionId(n),
});

const callId = (call: number): string => call.toString(16).padStart(32, "0");

/** Opens session `n`. */
export const openSession = (n = 1): Step => say({ ...contents["session-open"], session: sessionOf(n) });

/** Decision of call `call` in session `n`, changed by `change`. */
export function decide(
  call: number,
  change: (decision: ContentOf<"decision">) => ContentOf<"decision"> = (same) => same,
  n = 1,
): Step {
  const { decision } = contents;
  if (decision.catalog.state !== "present") throw new Error("a decision without a catalog");
  return say(
    change({
      ...decision,
      call: { ...decision.call, id: callId(call) },
      session: present({ ...sessionOf(n), session_seq: call }),
      catalog: present({ ...decision.catalog.value, digest: CATALOG_DIGEST }),
    }),
  );
}

/** A decision's change that makes it a denial by policy. */
export function denied(decision: ContentOf<"decision">): ContentOf<"decision"> {
  const ruling = { action: "refuse", judgement: "deny", reasons: ["policy.forbid"] } as const;
  return {
    ...decision,
    request_sent: { state: "absent" },
    outcome: { state: "absent" },
    ruling: { ...decision.ruling, ...ruling },
  };
}

/** Outcome of the decision at `seq`, changed by `change`. */
export function finish(
  seq: number,
  change: (outcome: ContentOf<"outcome">) => ContentOf<"outcome"> = (same) => same,
): Step {
  return (made) => {
    const decision = made[seq];
    if (decision?.receipt.kind !== "decision") throw new Error(`no decision at ${seq}`);
    const { id, round } = decision.receipt.call;
    const ties = { ...contents.outcome.call, id, round, decision_seq: seq, decision_hash: formatHex(decision.hash) };
    return change({ ...contents.outcome, call: ties });
  };
}

/** Seal of session `n`, opened at `first`. */
export function seal(first: number, calls: ContentOf<"session-seal">["calls"], n = 1): Step {
  return say({ ...contents["session-seal"], session: { id: sessionId(n) }, first_seq: first, calls });
}

/** A heartbeat. */
export const beat: Step = say(contents.heartbeat);

/** The end of a stream. */
export const close: Step = (made) => ({ ...contents["stream-close"], receipts: made.length + 1 });

/** Policy and catalog take effect; these are receipts 1 and 2 of every stream here. */
export const LOADS: readonly Step[] = [
  say(contents["policy-load"]),
  say({ ...contents["catalog-load"], catalog: { digest: CATALOG_DIGEST } }),
];

/** Counts of a session with one call sent and one denied. */
export const ONE_AND_ONE = { total: 2, allowed: 1, denied: 1, faulted: 0, open: 0 } as const;

/** Receipts 1 to 8: loads, a session with one call sent (4, 5) and one denied (6), its seal, a heartbeat. */
export const STORY: readonly Step[] = [
  ...LOADS,
  openSession(),
  decide(0),
  finish(4),
  decide(1, denied),
  seal(3, ONE_AND_ONE),
  beat,
];

/** Signs a stream: the open receipt, then the steps. */
export function signStream(
  keys: GatewayKeys,
  steps: readonly Step[],
  options: { readonly home?: string; readonly startMs?: number; readonly stepMs?: number } = {},
): readonly SignedReceipt[] {
  const made: SignedReceipt[] = [];
  const open = say(receiptContents(keys, options.home ?? ORIGIN)["stream-open"]);
  for (const step of [open, ...steps]) {
    const last = made.at(-1);
    const body = {
      v: 1,
      stream: keys.instance.publicKey.kid,
      seq: made.length,
      time: formatTimestamp((options.startMs ?? START_MS) + made.length * (options.stepMs ?? 1000)),
      attestation: { state: "not_available", reason: "attestation.software" },
      ...(last === undefined ? {} : { prev: formatHex(last.hash) }),
      ...step(made),
    } as const;
    made.push(signReceipt(body, last === undefined ? [keys.instance, keys.receipt] : [keys.receipt]));
  }
  return made;
}

/** A registration of the keys with a log. */
export function registrationOf(keys: GatewayKeys, origin: string = ORIGIN): Uint8Array {
  const body = { kind: "registration", v: 1, origin, evidence: { type: "software" }, time: WITNESSED } as const;
  return signRegistration(body, keys.instance, keys.receipt);
}

/** Makes evidence. */
export async function makeEvidence(options: EvidenceOptions = {}): Promise<Evidence> {
  const { keys = gatewayKeys(), steps = STORY, home = ORIGIN } = options;
  const receipts = signStream(keys, steps, { home, ...pick(options, "startMs"), ...pick(options, "stepMs") });
  const honest = [registrationOf(keys, home), ...receipts.map(({ bytes }) => bytes)];
  const logged = options.entries?.(honest) ?? honest;
  const stream = keys.instance.publicKey.kid;
  const content: BundleContent = {
    created: formatTimestamp(Number(TIME) * 1000 + 5000),
    logs: [await makeLog(logged, options)],
    streams: options.windows ?? [{ stream, first_seq: 0, last_seq: receipts.length - 1 }],
    policies: options.policies ?? POLICIES,
    catalogs: options.catalogs ?? [{ digest: CATALOG_DIGEST, content: CATALOG }],
  };
  const trustJson: TrustPolicyJson = { ...trustOf(stream), ...options.trust };
  return {
    content,
    bytes: formatBundle(content),
    receipts,
    stream,
    trustJson,
    trust: parseTrustPolicy(trustJson),
  };
}

/** A trust policy that pins the log, the witnesses (two of three), the stream, and the policy and catalog of the story. */
export function trustOf(stream: string): TrustPolicyJson {
  return {
    kind: "trust-policy",
    v: 1,
    logs: [policyText(2)],
    gateways: [{ stream, label: "test gateway" }],
    policies: [POLICY_DIGEST],
    catalogs: [CATALOG_DIGEST],
    modes: ["enforcing"],
    require: OBLIGATION_IDS.filter((id) => id !== "attestation.hardware"),
  };
}

/** The log that holds `entries` between others, with a proof for each entry that is shown. */
async function makeLog(
  entries: readonly Uint8Array[],
  options: EvidenceOptions,
): Promise<BundleContent["logs"][number]> {
  const { origin = ORIGIN, signer = logSigner, shown = () => true } = options;
  const before = options.before ?? [formatUtf8("an entry of somebody else")];
  const own = options.after?.(before.length + entries.length) ?? [];
  const told = [...(options.before ?? []), ...entries, ...own];
  const after = options.after === undefined ? [formatUtf8("one more"), formatUtf8("and another")] : own;
  const all = [...before, ...entries, ...after];
  const tree = makeMemoryTree(all.map(hashLeaf));
  const size = BigInt(all.length);
  const root = tree.roots.at(-1);
  if (root === undefined) throw new Error("a tree without a root");
  const text = formatCheckpoint({ origin, size, root, extensions: [] });
  const cosigned = options.cosigned ?? witnesses.slice(0, 2).map((by) => ({ by }));
  const lines = cosigned.map(({ by, at = TIME }: { by: Cosigner; at?: bigint }) => by.cosign(text, at));
  const bundled = told.map(async (bytes, i): Promise<BundleEntry> => {
    const index = options.before === undefined ? before.length + i : i;
    return { index, entry: objectOf(bytes), proof: await proveInclusion(BigInt(index), size, tree.reader) };
  });
  const list = await Promise.all(bundled);
  return {
    origin,
    checkpoint: formatNote(text, [signer.signLine(text), ...lines]),
    entries: list.filter((_, i) => shown(i)),
  };
}

/** Verifies evidence, perhaps with another content. */
export function verify(
  { bytes, trust }: Pick<Evidence, "bytes" | "trust">,
  options: { readonly at?: Timestamp; readonly now?: Timestamp } = {},
): VerificationResult {
  return verifyBundle({ bundle: bytes, trust, ...options });
}

/** The exit code, 3 for a file that is no bundle; anything else that is thrown is a fault of ours. */
export function exitOf(bytes: Uint8Array, trust: TrustPolicy): number {
  try {
    return verify({ bytes, trust }).exit;
  } catch (error) {
    if (error instanceof FormatError) return 3;
    throw error;
  }
}

/** What the verdict about one obligation is: `pass`, or the code or reason of why not. */
export function wordOf(result: VerificationResult, id: ObligationId): string {
  const found = result.obligations.find((obligation) => obligation.id === id);
  if (found === undefined) throw new Error(`no verdict about ${id}`);
  if (found.verdict === "pass") return "pass";
  return found.verdict === "fail" ? found.code : found.reason;
}

/** The obligations that do not pass, with code or reason; those of the hardware left out. */
export function wordsOf(result: VerificationResult): Readonly<Record<string, string>> {
  const words = OBLIGATION_IDS.filter((id) => id !== "attestation.hardware").map((id) => [id, wordOf(result, id)]);
  return Object.fromEntries(words.filter(([, word]) => word !== "pass"));
}

/** The bytes as a JSON object. */
export function objectOf(bytes: Uint8Array): JsonObject {
  const value: JsonValue = parseCanonical(bytes);
  if (!isJsonObject(value)) throw new Error("not an object");
  return value;
}

function pick<T extends object, K extends keyof T>(from: T, key: K): Partial<Pick<T, K>> {
  return from[key] === undefined ? {} : ({ [key]: from[key] } as Partial<Pick<T, K>>);
}
