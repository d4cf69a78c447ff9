/**
 * The one spelling of time in signed objects: `YYYY-MM-DDTHH:MM:SS.mmmZ`, UTC, years 1970 to 9999.
 *
 * Integer arithmetic over the proleptic Gregorian calendar; no date library, so nothing rolls over, guesses or shifts.
 */

import { FormatError, invariant } from "./errors.ts";

/** 24 characters that name a real instant; ordered as text as in time. */
export type Timestamp = string & { readonly __brand: "Timestamp" };

const PATTERN = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;
const LENGTH = 24;
const ZERO = 0x30;
const DAY_SECONDS = 86_400;
const DAY_MS = 1000 * DAY_SECONDS;
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
  if (!PATTERN.test(text)) return undefined;
  const [year, month, day] = [numberAt(text, 0, 4), numberAt(text, 5, 2), numberAt(text, 8, 2)];
  const [hour, minute, second] = [numberAt(text, 11, 2), numberAt(text, 14, 2), numberAt(text, 17, 2)];
  if (year < MIN_YEAR || month < 1 || month > 12) return undefined;
  const time = ((hour * 60 + minute) * 60 + second) * 1000 + numberAt(text, 20, 3);
  const ms = (daysBeforeYear(year) + daysBeforeMonth(year, month) + day - 1) * DAY_MS + time;
  return ms >= 0 && ms <= MAX_MS ? ms : undefined;
}

/** The number that `length` digits from `at` spell. */
function numberAt(text: string, at: number, length: number): number {
  let value = 0;
  for (let i = at; i < at + length; i += 1) value = 10 * value + text.charCodeAt(i) - ZERO;
  return value;
}

function spell(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds !== lastSeconds) [lastSeconds, lastSpelled] = [seconds, spellSeconds(seconds)];
  return `${lastSpelled}.${digits(ms - 1000 * seconds, 3)}Z`;
}

/** Times come close together: only their milliseconds are spelled anew. */
let lastSeconds = -1;
let lastSpelled = "";

function spellSeconds(seconds: number): string {
  const days = Math.floor(seconds / DAY_SECONDS);
  let year = MIN_YEAR + Math.floor(days / 366);
  while (daysBeforeYear(year + 1) <= days) year += 1;
  const dayOfYear = days - daysBeforeYear(year);
  let month = 12;
  while (daysBeforeMonth(year, month) > dayOfYear) month -= 1;
  const day = dayOfYear - daysBeforeMonth(year, month) + 1;
  return `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}T${spellTime(seconds - days * DAY_SECONDS)}`;
}

function spellTime(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${digits(Math.floor(minutes / 60), 2)}:${digits(minutes % 60, 2)}:${digits(seconds % 60, 2)}`;
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
