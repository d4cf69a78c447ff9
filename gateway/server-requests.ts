/**
 * What servers ask of agents (sampling, elicitation, roots) is not carried: the wire answers it with an error, and here
 * it leaves a receipt like any other refusal, with the reason that the server was told. It names no caller, since no agent asked.
 */

import type { Logger } from "../kernel/service/service.ts";
import { keepRefusal } from "./edge/refuse.ts";
import type { Pipeline } from "./pipeline/call.ts";
import type { Upstream } from "./upstream/upstream.ts";

/** Keeps a receipt of each request that a server makes. */
export function refuseServerRequests(
  upstream: Pick<Upstream, "id" | "facts" | "watch">,
  pipeline: Pick<Pipeline, "refuse">,
  logger: Logger,
): void {
  upstream.watch({
    onChanged: () => undefined,
    onRefusedRequest: (method, received) => {
      const { transport, era, revision } = upstream.facts();
      const wire = { transport, era, method, ...(revision === undefined ? {} : { revision }) };
      const refusal = {
        step: "classify",
        reason: "bridge.unsupported",
        wire,
        serverId: upstream.id,
        received,
      } as const;
      void keepRefusal({ pipeline, logger }, refusal);
    },
  });
}
