/** Keeps the receipts of safe state: one when the run stops serving, one when it serves again; and sounds the alarm. */

import { ABSENT } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { GatewayMetrics } from "../metrics.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { ArtifactInForce } from "./artifact-in-force.ts";

/** What the watch works with. */
export interface SafeStateOptions {
  readonly inForce: ArtifactInForce;
  readonly recorder: Pick<Recorder, "append">;
  readonly metrics: Pick<GatewayMetrics, "countSafeState">;
  readonly logger: Logger;
  /** Told when the state is another one. */
  readonly onChange: () => void;
}

/** Makes the function that records a change of the state since it was asked last; calls at once share one look. */
export function makeSafeStateWatch({
  inForce,
  recorder,
  metrics,
  logger,
  onChange,
}: SafeStateOptions): () => Promise<void> {
  let recorded: ReasonCode | undefined;
  let turn: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    const reason = inForce.halted();
    if (reason === recorded) return;
    const named = reason ?? recorded ?? "policy.expired";
    recorded = reason;
    onChange();
    if (reason !== undefined) {
      metrics.countSafeState(reason);
      logger.error({ reason }, "safe state: every call is denied until an operator has renewed the sealed policy");
    }
    await recorder.append(() => ({
      kind: "operator-action",
      action: reason === undefined ? "safe-state-off" : "safe-state-on",
      by: ABSENT,
      evidence: ABSENT,
      target: { type: "all" },
      reason: named,
      cause: ABSENT,
    }));
  };
  return () => {
    turn = turn.catch(() => undefined).then(look);
    return turn;
  };
}
