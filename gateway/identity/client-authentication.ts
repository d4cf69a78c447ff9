/**
 * How the gateway shows an issuer who it is, as a client with credentials of its own: a secret (RFC 6749 §2.3.1) or a
 * signature of its key (`private_key_jwt`, RFC 7523). The file is read for each request, so another one is taken at once.
 */

import { importPKCS8, SignJWT } from "jose";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { literal, type Members, optional, type Shape, string } from "../../kernel/shape.ts";
import { ACCESS_TOKEN_ALGS, type AccessTokenAlg } from "./jwk-keys.ts";

/** Members of a configuration that say who the gateway is at an issuer; either a secret or a key. */
export type ClientConfig = {
  readonly client_id: string;
  readonly client_secret_file?: string;
  /** PEM (PKCS #8). */
  readonly private_key_file?: string;
  /** Default ES256. */
  readonly private_key_alg?: AccessTokenAlg;
  readonly private_key_id?: string;
};

/** What a request to an issuer carries. */
export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>>;
}

/** What a proof is made with. */
export interface ProofDeps {
  readonly readFile: (path: string) => Uint8Array;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });
const visible: Shape<string> = string({ pattern: /^[!-~]{1,255}$/u, maxLength: 255, description: "visible ASCII" });

/** Shapes of the members. */
export const clientShapes: Members<ClientConfig> = {
  client_id: visible,
  client_secret_file: optional(path),
  private_key_file: optional(path),
  private_key_alg: optional(literal(...ACCESS_TOKEN_ALGS)),
  private_key_id: optional(visible),
};

const ASSERTION_SECONDS = 60;

/** @throws {FormatError} ERR_SHAPE unless there is exactly one of secret and key */
export function checkClient({ client_secret_file: secret, private_key_file: key }: ClientConfig): void {
  if ((secret === undefined) === (key === undefined)) {
    throw new FormatError("ERR_SHAPE", "want either client_secret_file or private_key_file");
  }
}

/** The method of RFC 8414 `token_endpoint_auth_methods_supported`. */
export function methodOf({ private_key_file: key }: ClientConfig): "private_key_jwt" | "client_secret_basic" {
  return key === undefined ? "client_secret_basic" : "private_key_jwt";
}

/**
 * Makes what shows one request to be the client's.
 *
 * @throws {StoreError} ERR_FILE_READ @throws {FormatError} ERR_UTF8, or what the file is not
 */
export async function proveClient(config: ClientConfig, issuer: string, deps: ProofDeps): Promise<ClientProof> {
  const { client_id: id, client_secret_file: secretFile, private_key_file: keyFile } = config;
  if (keyFile !== undefined) return { headers: {}, form: await signedBy(config, keyFile, issuer, deps) };
  const secret = parseUtf8(deps.readFile(secretFile ?? "")).trim();
  // SPEC RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
  const pair = `${formEncoded(id)}:${formEncoded(secret)}`;
  return { headers: { Authorization: `Basic ${formatBase64(formatUtf8(pair))}` }, form: {} };
}

async function signedBy(
  { client_id: id, private_key_alg: alg = "ES256", private_key_id: kid }: ClientConfig,
  keyFile: string,
  issuer: string,
  { readFile, nowMs, randomBytes }: ProofDeps,
): Promise<Readonly<Record<string, string>>> {
  const key = await importPKCS8(parseUtf8(readFile(keyFile)), alg);
  const now = Math.floor(nowMs() / 1000);
  // The issuer alone is the audience: an assertion that one endpoint leaks is of no use at another issuer.
  const assertion = await new SignJWT({ jti: formatHex(randomBytes(16)) })
    .setProtectedHeader({ alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) })
    .setIssuer(id)
    .setSubject(id)
    .setAudience(issuer)
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_SECONDS)
    .sign(key);
  return {
    client_id: id,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
  };
}

function formEncoded(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice("v=".length);
}
