/** Starts the webhook beside the gateway's other listeners, with its certificate and the folder of artifacts. */

import type { FastifyInstance } from "fastify";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { parseAuthorities } from "../identity/client-certificate.ts";
import type { EdgeTls, TlsConfig } from "../identity/tls-config.ts";
import type { Pipeline } from "../pipeline/call.ts";
import type { KubernetesConfig } from "./admission-config.ts";
import type { AdmissionDesk } from "./admission-desk.ts";
import { listenForReviews, makeAdmissionServer } from "./admission-server.ts";

/** What it is started with. */
export interface AdmissionFacts {
  readonly config: KubernetesConfig;
  readonly readFile: ((path: string) => Uint8Array) | undefined;
  readonly readArtifacts: (() => readonly Uint8Array[]) | undefined;
  readonly desk: AdmissionDesk;
  readonly pipeline: Pick<Pipeline, "refuse">;
  readonly isReady: () => boolean;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** A webhook that listens. */
export interface RunningAdmission {
  /** `https://host:port`. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

/**
 * Listens.
 *
 * @throws {FormatError} ERR_CERTIFICATE, ERR_CONFIG (nobody reads files here), ERR_UTF8
 * @throws {StoreError} ERR_FILE_READ, ERR_SERVICE_START
 */
export async function startAdmission(facts: AdmissionFacts): Promise<RunningAdmission> {
  const { config, readFile, readArtifacts } = facts;
  const { tls } = config.listen;
  if (tls === undefined || readFile === undefined || readArtifacts === undefined) {
    throw new FormatError("ERR_CONFIG", "config.kubernetes: its files cannot be read here");
  }
  // A folder that cannot be read is found at the start, not by the first pod.
  readArtifacts();
  const server: FastifyInstance = makeAdmissionServer({ ...facts, tls: readTls(tls, readFile), readArtifacts });
  const url = await listenForReviews(server, config);
  return { url, close: () => server.close() };
}

function readTls(tls: TlsConfig, readFile: (path: string) => Uint8Array): EdgeTls {
  const read = (path: string): string => parseUtf8(readFile(path));
  return {
    cert: read(tls.cert_file),
    key: read(tls.key_file),
    clientAuth: tls.client_auth ?? "none",
    authorities: tls.client_ca_file === undefined ? [] : parseAuthorities(read(tls.client_ca_file)),
    minVersion: tls.min_version ?? "TLSv1.2",
  };
}
