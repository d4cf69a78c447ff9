/**
 * SCRAPI: the SCITT reference API over this log (docs/scitt.md).
 *
 *     POST /entries                        201 receipt; 303 to it while it is not ready
 *     GET /entries/<leaf hash>             200 receipt; 302 to itself while it is not ready
 *     GET /consistency/<old size>          200 receipt of consistency up to the newest signed root; not of SCRAPI
 *     GET /.well-known/scitt-keys          200 COSE_KeySet
 *     GET /.well-known/scitt-keys/<kid>    200 COSE_Key; kid is base64url without padding
 *
 * A statement's locator is its leaf hash: whoever holds the statement can compute it, and nobody can enumerate subjects.
 */

import type { FastifyInstance, FastifyReply } from "fastify";
import { formatBase64url } from "../../kernel/base64url.ts";
import { coseThumbprint, formatCoseKey, formatCoseKeySet } from "../../kernel/cose/cose-key.ts";
import { MAX_STATEMENT_BYTES, parseStatement } from "../../kernel/cose/statement.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import { type AddressLimit, limitAddresses } from "../http/address-limit.ts";
import { limitConcurrency } from "../http/concurrency.ts";
import { faultOf } from "../http/errors.ts";
import { bodyOf, type Routes, takeBytes } from "../http/server.ts";
import { sendProblem } from "./problem.ts";
import type { ReceiptDesk, RegisteredStatement } from "./receipt-desk.ts";
import type { RegistrationPolicy } from "./registration-policy.ts";

const COSE = "application/cose";
/** Statements in work at the same time; each may wait for a checkpoint. */
const MAX_WORKING = 1024;
/** Seconds after which a client asks again for a receipt that is not ready: some checkpoints later. */
const RETRY_AFTER_SECONDS = 1;

/** What the routes serve from. */
export interface ScittParts {
  readonly desk: ReceiptDesk;
  readonly policy: RegistrationPolicy;
  /** The key that signs receipts, then those that did. */
  readonly keys: readonly PublicKey[];
  readonly limit: AddressLimit;
  /** How long a registration waits for its receipt. */
  readonly waitMs: number;
}

/** The routes of the SCITT edge; without `parts` they all say that there is none. */
export function scittRoutes(parts: ScittParts | undefined, onFault: (error: unknown) => void): Routes {
  return (scope) => {
    scope.setErrorHandler((error, _request, reply) => {
      if (faultOf(error).status === 500) onFault(error);
      return sendProblem(reply, error);
    });
    takeBytes(scope, parts === undefined ? "*" : COSE);
    if (parts === undefined) return refuseAll(scope);
    limitAddresses(scope, parts.limit);
    limitConcurrency(scope, MAX_WORKING);
    entryRoutes(scope, parts);
    keyRoutes(scope, parts.keys);
  };
}

function refuseAll(scope: FastifyInstance): void {
  scope.addHook("onRequest", async () => {
    throw new CheckError("ERR_SCITT_OFF", "this log has no SCITT edge");
  });
  const never = async (): Promise<void> => undefined;
  scope.post("/entries", never);
  for (const path of ["/entries/:id", "/consistency/:size", "/.well-known/scitt-keys", "/.well-known/scitt-keys/:kid"])
    scope.get(path, never);
}

function entryRoutes(scope: FastifyInstance, { desk, policy, waitMs }: ScittParts): void {
  scope.post("/entries", { bodyLimit: MAX_STATEMENT_BYTES }, async (request, reply) => {
    const statement = parseStatement(bodyOf(request));
    policy(statement);
    const registered = await desk.register(statement);
    await desk.waitFor(registered, AbortSignal.any([AbortSignal.timeout(waitMs), goneSignal(reply)]));
    // Relative references, so that they hold behind any prefix: .../entries → .../entries/<id>.
    const location = `entries/${formatHex(registered.leaf)}`;
    return answer(reply, desk, registered, { ready: 201, pending: 303, location });
  });
  scope.get<{ Params: { id: string } }>("/entries/:id", async (request, reply) => {
    const registered = await desk.find(parseLocator(request.params.id));
    return answer(reply, desk, registered, { ready: 200, pending: 302, location: formatHex(registered.leaf) });
  });
  scope.get<{ Params: { size: string } }>("/consistency/:size", async (request, reply) => {
    const receipt = await desk.makeConsistency(parseDecimal(request.params.size));
    return reply.header("cache-control", "no-store").type(COSE).send(receipt);
  });
}

interface Statuses {
  readonly ready: 200 | 201;
  readonly pending: 302 | 303;
  readonly location: string;
}

async function answer(
  reply: FastifyReply,
  desk: ReceiptDesk,
  registered: RegisteredStatement,
  { ready, pending, location }: Statuses,
): Promise<FastifyReply> {
  const receipt = await desk.makeReceipt(registered);
  reply.header("cache-control", "no-store");
  if (receipt === undefined) {
    return reply.code(pending).header("location", location).header("retry-after", RETRY_AFTER_SECONDS).send();
  }
  if (ready === 201) reply.header("location", location);
  return reply.code(ready).type(COSE).send(receipt);
}

function keyRoutes(scope: FastifyInstance, keys: readonly PublicKey[]): void {
  const set = formatCoseKeySet(keys);
  const byKid = new Map(keys.map((key) => [formatBase64url(coseThumbprint(key)), formatCoseKey(key)]));
  const send = (reply: FastifyReply, bytes: Uint8Array): FastifyReply =>
    reply.type("application/cbor").header("cache-control", "public, max-age=300").send(bytes);
  scope.get("/.well-known/scitt-keys", (_request, reply) => send(reply, set));
  scope.get<{ Params: { kid: string } }>("/.well-known/scitt-keys/:kid", (request, reply) => {
    const key = byKid.get(request.params.kid);
    if (key === undefined) throw new CheckError("ERR_COSE_KEY_UNKNOWN", "no receipt key of this log has this id");
    return send(reply, key);
  });
}

function parseLocator(id: string): LeafHash {
  try {
    return parseLeafHash(parseHex(id, 32));
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new FormatError("ERR_ENTRY_LOCATOR", "want the statement's leaf hash: 64 lower-case hexadecimal digits");
  }
}

/** Aborts when the client goes away. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  return gone.signal;
}
