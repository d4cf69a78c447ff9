/**
 * The keys of one issuer, kept until they are old or a token names a key that is not among them. Between two fetches lies
 * a floor: whoever sends tokens with invented key ids makes the gateway ask its issuer no more often than that.
 */

import { errorCode, StoreError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type AccessTokenAlg, type IssuerKey, MAX_JWKS_BYTES, parseJwks } from "./jwk-keys.ts";

/** How long keys are used that cannot be fetched again. */
const STALE_MS = 3_600_000;
const FETCH_MS = 5_000;

/** What a key source works with. */
export interface KeySourceOptions {
  readonly issuer: string;
  readonly algs: readonly AccessTokenAlg[];
  /** Bytes of the key set as it is now. */
  readonly load: () => Promise<Uint8Array>;
  readonly nowMs: () => number;
  /** Least time between two loads. */
  readonly floorMs: number;
  /** Age at which keys are loaded again. */
  readonly maxAgeMs: number;
  readonly logger: Logger;
}

/** What a lookup finds; `unavailable` if there are no keys that may be used. */
export type FoundKeys =
  | { readonly type: "keys"; readonly keys: readonly IssuerKey[] }
  | { readonly type: "unavailable" };

/** The keys of an issuer. */
export class KeySource {
  readonly #options: KeySourceOptions;
  #keys: readonly IssuerKey[] | undefined;
  #loadedAtMs = 0;
  #triedAtMs: number | undefined;
  #loading: Promise<void> | undefined;

  constructor(options: KeySourceOptions) {
    this.#options = options;
  }

  /** The keys that a token with this header may be signed with: those of its `kid`, or the only one if it names none. */
  async find(kid: string | undefined): Promise<FoundKeys> {
    if (this.#isOld(this.#options.maxAgeMs)) await this.#reload();
    if (this.#keys !== undefined && this.#matching(kid).length === 0) await this.#reload();
    if (this.#keys === undefined || this.#isOld(this.#options.maxAgeMs + STALE_MS)) return { type: "unavailable" };
    return { type: "keys", keys: this.#matching(kid) };
  }

  #matching(kid: string | undefined): readonly IssuerKey[] {
    const keys = this.#keys ?? [];
    if (kid === undefined) return keys.length === 1 ? keys : [];
    return keys.filter((key) => key.kid === kid);
  }

  #isOld(ageMs: number): boolean {
    return this.#keys === undefined || this.#options.nowMs() - this.#loadedAtMs >= ageMs;
  }

  /** Loads once for everybody who asks meanwhile; not at all within the floor behind the last try. */
  #reload(): Promise<void> {
    const { nowMs, floorMs } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (this.#triedAtMs !== undefined && nowMs() - this.#triedAtMs < floorMs) return Promise.resolve();
    this.#triedAtMs = nowMs();
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { load, algs, issuer, logger, nowMs } = this.#options;
    try {
      this.#keys = await parseJwks(await load(), algs);
      this.#loadedAtMs = nowMs();
    } catch (error) {
      const code = errorCode(error);
      logger.warn(
        { issuer, code },
        "the keys of an issuer could not be loaded; the ones at hand are used while they may",
      );
    }
  }
}

/**
 * Fetches a key set: no redirect, a bound of bytes and of time.
 *
 * @throws {StoreError} ERR_IDENTITY_KEYS
 */
export async function fetchJwks(fetcher: typeof fetch, url: string): Promise<Uint8Array> {
  try {
    const signal = AbortSignal.timeout(FETCH_MS);
    const answer = await fetcher(url, { redirect: "error", signal, headers: { accept: "application/json" } });
    if (answer.status !== 200 || answer.body === null) throw new Error(`status ${answer.status}`);
    return await readBounded(answer.body);
  } catch (cause) {
    throw new StoreError("ERR_IDENTITY_KEYS", "an issuer's keys could not be fetched", { cause });
  }
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_JWKS_BYTES) throw new Error("the key set is too long");
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
