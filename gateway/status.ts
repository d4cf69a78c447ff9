/** What a gateway says of itself: `GET /status`. */

import type { ReasonCode } from "../kernel/receipt/reasons.ts";
import type { Mode } from "../kernel/receipt/vocabulary.ts";
import type { DecisionBasis } from "./decision-basis.ts";
import type { ReceiptPlane } from "./receipt-plane.ts";
import type { OutboxStatus } from "./receipts/outbox.ts";

/** What `GET /status` tells; docs/gateway.md explains each member. */
export interface GatewayStatus {
  readonly ready: boolean;
  readonly stream: string;
  readonly next_seq: number;
  readonly log: string;
  readonly mode: Mode;
  readonly key_protection: "software";
  readonly attestation: { readonly state: "not_available"; readonly reason: "attestation.software" };
  readonly policy: { readonly digest: string; readonly version: string };
  readonly catalog: { readonly digest: string };
  /** The sealed artifact in force. */
  readonly artifact?: { readonly digest: string; readonly version: number; readonly not_after: string };
  /** Why every call is denied, if every call is. */
  readonly safe_state?: ReasonCode;
  readonly boundary: string;
  readonly outbox: OutboxStatus;
  readonly sessions: number;
  readonly open_calls: number;
}

/** The parts of a run that are told of. */
interface StatusParts {
  readonly basis: Pick<DecisionBasis, "run" | "keeper" | "artifact">;
  readonly plane: Pick<ReceiptPlane, "recorder" | "outbox" | "opened">;
}

/** @param log  origin of the home log */
export function statusOf({ basis, plane }: StatusParts, log: string): GatewayStatus {
  const { recorder, outbox, opened } = plane;
  const { run, keeper } = basis;
  const halted = basis.artifact.halted();
  const sealed = basis.artifact.current();
  return {
    ready: !recorder.isFailed() && !outbox.isFinal() && halted === undefined,
    stream: recorder.stream,
    next_seq: recorder.nextSeq(),
    log,
    mode: run.mode,
    key_protection: "software",
    attestation: { state: "not_available", reason: "attestation.software" },
    policy: { digest: run.policy.digest, version: run.policy.version },
    catalog: { digest: keeper.current().digest },
    ...(sealed === undefined
      ? {}
      : {
          artifact: {
            digest: sealed.digest,
            version: sealed.artifact.version,
            not_after: sealed.artifact.not_after,
          },
        }),
    ...(halted === undefined ? {} : { safe_state: halted }),
    boundary: run.boundary,
    outbox: outbox.status(),
    sessions: opened.book.openSessions().length,
    open_calls: opened.book.callCount,
  };
}
