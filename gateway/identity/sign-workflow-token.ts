/**
 * Workflow tokens as an issuer makes them (docs/formats/workflow-token.md), and the key set by which gateways check them. Pure:
 * id and times are the caller's.
 */

import { formatBase64url } from "../../kernel/base64url.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { issuerShape } from "../../kernel/receipt/identity.ts";
import { readShape } from "../../kernel/shape.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatJwk } from "../../kernel/trace/record-key.ts";
import { MAX_TOKEN_CHARACTERS } from "./access-token.ts";
import type { AccessTokenAlg } from "./jwk-keys.ts";
import { audienceShape } from "./workflow-config.ts";
import { type WorkflowClaims, workflowClaimsShape } from "./workflow-token.ts";

/** What an issuer signs. */
export interface IssuedWorkflow extends WorkflowClaims {
  readonly iss: string;
  readonly aud: string;
}

/**
 * The token: a compact JWS whose header names algorithm and key.
 *
 * @throws {FormatError} ERR_SHAPE (a claim that no gateway would take, or a token that is too long)
 * @throws {CheckError} ERR_KEY_INVALID for a composite key, which no JWT can name
 */
export function signWorkflowToken({ iss, aud, ...claims }: IssuedWorkflow, signer: EnvelopeSigner): string {
  const read = readShape(workflowClaimsShape, { ...claims, holder: { ...claims.holder } }, "claims");
  if (read.exp <= read.iat) throw new FormatError("ERR_SHAPE", "exp: want a time after iat");
  const { kid } = signer.publicKey;
  const header = { alg: jwsAlg(signer.publicKey), kid, typ: "countersign-workflow+jwt" };
  const named = { iss: readShape(issuerShape, iss, "iss"), aud: readShape(audienceShape, aud, "aud") };
  const input = `${part(header)}.${part({ ...read, ...named, holder: { ...read.holder } })}`;
  const token = `${input}.${formatBase64url(signer.sign(formatUtf8(input)))}`;
  if (token.length > MAX_TOKEN_CHARACTERS) {
    throw new FormatError("ERR_SHAPE", `token: want at most ${MAX_TOKEN_CHARACTERS} characters, got ${token.length}`);
  }
  return token;
}

/** The JWK set of an issuer's keys: public halves alone. @throws {CheckError} ERR_KEY_INVALID for a composite key */
export function workflowKeySet(keys: readonly PublicKey[]): JsonObject {
  return { keys: keys.map((key) => ({ ...formatJwk(key), alg: jwsAlg(key), kid: key.kid, use: "sig" })) };
}

function jwsAlg({ alg }: PublicKey): AccessTokenAlg {
  if (alg === "ed25519") return "EdDSA";
  if (alg === "es256") return "ES256";
  throw new CheckError("ERR_KEY_INVALID", "a composite key signs no JWT: want ed25519 or es256");
}

function part(value: JsonObject): string {
  return formatBase64url(canonicalBytes(value));
}
