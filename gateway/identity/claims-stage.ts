/** Records the subject that a request names and no credential confirms: the caller's word, bound to nothing. */

import { present } from "../../kernel/receipt/observed.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import { type RequestStage, sayNothing } from "../pipeline/stage.ts";
import { metaOf } from "../wire/era.ts";
import { type ClaimMembers, readRequestClaims } from "./request-claims.ts";

/** Makes the stage. */
export function makeClaimsStage(names: KeyedNames, members: ClaimMembers | undefined): RequestStage {
  return {
    name: "request-claims",
    begin: ({ params, caller }) => {
      const claims = readRequestClaims(metaOf(params), caller, members);
      // Conflicts never get here: the edge refuses them for every method.
      if (claims.type === "conflict" || claims.unsigned === undefined) return sayNothing;
      const subject = present({
        ...names.principal(claims.unsigned),
        provenance: "unsigned-request-claim",
        outcome: "unverified",
        binding: "none",
      } as const);
      return () => ({ fields: { subject } });
    },
  };
}
