/**
 * The registration policy of the SCITT edge: a statement is registered if one of its issuer's configured keys signed it.
 * It decides by what is signed and by nothing else: no request header, nothing of the unprotected header.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { isKnownAlgorithm, servesAlgorithm } from "../../kernel/cose/algorithm.ts";
import type { CoseKey } from "../../kernel/cose/cose-key.ts";
import { checkStatement, type Statement } from "../../kernel/cose/statement.ts";
import { CheckError } from "../../kernel/errors.ts";
import type { TrustedIssuer } from "./config.ts";

/**
 * Checks a statement against the policy. @throws {CheckError} ERR_COSE_ALG, ERR_STATEMENT_ISSUER (unknown issuer, or a
 * kid or algorithm of none of its keys), ERR_COSE_SIGNATURE
 */
export type RegistrationPolicy = (statement: Statement) => void;

/** The policy of a set of issuers; an issuer that is listed twice has the keys of both. */
export function makeRegistrationPolicy(issuers: readonly TrustedIssuer[]): RegistrationPolicy {
  const keysOf = new Map<string, readonly CoseKey[]>();
  for (const { issuer, keys } of issuers) keysOf.set(issuer, [...(keysOf.get(issuer) ?? []), ...keys]);
  return (statement) => {
    if (!isKnownAlgorithm(statement.alg)) {
      throw new CheckError("ERR_COSE_ALG", `alg ${statement.alg}: want ES256 (-7) or EdDSA (-8)`);
    }
    const candidates = (keysOf.get(statement.issuer) ?? []).filter((key) => isNamedBy(statement, key));
    if (candidates.length === 0) {
      throw new CheckError("ERR_STATEMENT_ISSUER", "no key of this issuer, kid and algorithm is trusted here");
    }
    checkByOneOf(statement, candidates);
  };
}

/** A statement without kid may be of any key of its issuer that serves its algorithm. */
function isNamedBy({ kid, alg }: Statement, key: CoseKey): boolean {
  return servesAlgorithm(key.key, alg) && (kid === undefined || equalBytes(kid, key.kid));
}

/** Tries the candidates in order; the last one's refusal is the answer. */
function checkByOneOf(statement: Statement, [first, ...others]: readonly CoseKey[]): void {
  if (first === undefined) return;
  try {
    checkStatement(statement, first.key);
  } catch (error) {
    if (others.length === 0 || !(error instanceof CheckError)) throw error;
    checkByOneOf(statement, others);
  }
}
