/** Servers of a test on the loopback. */

import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";

/** Listens on a free port, and returns it. */
export async function listenOnLoopback(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Ends one with every connection that it has, whatever is under way there. */
export function stopAtOnce(server: HttpServer): void {
  server.close();
  server.closeAllConnections();
}
