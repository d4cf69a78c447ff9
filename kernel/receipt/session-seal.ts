/** Session-seal receipt: the session ended; its counts can be recomputed from the receipts between open and seal. */

import { FormatError } from "../errors.ts";
import { integer, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { seqShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { sessionIdShape } from "./identity.ts";
import { SEAL_REASONS, type SealReason } from "./vocabulary.ts";

/**
 * Calls of a session. `total` = `allowed` + `denied`: decisions whose action was `forward`, and the others.
 * Of the allowed, `faulted` have a last outcome of `cancelled`, `timeout`, `upstream_error` or `unknown`, and `open`
 * have no outcome.
 */
export type SessionCalls = {
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  readonly faulted: number;
  readonly open: number;
};

/** Body of a session-seal receipt. `first_seq` is the seq of the session's open receipt. */
export type SessionSealBody = StreamHeader & {
  readonly kind: "session-seal";
  readonly session: { readonly id: string };
  readonly reason: SealReason;
  readonly calls: SessionCalls;
  readonly first_seq: number;
};

export const sessionSealShape: Shape<Signed<SessionSealBody>> = mapped(
  object<Signed<SessionSealBody>>({
    ...headerMembers,
    kind: literal("session-seal"),
    session: object<{ readonly id: string }>({ id: sessionIdShape }),
    reason: literal(...SEAL_REASONS),
    calls: object<SessionCalls>({
      total: integer(),
      allowed: integer(),
      denied: integer(),
      faulted: integer(),
      open: integer(),
    }),
    first_seq: seqShape,
    signatures: signaturesShape,
  }),
  checkSeal,
);

function checkSeal(receipt: Signed<SessionSealBody>): Signed<SessionSealBody> {
  const { total, allowed, denied, faulted, open } = receipt.calls;
  if (total !== allowed + denied || faulted + open > allowed) {
    throw new FormatError(
      "ERR_SHAPE",
      "session-seal: want total = allowed + denied, and faulted + open within allowed",
    );
  }
  if (receipt.first_seq >= receipt.seq) {
    throw new FormatError("ERR_SHAPE", "session-seal: want the session opened before it is sealed");
  }
  return receipt;
}
