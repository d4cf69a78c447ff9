/** A bound on requests per log: a bucket that refills with time, on an injected clock. */

/** Takes one request's place, or says how long to wait. */
export interface RateLimit {
  /** 0 if the request may go on, else the milliseconds after which one may. */
  readonly take: (key: string) => number;
}

const MINUTE_MS = 60_000;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/**
 * @param perMinute  requests a minute for each key; a full minute's worth may come at once
 * @param keys  the keys that are limited one by one; all others share one bucket, so the memory is bounded
 * @param nowMs  milliseconds of a clock that does not jump back
 */
export function makeRateLimit(perMinute: number, keys: readonly string[], nowMs: () => number): RateLimit {
  const full = (): Bucket => ({ tokens: perMinute, filledAtMs: nowMs() });
  const others = full();
  const buckets = new Map(keys.map((key) => [key, full()]));
  return {
    take: (key) => {
      const bucket = buckets.get(key) ?? others;
      const now = nowMs();
      bucket.tokens = Math.min(perMinute, bucket.tokens + ((now - bucket.filledAtMs) * perMinute) / MINUTE_MS);
      bucket.filledAtMs = now;
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * MINUTE_MS) / perMinute);
      bucket.tokens -= 1;
      return 0;
    },
  };
}
