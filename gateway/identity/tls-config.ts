/** TLS on the agents' listener: `listen.tls` of the gateway's file, and what the server is made of. */

import { constants, type X509Certificate } from "node:crypto";
import type { ServerOptions } from "node:https";
import { createSecureContext } from "node:tls";
import { FormatError } from "../../kernel/errors.ts";
import type { Listen } from "../../kernel/service/listen.ts";
import { array, integer, literal, object, optional, type Shape, string } from "../../kernel/shape.ts";

/** Whether a client must, may or need not show a certificate. */
export type ClientAuth = "none" | "request" | "require";

/** Files of the listener's certificate, PEM. */
export type TlsConfig = {
  /** The certificate, and those between it and its authority. */
  readonly cert_file: string;
  readonly key_file: string;
  /** Authorities of `auth.certificates`. */
  readonly client_ca_file?: string;
  /** Default `none`; with `require` a request without a certificate that names somebody is refused. */
  readonly client_auth?: ClientAuth;
  /** Revocation lists, PEM or DER, read again every `crl_refresh_seconds`. Default none. */
  readonly crl_files?: readonly string[];
  /** Default 60. */
  readonly crl_refresh_seconds?: number;
  /** How often certificate, key and authorities are read again. Default 60. */
  readonly refresh_seconds?: number;
  /** Default `TLSv1.2`. */
  readonly min_version?: "TLSv1.2" | "TLSv1.3";
};

/** Where agents are listened for. */
export type AgentListen = Listen & { readonly tls?: TlsConfig };

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });

/** Shape of `listen`. */
export const agentListenShape: Shape<AgentListen> = object<AgentListen>({
  host: optional(string({ pattern: /^[^\s/]+$/u, maxLength: 255, description: "a host name or address" })),
  port: optional(integer({ max: 65_535 })),
  tls: optional(
    object<TlsConfig>({
      cert_file: path,
      key_file: path,
      client_ca_file: optional(path),
      client_auth: optional(literal("none", "request", "require")),
      crl_files: optional(array(path, { min: 1, max: 64 })),
      crl_refresh_seconds: optional(integer({ min: 1, max: 86_400 })),
      refresh_seconds: optional(integer({ min: 1, max: 86_400 })),
      min_version: optional(literal("TLSv1.2", "TLSv1.3")),
    }),
  ),
});

/** TLS of a listener, its files read. */
export interface EdgeTls {
  readonly cert: string;
  readonly key: string;
  readonly clientAuth: ClientAuth;
  /** Every certificate that a client's may go back to, for whatever purpose. */
  readonly authorities: readonly X509Certificate[];
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/**
 * Options of the server. A client whose certificate is not good is answered, with a receipt, and not cut off in the
 * handshake. No session is resumed: a resumed one shows the certificate without the path to its authority.
 *
 * @throws {FormatError} ERR_CERTIFICATE if certificate and key do not fit
 */
export function serverOptions({ cert, key, clientAuth, authorities, minVersion }: EdgeTls): ServerOptions {
  const options: ServerOptions = {
    cert,
    key,
    minVersion,
    requestCert: clientAuth !== "none",
    rejectUnauthorized: false,
    // Given even if it is empty: without it every public authority would be trusted.
    ca: authorities.map((certificate) => certificate.toString()),
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  try {
    createSecureContext(options);
    return options;
  } catch (cause) {
    throw new FormatError("ERR_CERTIFICATE", "listen.tls: certificate and key cannot be used together", { cause });
  }
}
