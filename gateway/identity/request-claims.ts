/**
 * What a request says of itself in `_meta` about who acts and for whom. The credential knows better: a claim that differs
 * from it is refused, and one that it cannot confirm is recorded as the caller's own word, and decides nothing.
 */

import type { JsonObject } from "../../kernel/json/value.ts";
import type { Caller, Party } from "../pipeline/call.ts";
import { actorOf, subjectOf } from "../pipeline/parties.ts";

/** The members of `_meta` that name them. */
export type ClaimMembers = {
  /** Default `countersign/subject`. */
  readonly subject?: string;
  /** Default `countersign/actor`. */
  readonly actor?: string;
};

/** What the claims come to. `unsigned` is the subject that the caller names and its credential does not know. */
export type RequestClaims = { readonly type: "conflict" } | { readonly type: "read"; readonly unsigned?: Party };

const SUBJECT = "countersign/subject";
const ACTOR = "countersign/actor";
const MAX_CHARACTERS = 512;

/** Reads the claims of a request; each is a name, or `<issuer>|<name>`. */
export function readRequestClaims(
  meta: JsonObject,
  caller: Caller,
  { subject = SUBJECT, actor = ACTOR }: ClaimMembers = {},
): RequestClaims {
  const [subjectClaim, actorClaim] = [meta[subject], meta[actor]];
  if (actorClaim !== undefined && !isParty(actorClaim, actorOf(caller))) return { type: "conflict" };
  if (subjectClaim === undefined) return { type: "read" };
  const known = subjectOf(caller);
  if (known !== undefined) return isParty(subjectClaim, known) ? { type: "read" } : { type: "conflict" };
  if (typeof subjectClaim !== "string" || subjectClaim === "" || subjectClaim.length > MAX_CHARACTERS) {
    return { type: "conflict" };
  }
  // The issuer of a word that nobody signed is whoever brought it.
  return { type: "read", unsigned: { issuer: caller.issuer, name: subjectClaim } };
}

function isParty(claim: JsonObject[string], { issuer, name }: Party): boolean {
  return claim === name || claim === `${issuer}|${name}`;
}
