/** Who stands behind an operator's bearer token: the one of the machine's account, or a person with a token of their own. */

import { makeTokenMatch } from "../../kernel/service/bearer-token.ts";
import type { Operator } from "../controls/operator.ts";
import type { Party } from "../pipeline/call.ts";

/** A person with a token. */
export interface NamedOperator {
  readonly name: string;
  readonly roles: readonly string[];
  readonly principals?: readonly Party[];
  readonly token: string;
}

/** The operator of an `authorization` header; undefined if it carries no operator's token. */
export type OperatorMatch = (authorization: string | undefined) => Operator | undefined;

const ISSUER = "operator";

/**
 * @param token  of `operator_token_file`: whoever can read the file on the machine has it, so it proves no person
 * @param named  people with tokens of their own
 */
export function makeOperatorMatch(token: string, named: readonly NamedOperator[]): OperatorMatch {
  const known = [
    ...named.map(({ name, roles, principals = [], token: own }) => ({
      matches: makeTokenMatch([own]),
      operator: { issuer: ISSUER, name, evidence: "authenticated", roles, principals } as const,
    })),
    {
      matches: makeTokenMatch([token]),
      operator: { issuer: ISSUER, name: "local", evidence: "local-user", roles: [] } as const,
    },
  ];
  // Every token is compared, whichever fits.
  return (authorization) => known.filter(({ matches }) => matches(authorization)).at(0)?.operator;
}
