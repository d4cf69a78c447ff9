/** Which lists an agent would find changed if it asked for them again. */

import type { CatalogReader, ListKind } from "../pipeline/call.ts";
import { CHANGED_LISTS, type ChangedList } from "../upstream/upstream.ts";

const KINDS: Readonly<Record<ChangedList, readonly ListKind[]>> = {
  tools: ["tools"],
  prompts: ["prompts"],
  resources: ["resources", "resourceTemplates"],
};

/** The lists of a server of which something else is offered in `after` than in `before`. */
export function offeredChanges(
  before: Pick<CatalogReader, "definitions">,
  after: Pick<CatalogReader, "definitions">,
  serverId: string,
): readonly ChangedList[] {
  if (before === after) return [];
  return CHANGED_LISTS.filter((list) => offered(before, serverId, list) !== offered(after, serverId, list));
}

function offered(catalog: Pick<CatalogReader, "definitions">, serverId: string, list: ChangedList): string {
  const lists = KINDS[list].map((kind) => catalog.definitions(serverId, kind).map(({ name, full }) => [name, full]));
  return JSON.stringify(lists);
}
