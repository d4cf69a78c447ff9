/** Stream-close receipt: the last of its stream. */

import { FormatError } from "../errors.ts";
import { integer, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { CLOSE_REASONS, type CloseReason } from "./vocabulary.ts";

/** Body of a stream-close receipt. `receipts` counts the whole stream, this one included: `seq + 1`. */
export type StreamCloseBody = StreamHeader & {
  readonly kind: "stream-close";
  readonly reason: CloseReason;
  readonly receipts: number;
};

export const streamCloseShape: Shape<Signed<StreamCloseBody>> = mapped(
  object<Signed<StreamCloseBody>>({
    ...headerMembers,
    kind: literal("stream-close"),
    reason: literal(...CLOSE_REASONS),
    receipts: integer({ min: 1 }),
    signatures: signaturesShape,
  }),
  (receipt) => {
    if (receipt.receipts === receipt.seq + 1) return receipt;
    throw new FormatError("ERR_SHAPE", `stream-close: want receipts ${receipt.seq + 1}, got ${receipt.receipts}`);
  },
);
