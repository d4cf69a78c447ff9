/**
 * TRACE anchoring over HTTP (docs/formats/trace-anchor.md).
 *
 *     POST /trust-records            submit token: one record; ?stream= names the stream whose key signed it
 *     GET  /trust-records/<name>     anybody: pending, expired, or place, anchor receipt and log proof
 *     POST /trust-record-names       submit token: one reservation
 *     POST /revocations              submit token: one revocation, or a bundle of them
 *     GET  /revocations?from=        anybody: revocations and bundles in log order
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { formatBase64 } from "../../kernel/base64.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { formatLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { formatAnchorReceipt } from "../../kernel/trace/anchor.ts";
import { nameForm, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { REVOCATION_BUNDLE_TYPE } from "../../kernel/trace/revocation-bundle.ts";
import type { PublishedCheckpoints } from "../checkpoint/publisher.ts";
import type { TokenCheck } from "../http/auth.ts";
import { bodyOf, type Routes, takeBytes } from "../http/server.ts";
import type { Tree } from "../tree/tree.ts";
import type { TraceBook } from "./trace-book.ts";
import type { TraceDesk } from "./trace-desk.ts";

const PATHS = { records: "/trust-records", names: "/trust-record-names", revocations: "/revocations" } as const;
/** Revocations of one answer. */
const MAX_REVOCATIONS = 1000;

/** What the routes serve from. */
export interface TraceParts {
  readonly origin: string;
  readonly desk: TraceDesk;
  readonly book: TraceBook;
  readonly tree: Tree;
  readonly publisher: PublishedCheckpoints;
  readonly checkSubmit: TokenCheck;
  /** Check of reader tokens; undefined if entries are public. */
  readonly checkReader: TokenCheck | undefined;
}

/** The routes of TRACE anchoring; without `parts` they all say that the log takes no such entries. */
export function traceRoutes(parts: TraceParts | undefined): Routes {
  return (scope) => {
    takeBytes(scope, parts === undefined ? "*" : "application/json");
    if (parts === undefined) return refuseAll(scope);
    submitRoutes(scope, parts);
    scope.get<{ Params: { name: string } }>(`${PATHS.records}/:name`, (request, reply) =>
      sendRecord(parts, request.params.name, request, reply),
    );
    scope.get(PATHS.revocations, async (request, reply) =>
      reply.header("cache-control", "no-store").send(await listRevocations(parts, request)),
    );
  };
}

function refuseAll(scope: FastifyInstance): void {
  scope.addHook("onRequest", async () => {
    throw new CheckError("ERR_LOG_KIND", "this log anchors no trust records");
  });
  const never = async (): Promise<void> => undefined;
  for (const path of Object.values(PATHS)) scope.post(path, never);
  for (const path of [`${PATHS.records}/:name`, PATHS.revocations]) scope.get(path, never);
}

function submitRoutes(scope: FastifyInstance, { origin, desk, checkSubmit }: TraceParts): void {
  const options = {
    bodyLimit: MAX_ENTRY_BYTES,
    onRequest: async (request: FastifyRequest): Promise<void> => checkSubmit(request),
  };
  scope.post(PATHS.records, options, async (request): Promise<JsonObject> => {
    const stream = queryMember(request, "stream");
    const bytes = bodyOf(request);
    const { index, name } = await desk.anchor(bytes, stream === undefined ? undefined : parseKid(stream));
    return { ...placeOf(index, bytes), ...(name === undefined ? {} : { name, uri: trustRecordUri(origin, name) }) };
  });
  scope.post(PATHS.names, options, async (request): Promise<JsonObject> => {
    return placeOf(await desk.reserve(bodyOf(request)), bodyOf(request));
  });
  scope.post(PATHS.revocations, options, async (request): Promise<JsonObject> => {
    return placeOf(await desk.revoke(bodyOf(request)), bodyOf(request));
  });
}

function placeOf(index: bigint, bytes: Uint8Array): JsonObject {
  return { index: Number(index), leaf_hash: formatHex(hashLeaf(bytes)) };
}

async function sendRecord(
  parts: TraceParts,
  name: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (nameForm(name) === undefined) throw new FormatError("ERR_REQUEST", "want a name of 64 or 32 hexadecimal digits");
  const isReader = isEntryWanted(parts, request);
  const wanted = queryMember(request, "size");
  const { record, reservation, expiry } = await parts.desk.lookUp(name);
  reply.header("cache-control", "no-store");
  if (record !== undefined) {
    return reply.send(
      await showRecord(parts, record, wanted === undefined ? undefined : parseDecimal(wanted), isReader),
    );
  }
  if (reservation === undefined) throw new CheckError("ERR_ENTRY_UNKNOWN", "no entry has this name");
  const reserved = { reserved_index: Number(reservation.index), expires: formatTimestamp(reservation.expiresMs) };
  if (expiry === undefined) return reply.send({ state: "pending", ...reserved });
  return reply.send({ state: "expired", ...reserved, expired_index: Number(expiry) });
}

/** The entry itself goes to readers only; whoever checks a record has its bytes already. */
function isEntryWanted({ checkReader }: TraceParts, request: FastifyRequest): boolean {
  if (checkReader === undefined) return true;
  if (request.headers.authorization === undefined) return false;
  checkReader(request);
  return true;
}

/** One proof under the newest witnessed checkpoint, in both of its forms; the anchor receipt at another size if asked. */
async function showRecord(
  { tree, publisher }: TraceParts,
  index: bigint,
  wantedSize: bigint | undefined,
  isReader: boolean,
): Promise<JsonObject> {
  const { published } = publisher;
  const entry = await tree.readEntry(index);
  const place = placeOf(index, entry);
  if (published === undefined || index >= published.size) return { state: "pending", ...place };
  const size = wantedSize ?? published.size;
  if (size <= index || size > published.size) {
    throw new CheckError("ERR_SIZE_RANGE", `size: want one above ${index}, at most ${published.size}`);
  }
  const [proof, path] = [
    await proveInclusion(index, published.size, tree.reader(published.size)),
    await proveInclusion(index, size, tree.reader(size)),
  ];
  const root = await readRoot(size, tree.reader(size));
  return {
    state: "anchored",
    ...place,
    anchor_receipt: formatAnchorReceipt({ index, size, path, root }),
    log_proof: formatLogProof({ index, proof, checkpoint: published.note }),
    ...(isReader ? { entry: formatBase64(entry) } : {}),
  };
}

/** Statements from an index on, and the size that the list is complete for. */
async function listRevocations(
  { origin, book, tree, publisher }: TraceParts,
  request: FastifyRequest,
): Promise<JsonObject> {
  const from = parseDecimal(queryMember(request, "from") ?? "0");
  const size = publisher.published?.size ?? 0n;
  const found = (await book.revocations(from, MAX_REVOCATIONS + 1)).filter((index) => index < size);
  const shown = found.slice(0, MAX_REVOCATIONS);
  const next = found[MAX_REVOCATIONS];
  const revocations: JsonObject[] = [];
  for (const index of shown) {
    const entry = parseJson(parseUtf8(await tree.readEntry(index)));
    const isBundle = isJsonObject(entry) && entry["type"] === REVOCATION_BUNDLE_TYPE;
    revocations.push({ index: Number(index), [isBundle ? "bundle" : "statement"]: entry });
  }
  return { origin, size: Number(size), revocations, ...(next === undefined ? {} : { next: Number(next) }) };
}

function queryMember({ query }: FastifyRequest, name: string): string | undefined {
  const values: ReadonlyMap<string, unknown> = new Map(
    Object.entries(typeof query === "object" && query !== null ? query : {}),
  );
  const value = values.get(name);
  if (value === undefined || typeof value === "string") return value;
  throw new FormatError("ERR_REQUEST", `${name}: want it once`);
}
