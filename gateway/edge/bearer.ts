/** Configured bearer tokens of agents. Only hashes are kept, and every one is compared, so the time says nothing. */

import { timingSafeEqual } from "node:crypto";
import { sha256Into } from "#crypto";
import { HashInput } from "../../kernel/hash-input.ts";
import type { Caller } from "../pipeline/call.ts";
import type { CallerToken } from "./edge-options.ts";

/** For a token and its hash: memory that is used again costs less than the hash itself does in new one. */
const input = new HashInput(1024);
const hashed = new Uint8Array(32);

/** The hash, until the next one; nothing of the token stays. */
function hashOf(token: string): Uint8Array {
  input.length = 0;
  input.putText(token);
  sha256Into(input.view(), hashed, 0);
  input.wipe();
  return hashed;
}

/** Makes the lookup of tokens: the caller of a token, if it is one of these. */
export function makeConfigured(tokens: readonly CallerToken[]): (token: string) => Caller | undefined {
  const known = tokens.map(({ token, caller }) => ({ hash: hashOf(token).slice(), caller }));
  return (token) => {
    const hash = hashOf(token);
    let found: Caller | undefined;
    for (const candidate of known) if (timingSafeEqual(candidate.hash, hash)) found ??= candidate.caller;
    return found;
  };
}
