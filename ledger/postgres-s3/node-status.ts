/** What a node of a log in PostgreSQL says of itself. */

import { errorCode } from "../../kernel/errors.ts";
import { standingOf } from "../../kernel/lifecycle/log-status.ts";
import type { Clock } from "../../kernel/service/service.ts";
import type { Halt } from "../halt.ts";
import type { LedgerStatus, NodeStatus } from "../http/operations-routes.ts";
import type { Metrics } from "../metrics.ts";
import type { NodeRole } from "./config.ts";
import type { HeadWatch } from "./head-watch.ts";
import type { Integrator } from "./integrator.ts";
import { haltView } from "./log-halt.ts";
import type { StatementSync } from "./statement-sync.ts";
import type { TurnSequencer } from "./turn-sequencer.ts";

/** What a node is read from. */
export interface StatusParts {
  readonly watch: HeadWatch;
  readonly clock: Clock;
  readonly halt: Halt;
  readonly statements: StatementSync;
}

/** The state of a node as `/readyz` shows it. */
export function readStatus(
  { watch, clock, halt, statements }: StatusParts,
  role: NodeRole,
  integrator: Integrator | undefined,
  ready: boolean,
): LedgerStatus {
  const { published, shown, logged } = watch;
  const metAt = published?.metAtSeconds;
  const { fault } = halt;
  return {
    standing: standingOf(statements.settled.state),
    ready,
    size: Number(watch.next),
    checked_size: Number(watch.next),
    logged_size: Number(logged?.size ?? 0n),
    published_size: Number(published?.size ?? 0n),
    quorum_age_seconds: metAt === undefined ? null : Math.floor(clock.nowMs() / 1000) - Number(metAt),
    shown_size: Number(shown?.size ?? 0n),
    degraded: shown?.state === "logged",
    witnesses: integrator?.health ?? [],
    node: nodeStatus(role, integrator, watch.holder),
    ...(watch.halt === undefined ? {} : { halt: haltView(watch.halt) }),
    ...(fault === undefined ? {} : { fault: errorCode(fault) }),
  };
}

/** Shows the state in the metrics too. */
export function watchMetrics(metrics: Metrics, status: () => LedgerStatus, turns: TurnSequencer): void {
  metrics.watch({
    size: () => status().size,
    loggedSize: () => status().logged_size,
    publishedSize: () => status().published_size,
    queuedEntries: () => turns.queuedEntries,
    uncheckedEntries: () => 0,
    uncheckedBytes: () => 0,
    findings: () => 0,
    quorumAgeSeconds: () => status().quorum_age_seconds,
    isHalted: () => status().fault !== undefined,
    isDegraded: () => status().degraded,
    witnesses: () => status().witnesses,
  });
}

function nodeStatus(role: NodeRole, integrator: Integrator | undefined, holder: string): NodeStatus {
  const lastFault = integrator?.lastFault;
  const node = { role, integrates: integrator?.isActive ?? false, integrator: holder };
  return lastFault === undefined ? node : { ...node, last_fault: lastFault };
}
