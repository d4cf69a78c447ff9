/** The closed list of reasons for which a verifier leaves an obligation `not_established`. */

/** Reason and its meaning in one sentence; docs/errors.md is held to this table. Sorted. */
export const VERDICT_REASONS = {
  "call.effect-unknown": "the last outcome of a dispatched call says that its effect is not known",
  "call.no-outcome": "the window ends before the outcome of a dispatched call",
  "catalog.not-recorded": "a decision does not say under which catalog it was made",
  "catalogs.none-pinned": "the trust policy names no catalog",
  "decisions.none": "the bundle holds no decision",
  "entries.none": "the bundle holds no entry of a log",
  "entry.kind-unknown": "an entry is of a kind that this verifier does not judge",
  "entry.unproven": "the entries are not proven to be in a pinned log",
  "gateways.none-pinned": "the trust policy names no gateway",
  "log.unauthenticated": "the checkpoint is not signed by a pinned key of its log",
  "modes.none-pinned": "the trust policy names no mode",
  "opening.erased": "the secret of the receipt was destroyed, so its commitments cannot be opened",
  "opening.not-kept": "the gateway did not keep the message that the receipt commits to",
  "opening.receipt-absent": "an opening is of a receipt that the bundle does not hold",
  "policies.none-pinned": "the trust policy names no policy",
  "policy.not-disclosed": "the files of a policy are not in the bundle",
  "policy.not-recorded": "a decision does not say under which policy it was made",
  "quorum.none": "the witness policy of the log asks for no witness",
  "receipts.none": "the bundle holds no receipt",
  "receipts.unauthenticated": "what the receipts say counts only with their signatures and a pinned issuer",
  "registration.absent": "the bundle does not hold the registration of the stream",
  "replay.catalog-not-disclosed":
    "the catalog that a decision was made under is not disclosed, so its questions have no types",
  "replay.engine-absent": "nothing that decides by policies was handed to the verifier",
  "replay.inputs-not-disclosed": "the question of a decision, or the request it is about, is not disclosed",
  "replay.none": "the bundle holds no decision that a policy made",
  "replay.not-committed": "a decision does not commit to the question that policy was asked",
  "replay.policy-not-disclosed": "the policy files that a decision was made under are not disclosed",
  "session.none": "no session was opened or sealed in a declared window",
  "session.open": "a session has no seal in the window and is not yet older than its longest life",
  "session.ttl-unknown": "a session has no seal in the window, and its longest life is not in the bundle",
  "stream.foreign-log": "the receipts are from another log than the one their stream declares as its home",
  "stream.heartbeat-unknown": "the stream-open receipt, which declares the longest silence, is not in the bundle",
  "stream.keys-unknown": "neither a valid stream-open receipt nor a valid registration certifies the receipt key",
  "stream.open-absent": "the stream-open receipt, which declares the home log, is not in the bundle",
  "stream.silent": "the stream was silent for longer than it declared: stopped, or its clock jumped",
  "time.before-evidence": "the judged time is before the witnesses saw the entries",
  "time.no-witness": "no quorum of pinned witnesses says when the entries existed",
  "window.cuts-session": "the session was opened before the declared window",
  "window.none": "the bundle declares no window of the stream, so nothing is known about what is missing",
} as const;

/** One reason of the closed list. */
export type VerdictReason = keyof typeof VERDICT_REASONS;
