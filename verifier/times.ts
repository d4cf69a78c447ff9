/** Obligation `time.window`, and the time as of which a bundle is judged. */

import { formatTimestamp, type Timestamp, timestampMs } from "../kernel/time.ts";
import type { TrustPolicy } from "../kernel/trust-policy.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import { doubt, type Finding, fault, type Judgement, judge } from "./verdict.ts";

/**
 * The judged time and where it comes from. `witnesses`: the earliest time by which a quorum of pinned witnesses had
 * cosigned a checkpoint over every entry. `caller`: given. `none`: there is no quorum and none was given.
 */
export type JudgedTime =
  | { readonly source: "witnesses" | "caller"; readonly time: Timestamp }
  | { readonly source: "none" };

/** How far a gateway's clock may be ahead of the witnesses' clocks: one minute. */
export const CLOCK_TOLERANCE_MS = 60_000;

/** The judged time of a bundle with these logs. Several logs: the latest, since only then everything was covered. */
export function judgedTime(
  origins: readonly string[],
  witnessedMs: ReadonlyMap<string, number>,
  given: Timestamp | undefined,
): JudgedTime {
  if (given !== undefined) return { source: "caller", time: given };
  const times = origins.map((origin) => witnessedMs.get(origin) ?? Number.NaN);
  const latest = Math.max(...times);
  if (times.length === 0 || !Number.isFinite(latest)) return { source: "none" };
  return { source: "witnesses", time: formatTimestamp(latest) };
}

/** What `judgeTimes` looks at. */
export interface TimeInput {
  readonly receipts: readonly PlacedReceipt[];
  readonly trust: TrustPolicy;
  readonly witnessedMs: ReadonlyMap<string, number>;
  readonly at: JudgedTime;
}

/** Judges the times of all receipts. */
export function judgeTimes({ receipts, trust, witnessedMs, at }: TimeInput): Judgement {
  if (receipts.length === 0) return doubt("receipts.none", "bundle", "the bundle holds no receipt");
  const atMs = at.source === "none" ? undefined : timestampMs(at.time);
  const findings = receipts.flatMap((placed) => [
    ...checkAllowed(placed, trust, atMs),
    ...checkWitnessed(placed, witnessedMs.get(placed.at.origin), atMs),
  ]);
  const times = receipts.map(({ receipt }) => receipt.time).sort();
  return judge(findings, `${times[0] ?? ""} to ${times.at(-1) ?? ""}`);
}

function checkAllowed({ receipt }: PlacedReceipt, trust: TrustPolicy, atMs: number | undefined): readonly Finding[] {
  const { notBefore, notAfter, maxReceiptAgeSeconds: maxAge } = trust;
  const subject = receiptSubject(receipt);
  if (notBefore !== undefined && receipt.time < notBefore) {
    return [fault("ERR_TIME_WINDOW", subject, `${receipt.time} is before ${notBefore}`)];
  }
  if (notAfter !== undefined && receipt.time > notAfter) {
    return [fault("ERR_TIME_WINDOW", subject, `${receipt.time} is after ${notAfter}`)];
  }
  if (maxAge === undefined || atMs === undefined || atMs - timestampMs(receipt.time) <= maxAge * 1000) return [];
  return [fault("ERR_TIME_WINDOW", subject, `${receipt.time} is more than ${maxAge} s before the judged time`)];
}

/** The gateway's clock is only its own word; that the witnesses had seen the receipt bounds it from above. */
function checkWitnessed(
  { receipt }: PlacedReceipt,
  witnessedMs: number | undefined,
  atMs: number | undefined,
): readonly Finding[] {
  const subject = receiptSubject(receipt);
  if (witnessedMs === undefined || atMs === undefined) {
    return [doubt("time.no-witness", subject, "no quorum of pinned witnesses has seen it")];
  }
  const witnessed = formatTimestamp(witnessedMs);
  if (timestampMs(receipt.time) > witnessedMs + CLOCK_TOLERANCE_MS) {
    return [fault("ERR_TIME_AHEAD", subject, `${receipt.time}, but the witnesses saw it at ${witnessed}`)];
  }
  if (atMs >= witnessedMs) return [];
  return [doubt("time.before-evidence", subject, `the witnesses saw it at ${witnessed}, after the judged time`)];
}
