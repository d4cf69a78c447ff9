/** Whose something is, as a key: what is counted by caller is counted by this. */

import type { Party } from "../pipeline/call.ts";

/** Names end where their length says, so no two callers have one key. */
export function callerKey({ issuer, name }: Party): string {
  return `${issuer.length} ${issuer}${name}`;
}
