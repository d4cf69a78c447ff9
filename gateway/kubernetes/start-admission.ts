/** Starts the webhook beside the gateway's other listeners, with its certificate and the folder of artifacts. */

import { FormatError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { ListenerFiles } from "../identity/listener-files.ts";
import type { Pipeline } from "../pipeline/call.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
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
  readonly schedule: Schedule;
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
  const files = new ListenerFiles({ config: tls, readFile, schedule: facts.schedule, logger: facts.logger });
  const server = makeAdmissionServer({ ...facts, tls: files.current.tls, readArtifacts });
  const url = await listenForReviews(server, config);
  const stopRenewing = files.renew(server.server);
  return {
    url,
    close: async () => {
      stopRenewing();
      await server.close();
    },
  };
}
