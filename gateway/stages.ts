/** The stages of a run, in the order in which they look at a call. A control that is not listed here controls nothing. */

import type { GatewayOptions } from "./options.ts";
import type { Stages } from "./pipeline/stage.ts";

/** Makes the stages that the configuration asks for. */
export function stagesOf({ wrapStages }: GatewayOptions): Stages {
  const stages: Stages = { request: [], obligations: [], response: [], respond: [] };
  return wrapStages === undefined ? stages : wrapStages(stages);
}
