/** Lets the stages of a call prepare: most of them answer at once, and then the call waits for none. */

import type { InboundCall } from "./call.ts";
import type { LiveSession } from "./session-desk.ts";
import type { RequestStage, TurnLook } from "./stage.ts";

/** What each stage looks at the call with, in their order; a promise if one of them waits. */
export function beginCall(
  stages: readonly RequestStage[],
  call: InboundCall,
  session: LiveSession,
): readonly TurnLook[] | Promise<readonly TurnLook[]> {
  const looks: TurnLook[] = [];
  for (const [i, stage] of stages.entries()) {
    const look = stage.begin(call, session);
    if (look instanceof Promise) {
      // The others are begun meanwhile; whatever one of them throws is seen beside this promise, and not instead of it.
      const others = stages.slice(i + 1).map(async (other) => other.begin(call, session));
      return Promise.all([look, ...others]).then((rest) => [...looks, ...rest]);
    }
    looks.push(look);
  }
  return looks;
}
