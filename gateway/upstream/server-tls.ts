/**
 * TLS toward one server: whose certificates it may show, and who it must be. Checked on every connection, behind the path
 * to an authority: the key of its certificate, its SPIFFE id, or else its host name. No session is resumed, because a resumed
 * one shows no certificate. When the rule changes, connections whose server does not meet it are cut.
 */

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  type PeerCertificate,
  type TLSSocket,
} from "node:tls";
import { sha256 } from "#crypto";
import { FormatError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { array, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { CertificateFiles, takeRenewed } from "../identity/certificate-files.ts";
import { parseAuthorities } from "../identity/client-certificate.ts";
import { parseSpiffeId, spiffeIdOf } from "../identity/spiffe-id.ts";
import { type ConnectionKind, type Endpoint, endpointOf } from "./connection.ts";
import type { SiteFetch } from "./http-client.ts";
import { HttpConnections } from "./http-connections.ts";

/** What the certificate of a server must be. */
export interface ServerTlsRule {
  /** SHA-256 of SubjectPublicKeyInfo, hex; one of them must be met. */
  readonly spki?: readonly string[];
  readonly spiffe_id?: string;
}

/** The member `tls` of a server that is called by `https`. Paths are read by the command line. */
export type ServerTlsConfig = ServerTlsRule & {
  /** PEM; default: the public authorities that Node knows. */
  readonly ca_file?: string;
  /** PEM: the authorities of the trust domain of `spiffe_id`. A server that has an id needs no host name. */
  readonly spiffe_bundle_file?: string;
  /** PEM: what the gateway shows of itself. */
  readonly cert_file?: string;
  readonly key_file?: string;
};

/** What a server showed. */
export interface ServerPeer {
  readonly spki: string;
  /** If its certificate goes back to the bundle of a trust domain. */
  readonly spiffeId: string | undefined;
}

/** What a look at a server found; an unreachable one is looked at again by its next connection. */
export type PeerLook =
  | { readonly type: "seen"; readonly peer: ServerPeer }
  /** Its certificate is not one that the configuration takes. */
  | { readonly type: "refused"; readonly why: string }
  | { readonly type: "unreachable" };

/** What files are read with, and what is told of those that cannot be used. */
export interface ServerTlsDeps {
  /** Undefined where none can be read. */
  readonly readFile?: ((path: string) => Uint8Array) | undefined;
  readonly logger: Logger;
}

/** Code of the error of a connection to a server that is another one. */
export const SERVER_IDENTITY = "ERR_SERVER_IDENTITY";

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });

/** Shape of `tls`. */
export const serverTlsShape: Shape<ServerTlsConfig> = mapped(
  object<ServerTlsConfig>({
    spki: optional(array(hex64Shape, { min: 1, max: 8 })),
    spiffe_id: optional(string({ maxLength: 255, description: "a SPIFFE id" })),
    ca_file: optional(path),
    spiffe_bundle_file: optional(path),
    cert_file: optional(path),
    key_file: optional(path),
  }),
  (tls) => {
    const fault = faultOf(tls);
    if (fault !== undefined) throw new FormatError("ERR_SHAPE", fault);
    return tls;
  },
);

function faultOf(tls: ServerTlsConfig): string | undefined {
  const { spiffe_id: id, spiffe_bundle_file: bundle } = tls;
  if (id !== undefined && parseSpiffeId(id) === undefined) return "tls.spiffe_id: want a SPIFFE id";
  if ((id === undefined) !== (bundle === undefined)) return "tls: want spiffe_id and spiffe_bundle_file together";
  if (bundle !== undefined && tls.ca_file !== undefined) return "tls: want either ca_file or spiffe_bundle_file";
  const isHalf = (tls.cert_file === undefined) !== (tls.key_file === undefined);
  return isHalf ? "tls: want cert_file and key_file together" : undefined;
}

/** The connections to one server. */
export class ServerTls {
  readonly #config: ServerTlsConfig;
  readonly #connections = new HttpConnections({
    protocol: "https:",
    open: (endpoint) => this.#open(endpoint),
    ready: "secureConnect",
  });
  /** Connections that were checked, and what their server showed then. */
  readonly #shown = new Map<TLSSocket, X509Certificate>();
  readonly #files: CertificateFiles<ConnectionOptions>;
  readonly #logger: Logger;
  readonly fetch: SiteFetch = this.#connections.fetch;
  #bound: ServerTlsRule = {};
  #onOther: (why: string) => void = () => undefined;

  /** @throws {FormatError} ERR_CERTIFICATE, ERR_UTF8, ERR_CONFIG if a file is named and none can be read here */
  constructor(config: ServerTlsConfig, { readFile, logger }: ServerTlsDeps) {
    this.#config = config;
    this.#logger = logger;
    this.#files = tlsFiles(config, readFile);
  }

  /**
   * From now on the server must meet this rule, too; connections to one that does not are cut.
   *
   * @param onOther  told when a server shows itself as another one
   */
  bind(rule: ServerTlsRule, onOther: (why: string) => void): void {
    this.#bound = rule;
    this.#onOther = onOther;
    for (const [socket, leaf] of this.#shown) {
      if (differenceOf(rule, this.#peerOf(leaf)) !== undefined) socket.destroy();
    }
  }

  /** Shakes hands anew, and says what the server showed. Never rejects. */
  look(url: string, limitMs: number): Promise<PeerLook> {
    const endpoint = endpointOf(new URL(url));
    return new Promise((resolve) => {
      let refused: string | undefined;
      let peer: ServerPeer | undefined;
      const socket = connect({
        ...this.#current(),
        ...targetOf(endpoint),
        checkServerIdentity: (_, shown) => {
          const error = this.#fault(endpoint.host, shown, this.#config);
          refused = error?.message;
          peer = this.#peerOf(new X509Certificate(shown.raw));
          return error;
        },
      });
      const end = (look: PeerLook): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(look);
      };
      const timer = setTimeout(() => end({ type: "unreachable" }), limitMs);
      socket.once("secureConnect", () => end(peer === undefined ? { type: "unreachable" } : { type: "seen", peer }));
      socket.once("error", () =>
        end(refused === undefined ? { type: "unreachable" } : { type: "refused", why: refused }),
      );
    });
  }

  close(): void {
    this.#connections.close();
  }

  /** Remembers what the server showed: once a handshake is over a socket may not tell it any more. */
  #open({ onread, ...endpoint }: Parameters<ConnectionKind["open"]>[0]): TLSSocket {
    let shownLeaf: X509Certificate | undefined;
    const socket = connect({
      ...this.#current(),
      ...targetOf(endpoint),
      ...{ onread },
      ALPNProtocols: ["http/1.1"],
      checkServerIdentity: (host, shown) => {
        shownLeaf = new X509Certificate(shown.raw);
        return this.#check(host, shown);
      },
    });
    socket.setNoDelay(true);
    socket.once("secureConnect", () => {
      if (shownLeaf !== undefined) this.#shown.set(socket, shownLeaf);
    });
    socket.once("close", () => this.#shown.delete(socket));
    return socket;
  }

  /** What the files say now: who renews them needs no restart. If they cannot be used, what they said before. */
  #current(): ConnectionOptions {
    const fault = "the certificate files toward a server cannot be used; those from before stay";
    takeRenewed(this.#logger, fault, () => void this.#files.refresh());
    return this.#files.current;
  }

  #check(host: string, shown: PeerCertificate): Error | undefined {
    const own = this.#fault(host, shown, this.#config);
    if (own !== undefined) return own;
    const bound = this.#fault(host, shown, this.#bound);
    if (bound !== undefined) this.#onOther(bound.message);
    return bound;
  }

  #fault(host: string, shown: PeerCertificate, rule: ServerTlsRule): Error | undefined {
    // SPEC X509-SVID §5: a SPIFFE id stands for its holder at any host name.
    const wrongHost = this.#config.spiffe_id === undefined ? checkServerIdentity(host, shown) : undefined;
    const why = wrongHost?.message ?? differenceOf(rule, this.#peerOf(new X509Certificate(shown.raw)));
    return why === undefined ? undefined : Object.assign(new Error(why), { code: SERVER_IDENTITY });
  }

  /** An id counts where the authorities are those of its trust domain and no others. */
  #peerOf(leaf: X509Certificate): ServerPeer {
    const domain = parseSpiffeId(this.#config.spiffe_id ?? "")?.trustDomain;
    const id = spiffeIdOf(leaf.subjectAltName);
    const spki = formatHex(sha256(new Uint8Array(leaf.publicKey.export({ type: "spki", format: "der" }))));
    return { spki, spiffeId: id !== undefined && id.trustDomain === domain && !leaf.ca ? id.text : undefined };
  }
}

/** An address is no name that a server could be asked for. */
function targetOf({ host, port }: Endpoint): ConnectionOptions {
  return isIP(host) === 0 ? { host, port, servername: host } : { host, port };
}

/** What a server is not of that which it must be; undefined if it is all of it. */
export function differenceOf({ spki, spiffe_id: id }: ServerTlsRule, peer: ServerPeer): string | undefined {
  if (spki !== undefined && !spki.includes(peer.spki)) return `the key of its certificate is ${peer.spki}`;
  if (id === undefined || id === peer.spiffeId) return undefined;
  return `its SPIFFE id is ${peer.spiffeId ?? "none that a trust bundle confirms"}`;
}

/** The environment, too, can switch the checks off (NODE_TLS_REJECT_UNAUTHORIZED): not here. */
const BASE: ConnectionOptions = { minVersion: "TLSv1.2", rejectUnauthorized: true };

function tlsFiles(config: ServerTlsConfig, read: ServerTlsDeps["readFile"]): CertificateFiles<ConnectionOptions> {
  const readFile = (path: string): Uint8Array => {
    if (read !== undefined) return read(path);
    throw new FormatError("ERR_CONFIG", "config.servers: a file of tls cannot be read here");
  };
  const anchors = config.spiffe_bundle_file ?? config.ca_file;
  const own = config.key_file === undefined ? undefined : config.cert_file;
  return new CertificateFiles({
    paths: [anchors, own, own === undefined ? undefined : config.key_file],
    readFile,
    parse: ([ca = "", cert = "", key = ""]) =>
      checked({
        ...BASE,
        ...(anchors === undefined ? {} : { ca: parseAuthorities(ca).map((each) => each.toString()) }),
        ...(own === undefined ? {} : { cert, key }),
      }),
  });
}

function checked(options: ConnectionOptions): ConnectionOptions {
  try {
    if (options.cert !== undefined) createSecureContext(options);
    return options;
  } catch (cause) {
    throw new FormatError("ERR_CERTIFICATE", "tls: certificate and key cannot be used together", { cause });
  }
}
