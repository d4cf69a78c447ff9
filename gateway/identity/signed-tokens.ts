/**
 * Tokens whose signatures hold. An agent sends the same token with each of its calls, and who signed it does not change: that is
 * looked at once, as long as the issuer has the key. What a token says, and whether it is still good, is looked at each time.
 */

import type { JsonObject } from "../../kernel/json/value.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { IssuerKey } from "./jwk-keys.ts";
import { tokenHash } from "./token-hash.ts";

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
  readonly #known = new OldestFirst<string, SignedToken>(MAX_KNOWN);

  find(token: string): SignedToken | undefined {
    return this.#known.get(tokenHash(token));
  }

  keep(token: string, signed: SignedToken): void {
    this.#known.set(tokenHash(token), signed);
    this.#known.trim();
  }
}
