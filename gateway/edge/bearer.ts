/** Configured bearer tokens of agents. Only hashes are kept, and every one is compared, so the time says nothing. */

import { timingSafeEqual } from "node:crypto";
import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { Caller } from "../pipeline/call.ts";
import type { CallerToken } from "./edge-options.ts";

/** Makes the lookup of tokens: the caller of a token, if it is one of these. */
export function makeConfigured(tokens: readonly CallerToken[]): (token: string) => Caller | undefined {
  const known = tokens.map(({ token, caller }) => ({ hash: sha256(formatUtf8(token)), caller }));
  return (token) => {
    const hash = sha256(formatUtf8(token));
    let found: Caller | undefined;
    for (const candidate of known) if (timingSafeEqual(candidate.hash, hash)) found ??= candidate.caller;
    return found;
  };
}
