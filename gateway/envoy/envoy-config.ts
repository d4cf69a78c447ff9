/** The `envoy` member of a gateway's file: where Envoy asks, and by which token it is known (docs/deployment.md). */

import { FormatError } from "../../kernel/errors.ts";
import { isLoopback, type Listen, listenShape } from "../../kernel/service/listen.ts";
import { integer, object, optional, type Shape, string } from "../../kernel/shape.ts";

/** An ext_authz service. */
export type EnvoyConfig = {
  /** Loopback only. Default 127.0.0.1:4102. */
  readonly listen?: Listen;
  /** The bearer token that Envoy sends with each check. */
  readonly token_file: string;
  /** Checks under way at a time. Default 1,024. */
  readonly max_checks?: number;
};

/** Port of the service, if the configuration says none. */
export const ENVOY_PORT = 4102;
export const ENVOY_MAX_CHECKS = 1_024;

/** Shape of `envoy`. */
export const envoyShape: Shape<EnvoyConfig> = object<EnvoyConfig>({
  listen: optional(listenShape),
  token_file: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" }),
  max_checks: optional(integer({ min: 1, max: 65_536 })),
});

/**
 * Checks where it listens: what Envoy says of a request is believed, and the bodies of calls come in the clear.
 *
 * @throws {FormatError} ERR_CONFIG
 */
export function checkEnvoy(envoy: EnvoyConfig | undefined): void {
  const host = envoy?.listen?.host;
  if (host === undefined || isLoopback(host)) return;
  throw new FormatError("ERR_CONFIG", "config.envoy.listen: want a loopback address; Envoy runs beside the gateway");
}
