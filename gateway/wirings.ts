/** What decides beside the agents' own endpoint, where the configuration asks for it: for an Envoy, and for a cluster. */

import type { HttpEdgeOptions } from "./edge/http-edge.ts";
import { startEnvoy } from "./envoy/start-envoy.ts";
import { startAdmission } from "./kubernetes/start-admission.ts";
import type { GatewayOptions } from "./options.ts";
import type { GatewayRun } from "./run.ts";

/** Running wirings. */
export interface Wirings {
  /** `host:port` of the service for Envoy. */
  readonly envoyAddress?: string;
  /** `https://host:port` of the admission webhook. */
  readonly admissionUrl?: string;
  /** Lets what is under way end within `limitMs`. */
  readonly close: (limitMs: number) => Promise<void>;
}

/** Where the agents' listener is, and what it is made of. */
export interface WiredEdge {
  readonly options: HttpEdgeOptions;
  readonly url: string;
}

/**
 * Starts them; if one cannot be started, none runs.
 *
 * @throws {FormatError} ERR_CONFIG, ERR_CERTIFICATE
 * @throws {StoreError} ERR_SERVICE_START, ERR_FILE_READ
 */
export async function startWirings(options: GatewayOptions, run: GatewayRun, edge: WiredEdge): Promise<Wirings> {
  const { config, secrets, readFile, readSealedArtifacts: readArtifacts, logger } = options;
  const facts = { token: secrets.envoyToken, edge: edge.options, origin: edge.url };
  const envoy = config.envoy === undefined ? undefined : await startEnvoy({ config: config.envoy, ...facts });
  try {
    const admission =
      config.kubernetes === undefined
        ? undefined
        : await startAdmission({
            config: config.kubernetes,
            readFile,
            readArtifacts,
            desk: run.admissions,
            pipeline: run.pipeline,
            isReady: () => run.status().ready,
            nowMs: run.world.nowMs,
            schedule: run.world.schedule,
            logger,
          });
    return {
      ...(envoy === undefined ? {} : { envoyAddress: envoy.address }),
      ...(admission === undefined ? {} : { admissionUrl: admission.url }),
      close: async (limitMs) => {
        await Promise.all([envoy?.close(limitMs), admission?.close()]);
      },
    };
  } catch (error) {
    await envoy?.close(0);
    throw error;
  }
}
