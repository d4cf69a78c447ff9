/** What the configuration says about agents' credentials, its files read: ready for the listener. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { GatewayConfig } from "../config.ts";
import { type CertificateRules, parseAuthorities } from "./client-certificate.ts";
import { ResourceServer } from "./resource-server.ts";
import { Revocation } from "./revocation.ts";
import type { EdgeTls } from "./tls-config.ts";

/** What the configuration is read with. */
export interface IdentityDeps {
  readonly readFile: ((path: string) => Uint8Array) | undefined;
  readonly fetch: typeof fetch;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly logger: Logger;
}

const CRL_REFRESH_SECONDS = 60;

/** What the listener is given. */
export interface AgentIdentity {
  readonly tls?: EdgeTls;
  readonly certificates: CertificateRules;
  readonly makeServer?: (origin: string) => ResourceServer;
}

/**
 * Reads it.
 *
 * @throws {FormatError} ERR_CERTIFICATE, ERR_CONFIG (a file is named and nobody reads files), ERR_UTF8
 * @throws {StoreError} ERR_FILE_READ
 */
export function readAgentIdentity({ listen, auth }: GatewayConfig, deps: IdentityDeps): AgentIdentity {
  const read = (path: string): Uint8Array => {
    if (deps.readFile !== undefined) return deps.readFile(path);
    throw new FormatError("ERR_CONFIG", "config: a file of listen.tls or auth is named, and none can be read here");
  };
  const { oauth, certificates: principals = [], spiffe = [] } = auth;
  const ca = listen?.tls?.client_ca_file;
  const { crl_files: files, crl_refresh_seconds: seconds = CRL_REFRESH_SECONDS } = listen?.tls ?? {};
  const { nowMs, logger } = deps;
  const lists =
    files === undefined
      ? {}
      : { revocation: new Revocation({ files, readFile: read, nowMs, refreshMs: seconds * 1000, logger }) };
  const certificates: CertificateRules = {
    ...lists,
    authorities: ca === undefined ? [] : parseAuthorities(parseUtf8(read(ca))),
    principals,
    spiffe: new Map(
      spiffe.map(({ trust_domain, bundle_file }) => [trust_domain, parseAuthorities(parseUtf8(read(bundle_file)))]),
    ),
  };
  const tls = readTls(listen?.tls, certificates, read);
  if (oauth === undefined) return { certificates, ...tls };
  const hasCertificates = tls.tls !== undefined && tls.tls.clientAuth !== "none";
  const makeServer = (origin: string): ResourceServer =>
    new ResourceServer({ ...deps, readFile: read, config: oauth, origin, hasCertificates });
  return { certificates, makeServer, ...tls };
}

function readTls(
  tls: NonNullable<GatewayConfig["listen"]>["tls"],
  { authorities, spiffe }: CertificateRules,
  read: (path: string) => Uint8Array,
): { readonly tls?: EdgeTls } {
  if (tls === undefined) return {};
  return {
    tls: {
      cert: parseUtf8(read(tls.cert_file)),
      key: parseUtf8(read(tls.key_file)),
      clientAuth: tls.client_auth ?? "none",
      authorities: [...authorities, ...[...spiffe.values()].flat()],
      minVersion: tls.min_version ?? "TLSv1.2",
    },
  };
}
