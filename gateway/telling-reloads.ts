/** Reloads that tell those who listen what is different for them now. */

import { offeredChanges } from "./catalog/offered-changes.ts";
import type { DecisionBasis } from "./decision-basis.ts";
import type { ChangeFeed } from "./edge/change-feed.ts";
import type { GatewayRun } from "./run.ts";
import { CHANGED_LISTS } from "./upstream/upstream.ts";

/** Another policy may offer each agent something else. */
export function tellingOffers(
  reload: GatewayRun["reloadPolicy"],
  { offers, keeper }: Pick<DecisionBasis, "offers" | "keeper">,
  changes: ChangeFeed,
): GatewayRun["reloadPolicy"] {
  return async (body) => {
    const couldHide = offers.mayHide;
    const loaded = await reload(body);
    if (couldHide || offers.mayHide) for (const id of keeper.current().serverIds) changes.tell(id, CHANGED_LISTS);
    return loaded;
  };
}

/** Tells those who listen what another catalog changes of what they are offered. */
export function tellingCatalog(
  reload: GatewayRun["reloadCatalog"],
  { keeper, changes, rules }: Pick<DecisionBasis, "keeper"> & Pick<GatewayRun, "changes" | "rules">,
): GatewayRun["reloadCatalog"] {
  return async (bytes) => {
    const before = keeper.current();
    const loaded = await reload(bytes);
    const after = keeper.current();
    for (const id of after.serverIds) changes.tell(id, offeredChanges(before, after, id));
    rules.tell();
    return loaded;
  };
}
