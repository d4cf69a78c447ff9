/**
 * `artifact.session`: the sealed artifacts of single agents and sessions, which receipts name by digest, against these receipts. Names
 * and ids of sessions are keyed hashes in receipts: that an artifact is of another agent or session shows by an issuer or a source that
 * differs, or by two agents or sessions that have the same one, and by nothing else.
 */

import { CheckError } from "../kernel/errors.ts";
import { checkArtifact, coversTool, type SealRule } from "../kernel/policy-artifact.ts";
import { digestFile } from "../kernel/policy-manifest.ts";
import type { Digest } from "../kernel/receipt/fields.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import type { ReceiptOf, StreamReceipt } from "../kernel/receipt/receipt.ts";
import { MODES } from "../kernel/receipt/vocabulary.ts";
import { checkNarrower, checkSessionArtifact, type SessionArtifact } from "../kernel/session-artifact.ts";
import { type DisclosedTools, disclosedTools } from "./disclosed-tools.ts";
import type { OpeningVerdict } from "./openings.ts";
import { receiptSubject } from "./read-entries.ts";
import { doubt, type Finding, fault, faultOf, findingsOf, type Judgement, judge } from "./verdict.ts";

/** What somebody hands in beside a bundle. */
export interface SessionFiles {
  /** Session artifacts. */
  readonly sessions: readonly Uint8Array[];
  /** Artifacts of the gateways. */
  readonly gateways: readonly Uint8Array[];
}

/** What is judged. */
export interface SessionArtifactsInput {
  /** In the order of each stream. */
  readonly receipts: readonly StreamReceipt[];
  readonly openings: readonly OpeningVerdict[];
  readonly files: SessionFiles;
  /** Undefined: nobody's seal counts. */
  readonly rule: SealRule | undefined;
}

type Decision = ReceiptOf<"decision">;
type Naming = ReceiptOf<"session-open"> | Decision;

/** What one digest is compared with. */
interface Known {
  readonly rule: SealRule;
  readonly gateways: ReadonlyMap<Digest, Uint8Array>;
  readonly tools: DisclosedTools;
}

/** Judges every session artifact that a session or decision of the bundle names. */
export function judgeSessionArtifacts({ receipts, openings, files, rule }: SessionArtifactsInput): Judgement {
  const named = groupNamings(receipts);
  if (named.size === 0) return doubt("session-artifact.none", "bundle", "no session and no decision names one");
  if (rule === undefined) {
    return doubt("session-artifact.sealers-none-pinned", "trust policy", "it pins nobody who seals artifacts");
  }
  const given = new Map(files.sessions.map((bytes) => [digestFile(bytes), bytes]));
  const gateways = new Map(files.gateways.map((bytes) => [digestFile(bytes), bytes]));
  const known = { rule, gateways, tools: disclosedTools(openings) };
  const loaded = new Set(receipts.map((receipt) => (receipt.kind === "policy-load" ? artifactOf(receipt) : undefined)));
  const strays = [...given.keys()].filter((digest) => !named.has(digest) && !loaded.has(digest));
  const findings = [...named].flatMap(([digest, namings]) =>
    judgeFile(digest, given.get(digest), namings, { ...known, strays }),
  );
  return judge([...findings, ...droppedOf(receipts)], detailOf(named, gateways));
}

function detailOf(named: ReadonlyMap<Digest, readonly Naming[]>, gateways: ReadonlyMap<Digest, Uint8Array>): string {
  const sent = [...named.values()].flat().filter(isSent);
  const compared = sent.filter((decision) => gateways.has(outerOf(decision) ?? ""));
  return `${named.size} artifacts, ${sent.length} calls sent; ${compared.length} within a gateway's own that is there`;
}

/** Receipts of sessions and decisions by the session artifact that they name. */
function groupNamings(receipts: readonly StreamReceipt[]): ReadonlyMap<Digest, readonly Naming[]> {
  const named = new Map<Digest, Naming[]>();
  for (const receipt of receipts) {
    if (receipt.kind !== "session-open" && receipt.kind !== "decision") continue;
    const digest = artifactOf(receipt);
    if (digest === undefined) continue;
    const group = named.get(digest);
    if (group === undefined) named.set(digest, [receipt]);
    else group.push(receipt);
  }
  return named;
}

/** The session artifact that a receipt names. */
function artifactOf(receipt: Naming | ReceiptOf<"policy-load">): Digest | undefined {
  switch (receipt.kind) {
    case "session-open":
      return receipt.session_artifact;
    case "decision":
      return observedValue(receipt.policy)?.session_artifact;
    case "policy-load":
      return receipt.policy.session_artifact;
  }
}

/** The gateway's own artifact that a receipt names. */
function outerOf(receipt: Naming): Digest | undefined {
  const policy = receipt.kind === "decision" ? observedValue(receipt.policy) : undefined;
  return policy === undefined ? undefined : observedValue(policy.artifact);
}

function judgeFile(
  digest: Digest,
  bytes: Uint8Array | undefined,
  namings: readonly Naming[],
  known: Known & { readonly strays: readonly Digest[] },
): readonly Finding[] {
  const [first] = namings;
  const subject = first === undefined ? digest : receiptSubject(first);
  if (bytes === undefined) {
    const [stray] = known.strays;
    return stray === undefined
      ? [doubt("session-artifact.not-disclosed", subject, `the artifact ${digest} is not there`)]
      : [fault("ERR_ARTIFACT_DIGEST", subject, `it names ${digest}; what was handed in is ${stray}`)];
  }
  try {
    const { artifact } = checkSessionArtifact(bytes, known.rule);
    return [
      ...widthOf(artifact, namings, known),
      ...othersOf(artifact, namings),
      ...namings.flatMap((receipt) => judgeNaming(artifact, receipt, known)),
    ];
  } catch (error) {
    return [faultOf(error, subject)];
  }
}

/** Width is compared at calls that were sent: an artifact that serves nothing may be wider than the gateway's of then. */
function widthOf(artifact: SessionArtifact, namings: readonly Naming[], { gateways, rule }: Known): readonly Finding[] {
  const seen = new Set<Digest>();
  return namings.filter(isSent).flatMap((receipt) => {
    const digest = outerOf(receipt) ?? "";
    const bytes = gateways.get(digest);
    if (bytes === undefined || seen.has(digest)) return [];
    seen.add(digest);
    return findingsOf(receiptSubject(receipt), () => checkNarrower(artifact, checkArtifact(bytes, rule).artifact));
  });
}

/** One artifact is of one agent, and perhaps of one session: keyed hashes of one stream can be compared with each other. */
function othersOf({ session }: SessionArtifact, namings: readonly Naming[]): readonly Finding[] {
  const agents = new Map<string, string>();
  const sessions = new Map<string, string>();
  return namings.flatMap((receipt) => {
    const [agent, place] = [observedValue(receipt.principal), placeOf(receipt)];
    const isOther =
      differs(agents, receipt.stream, agent && `${agent.issuer} ${agent.id}`) ||
      (session !== undefined && differs(sessions, receipt.stream, place?.key));
    return isOther ? [otherSubject(receipt, "an earlier receipt names the artifact for another one")] : [];
  });
}

/** True if `stream` has another value already; keeps the first. */
function differs(known: Map<string, string>, stream: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  const before = known.get(stream);
  known.set(stream, before ?? value);
  return before !== undefined && before !== value;
}

function placeOf(receipt: Naming): ReceiptOf<"session-open">["session"] | undefined {
  return receipt.kind === "session-open" ? receipt.session : observedValue(receipt.session);
}

function otherSubject(receipt: Naming, detail: string): Finding {
  return fault("ERR_ARTIFACT_SUBJECT", receiptSubject(receipt), detail);
}

/** What one receipt says of whom the artifact binds; and if its call was sent, of when, under what and where to. */
function judgeNaming(artifact: SessionArtifact, receipt: Naming, { tools }: Known): readonly Finding[] {
  const { subject, session } = artifact;
  const issuer = observedValue(receipt.principal)?.issuer;
  const source = placeOf(receipt)?.source;
  const findings: Finding[] = [];
  if (issuer !== undefined && !isOf(subject.principal, issuer, isStdio(receipt))) {
    findings.push(otherSubject(receipt, `the agent is of ${issuer}, and the artifact is not`));
  }
  if (session !== undefined && source !== undefined && source !== session.source) {
    findings.push(otherSubject(receipt, `the session is of ${source}, the artifact of ${session.source}`));
  }
  if (!isSent(receipt)) return findings;
  if (issuer === undefined || (session !== undefined && source === undefined)) {
    findings.push(doubt("session-artifact.subject-unknown", receiptSubject(receipt), "it does not say whom it is of"));
  }
  const outside = receipt.ruling.judgement === "allow" ? judgeTarget(artifact, receipt, tools) : [];
  return [...findings, ...findingsOf(receiptSubject(receipt), () => checkBasis(artifact, receipt)), ...outside];
}

function isSent(receipt: Naming): receipt is Decision {
  return receipt.kind === "decision" && receipt.ruling.action === "forward";
}

/** A launcher's user has a bare name; every other principal is `<issuer>|<name>`. */
function isOf(principal: string, issuer: string, isBare: boolean): boolean {
  return principal.startsWith(`${issuer}|`) || (isBare && issuer === "local");
}

function isStdio(receipt: Naming): boolean {
  return receipt.kind === "decision" ? receipt.wire.transport === "stdio" : receipt.session.source === "launcher";
}

/** A gateway serves nothing under an artifact that is over or does not fit what is in force. */
function checkBasis(artifact: SessionArtifact, { time, policy, catalog, ruling }: Decision): void {
  const { not_before: from, not_after: to, mode } = artifact;
  if (time < from || time >= to) {
    throw new CheckError("ERR_ARTIFACT_TIME", `sent at ${time} under an artifact that is valid from ${from} to ${to}`);
  }
  const [ref, seen] = [observedValue(policy), observedValue(catalog)];
  if (ref?.digest !== artifact.policy.digest || ref.version !== artifact.policy.version) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", `the artifact is for the policy ${artifact.policy.digest}`);
  }
  if (seen !== undefined && seen.digest !== artifact.catalog) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", `the artifact is for the catalog ${artifact.catalog}`);
  }
  if (MODES.indexOf(ruling.mode) > MODES.indexOf(mode)) {
    throw new CheckError("ERR_ARTIFACT_MISMATCH", `decided in ${ruling.mode} mode; the artifact is ${mode}`);
  }
}

/** Tools by their names; anything else by its server. */
function judgeTarget(artifact: SessionArtifact, decision: Decision, disclosed: DisclosedTools): readonly Finding[] {
  const subject = receiptSubject(decision);
  const server = observedValue(decision.server)?.id;
  const isTool = observedValue(decision.wire.mcp_method) === "tools/call";
  if (server !== undefined && !artifact.upstreams.some((one) => one.server === server)) {
    return [fault("ERR_ARTIFACT_SCOPE", subject, `the artifact has no server ${server}`)];
  }
  if (!isTool || (server !== undefined && artifact.tools.includes(`${server}/*`))) return [];
  const called = observedValue(decision.wire.mcp_name);
  const tool = called?.form === "name" ? called.name : disclosed.get(subject);
  if (server === undefined || tool === undefined) {
    return [doubt("session-artifact.tool-not-named", subject, "neither receipt nor disclosure names the tool")];
  }
  if (coversTool(artifact.tools, `${server}/${tool}`)) return [];
  return [fault("ERR_ARTIFACT_SCOPE", subject, `the artifact has no tool ${server}/${tool}`)];
}

/** What binds a session goes on to bind it: calls that were sent later in it name an artifact, too. */
function droppedOf(receipts: readonly StreamReceipt[]): readonly Finding[] {
  const bound = new Set<string>();
  return receipts.flatMap((receipt) => {
    if (receipt.kind !== "session-open" && receipt.kind !== "decision") return [];
    const id = placeOf(receipt)?.id;
    if (id === undefined) return [];
    const session = `${receipt.stream} ${id}`;
    if (artifactOf(receipt) !== undefined) bound.add(session);
    else if (bound.has(session) && isSent(receipt))
      return [otherSubject(receipt, "it leaves out the artifact of its session")];
    return [];
  });
}
