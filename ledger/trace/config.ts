/** Configuration of TRACE anchoring (docs/formats/trace-anchor.md). */

import { array, object, type Shape } from "../../kernel/shape.ts";
import { type PublicKey, publicKeyShape } from "../../kernel/signature/public-key.ts";

/** The member `trace` of a ledger's configuration: with it, the log takes trust records and revocations. */
export type TraceConfig = {
  /** Keys that may revoke record keys, `{alg, key}` in the file: ed25519 or es256, none of them a record key. */
  readonly revocation_keys: readonly PublicKey[];
};

/** Shape of `TraceConfig`. */
export const traceConfigShape: Shape<TraceConfig> = object<TraceConfig>({
  revocation_keys: array(publicKeyShape, { max: 64 }),
});
