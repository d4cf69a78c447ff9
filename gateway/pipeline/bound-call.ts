/** What of a call, or of a session before its calls, says which artifact binds it and which limits hold for it. */

import type { Caller, InboundCall, SessionKey } from "./call.ts";

/** Whose it is, in which session, and how it comes: of a call each of these is there. */
export type BoundCall = Pick<InboundCall, "caller" | "session"> & {
  readonly wire: Pick<InboundCall["wire"], "transport">;
};

/** A session before its calls. `wrap` alone has sessions of a launcher. */
export function boundSession(caller: Caller, session: SessionKey): BoundCall {
  return { caller, session, wire: { transport: session.source === "launcher" ? "stdio" : "http" } };
}
