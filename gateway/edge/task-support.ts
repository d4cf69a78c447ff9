/**
 * Who carries tasks: the experimental ones of revision 2025-11-25 between legacy peers, and the extension
 * `io.modelcontextprotocol/tasks` between modern ones. They are two protocols, and neither becomes the other (task-held.ts).
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Revision } from "../../kernel/receipt/vocabulary.ts";
import type { CatalogReader } from "../pipeline/call.ts";
import { TASKS_EXTENSION } from "../wire/meta-keys.ts";
import type { Mount } from "./mount.ts";

/** The one legacy revision that has tasks. */
export const TASKS_REVISION: Revision = "2025-11-25";

/** True if these capabilities, of an agent or of a server, name the extension. */
export function hasTasksExtension(capabilities: JsonValue | undefined): boolean {
  const extensions = memberOf(capabilities, "extensions");
  return isJsonObject(memberOf(extensions, TASKS_EXTENSION));
}

/** True if a legacy server with these capabilities makes tasks of tool calls. */
export function hasLegacyTasks(capabilities: JsonValue | undefined): boolean {
  const requests = memberOf(memberOf(capabilities, "tasks"), "requests");
  return isJsonObject(memberOf(memberOf(requests, "tools"), "call"));
}

/** What a legacy agent is told of tasks: of the servers that it reaches, as approved. */
export function legacyTasksOf(catalog: CatalogReader, { serverIds }: Mount, revision: Revision): JsonObject {
  const servers = serverIds.map((id) => catalog.capabilities(id)).filter(hasLegacyTasks);
  if (revision !== TASKS_REVISION || servers.length === 0) return {};
  const isCancelled = servers.some((capabilities) => memberOf(memberOf(capabilities, "tasks"), "cancel") !== undefined);
  // Lists are answered by the gateway, whatever its servers have.
  return { tasks: { list: {}, ...(isCancelled ? { cancel: {} } : {}), requests: { tools: { call: {} } } } };
}

/** True if this legacy agent was told that a call may be a task. */
export function isTaskHeard(
  catalog: CatalogReader,
  { mount, revision }: { readonly mount: Mount; readonly revision: Revision },
): boolean {
  return revision === TASKS_REVISION && mount.serverIds.some((id) => hasLegacyTasks(catalog.capabilities(id)));
}

/** What a modern agent is told of extensions. */
export function extensionsOf(catalog: CatalogReader, { serverIds }: Mount): JsonObject {
  const isThere = serverIds.some((id) => hasTasksExtension(catalog.capabilities(id)));
  return isThere ? { extensions: { [TASKS_EXTENSION]: {} } } : {};
}

function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
