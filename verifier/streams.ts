/** Obligations about who signed: `receipt.signature`, `receipt.issuer`; and the keys and declarations of each stream. */

import type { EvidenceBundle } from "../kernel/bundle.ts";
import type { Hex64 } from "../kernel/receipt/fields.ts";
import type { StreamOpenBody } from "../kernel/receipt/stream-open.ts";
import { type CheckedRegistration, readRegistration } from "../kernel/registration.ts";
import type { Signed } from "../kernel/signature/envelope.ts";
import { checkSigners, type StreamKeys } from "../kernel/stream/stream-keys.ts";
import { checkReceiptSignature, checkStreamOpen } from "../kernel/stream/stream-state.ts";
import type { TrustPolicy } from "../kernel/trust-policy.ts";
import type { LogJudgement } from "./logs.ts";
import {
  entrySubject,
  groupStreams,
  type LogEntry,
  type PlacedReceipt,
  type PlacedRegistration,
  type ReadEntries,
  receiptSubject,
  type StreamParts,
} from "./read-entries.ts";
import { doubt, type Finding, fault, findingsOf, type Judgement, judge, resting } from "./verdict.ts";

/** A stream with what certifies its keys. */
export interface Stream extends StreamParts {
  /** Its stream-open receipt, if it is in the bundle and both of its signatures hold. */
  readonly open: Signed<StreamOpenBody> | undefined;
  /** Certified by the open receipt or, without one, by a registration. */
  readonly keys: StreamKeys | undefined;
  readonly registrations: readonly ValidRegistration[];
}

/** A registration whose signatures hold, at its place in the log. */
interface ValidRegistration extends CheckedRegistration {
  readonly at: LogEntry;
}

/** The streams of a bundle and the verdicts about who signed. */
export interface StreamJudgement {
  readonly streams: readonly Stream[];
  readonly signature: Judgement;
  readonly issuer: Judgement;
}

/** Checks registrations, certificates and the signature of every receipt, once each. */
export function judgeStreams(
  bundle: EvidenceBundle,
  read: ReadEntries,
  trust: TrustPolicy,
  { inclusion, states }: Pick<LogJudgement, "inclusion" | "states">,
): StreamJudgement {
  const { valid, findings } = readRegistrations(read.registrations);
  const registered = valid.map(({ keys }) => keys.instance.kid);
  const parts = groupStreams(bundle, read.receipts, registered);
  const streams = parts.map((part) => identify(part, valid));
  const none = read.receipts.length === 0 ? [doubt("receipts.none", "bundle", "the bundle holds no receipt")] : [];
  const signature = judge(
    [...none, ...read.findings, ...streams.flatMap(checkSignatures)],
    `${read.receipts.length} receipts`,
  );
  const issuer = judge(
    [
      ...none,
      ...findings,
      ...streams.flatMap((stream) => [...checkIssuer(stream, trust), ...checkEnd(stream, states)]),
    ],
    streams.map(({ stream }) => labelOf(stream, trust)).join(", "),
  );
  return { streams, signature, issuer: resting(issuer, "entry.unproven", inclusion) };
}

function labelOf(stream: Hex64, trust: TrustPolicy): string {
  const label = trust.gateways.get(stream) ?? "";
  return label === "" ? stream : label;
}

function readRegistrations(placed: readonly PlacedRegistration[]): {
  readonly valid: readonly ValidRegistration[];
  readonly findings: readonly Finding[];
} {
  const valid: ValidRegistration[] = [];
  const findings = placed.flatMap(({ value, at }) =>
    findingsOf(entrySubject(at), () => {
      valid.push({ ...readRegistration(value), at });
    }),
  );
  return { valid, findings };
}

function identify(parts: StreamParts, registrations: readonly ValidRegistration[]): Stream {
  const own = registrations.filter(({ keys }) => keys.instance.kid === parts.stream);
  for (const { receipt } of parts.receipts) {
    if (receipt.kind !== "stream-open") continue;
    const keys = certifiedKeys(receipt);
    if (keys !== undefined) return { ...parts, open: receipt, keys, registrations: own };
  }
  return { ...parts, open: undefined, keys: own[0]?.keys, registrations: own };
}

function certifiedKeys(receipt: Signed<StreamOpenBody>): StreamKeys | undefined {
  const found: StreamKeys[] = [];
  // Why it does not hold is reported by `checkSignatures`.
  findingsOf("", () => {
    found.push(checkStreamOpen(receipt));
  });
  return found[0];
}

function checkSignatures({ receipts, keys, open, stream }: Stream): readonly Finding[] {
  const opening = receipts.filter(({ receipt }) => receipt.kind === "stream-open" && receipt !== open);
  const others = receipts.filter(({ receipt }) => receipt.kind !== "stream-open");
  const findings = opening.flatMap(({ receipt }) =>
    receipt.kind === "stream-open" ? findingsOf(receiptSubject(receipt), () => void checkStreamOpen(receipt)) : [],
  );
  if (keys === undefined) {
    return others.length === 0
      ? findings
      : [...findings, doubt("stream.keys-unknown", stream, "no certified receipt key")];
  }
  return [...findings, ...others.flatMap((placed) => checkSignature(placed, keys))];
}

function checkSignature({ receipt }: PlacedReceipt, keys: StreamKeys): readonly Finding[] {
  return findingsOf(receiptSubject(receipt), () => {
    checkSigners(receipt.signatures, [keys.receipt]);
    checkReceiptSignature(keys, receipt);
  });
}

function checkIssuer(stream: Stream, trust: TrustPolicy): readonly Finding[] {
  const { stream: id, keys, registrations, receipts } = stream;
  if (trust.gateways.size === 0) {
    return [doubt("gateways.none-pinned", id, "the trust policy names no gateway, so anybody may have signed")];
  }
  if (!trust.gateways.has(id)) return [fault("ERR_ISSUER", id, "a gateway that the trust policy does not name")];
  const registered = new Set(registrations.map(({ at }) => at.origin));
  const missing = [...new Set(receipts.map(({ at }) => at.origin))]
    .filter((origin) => !registered.has(origin))
    .map((origin) => doubt("registration.absent", id, `its registration with ${origin} is not in the bundle`));
  return [...missing, ...registrations.flatMap((registration) => checkRegistration(registration, keys, receipts))];
}

/** Behind the end of its registration a stream's key speaks for nobody; what stands in front of it is as good as before. */
function checkEnd({ stream, receipts }: Stream, states: LogJudgement["states"]): readonly Finding[] {
  const late = receipts.find(({ at }) => {
    const endedAt = states.get(at.origin)?.endedStreams.get(stream);
    return endedAt !== undefined && at.entry.index > endedAt;
  });
  if (late === undefined) return [];
  return [
    fault("ERR_STREAM_ENDED", receiptSubject(late.receipt), "logged behind the end of its stream's registration"),
  ];
}

/** A registration counts in the log that it names, in front of the receipts, and for the key that signs them. */
function checkRegistration(
  { registration, keys: registered, at }: ValidRegistration,
  keys: StreamKeys | undefined,
  receipts: readonly PlacedReceipt[],
): readonly Finding[] {
  const subject = entrySubject(at);
  if (registration.origin !== at.origin) {
    return [fault("ERR_STREAM_UNKNOWN", subject, "the registration is for another log")];
  }
  if (keys !== undefined && keys.receipt.kid !== registered.receipt.kid) {
    return [fault("ERR_REGISTRATION_CONFLICT", subject, "the stream was registered with another receipt key")];
  }
  const early = receipts.find((placed) => placed.at.origin === at.origin && placed.at.entry.index < at.entry.index);
  if (early === undefined) return [];
  return [fault("ERR_STREAM_UNKNOWN", receiptSubject(early.receipt), "the receipt was logged before the registration")];
}
