/**
 * Shards: a log that is open for a time. The configuration names the time by a period of the calendar (UTC), whose name the
 * origin ends in, or by its two ends:
 *
 *     {"by": "year", "period": "2026"}          {"by": "quarter", "period": "2026-q3"}
 *     {"by": "month", "period": "2026-07"}      {"by": "day", "period": "2026-07-31"}
 *     {"start": "2026-01-01T00:00:00.000Z", "end": "2027-01-01T00:00:00.000Z"}
 */

import { FormatError } from "../../kernel/errors.ts";
import { type LogShard, logShardShape } from "../../kernel/genesis.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { literal, object, type Shape, string } from "../../kernel/shape.ts";
import { parseTimestamp, type Timestamp } from "../../kernel/time.ts";

/** Kinds of periods. */
export type ShardBy = "year" | "quarter" | "month" | "day";

/** A period of the calendar. */
export type ShardPeriod = { readonly by: ShardBy; readonly period: string };

/** How a shard is configured. */
export type ShardConfig = ShardPeriod | LogShard;

const periodShape: Shape<ShardPeriod> = object<ShardPeriod>({
  by: literal("year", "quarter", "month", "day"),
  period: string({ maxLength: 10 }),
});

const FORMS: Readonly<Record<ShardBy, RegExp>> = {
  year: /^(\d{4})$/u,
  quarter: /^(\d{4})-q([1-4])$/u,
  month: /^(\d{4})-(\d{2})$/u,
  day: /^(\d{4})-(\d{2})-(\d{2})$/u,
};

/** Shape of `ShardConfig`. */
export const shardConfigShape: Shape<ShardConfig> = {
  read: (value: JsonValue, path: string): ShardConfig => {
    if (!isJsonObject(value) || value["by"] === undefined) return logShardShape.read(value, path);
    const period = periodShape.read(value, path);
    shardOfPeriod(period);
    return period;
  },
};

/**
 * The time that a shard is open for.
 *
 * @throws {FormatError} ERR_CONFIG if the origin does not end in the period
 */
export function shardOf(config: ShardConfig, origin: string): LogShard {
  if (!("by" in config)) return config;
  if (!origin.endsWith(`/${config.period}`)) {
    throw new FormatError("ERR_CONFIG", `origin: want one that ends in /${config.period}, as the shard's period says`);
  }
  return shardOfPeriod(config);
}

/** @throws {FormatError} ERR_CONFIG, ERR_TIMESTAMP: a period that does not exist */
function shardOfPeriod({ by, period }: ShardPeriod): LogShard {
  const [, year, second, third] = FORMS[by].exec(period)?.map(Number) ?? [];
  if (year === undefined)
    throw new FormatError("ERR_CONFIG", `shard.period: want one of a ${by}, got ${period.length} characters`);
  const month = by === "quarter" ? ((second ?? 1) - 1) * 3 + 1 : (second ?? 1);
  const start = spell(year, month, third ?? 1);
  return { start, end: endOf(by, year, month, third ?? 1) };
}

function endOf(by: ShardBy, year: number, month: number, day: number): Timestamp {
  if (by === "year") return spell(year + 1, 1, 1);
  if (by === "day") return nextDay(year, month, day);
  const after = month + (by === "quarter" ? 3 : 1);
  return after > 12 ? spell(year + 1, after - 12, 1) : spell(year, after, 1);
}

/** The first day behind this one that exists. */
function nextDay(year: number, month: number, day: number): Timestamp {
  for (const [y, m, d] of [
    [year, month, day + 1],
    [year, month + 1, 1],
  ] as const) {
    try {
      return spell(y, m, d);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  return spell(year + 1, 1, 1);
}

function spell(year: number, month: number, day: number): Timestamp {
  const pad = (value: number, width: number): string => String(value).padStart(width, "0");
  return parseTimestamp(`${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T00:00:00.000Z`);
}
