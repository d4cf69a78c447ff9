/** Stream-close receipt: the last of its stream. */

import type { StreamHeader } from "./header.ts";
import type { CloseReason } from "./vocabulary.ts";

/** Body of a stream-close receipt. `receipts` counts the whole stream, this one included: `seq + 1`. */
export type StreamCloseBody = StreamHeader & {
  readonly kind: "stream-close";
  readonly reason: CloseReason;
  readonly receipts: number;
};
