/** What policy-load and catalog-load receipts have in common: a result with its reasons, and a sorted list. */

import { FormatError } from "../errors.ts";
import type { ReasonCode } from "./reasons.ts";
import type { LoadResult } from "./vocabulary.ts";

/**
 * Checks that reasons are given exactly for a refusal, and that the names of the list are sorted and distinct.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function checkLoad(
  load: { readonly result: LoadResult; readonly reasons: readonly ReasonCode[] },
  names: readonly string[],
): void {
  if ((load.result === "loaded") !== (load.reasons.length === 0)) {
    throw new FormatError("ERR_SHAPE", "want reasons exactly if the load was refused");
  }
  if (names.some((name, i) => i > 0 && name <= (names[i - 1] ?? ""))) {
    throw new FormatError("ERR_SHAPE", "want distinct names in ascending order");
  }
}
