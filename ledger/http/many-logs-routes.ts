/** Health, readiness and metrics of a process with several logs. Each log has its own under its name too. */

import type { Ledger } from "../ledger.ts";
import { textOfAll } from "../metrics.ts";
import type { Routes } from "./server.ts";

/** The routes at the root. Ready means that every log is. */
export function manyLogsRoutes(logs: readonly { readonly name: string; readonly ledger: Ledger }[]): Routes {
  return (scope) => {
    scope.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
    scope.get("/readyz", (_request, reply) => {
      const states = logs.map(({ name, ledger }) => [name, ledger.status()] as const);
      const ready = states.every(([, { ready: isReady }]) => isReady);
      return reply
        .code(ready ? 200 : 503)
        .header("cache-control", "no-store")
        .send({ ready, logs: Object.fromEntries(states) });
    });
    scope.get("/metrics", async (_request, reply) => {
      const { contentType, text } = await textOfAll(logs.map(({ name, ledger }) => [name, ledger.metrics]));
      return reply.type(contentType).send(text);
    });
  };
}
