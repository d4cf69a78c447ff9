/** The closed list of obligations: what a verifier judges about a bundle, and what a trust policy may require. */

import { literal, type Shape } from "./shape.ts";

/** Obligation id and the property that its verdict is about, in the order in which they are judged and printed. */
export const OBLIGATIONS = {
  "bundle.digest": "the bundle's digest is that of its content",
  "log.signature": "a pinned key of the log signed the checkpoint",
  "log.quorum": "a quorum of pinned witnesses cosigned the checkpoint",
  "log.inclusion": "every entry is in the tree of the checkpoint",
  "receipt.signature": "every receipt is signed by the receipt key that its stream certifies",
  "receipt.issuer": "the stream is that of a pinned gateway and is registered in the log",
  "stream.continuity": "the declared window of the stream is whole: no gap, fork, stray receipt or broken link",
  "stream.coverage": "no silence in the declared window is longer than the stream's heartbeat",
  "session.sealed": "every session of the window is sealed, and its counts are those of its receipts",
  "call.outcome": "every dispatched call has an outcome with a known effect",
  "policy.allowed": "every decision was made under a pinned policy",
  "policy.files": "the files of the policies are disclosed and have the digests in the receipts",
  "catalog.allowed": "every decision was made under a pinned catalog",
  "mode.allowed": "every decision was made in an allowed mode",
  "mode.enforcing": "every decision was made in enforcing mode",
  "time.window": "receipts lie in the allowed time, and not after the witnesses saw them",
  "attestation.hardware": "hardware evidence speaks for the gateway's keys",
  "policy.replay": "the disclosed policies decide the disclosed questions as the receipts say",
  "build.provenance": "a pinned builder built the code that the gateways were bound to by their sealed artifacts",
  "artifact.session":
    "the session artifacts that receipts name are sealed by pinned keys, and cover what was permitted under them",
  "route.mediation": "agents reach the gateways' servers through the gateways alone",
} as const;

/** One id of the closed list. */
export type ObligationId = keyof typeof OBLIGATIONS;

/** The ids that are always judged, in order. */
export const OBLIGATION_IDS: readonly Exclude<ObligationId, AskedObligationId>[] = [
  "bundle.digest",
  "log.signature",
  "log.quorum",
  "log.inclusion",
  "receipt.signature",
  "receipt.issuer",
  "stream.continuity",
  "stream.coverage",
  "session.sealed",
  "call.outcome",
  "policy.allowed",
  "policy.files",
  "catalog.allowed",
  "mode.allowed",
  "mode.enforcing",
  "time.window",
  "attestation.hardware",
];

/** The ids that are judged only where they are required or what they need is handed in, in order. */
export const ASKED_OBLIGATION_IDS = [
  "policy.replay",
  "build.provenance",
  "artifact.session",
  "route.mediation",
] as const;
export type AskedObligationId = (typeof ASKED_OBLIGATION_IDS)[number];

/** An obligation id in JSON. */
export const obligationShape: Shape<ObligationId> = literal(...OBLIGATION_IDS, ...ASKED_OBLIGATION_IDS);
