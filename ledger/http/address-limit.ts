/** A bound on requests per client address, for routes that ask for no token. Buckets refill with time. */

import type { FastifyInstance } from "fastify";
import { StoreError } from "../../kernel/errors.ts";

const MINUTE_MS = 60_000;
/** Addresses that are remembered; the one that was quiet longest is forgotten first, so the memory is bounded. */
const MAX_ADDRESSES = 65_536;

interface Bucket {
  readonly tokens: number;
  readonly filledAtMs: number;
}

/** Counts requests per key against `perMinute`; a full minute's worth may come at once. */
export class AddressLimit {
  readonly #perMinute: number;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, nowMs: () => number) {
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  /** True if one more request of `address` may go on. */
  take(address: string): boolean {
    const now = this.#nowMs();
    const { tokens, filledAtMs } = this.#buckets.get(address) ?? { tokens: this.#perMinute, filledAtMs: now };
    // A clock that jumps back fills nothing.
    const refill = (Math.max(0, now - filledAtMs) * this.#perMinute) / MINUTE_MS;
    const filled = Math.min(this.#perMinute, tokens + refill);
    const isFree = filled >= 1;
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: isFree ? filled - 1 : filled, filledAtMs: now });
    if (this.#buckets.size > MAX_ADDRESSES) this.#forgetOldest();
    return isFree;
  }

  #forgetOldest(): void {
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}

/** Refuses requests of a scope above the limit with ERR_RATE_LIMIT, before their bodies are read. */
export function limitAddresses(scope: FastifyInstance, limit: AddressLimit): void {
  scope.addHook("onRequest", (request, _reply, done) => {
    if (limit.take(request.ip)) return done();
    done(new StoreError("ERR_RATE_LIMIT", "too many requests from this address; try again later"));
  });
}
