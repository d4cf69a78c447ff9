/** A loopback port that nothing listens on. */

import { once } from "node:events";
import { createServer } from "node:net";

/** For programs that cannot be given port 0 and asked afterwards. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
