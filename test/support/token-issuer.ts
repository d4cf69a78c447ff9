/** An issuer of access tokens: real keys, a real server for them on the loopback, and every token that a test asks for. */

import { once } from "node:events";
import { createServer } from "node:http";
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { listenOnLoopback } from "./loopback.ts";

/** A key pair that signs. */
export interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** Makes a key pair. */
export async function makeKey(alg: string, kid: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

/** An issuer under test. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly key: TestKey;
  /** How often the keys were fetched. */
  readonly fetches: () => number;
  /** The keys that it publishes from now on. */
  publish: (keys: readonly JWK[]) => void;
  /** What it answers instead of its keys; undefined for the keys. */
  fault: "status" | "redirect" | "long" | undefined;
  /** A token; claims beside `iss`, `sub`, `iat` and `exp` are the test's. */
  readonly token: (claims: Readonly<Record<string, unknown>>, how?: TokenForm) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** How a token differs from a good one. */
export interface TokenForm {
  readonly key?: TestKey;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly nowMs?: number;
}

const TTL_SECONDS = 300;

/** Starts an issuer with one ES256 key. */
export async function startTokenIssuer(alg = "ES256"): Promise<TokenIssuer> {
  const key = await makeKey(alg, "key-1");
  let published: readonly JWK[] = [key.jwk];
  let fetched = 0;
  const server = createServer((request, response) => {
    fetched += 1;
    if (issuer.fault === "status") response.writeHead(500).end();
    else if (issuer.fault === "redirect") response.writeHead(302, { location: `${request.url ?? ""}?again` }).end();
    else if (issuer.fault === "long") response.end(JSON.stringify({ keys: [], pad: "x".repeat(300_000) }));
    else response.end(JSON.stringify({ keys: published }));
  });
  const port = await listenOnLoopback(server);
  const issuer: TokenIssuer = {
    issuer: `http://127.0.0.1:${port}`,
    jwksUrl: `http://127.0.0.1:${port}/jwks`,
    key,
    fetches: () => fetched,
    publish: (keys) => {
      published = keys;
    },
    fault: undefined,
    token: (claims, form = {}) => sign({ iss: issuer.issuer, sub: "user-1", ...claims }, form.key ?? key, form),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return issuer;
}

/** A proof of possession (RFC 9449) by a key. */
export async function proofBy(
  key: TestKey,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { kid: _, use: __, alg: ___, ...jwk } = key.jwk;
  return new SignJWT({ iat: Math.floor(Date.now() / 1000), ...claims })
    .setProtectedHeader({ typ: "dpop+jwt", alg: key.alg, jwk, ...header })
    .sign(key.privateKey);
}

/** RFC 7638 thumbprint of a key. */
export function thumbprintOf({ jwk }: TestKey): Promise<string> {
  return calculateJwkThumbprint(jwk);
}

function sign(claims: Readonly<Record<string, unknown>>, key: TestKey, { header, nowMs }: TokenForm): Promise<string> {
  const now = Math.floor((nowMs ?? Date.now()) / 1000);
  return new SignJWT({ iat: now, exp: now + TTL_SECONDS, ...claims })
    .setProtectedHeader({ typ: "at+jwt", alg: key.alg, kid: key.kid, ...header })
    .sign(key.privateKey);
}
