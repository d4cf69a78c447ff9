/**
 * Connections on which nothing was ever sent. Clients open some in advance; Node counts them neither as idle nor as at work,
 * so a stop would wait for them as long as for a request that is on its way.
 */

import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Watches a server. @returns what closes its silent connections */
export function watchSilent(server: Server): () => void {
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
  };
}
