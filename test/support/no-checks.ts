/** Admission without background checks: what a test brings in by segments stays unread. */

import type { Checks } from "../../ledger/admission/admit.ts";

/** Takes everything, reads nothing. */
export const NO_CHECKS: Checks = {
  requireRoom: () => undefined,
  distrusts: () => false,
  expect: () => undefined,
  wake: () => undefined,
};
