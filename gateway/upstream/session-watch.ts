/** A subscription to a resource in a session that is opened for it alone: a legacy server knows by the session whom to tell. */

import { LEGACY_REVISIONS } from "../wire/revisions.ts";
import { rawAt } from "../wire/spans.ts";
import { refusedRequest, resultOf } from "./own-request.ts";
import type { LegAgent, UpstreamLeg, UpstreamReply, UpstreamRequest } from "./upstream.ts";

/** As `Upstream.watchResource`; the session ends with the request's signal. */
export async function watchBySession(
  openLeg: (agent: LegAgent) => UpstreamLeg,
  request: UpstreamRequest,
  uri: string,
  onUpdated: () => void,
): Promise<UpstreamReply> {
  const leg = openLeg({
    revision: LEGACY_REVISIONS[0],
    capabilities: "{}",
    onRequest: (message) => Promise.resolve(refusedRequest(rawAt(message.text, ["id"]) ?? "null")),
    onNotification: ({ method, params }) => {
      if (method === "notifications/resources/updated" && params["uri"] === uri) onUpdated();
    },
    onGap: onUpdated,
  });
  const close = (): void => void leg.close();
  request.signal.addEventListener("abort", close, { once: true });
  const reply = await leg.request(request);
  if (resultOf(reply) === undefined || request.signal.aborted) close();
  else leg.listen();
  return reply;
}
