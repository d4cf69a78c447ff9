/** Asks the configured servers what they list now, as a gateway's start does. */

import type { ListedServer } from "../../gateway/catalog/catalog-file.ts";
import type { GatewayConfig } from "../../gateway/config.ts";
import { realWorld } from "../../gateway/real-world.ts";
import { closeServers, connectServers } from "../../gateway/servers.ts";
import { UsageError } from "../command.ts";
import { readBytes } from "../files.ts";
import { readBearerTokens } from "../gateway-files.ts";
import type { Io } from "../io.ts";
import { makeLogger } from "../service.ts";
import { packageVersion } from "../version.ts";

/**
 * Connects, lists, and disconnects.
 *
 * @param ids  which servers; none means all
 * @throws {UsageError} for an id that is not configured
 * @throws {StoreError} ERR_SERVICE_START naming a server that does not answer
 */
export async function listServers(
  config: GatewayConfig,
  ids: readonly string[],
  io: Io,
): Promise<readonly ListedServer[]> {
  const stranger = ids.find((id) => config.servers.every((server) => server.id !== id));
  if (stranger !== undefined) throw new UsageError(`the configuration has no server ${stranger}`);
  const servers = config.servers.filter(({ id }) => ids.length === 0 || ids.includes(id));
  const connected = await connectServers(
    {
      config: { servers },
      secrets: { bearerTokens: readBearerTokens({ servers }) },
      environment: io.env,
      readFile: readBytes,
      logger: makeLogger("catalog", io),
      software: { name: "countersign", version: packageVersion() },
    },
    realWorld(),
  );
  await closeServers(connected);
  return connected.listed;
}
