/** Health, readiness and metrics. They tell sizes, times and codes; never content. */

import type { LogStanding } from "../../kernel/lifecycle/log-status.ts";
import type { WitnessHealthView } from "../checkpoint/witness-health.ts";
import type { Metrics } from "../metrics.ts";
import type { MirrorView } from "../mirror/pusher.ts";
import type { Routes } from "./server.ts";

/** What the ledger says of itself. */
export interface LedgerStatus {
  /** False once a fault halted the ledger or while it closes. */
  readonly ready: boolean;
  /** What the log is by its own statements; one that has ended goes on serving reads. */
  readonly standing: LogStanding;
  readonly size: number;
  /** Every receipt below this index was read; what lies between it and `size` waits for the background checks. */
  readonly checked_size: number;
  readonly logged_size: number;
  readonly published_size: number;
  /** Seconds since the quorum of the published checkpoint was met; null before the first of this run. */
  readonly quorum_age_seconds: number | null;
  /** Size of the checkpoint that is served: above `published_size` only in the degraded mode. */
  readonly shown_size: number;
  /** True while the checkpoint that is served has no quorum: the operator allowed it. */
  readonly degraded: boolean;
  /** How each witness of the policy has answered. */
  readonly witnesses: readonly WitnessHealthView[];
  /** How far each mirror is that the log is pushed to; absent if there is none. */
  readonly mirrors?: readonly MirrorView[];
  /** Logs of several nodes: what this one does, and whether it integrates now. */
  readonly node?: NodeStatus;
  /** Logs of several nodes: the fault that halted the whole log, when it was found (RFC 3339), and by whom. */
  readonly halt?: { readonly code: string; readonly at: string; readonly by: string };
  /** Code of the fault that halted the ledger. */
  readonly fault?: string;
}

/** What a node of a log says of itself. */
export interface NodeStatus {
  readonly role: string;
  readonly integrates: boolean;
  /** Who integrates, as the database says. */
  readonly integrator: string;
  /** Code of what ended this node's last term, or keeps it from opening one. */
  readonly last_fault?: string;
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
