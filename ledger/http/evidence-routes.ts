/** GET /evidence/streams/<stream>: what proves that a stream's key signed two histories. */

import { CheckError } from "../../kernel/errors.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import type { ForkEvidence } from "../admission/fork-book.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { TokenCheck } from "./auth.ts";
import type { Routes } from "./server.ts";

/** What the route reads. */
export interface EvidenceParts {
  readonly forks: ForkEvidence;
  readonly streams: StreamBook;
  /** Check of reader tokens; undefined if entries are public: the evidence holds entries. */
  readonly checkReader: TokenCheck | undefined;
}

/** The route of evidence: one document a line, none if the stream was never forked. */
export function evidenceRoutes({ forks, streams, checkReader }: EvidenceParts): Routes {
  return (scope) => {
    const onRequest = async (request: Parameters<TokenCheck>[0]): Promise<void> => checkReader?.(request);
    type Named = { readonly Params: { readonly stream: string } };
    scope.get<Named>("/evidence/streams/:stream", { onRequest }, async (request, reply) => {
      const stream = parseKid(request.params.stream);
      if (streams.find(stream) === undefined) {
        throw new CheckError("ERR_NOT_FOUND", "the stream is not registered with this log");
      }
      const documents = await forks.evidence(stream);
      const lines = documents.map((document) => Buffer.concat([document, Buffer.from("\n")]));
      return reply.type("application/x-ndjson").header("cache-control", "no-store").send(Buffer.concat(lines));
    });
  };
}
