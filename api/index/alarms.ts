/**
 * Alarms: what a ledger, a witness or a gateway did that it must not do, with the evidence. They are durable, one a
 * fault: seen again, an alarm counts up. Nothing ever removes one; where what was wrong has come right, a note says so.
 */

import { formatBase64 } from "../../kernel/base64.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { array, integer, literal, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { ALARM_COUNT_KEY, alarmKey, alarmNameKey } from "./keys.ts";
import { parseErrorCode } from "./row-shapes.ts";
import type { Draft } from "./rows.ts";

/** Kinds of alarms (docs/graphql.md). */
export const ALARM_KINDS = [
  "fork",
  "shrink",
  "quorum-missing",
  "stale-witness",
  "stale-checkpoint",
  "withheld-tiles",
  "malformed-checkpoint",
  "false-signature",
  "false-tile",
  "entry-mismatch",
  "malformed-entry",
  "behind-end",
  "unregistered-stream",
  "stream-break",
  "stream-fork",
  "seal-mismatch",
  "session-repeat",
] as const;

/** One kind of alarm. */
export type AlarmKind = (typeof ALARM_KINDS)[number];

/** One piece of evidence, as it was served. */
export type Evidence = { readonly label: string; readonly text: string };

/** What is alarming, before it has a number. */
export interface AlarmDraft {
  readonly kind: AlarmKind;
  readonly code: ErrorCode;
  /** Says which fault it is, so that the same one is not told twice. */
  readonly name: string;
  readonly message: string;
  readonly index?: number;
  readonly stream?: string;
  readonly seq?: number;
  readonly evidence: readonly Evidence[];
}

/** A stored alarm. */
export type AlarmRow = {
  readonly number: number;
  readonly kind: AlarmKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly index?: number;
  readonly stream?: string;
  readonly seq?: number;
  readonly evidence: readonly Evidence[];
  readonly first_seen: string;
  readonly last_seen: string;
  /** How often it was seen. */
  readonly count: number;
  /** When what was wrong came right, and how; absent while it stands. */
  readonly resolved?: { readonly time: string; readonly note: string };
};

/** How many alarms are stored, and how many were not because there are too many. */
export type AlarmCount = { readonly stored: number; readonly dropped: number };

/** Most alarms of one ledger: each may hold two notes or entries, and a hostile ledger makes as many as it likes. */
const MAX_ALARMS = 10_000;
/** Places for what is wrong with checkpoints beyond these: no number of false entries crowds it out. */
const RESERVED_ALARMS = 1_000;
/** Alarms about entries, of which a ledger can make one an entry. */
const ENTRY_ALARMS: ReadonlySet<AlarmKind> = new Set([
  "entry-mismatch",
  "malformed-entry",
  "unregistered-stream",
  "stream-break",
  "stream-fork",
  "seal-mismatch",
  "session-repeat",
]);

/** Places for a kind of alarm. A fork ends the following: there is one, and there is always a place for it. */
function placesFor(kind: AlarmKind): number {
  if (kind === "fork") return Number.POSITIVE_INFINITY;
  return ENTRY_ALARMS.has(kind) ? MAX_ALARMS : MAX_ALARMS + RESERVED_ALARMS;
}

const text = string();

/** Shape of an alarm row. */
export const alarmRowShape: Shape<AlarmRow> = object<AlarmRow>({
  number: integer(),
  kind: literal(...ALARM_KINDS),
  code: mapped(text, parseErrorCode),
  message: text,
  index: optional(integer()),
  stream: optional(text),
  seq: optional(integer()),
  evidence: array(object<Evidence>({ label: text, text: string({ maxLength: 262_144 }) }), { max: 8 }),
  first_seen: text,
  last_seen: text,
  count: integer(),
  resolved: optional(object<{ readonly time: string; readonly note: string }>({ time: text, note: text })),
});

/** Shape of the count of alarms. */
export const alarmCountShape: Shape<AlarmCount> = object<AlarmCount>({ stored: integer(), dropped: integer() });

const numberShape: Shape<{ readonly number: number }> = object<{ readonly number: number }>({ number: integer() });

/** Writes an alarm into the draft, or counts up the one of the same name. @returns true if it is new */
export async function raiseAlarm(draft: Draft, alarm: AlarmDraft, nowMs: number): Promise<boolean> {
  const now = formatTimestamp(nowMs);
  const known = await draft.read(alarmNameKey(alarm.name), numberShape);
  if (known !== undefined) {
    const row = await draft.read(alarmKey(known.number), alarmRowShape);
    if (row !== undefined) draft.putJson(alarmKey(known.number), seenAgain(row, now));
    return false;
  }
  const { stored, dropped } = (await draft.read(ALARM_COUNT_KEY, alarmCountShape)) ?? { stored: 0, dropped: 0 };
  if (stored >= placesFor(alarm.kind)) {
    draft.putJson(ALARM_COUNT_KEY, { stored, dropped: dropped + 1 });
    return false;
  }
  const { name, ...facts } = alarm;
  const row: AlarmRow = { ...facts, number: stored, first_seen: now, last_seen: now, count: 1 };
  draft.putJson(alarmKey(stored), row);
  draft.putJson(alarmNameKey(name), { number: stored });
  draft.putJson(ALARM_COUNT_KEY, { stored: stored + 1, dropped });
  return true;
}

/** What was resolved and is seen again stands again. */
function seenAgain({ resolved: _, ...row }: AlarmRow, now: string): AlarmRow {
  return { ...row, last_seen: now, count: row.count + 1 };
}

/** Notes that what an alarm names has come right. @returns false, and does nothing, if none of that name stands */
export async function resolveAlarm(draft: Draft, name: string, note: string, nowMs: number): Promise<boolean> {
  const known = await draft.read(alarmNameKey(name), numberShape);
  const row = known === undefined ? undefined : await draft.read(alarmKey(known.number), alarmRowShape);
  if (row === undefined || row.resolved !== undefined) return false;
  draft.putJson(alarmKey(row.number), { ...row, resolved: { time: formatTimestamp(nowMs), note } });
  return true;
}

/** Bytes as evidence: as text if they are text, else in base64. */
export function evidenceOf(label: string, bytes: Uint8Array): Evidence {
  try {
    return { label, text: parseUtf8(bytes) };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { label: `${label} (base64)`, text: formatBase64(bytes) };
  }
}
