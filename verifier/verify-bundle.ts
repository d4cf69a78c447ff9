/**
 * Verifies an evidence bundle under a trust policy: one verdict for each obligation (docs/verify.md). Pure: no network, no
 * files, no clock, so the same input gives the same verdicts wherever and whenever it is verified.
 */

import { type EvidenceBundle, parseBundle, type StreamWindow } from "../kernel/bundle.ts";
import { parseDisclosure } from "../kernel/disclosure.ts";
import type { LogEnd } from "../kernel/lifecycle/statement.ts";
import { type AskedObligationId, OBLIGATION_IDS, type ObligationId } from "../kernel/obligation.ts";
import { parseRouteTest } from "../kernel/route-test.ts";
import { type Timestamp, timestampMs } from "../kernel/time.ts";
import type { TrustPolicy } from "../kernel/trust-policy.ts";
import { judgeAttestation } from "./attestation.ts";
import { type BuildFiles, judgeBuilds } from "./build-provenance.ts";
import { judgeCalls } from "./calls.ts";
import { judgeContinuity } from "./continuity.ts";
import { judgeCoverage } from "./coverage.ts";
import { judgeDecisions, pickDecisions } from "./decisions.ts";
import { judgeLogs, type LogJudgement } from "./logs.ts";
import { judgeMediation } from "./mediation.ts";
import { judgeOpenings, type OpeningVerdict } from "./openings.ts";
import { PINNED } from "./pinned.ts";
import { type ReadEntries, readEntries } from "./read-entries.ts";
import { judgeReplay, type ReplayEngine } from "./replay.ts";
import { judgeSessionArtifacts } from "./session-artifacts.ts";
import { countSealed, judgeSessions } from "./sessions.ts";
import { judgeStreams, type StreamJudgement } from "./streams.ts";
import { type JudgedTime, judgedTime, judgeTimes } from "./times.ts";
import { fault, type Judgement, resting } from "./verdict.ts";

/** What is verified. */
export interface VerifyInput {
  /** The bytes of the bundle file. */
  readonly bundle: Uint8Array;
  /** The bytes of a disclosure file: openings of the bundle's receipts. */
  readonly disclosure?: Uint8Array;
  /** The verifier's own; never out of the bundle. */
  readonly trust: TrustPolicy;
  /** Judge as of this time; the default is when a quorum of witnesses had seen the entries. */
  readonly at?: Timestamp;
  /** The caller's clock, for `status_now` alone. */
  readonly now?: Timestamp;
  /** Decides questions by disclosed policies; without it `policy.replay` is not established where it is asked for. */
  readonly replay?: ReplayEngine;
  /** Sealed artifacts and statements of builders; with them `build.provenance` is judged. */
  readonly build?: BuildFiles;
  /** Session artifacts, as their files; with them `artifact.session` is judged. Those of the gateways are `build.artifacts`. */
  readonly sessionArtifacts?: readonly Uint8Array[];
  /** Tests of routes around the gateways, as their files; with them `route.mediation` is judged, which never passes. */
  readonly routeTests?: readonly Uint8Array[];
}

/** The verdict about one obligation of the closed list. */
export type ObligationVerdict = Judgement & { readonly id: ObligationId; readonly required: boolean };

/** What the bundle holds, counted. */
export type BundleSummary = {
  readonly digest: string;
  /** By its maker's clock. */
  readonly created: Timestamp;
  readonly logs: readonly string[];
  readonly streams: readonly string[];
  /** What the bundle declares to hold whole; completeness is claimed for nothing else. */
  readonly windows: readonly StreamWindow[];
  readonly entries: number;
  readonly receipts: number;
  readonly decisions: number;
  /** Decisions whose call was sent. */
  readonly forwarded: number;
  readonly sealed_sessions: number;
  /** How the gateways declare their keys to be protected. */
  readonly key_protections: readonly string[];
  /** Logs that have ended, by their statements in the bundle; absent if it holds no such statement. */
  readonly ended_logs?: readonly EndedLog[];
};

/** A log that takes no entries any more. */
export type EndedLog = {
  readonly origin: string;
  readonly end: LogEnd;
  readonly final_size: number;
  /** Origin of the log that goes on, if one is named. */
  readonly successor?: string;
};

/** What would be different if the bundle were judged at another time. It changes no verdict and no exit code. */
export type StatusNow = { readonly time: Timestamp; readonly obligations: readonly ObligationVerdict[] };

/** The result, as JSON. */
export type VerificationResult = {
  readonly kind: "verification-result";
  readonly v: 1;
  /** 0: every required obligation passes. 1: one fails. 2: none fails and one is not established. */
  readonly exit: 0 | 1 | 2;
  /**
   * True if every required obligation passes, a pinned log key signed, a quorum of pinned witnesses cosigned, and the
   * receipts are of a pinned gateway. Only then may anybody say "verified".
   */
  readonly verified: boolean;
  readonly at: JudgedTime;
  readonly obligations: readonly ObligationVerdict[];
  readonly summary: BundleSummary;
  /** One verdict for each item of the disclosure, in its order; present if there is one. All of them are required. */
  readonly openings?: readonly OpeningVerdict[];
  /** Present if the caller gave its clock. */
  readonly status_now?: StatusNow;
};

/** Obligations that depend on the judged time. */
type Timed = "session.sealed" | "time.window";

/**
 * Verifies a bundle.
 *
 * @throws {FormatError} as `parseBundle`, `parseDisclosure` and `parseRouteTest`, ERR_PROVENANCE: a file cannot be read at all. Everything else is a verdict.
 */
export function verifyBundle(input: VerifyInput): VerificationResult {
  const { bundle: bytes, disclosure, trust, at: given, now } = input;
  const bundle = parseBundle(bytes);
  const parts = readParts(bundle, trust);
  const at = judgedTime(
    bundle.logs.map(({ origin }) => origin),
    parts.logs.witnessedMs,
    given,
  );
  const { signature, issuer } = parts.streams;
  const openings =
    disclosure === undefined
      ? []
      : judgeOpenings(parseDisclosure(disclosure), parts.read.receipts, [signature, issuer]);
  const judgements = judgeAll(parts, at);
  const asked = judgeAsked(parts, openings, input);
  const obligations = [
    ...OBLIGATION_IDS.map((id) => verdictOf(id, judgements[id], trust)),
    ...[...asked].map(([id, judgement]) => verdictOf(id, judgement, trust)),
  ];
  const exit = exitOf(obligations, openings);
  return {
    kind: "verification-result",
    v: 1,
    exit,
    verified: exit === 0 && PINNED.every((id) => judgements[id].verdict === "pass"),
    at,
    obligations,
    summary: summarize(parts),
    ...(disclosure === undefined ? {} : { openings }),
    ...(now === undefined ? {} : { status_now: statusNow(parts, now) }),
  };
}

/** What is judged once, whatever the time. */
interface Parts {
  readonly bundle: EvidenceBundle;
  readonly trust: TrustPolicy;
  readonly read: ReadEntries;
  readonly logs: LogJudgement;
  readonly streams: StreamJudgement;
}

function readParts(bundle: EvidenceBundle, trust: TrustPolicy): Parts {
  const read = readEntries(bundle);
  const logs = judgeLogs(bundle.logs, read.entries, trust);
  return { bundle, trust, read, logs, streams: judgeStreams(bundle, read, trust, logs) };
}

/** What is judged only if the trust policy requires it or the caller has handed in what it needs. */
function judgeAsked(
  parts: Parts,
  openings: readonly OpeningVerdict[],
  { replay, build, sessionArtifacts, routeTests, trust }: VerifyInput,
): ReadonlyMap<AskedObligationId, Judgement> {
  const judged = new Map<AskedObligationId, Judgement>();
  if (replay !== undefined || trust.require.has("policy.replay")) {
    const { decisions } = pickDecisions(parts.read.receipts);
    judged.set("policy.replay", authenticated(parts, judgeReplay(decisions, openings, replay)));
  }
  if (build !== undefined || trust.require.has("build.provenance")) {
    const { decisions } = pickDecisions(parts.read.receipts);
    const files = build ?? { artifacts: [], provenance: [] };
    judged.set("build.provenance", authenticated(parts, judgeBuilds(decisions, files, trust.builders)));
  }
  if (sessionArtifacts !== undefined || trust.require.has("artifact.session")) {
    const files = { sessions: sessionArtifacts ?? [], gateways: build?.artifacts ?? [] };
    const receipts = parts.read.receipts.map(({ receipt }) => receipt);
    const judgement = judgeSessionArtifacts({ receipts, openings, files, rule: trust.sealers });
    judged.set("artifact.session", authenticated(parts, judgement));
  }
  if (routeTests !== undefined || trust.require.has("route.mediation")) {
    const { decisions } = pickDecisions(parts.read.receipts);
    judged.set("route.mediation", judgeMediation(decisions, (routeTests ?? []).map(parseRouteTest)));
  }
  return judged;
}

function judgeAll(parts: Parts, at: JudgedTime): Readonly<Record<Exclude<ObligationId, AskedObligationId>, Judgement>> {
  const { bundle, trust, read, logs, streams } = parts;
  const decisions = judgeDecisions(pickDecisions(read.receipts), bundle, trust);
  return {
    "bundle.digest": judgeDigest(bundle),
    "log.signature": logs.signature,
    "log.quorum": logs.quorum,
    "log.inclusion": logs.inclusion,
    "receipt.signature": streams.signature,
    "receipt.issuer": streams.issuer,
    "stream.continuity": authenticated(parts, judgeContinuity(streams.streams)),
    "stream.coverage": authenticated(parts, judgeCoverage(streams.streams)),
    "call.outcome": authenticated(parts, judgeCalls(streams.streams)),
    "policy.allowed": authenticated(parts, decisions["policy.allowed"]),
    "policy.files": authenticated(parts, decisions["policy.files"]),
    "catalog.allowed": authenticated(parts, decisions["catalog.allowed"]),
    "mode.allowed": authenticated(parts, decisions["mode.allowed"]),
    "mode.enforcing": authenticated(parts, decisions["mode.enforcing"]),
    "attestation.hardware": judgeAttestation(read.receipts),
    ...judgeTimed(parts, at),
  };
}

function judgeTimed(parts: Parts, at: JudgedTime): Readonly<Record<Timed, Judgement>> {
  const { trust, read, logs, streams } = parts;
  const atMs = at.source === "none" ? undefined : timestampMs(at.time);
  const times = judgeTimes({ receipts: read.receipts, trust, witnessedMs: logs.witnessedMs, at });
  return {
    "session.sealed": authenticated(parts, judgeSessions(streams.streams, atMs)),
    "time.window": authenticated(parts, times),
  };
}

/** What receipts say counts once they are signed, logged, and of a pinned gateway. */
function authenticated({ streams }: Parts, judgement: Judgement): Judgement {
  return resting(judgement, "receipts.unauthenticated", streams.signature, streams.issuer);
}

function judgeDigest({ digest, computedDigest }: EvidenceBundle): Judgement {
  if (digest === computedDigest) return { verdict: "pass", detail: digest };
  return fault("ERR_BUNDLE_DIGEST", "bundle", `the content has the digest ${computedDigest}`);
}

function verdictOf(id: ObligationId, judgement: Judgement, trust: TrustPolicy): ObligationVerdict {
  return { id, required: trust.require.has(id), ...judgement };
}

/** Whoever hands a disclosure in asks about all of it. */
function exitOf(obligations: readonly ObligationVerdict[], openings: readonly OpeningVerdict[]): 0 | 1 | 2 {
  const required = obligations.filter((obligation) => obligation.required);
  const asked = [...required, ...openings];
  if (asked.some(({ verdict }) => verdict === "fail")) return 1;
  return required.length > 0 && asked.every(({ verdict }) => verdict === "pass") ? 0 : 2;
}

function statusNow(parts: Parts, now: Timestamp): StatusNow {
  const judged = judgeTimed(parts, { source: "caller", time: now });
  const ids = ["session.sealed", "time.window"] as const;
  return { time: now, obligations: ids.map((id) => verdictOf(id, judged[id], parts.trust)) };
}

function endedLogs({ logs: { states } }: Parts): Pick<BundleSummary, "ended_logs"> {
  const ended = [...states].flatMap(([origin, { closing }]): readonly EndedLog[] => {
    if (closing === undefined) return [];
    const { end, finalSize, successor } = closing;
    return [
      {
        origin,
        end,
        final_size: Number(finalSize),
        ...(successor === undefined ? {} : { successor: successor.origin }),
      },
    ];
  });
  return ended.length === 0 ? {} : { ended_logs: ended };
}

function summarize(parts: Parts): BundleSummary {
  const { bundle, read, streams } = parts;
  const { decisions } = pickDecisions(read.receipts);
  const protections = streams.streams.flatMap(({ open }) => (open === undefined ? [] : [open.key_protection]));
  return {
    digest: bundle.digest,
    created: bundle.created,
    logs: bundle.logs.map(({ origin }) => origin),
    streams: streams.streams.map(({ stream }) => stream),
    windows: bundle.streams,
    entries: read.entries.length,
    receipts: read.receipts.length,
    decisions: decisions.length,
    forwarded: decisions.filter(({ ruling }) => ruling.action === "forward").length,
    sealed_sessions: countSealed(streams.streams),
    key_protections: [...new Set(protections)],
    ...endedLogs(parts),
  };
}
