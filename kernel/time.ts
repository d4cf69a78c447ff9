/**
 * The one spelling of time in signed objects: `YYYY-MM-DDTHH:MM:SS.mmmZ`, UTC, years 1970 to 9999.
 *
 * Integer arithmetic over the proleptic Gregorian calendar; no date library, so nothing rolls over, guesses or shifts.
 */

import { FormatError, invariant } from "./errors.ts";

/** 24 characters that name a real instant; ordered as text as in time. */
export type Timestamp = string & { readonly __brand: "Timestamp" };

const PATTERN = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z$/;
const LENGTH = 24;
const DAY_MS = 86_400_000;
const MIN_YEAR = 1970;
/** 9999-12-31T23:59:59.999Z. */
const MAX_MS = 253_402_300_799_999;
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/**
 * `text` as a timestamp.
 *
 * @throws {FormatError} ERR_TIMESTAMP on any other spelling and on dates and times that do not exist (no leap seconds)
 */
export function parseTimestamp(text: string): Timestamp {
  if (text === lastFormatted) return lastFormatted;
  const ms = text.length === LENGTH ? readMs(text) : undefined;
  if (ms === undefined || spell(ms) !== text) {
    throw new FormatError("ERR_TIMESTAMP", "want a time as YYYY-MM-DDTHH:MM:SS.mmmZ, years 1970 to 9999");
  }
  return text as Timestamp;
}

/** Milliseconds since 1970-01-01T00:00:00.000Z. */
export function timestampMs(timestamp: Timestamp): number {
  const ms = readMs(timestamp);
  invariant(ms !== undefined, "timestampMs: not made by parseTimestamp or formatTimestamp");
  return ms;
}

/** The timestamp of `ms` since 1970-01-01T00:00:00.000Z; requires an integer before the year 10000. */
export function formatTimestamp(ms: number): Timestamp {
  invariant(Number.isSafeInteger(ms) && ms >= 0 && ms <= MAX_MS, "formatTimestamp: out of range");
  lastFormatted = spell(ms) as Timestamp;
  return lastFormatted;
}

/** What is written is mostly read once more when it is signed. */
let lastFormatted: Timestamp | undefined;

/** Milliseconds of a text of the right form; fields out of range give a number that is spelled in another way. */
function readMs(text: string): number | undefined {
  const fields = PATTERN.exec(text)?.slice(1).map(Number);
  if (fields === undefined) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millisecond = 0] = fields;
  if (year < MIN_YEAR || month < 1 || month > 12) return undefined;
  const time = ((hour * 60 + minute) * 60 + second) * 1000 + millisecond;
  const ms = (daysBeforeYear(year) + daysBeforeMonth(year, month) + day - 1) * DAY_MS + time;
  return ms >= 0 && ms <= MAX_MS ? ms : undefined;
}

function spell(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  let year = MIN_YEAR + Math.floor(days / 366);
  while (daysBeforeYear(year + 1) <= days) year += 1;
  const dayOfYear = days - daysBeforeYear(year);
  let month = 12;
  while (daysBeforeMonth(year, month) > dayOfYear) month -= 1;
  const day = dayOfYear - daysBeforeMonth(year, month) + 1;
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}T${spellTime(ms - days * DAY_MS)}Z`;
}

function spellTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const [hh, mm, ss] = [Math.floor(minutes / 60), minutes % 60, seconds % 60];
  return `${digits(hh, 2)}:${digits(mm, 2)}:${digits(ss, 2)}.${digits(ms % 1000, 3)}`;
}

/** Days from 1970-01-01 to January 1 of `year`. */
function daysBeforeYear(year: number): number {
  const leaps = (upTo: number): number => Math.floor(upTo / 4) - Math.floor(upTo / 100) + Math.floor(upTo / 400);
  return (year - MIN_YEAR) * 365 + leaps(year - 1) - leaps(MIN_YEAR - 1);
}

function daysBeforeMonth(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (DAYS_BEFORE_MONTH[month - 1] ?? 0) + (isLeap && month > 2 ? 1 : 0);
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
