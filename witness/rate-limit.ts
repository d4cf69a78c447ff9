/** Bounds on requests, one for each key: buckets that refill with time, on an injected clock. */

/** Takes one request's place, or says how long to wait. */
export interface RateLimit {
  /**
   * 0 if the request may go on, else the milliseconds after which one may.
   *
   * @param perMinute  requests a minute for this key; a full minute's worth may come at once
   */
  readonly take: (key: string, perMinute: number) => number;
}

const MINUTE_MS = 60_000;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/**
 * @param maxKeys  keys that are remembered, so the memory is bounded; the one that was asked for least recently is
 *   forgotten, and is full when it comes again
 * @param nowMs  milliseconds of a clock that does not jump back
 */
export function makeRateLimit(maxKeys: number, nowMs: () => number): RateLimit {
  const buckets = new Map<string, Bucket>();
  const bucketOf = (key: string, perMinute: number): Bucket => {
    const bucket = buckets.get(key) ?? { tokens: perMinute, filledAtMs: nowMs() };
    // Behind the others, so that the first one is the least recent.
    buckets.delete(key);
    buckets.set(key, bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest);
    return bucket;
  };
  return {
    take: (key, perMinute) => {
      const bucket = bucketOf(key, perMinute);
      const now = nowMs();
      bucket.tokens = Math.min(perMinute, bucket.tokens + ((now - bucket.filledAtMs) * perMinute) / MINUTE_MS);
      bucket.filledAtMs = now;
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * MINUTE_MS) / perMinute);
      bucket.tokens -= 1;
      return 0;
    },
  };
}

/**
 * Who a request counts for: an IPv4 address, or the network of 64 bits of an IPv6 address, which one site has to itself.
 *
 * @param address  as the socket gives it
 */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/u.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(":")) return mapped ?? address;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = (text: string | undefined): readonly string[] => (text ? text.split(":") : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  return `${all.slice(0, 4).join(":")}::/64`;
}
