/** GET /log-status: what the log is, provable from the answer alone. Public, and cacheable as checkpoints are. */

import type { Routes } from "../http/server.ts";
import type { StatusDesk } from "./status-desk.ts";

/** The route of the status document. */
export function statusRoutes(desk: StatusDesk): Routes {
  return (scope) => {
    scope.get("/log-status", async (_request, reply) => {
      const document = await desk.document();
      return reply.type("application/json").header("cache-control", "public, max-age=1").send(Buffer.from(document));
    });
  };
}
