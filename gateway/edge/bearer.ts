/** Bearer tokens of agents. Only hashes are kept, and every one is compared, so the time says nothing. */

import { timingSafeEqual } from "node:crypto";
import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Caller } from "../pipeline/call.ts";
import type { CallerToken } from "./edge-options.ts";

/** Whom an `Authorization` header stands for, or why nobody. */
export type Authenticated =
  | { readonly type: "caller"; readonly caller: Caller }
  | { readonly type: "refused"; readonly reason: ReasonCode };

const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/iu;

/** Makes the check of `Authorization` headers. */
export function makeAuthenticate(tokens: readonly CallerToken[]): (authorization: string | undefined) => Authenticated {
  const known = tokens.map(({ token, caller }) => ({ hash: sha256(formatUtf8(token)), caller }));
  return (authorization) => {
    if (authorization === undefined) return { type: "refused", reason: "auth.missing" };
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) return { type: "refused", reason: "auth.invalid" };
    const hash = sha256(formatUtf8(token));
    const [found] = known.filter((candidate) => timingSafeEqual(candidate.hash, hash));
    return found === undefined ? { type: "refused", reason: "auth.invalid" } : { type: "caller", caller: found.caller };
  };
}
