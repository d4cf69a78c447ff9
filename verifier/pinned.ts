/** What has to pass before anything that a bundle says is said under keys that somebody pinned. */

import type { AskedObligationId, ObligationId } from "../kernel/obligation.ts";

/** Obligations without which nobody's keys are pinned. */
export const PINNED: readonly Exclude<ObligationId, AskedObligationId>[] = [
  "log.signature",
  "log.quorum",
  "log.inclusion",
  "receipt.signature",
  "receipt.issuer",
];
