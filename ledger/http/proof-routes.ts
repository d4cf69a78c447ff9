/** GET /log-proof: by index or leaf hash, waiting for witnesses if asked to. */

import type { FastifyInstance, FastifyReply } from "fastify";
import { parseDecimal } from "../../kernel/decimal.ts";
import { CheckError, FormatError, StoreError } from "../../kernel/errors.ts";
import { parseHex } from "../../kernel/hex.ts";
import { parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { LogProofs } from "../checkpoint/log-proofs.ts";
import type { Routes } from "./server.ts";

const MAX_WAIT_MS = 30_000n;
/** Requests that may wait at the same time. */
const MAX_WAITING = 4096;

interface ProofQuery {
  readonly leaf?: string;
  readonly waitMs: number;
  readonly acceptLogged: boolean;
}

/** The log-proof routes. */
export function proofRoutes(proofs: LogProofs): Routes {
  return (scope: FastifyInstance) => {
    const desk = new ProofDesk(proofs);
    scope.get<{ Params: { index: string } }>("/log-proof/:index", (request, reply) => {
      const query = parseQuery(request.query);
      if (query.leaf !== undefined) throw new FormatError("ERR_REQUEST", "want an index or a leaf, not both");
      return desk.answer(parseDecimal(request.params.index), query, reply);
    });
    scope.get("/log-proof", async (request, reply) => {
      const query = parseQuery(request.query);
      if (query.leaf === undefined) throw new FormatError("ERR_REQUEST", "want /log-proof/<index> or ?leaf=<hex>");
      const index = await proofs.findLeaf(parseLeafHash(parseHex(query.leaf, 32)));
      if (index === undefined) throw new CheckError("ERR_ENTRY_UNKNOWN", "no entry has this leaf hash");
      return desk.answer(index, query, reply);
    });
  };
}

class ProofDesk {
  readonly #proofs: LogProofs;
  #waiting = 0;

  constructor(proofs: LogProofs) {
    this.#proofs = proofs;
  }

  async answer(index: bigint, query: ProofQuery, reply: FastifyReply): Promise<FastifyReply> {
    if (query.waitMs > 0 && this.#waiting >= MAX_WAITING) {
      throw new StoreError("ERR_QUEUE_FULL", `more than ${MAX_WAITING} requests would wait for witnesses`);
    }
    this.#waiting += 1;
    try {
      const { acceptLogged } = query;
      const { state, text } = await this.#proofs.prove({ index, acceptLogged, signal: waitLimit(reply, query.waitMs) });
      return await reply
        .type("text/plain; charset=utf-8")
        .header("countersign-proof-state", state)
        .header("cache-control", "no-store")
        .send(text);
    } finally {
      this.#waiting -= 1;
    }
  }
}

/** Aborts after the time that the client wants to wait, or when the client goes away. */
function waitLimit(reply: FastifyReply, waitMs: number): AbortSignal {
  if (waitMs === 0) return AbortSignal.abort();
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  return AbortSignal.any([AbortSignal.timeout(waitMs), gone.signal]);
}

function parseQuery(query: unknown): ProofQuery {
  const values = new Map<string, unknown>(Object.entries(typeof query === "object" && query !== null ? query : {}));
  const take = (name: string): string | undefined => {
    const value = values.get(name);
    values.delete(name);
    if (value !== undefined && typeof value !== "string") throw new FormatError("ERR_REQUEST", `${name}: want it once`);
    return value;
  };
  const [leaf, wait, state] = [take("leaf"), take("wait_ms"), take("state")];
  const [unknown] = values.keys();
  if (unknown !== undefined) throw new FormatError("ERR_REQUEST", "unknown query member; want leaf, wait_ms, state");
  if (state !== undefined && state !== "logged" && state !== "cosigned") {
    throw new FormatError("ERR_REQUEST", "state: want `logged` or `cosigned`");
  }
  return { ...(leaf === undefined ? {} : { leaf }), waitMs: parseWait(wait), acceptLogged: state === "logged" };
}

function parseWait(text: string | undefined): number {
  if (text === undefined) return 0;
  const wait = parseDecimal(text);
  if (wait > MAX_WAIT_MS) throw new FormatError("ERR_REQUEST", `wait_ms: want at most ${MAX_WAIT_MS}`);
  return Number(wait);
}
