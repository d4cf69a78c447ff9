/** What the configuration says about agents' credentials, its files read: ready for the listener. */

import { FormatError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { GatewayConfig } from "../config.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
import type { CertificateRules } from "./client-certificate.ts";
import { ListenerFiles, type SecureServer } from "./listener-files.ts";
import type { CertificatePrincipal } from "./oauth-config.ts";
import { ResourceServer } from "./resource-server.ts";
import { Revocation, type RevocationOptions } from "./revocation.ts";
import type { EdgeTls, TlsConfig } from "./tls-config.ts";

/** What the configuration is read with. */
export interface IdentityDeps {
  readonly readFile: ((path: string) => Uint8Array) | undefined;
  readonly fetch: typeof fetch;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly schedule: Schedule;
  readonly logger: Logger;
}

const CRL_REFRESH_SECONDS = 60;

/** What the listener is given. */
export interface AgentIdentity {
  readonly tls?: EdgeTls;
  /** Gives a server what its files say anew, until what it returns is called. */
  readonly renewTls?: (server: SecureServer) => () => void;
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
  const readFile = (path: string): Uint8Array => {
    if (deps.readFile !== undefined) return deps.readFile(path);
    throw new FormatError("ERR_CONFIG", "config: a file of listen.tls or auth is named, and none can be read here");
  };
  const { oauth, certificates: principals = [], spiffe = [] } = auth;
  const { schedule, logger } = deps;
  const bundles = new Map(spiffe.map(({ trust_domain, bundle_file }) => [trust_domain, bundle_file]));
  const files =
    listen?.tls === undefined
      ? undefined
      : new ListenerFiles({ config: listen.tls, bundles, readFile, schedule, logger });
  const certificates = certificateRules(files, principals, readLists(listen?.tls, { ...deps, readFile }));
  const listener = files === undefined ? {} : { tls: files.current.tls, renewTls: files.renew.bind(files) };
  if (oauth === undefined) return { certificates, ...listener };
  const hasCertificates = files !== undefined && files.current.tls.clientAuth !== "none";
  const makeServer = (origin: string): ResourceServer =>
    new ResourceServer({ ...deps, readFile, config: oauth, origin, hasCertificates });
  return { certificates, makeServer, ...listener };
}

/** Their anchors are those of the newest files. */
function certificateRules(
  files: ListenerFiles | undefined,
  principals: readonly CertificatePrincipal[],
  revocation: Revocation | undefined,
): CertificateRules {
  return {
    principals,
    ...(revocation === undefined ? {} : { revocation }),
    get authorities() {
      return files?.current.authorities ?? [];
    },
    get spiffe() {
      return files?.current.spiffe ?? new Map<string, never>();
    },
  };
}

function readLists(
  tls: TlsConfig | undefined,
  { readFile, nowMs, logger }: Pick<RevocationOptions, "readFile" | "nowMs" | "logger">,
): Revocation | undefined {
  const { crl_files: files, crl_refresh_seconds: seconds = CRL_REFRESH_SECONDS } = tls ?? {};
  if (files === undefined) return undefined;
  return new Revocation({ files, readFile, nowMs, refreshMs: seconds * 1000, logger });
}
