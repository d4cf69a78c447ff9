/** All receipts of a stream: the closed union of kinds. */

import type { Signed } from "../signature/envelope.ts";
import type { CatalogLoadBody } from "./catalog-load.ts";
import type { DecisionBody } from "./decision.ts";
import type { DriftBody } from "./drift.ts";
import type { HeartbeatBody } from "./heartbeat.ts";
import type { OutcomeBody } from "./outcome.ts";
import type { PolicyLoadBody } from "./policy-load.ts";
import type { RefusalsBody } from "./refusals.ts";
import type { SessionOpenBody } from "./session-open.ts";
import type { SessionSealBody } from "./session-seal.ts";
import type { StreamCloseBody } from "./stream-close.ts";
import type { StreamOpenBody } from "./stream-open.ts";

/** Body of any receipt of a stream, before signing. */
export type ReceiptBody =
  | StreamOpenBody
  | PolicyLoadBody
  | CatalogLoadBody
  | SessionOpenBody
  | DecisionBody
  | OutcomeBody
  | SessionSealBody
  | HeartbeatBody
  | RefusalsBody
  | DriftBody
  | StreamCloseBody;

/** A signed receipt of a stream. */
export type StreamReceipt =
  | Signed<StreamOpenBody>
  | Signed<PolicyLoadBody>
  | Signed<CatalogLoadBody>
  | Signed<SessionOpenBody>
  | Signed<DecisionBody>
  | Signed<OutcomeBody>
  | Signed<SessionSealBody>
  | Signed<HeartbeatBody>
  | Signed<RefusalsBody>
  | Signed<DriftBody>
  | Signed<StreamCloseBody>;
