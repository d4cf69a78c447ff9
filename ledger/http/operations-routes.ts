/** Health, readiness and metrics. They tell sizes, times and codes; never content. */

import type { Metrics } from "../metrics.ts";
import type { Routes } from "./server.ts";

/** What the ledger says of itself. */
export interface LedgerStatus {
  /** False once a fault halted the ledger or while it closes. */
  readonly ready: boolean;
  readonly size: number;
  readonly logged_size: number;
  readonly published_size: number;
  /** Seconds since the quorum of the published checkpoint was met; null before the first of this run. */
  readonly quorum_age_seconds: number | null;
  /** Code of the fault that halted the ledger. */
  readonly fault?: string;
}

/** The operational routes. */
export function operationsRoutes(status: () => LedgerStatus, metrics: Metrics): Routes {
  return (scope) => {
    scope.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
    scope.get("/readyz", (_request, reply) => {
      const now = status();
      return reply
        .code(now.ready ? 200 : 503)
        .header("cache-control", "no-store")
        .send(now);
    });
    scope.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  };
}
