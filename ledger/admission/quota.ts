/**
 * Quotas: receipts and bytes a second, of each stream and of the log. A bucket holds one second's worth. What is larger
 * than that is taken once the bucket is full, and paid for afterwards, so that no segment is too large for its quota.
 */

import { CheckError } from "../../kernel/errors.ts";
import { integer, object, optional, type Shape } from "../../kernel/shape.ts";
import { Refusal } from "./refusal.ts";

/** Most receipts and bytes a second; what is absent is not limited. */
export type QuotaLimits = {
  readonly receipts_per_second?: number;
  readonly bytes_per_second?: number;
};

/** The quotas of a log. */
export type QuotaConfig = {
  /** Of each stream. */
  readonly stream?: QuotaLimits;
  /** Of all streams together. */
  readonly log?: QuotaLimits;
};

const limitsShape: Shape<QuotaLimits> = object<QuotaLimits>({
  receipts_per_second: optional(integer({ min: 1, max: 1e9 })),
  bytes_per_second: optional(integer({ min: 1, max: 1e12 })),
});

/** Member `quota` of the configuration. */
export const quotaConfigShape: Shape<QuotaConfig> = object<QuotaConfig>({
  stream: optional(limitsShape),
  log: optional(limitsShape),
});

/** Tokens of one limit; mutable. */
class Bucket {
  readonly #perSecond: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#filledAtMs = nowMs;
  }

  /** Milliseconds until `amount` may be taken; 0 for now. */
  waitMs(amount: number, nowMs: number): number {
    // A clock that jumps back fills nothing.
    const refill = (Math.max(0, nowMs - this.#filledAtMs) * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + refill);
    this.#filledAtMs = nowMs;
    const missing = Math.min(amount, this.#perSecond) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing * 1000) / this.#perSecond);
  }

  take(amount: number): void {
    this.#tokens -= amount;
  }
}

type Named = readonly [name: string, bucket: Bucket, amount: "receipts" | "bytes"];

/** The quotas of a running log. */
export class Quota {
  readonly #config: QuotaConfig;
  readonly #nowMs: () => number;
  readonly #log: readonly Named[];
  readonly #streams = new Map<string, readonly Named[]>();

  constructor(config: QuotaConfig, nowMs: () => number) {
    this.#config = config;
    this.#nowMs = nowMs;
    this.#log = this.#buckets("log", config.log);
  }

  /**
   * Takes what a submission of a registered stream costs. It is called once its signature was checked, so that nobody uses
   * up the quota of another.
   *
   * @throws {Refusal} ERR_QUOTA with `limit`, its name, and `retry_after_seconds`
   */
  take(stream: string, amounts: { readonly receipts: number; readonly bytes: number }): void {
    if (this.#config.stream === undefined && this.#config.log === undefined) return;
    this.#takeAll([...this.#ofStream(stream), ...this.#log], amounts);
  }

  #takeAll(buckets: readonly Named[], amounts: { readonly receipts: number; readonly bytes: number }): void {
    const now = this.#nowMs();
    for (const [limit, bucket, amount] of buckets) {
      const waitMs = bucket.waitMs(amounts[amount], now);
      if (waitMs === 0) continue;
      const error = new CheckError("ERR_QUOTA", `above the quota ${limit}; try again later`);
      throw new Refusal(error, { limit, retry_after_seconds: Math.max(1, Math.ceil(waitMs / 1000)) });
    }
    for (const [, bucket, amount] of buckets) bucket.take(amounts[amount]);
  }

  /** As `take`, of entries that are of no stream. */
  takeOfLog(bytes: number, entries = 1): void {
    if (this.#log.length > 0) this.#takeAll(this.#log, { receipts: entries, bytes });
  }

  /** One for each registered stream that submits: no more than the log holds in memory anyway. */
  #ofStream(stream: string): readonly Named[] {
    const known = this.#streams.get(stream);
    if (known !== undefined) return known;
    const made = this.#buckets("stream", this.#config.stream);
    this.#streams.set(stream, made);
    return made;
  }

  #buckets(name: string, limits: QuotaLimits = {}): readonly Named[] {
    const { receipts_per_second: receipts, bytes_per_second: bytes } = limits;
    const now = this.#nowMs();
    const made: Named[] = [];
    if (receipts !== undefined) made.push([`${name}.receipts_per_second`, new Bucket(receipts, now), "receipts"]);
    if (bytes !== undefined) made.push([`${name}.bytes_per_second`, new Bucket(bytes, now), "bytes"]);
    return made;
  }
}
