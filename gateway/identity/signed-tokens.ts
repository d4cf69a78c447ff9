/**
 * Tokens whose signatures hold. An agent sends the same token with each of its calls, and who signed it does not change: that is
 * looked at once, as long as the issuer has the key. What a token says, and whether it is still good, is looked at each time.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { IssuerKey } from "./jwk-keys.ts";

/** A token, and under which key it holds. */
export interface SignedToken {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly key: IssuerKey;
}

/** Most tokens that are remembered; what only claims to be one is not. */
const MAX_KNOWN = 4_096;

/** Remembers them under hashes, so that none of them can be read here. */
export class SignedTokens {
  /** The oldest first. */
  readonly #known = new Map<string, SignedToken>();

  find(token: string): SignedToken | undefined {
    return this.#known.size === 0 ? undefined : this.#known.get(hashOf(token));
  }

  keep(token: string, signed: SignedToken): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(hashOf(token), signed);
  }
}

function hashOf(token: string): string {
  return formatHex(sha256(formatUtf8(token)));
}
