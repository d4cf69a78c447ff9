/**
 * The certificate files of one listener. They are read at the start and again while it runs, so that a renewed certificate, or
 * an authority that came or went, needs no restart. What cannot be used together leaves everything as it was: who renews a
 * certificate and its key writes one after the other.
 */

import type { X509Certificate } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { Logger } from "../../kernel/service/service.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
import { CertificateFiles, takeRenewed } from "./certificate-files.ts";
import { parseAuthorities } from "./client-certificate.ts";
import { type EdgeTls, serverOptions, type TlsConfig } from "./tls-config.ts";

const REFRESH_SECONDS = 60;

/** Which files they are, and how they are read. */
export interface ListenerFilesOptions {
  readonly config: TlsConfig;
  /** Bundle files by SPIFFE trust domain. */
  readonly bundles?: ReadonlyMap<string, string>;
  readonly readFile: (path: string) => Uint8Array;
  readonly schedule: Schedule;
  readonly logger: Logger;
}

/** What takes a renewed certificate: a server of `node:https`. */
export interface SecureServer {
  readonly setSecureContext: (options: SecureContextOptions) => void;
}

/** What the files say. */
export interface ListenerFacts {
  readonly tls: EdgeTls;
  /** Anchors of `client_ca_file`. */
  readonly authorities: readonly X509Certificate[];
  /** Anchors by SPIFFE trust domain. */
  readonly spiffe: ReadonlyMap<string, readonly X509Certificate[]>;
}

/** Mutable. */
export class ListenerFiles {
  readonly #options: ListenerFilesOptions;
  readonly #files: CertificateFiles<ListenerFacts>;

  /** @throws {FormatError} ERR_CERTIFICATE, ERR_UTF8 @throws {StoreError} ERR_FILE_READ */
  constructor(options: ListenerFilesOptions) {
    const { config, bundles = new Map<string, string>(), readFile } = options;
    this.#options = options;
    this.#files = new CertificateFiles({
      paths: [config.cert_file, config.key_file, config.client_ca_file, ...bundles.values()],
      readFile,
      parse: (texts) => parseFacts(config, [...bundles.keys()], texts),
    });
  }

  /** Of the newest files that could be used. */
  get current(): ListenerFacts {
    return this.#files.current;
  }

  /**
   * Reads the files again every `refresh_seconds`, and gives the server what changed: for new connections. Authorities count
   * from then on for the requests of all connections.
   *
   * @returns what ends it
   */
  renew(server: SecureServer): () => void {
    const { config, schedule } = this.#options;
    return schedule((config.refresh_seconds ?? REFRESH_SECONDS) * 1000, () => this.#refresh(server));
  }

  #refresh(server: SecureServer): void {
    const { logger, config } = this.#options;
    takeRenewed(logger, "the certificate files of a listener cannot be used; those from before stay", () => {
      if (!this.#files.refresh()) return;
      server.setSecureContext(serverOptions(this.current.tls));
      logger.info({ cert_file: config.cert_file }, "the certificate files of a listener changed, and are in use");
    });
  }
}

function parseFacts(
  config: TlsConfig,
  domains: readonly string[],
  [cert = "", key = "", ca = "", ...bundles]: readonly string[],
): ListenerFacts {
  const authorities = config.client_ca_file === undefined ? [] : parseAuthorities(ca);
  const spiffe = new Map(domains.map((domain, place) => [domain, parseAuthorities(bundles[place] ?? "")]));
  const tls: EdgeTls = {
    cert,
    key,
    clientAuth: config.client_auth ?? "none",
    authorities: [...authorities, ...[...spiffe.values()].flat()],
    minVersion: config.min_version ?? "TLSv1.2",
  };
  // Certificate and key that do not fit are found here.
  serverOptions(tls);
  return { tls, authorities, spiffe };
}
