/** The stages of a run, in the order in which they look at a call. A control that is not listed here controls nothing. */

import { makeCallLimiter } from "./limits/call-limiter.ts";
import { callLimitsOf } from "./limits/call-limits.ts";
import type { GatewayOptions, World } from "./options.ts";
import type { Stages } from "./pipeline/stage.ts";

/** Makes the stages that the configuration asks for. */
export function stagesOf({ config, wrapStages }: GatewayOptions, { monotonicMs }: World): Stages {
  const limits = callLimitsOf(config.limits ?? {});
  const limiter = makeCallLimiter({ limits: () => limits, monotonicMs });
  const stages: Stages = {
    gates: [limiter.gate],
    request: [],
    obligations: [limiter.obligation],
    response: [limiter.response],
    respond: [],
  };
  return wrapStages === undefined ? stages : wrapStages(stages);
}
