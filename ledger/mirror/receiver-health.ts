/** Health, readiness and metrics of a mirror that logs push to. They tell sizes, times and codes; never content. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, errorCode, FormatError } from "../../kernel/errors.ts";
import type { Routes } from "../http/server.ts";
import type { MirrorMetrics } from "./mirror-metrics.ts";
import type { MirrorAnswer, ReceivedView } from "./receiver.ts";

/** What the routes are made of. */
export interface ReceiverHealthParts {
  readonly metrics: MirrorMetrics;
  readonly logs: () => readonly ReceivedView[];
  /** Why nothing is cosigned any more. */
  readonly signingFault: () => ErrorCode | undefined;
}

/** What has gone wrong on this side. */
export class ReceiverHealth {
  readonly #parts: ReceiverHealthParts;
  #fault: ErrorCode | undefined;

  constructor(parts: ReceiverHealthParts) {
    this.#parts = parts;
  }

  /** Answers a request, and remembers what kept it from being answered until one is answered again. */
  async watch(route: string, work: Promise<MirrorAnswer>): Promise<MirrorAnswer> {
    try {
      const answer = await work;
      this.#parts.metrics.countAnswer(route, answer.status);
      if (answer.status === 200) this.#fault = undefined;
      return answer;
    } catch (error) {
      const isOfClient = error instanceof FormatError || error instanceof CheckError;
      this.#parts.metrics.countAnswer(route, isOfClient ? 400 : 500);
      if (!isOfClient) this.#fault = errorCode(error);
      throw error;
    }
  }

  /** The operational routes. */
  readonly routes: Routes = (scope) => {
    const { metrics, logs, signingFault } = this.#parts;
    scope.get("/healthz", (_request, reply) => reply.send({ status: "ok" }));
    scope.get("/readyz", (_request, reply) => {
      const fault = signingFault() ?? this.#fault;
      return reply
        .code(fault === undefined ? 200 : 503)
        .header("cache-control", "no-store")
        .send({ ready: fault === undefined, logs: logs(), ...(fault === undefined ? {} : { fault }) });
    });
    scope.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  };
}
