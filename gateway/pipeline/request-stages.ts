/** Lets the stages of a call prepare: most of them answer at once, and then the call waits for none. */

import type { InboundCall } from "./call.ts";
import type { LiveSession } from "./session-desk.ts";
import { type RequestStage, sayNothing, type TurnLook } from "./stage.ts";

/** What the stages that have something to say look at the call with, in their order; a promise if one of them waits. */
export function beginCall(
  stages: readonly RequestStage[],
  call: InboundCall,
  session: LiveSession,
): readonly TurnLook[] | Promise<readonly TurnLook[]> {
  const looks: TurnLook[] = [];
  for (let i = 0; i < stages.length; i += 1) {
    const look = stages[i]?.begin(call, session) ?? sayNothing;
    if (look instanceof Promise) {
      // The others are begun meanwhile; whatever one of them throws is seen beside this promise, and not instead of it.
      const others = stages.slice(i + 1).map(async (other) => other.begin(call, session));
      return Promise.all([look, ...others]).then((rest) => [...looks, ...rest]);
    }
    if (look !== sayNothing) looks.push(look);
  }
  return looks;
}
