/** Heartbeat receipt: the stream is alive and had nothing else to say for its declared interval. */

import { integer, literal, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { headerMembers, type StreamHeader } from "./header.ts";

/** Body of a heartbeat receipt. */
export type HeartbeatBody = StreamHeader & {
  readonly kind: "heartbeat";
  /** Sessions open at this moment. */
  readonly open_sessions: number;
  /** Dispatched calls without an outcome at this moment. */
  readonly open_calls: number;
};

export const heartbeatShape: Shape<Signed<HeartbeatBody>> = object<Signed<HeartbeatBody>>({
  ...headerMembers,
  kind: literal("heartbeat"),
  open_sessions: integer(),
  open_calls: integer(),
  signatures: signaturesShape,
});
