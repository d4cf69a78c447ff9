/** Registrations, receipts, segments, and the tips of streams. */

import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { CheckError } from "../../kernel/errors.ts";
import type { AdmissionPolicy, LogKind } from "../../kernel/genesis.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { MAX_RECEIPT_BYTES } from "../../kernel/receipt/receipt.ts";
import { MAX_SEGMENT_BYTES } from "../../kernel/segment.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { type AdmitParts, admit } from "../admission/admit.ts";
import { readSegment, readSingle, StreamGuess } from "../admission/candidates.ts";
import { admitSegment } from "../admission/continue.ts";
import type { Quota } from "../admission/quota.ts";
import { register } from "../admission/register.ts";
import { isPromiseAsked } from "../promise/asked.ts";
import type { PromiseDesk } from "../promise/promise-desk.ts";
import type { SubmissionReader } from "../reading/reader.ts";
import { leafPromise, placeAnswer, runPromises } from "./admitted-answer.ts";
import { asHook, type TokenCheck } from "./auth.ts";
import { type BodyBudget, limitConcurrency } from "./concurrency.ts";
import { bodyOf, type Routes, takeBytes } from "./server.ts";
import { submissionRoute } from "./submission-route.ts";

/** Segments that are read or checked at the same time, and what their bodies may hold together. */
const MAX_SEGMENTS = 64;
const SEGMENT_BUDGET: BodyBudget = { totalBytes: 16 * MAX_SEGMENT_BYTES, eachBytes: MAX_SEGMENT_BYTES };

/** What the routes of streams need. */
export interface StreamParts {
  readonly origin: string;
  readonly kind: LogKind;
  readonly admission: AdmissionPolicy;
  readonly admit: AdmitParts;
  readonly reader: SubmissionReader;
  readonly promises: PromiseDesk;
  readonly quota: Quota;
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal;
  readonly onFault: (error: unknown) => void;
  /** Takes over the streams that a submission names, if another node registered them. */
  readonly knowStreams?: (submission: Uint8Array) => Promise<void>;
  readonly checkSubmit: TokenCheck;
  /** Passes submitters and readers. */
  readonly checkEither: TokenCheck;
}

/** The routes that a gateway uses. */
export function streamRoutes(parts: StreamParts): Routes {
  return (scope) => {
    scope.addHook("onRequest", async () => {
      if (parts.kind !== "receipts") throw new CheckError("ERR_LOG_KIND", "this log takes raw entries, not receipts");
    });
    scope.register(async (json) => jsonRoutes(json, parts));
    scope.register(async (ndjson) => segmentRoute(ndjson, parts));
    scope.register(async (long) => {
      // Held for long, so only for those that have the token.
      long.addHook("onRequest", asHook(parts.checkSubmit));
      submissionRoute(long, parts);
    });
    tipRoute(scope, parts);
  };
}

function jsonRoutes(scope: FastifyInstance, parts: StreamParts): void {
  const { origin, reader, admission, checkSubmit, quota, promises, admit: admitParts } = parts;
  const { sequencer, streams } = admitParts;
  takeBytes(scope, "application/json");
  const onRequest = asHook(checkSubmit);
  const guesses = new WeakMap<Socket, StreamGuess>();
  scope.post("/register", { bodyLimit: MAX_RECEIPT_BYTES, onRequest }, async (request, reply) => {
    const { isNew, index, leaf, stream } = await register({ origin, admission, sequencer, streams }, bodyOf(request));
    return reply.code(isNew ? 201 : 200).send({ index: Number(index), leaf_hash: formatHex(leaf), stream });
  });
  scope.post("/receipts", { bodyLimit: MAX_RECEIPT_BYTES, onRequest }, async (request): Promise<JsonObject> => {
    const isAsked = isPromiseAsked(request);
    const bytes = bodyOf(request);
    const submission = await readSingle({ reader, origin, streams }, bytes, guessOf(guesses, request.raw.socket));
    quota.take(submission.account.stream, { receipts: 1, bytes: bytes.length });
    const admitted = await admit(admitParts, submission);
    const { firstIndex, leaf } = admitted;
    return { index: Number(firstIndex), leaf_hash: formatHex(leaf), ...leafPromise(promises, isAsked, admitted) };
  });
}

function guessOf(guesses: WeakMap<Socket, StreamGuess>, socket: Socket): StreamGuess {
  const known = guesses.get(socket);
  if (known !== undefined) return known;
  const guess = new StreamGuess();
  guesses.set(socket, guess);
  return guess;
}

function segmentRoute(scope: FastifyInstance, parts: StreamParts): void {
  const { origin, reader, promises, checkSubmit, quota, admit: admitParts } = parts;
  const desk = { origin, reader, streams: admitParts.streams };
  takeBytes(scope, "application/x-ndjson");
  // In front of the bound: a stranger must not take a place.
  scope.addHook("onRequest", asHook(checkSubmit));
  limitConcurrency(scope, MAX_SEGMENTS, SEGMENT_BUDGET);
  scope.post("/segments", { bodyLimit: MAX_SEGMENT_BYTES }, async (request): Promise<JsonObject> => {
    const isAsked = isPromiseAsked(request);
    const bytes = bodyOf(request);
    const claimed = await readSegment(desk, bytes);
    quota.take(claimed.account.stream, { receipts: claimed.segment.count, bytes: bytes.length });
    const admitted = await admitSegment(admitParts, desk, claimed);
    return { ...placeAnswer(admitted), ...runPromises(promises, isAsked, admitted) };
  });
}

function tipRoute(scope: FastifyInstance, { admit: { streams }, checkEither }: StreamParts): void {
  // Before anything is looked up: of several nodes each look-up may ask the database.
  const onRequest = asHook(checkEither);
  type Named = { readonly Params: { readonly stream: string } };
  scope.get<Named>("/streams/:stream", { onRequest }, async (request, reply): Promise<JsonObject> => {
    const account = streams.find(parseKid(request.params.stream));
    if (account === undefined) throw new CheckError("ERR_NOT_FOUND", "the stream is not registered with this log");
    reply.header("cache-control", "no-store");
    const { stream, registration, isClosed } = account;
    return { stream, ...account.tip(), registered_index: registration.index, closed: isClosed };
  });
}
