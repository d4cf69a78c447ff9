/** POST /stream: segments and receipts up, acknowledgements down, over one long request (docs/ledger.md). */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import type { AdmitParts, Admitted } from "../admission/admit.ts";
import { readSegment, readSingle, StreamGuess, type Submission } from "../admission/candidates.ts";
import { continueStream, finishSegment } from "../admission/continue.ts";
import type { Quota } from "../admission/quota.ts";
import { isPromiseAsked } from "../promise/asked.ts";
import type { PromiseDesk } from "../promise/promise-desk.ts";
import type { SubmissionReader } from "../reading/reader.ts";
import { placeAnswer, runPromises } from "./admitted-answer.ts";
import { limitConcurrency } from "./concurrency.ts";
import { type Admission, prepareReceipts, singlesStep } from "./receipt-lines.ts";
import {
  type FrameDesk,
  type FrameStep,
  type OpenLine,
  runSubmissionStream,
  type StreamLimits,
} from "./submission-stream.ts";

/** Streams at the same time. */
const MAX_STREAMS = 256;
/** Below the time after which the server cuts a request that is still arriving. */
const LIMITS: StreamLimits = {
  maxFrames: 1024,
  maxBytes: 8 * 1024 * 1024,
  takeMs: 30_000,
  idleMs: 30_000,
  lifeMs: 45_000,
};
/** What all streams may have in work; each one may go on with one frame in any case. */
const TOTAL_BYTES = 128 * 1024 * 1024;
/** What a client still sends behind our last line is read away for this long, so that a reset does not swallow the line. */
const LINGER_MS = 2000;

/** What the route needs. */
export interface SubmissionRouteParts {
  readonly origin: string;
  readonly admit: AdmitParts;
  readonly reader: SubmissionReader;
  readonly promises: PromiseDesk;
  readonly quota: Quota;
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal;
  readonly limits?: Partial<StreamLimits>;
  readonly onFault: (error: unknown) => void;
  /** Called with each frame before it is read. */
  readonly knowStreams?: (frame: Uint8Array) => Promise<void>;
}

/** Adds the route to a scope that has no parser of bodies yet. */
export function submissionRoute(scope: FastifyInstance, parts: SubmissionRouteParts): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("application/x-ndjson", (_request, _payload, done) => done(null));
  limitConcurrency(scope, MAX_STREAMS);
  let open = 0;
  const limits: StreamLimits = {
    ...LIMITS,
    ...parts.limits,
    get maxBytes() {
      return Math.min(parts.limits?.maxBytes ?? LIMITS.maxBytes, Math.floor(TOTAL_BYTES / open));
    },
  };
  scope.post("/stream", (request, reply) => {
    const desk = makeDesk(parts, isPromiseAsked(request));
    reply.hijack();
    const { raw: source } = request;
    const { raw: response } = reply;
    // Not `connection: close`: Node would close right behind our last line, and what the client still sends would reset it.
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    response.flushHeaders();
    const sink = { write: (line: string) => writeLine(response, line), cut: () => void response.destroy() };
    open += 1;
    response.once("close", () => {
      open -= 1;
    });
    // Left unread: the stream decides when to read.
    const chunks = chunksOf(source);
    runSubmissionStream({ source: chunks, sink, desk, limits, stopping: parts.stopping })
      .then(() => finish(chunks, source, response))
      .then(() => {
        // Nobody else closes a connection that became idle while the service stops.
        if (parts.stopping.aborted) source.socket.destroySoon();
      })
      .catch((error: unknown) => {
        if (!source.destroyed && !response.destroyed) parts.onFault(error);
        source.destroy();
      });
  });
}

/** Chunks of a body; the body is not destroyed when the reading of it ends. */
function chunksOf(source: IncomingMessage): AsyncIterable<Uint8Array> {
  return source.iterator({ destroyOnReturn: false });
}

/** Resolves when the client took the line, as far as our buffer tells. */
function writeLine(response: ServerResponse, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(Object.assign(new Error("the client went away"), { code: "ECONNRESET" }));
    if (response.destroyed || response.closed) return onClose();
    if (response.write(`${line}\n`)) return resolve();
    response.once("close", onClose);
    response.once("drain", () => {
      response.off("close", onClose);
      resolve();
    });
  });
}

/** Ends the answer at once, and reads away what the client still sends. */
async function finish(
  chunks: AsyncIterable<Uint8Array>,
  source: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.end();
  const timer = setTimeout(() => source.destroy(), LINGER_MS);
  try {
    for await (const chunk of chunks) void chunk;
  } finally {
    clearTimeout(timer);
  }
}

/** How one connection's frames are admitted. */
function makeAdmission(parts: SubmissionRouteParts, isAsked: boolean): Admission {
  const { origin, reader, admit } = parts;
  return { parts, isAsked, desk: { origin, reader, streams: admit.streams }, guess: new StreamGuess() };
}

function makeDesk(parts: SubmissionRouteParts, isAsked: boolean): FrameDesk {
  const admission = makeAdmission(parts, isAsked);
  const { knowStreams } = parts;
  if (knowStreams === undefined) {
    return {
      segment: (bytes) => prepareSegment(admission, bytes),
      receipts: (receipts) => prepareReceipts(admission, receipts),
    };
  }
  const known = async (bytes: Uint8Array): Promise<Submission> => {
    await knowStreams(bytes);
    return readSingle(admission.desk, bytes, admission.guess);
  };
  return {
    segment: (bytes) => knowStreams(bytes).then(() => prepareSegment(admission, bytes)),
    receipts: async (receipts) => singlesStep(admission, await Promise.allSettled(receipts.map(known))),
  };
}

async function prepareSegment({ parts, desk, isAsked }: Admission, bytes: Uint8Array): Promise<FrameStep> {
  const { admit: admission, quota, promises } = parts;
  const claimed = await readSegment(desk, bytes);
  const admitOn = async ({ before }: OpenLine): Promise<Admitted> => {
    quota.take(claimed.account.stream, { receipts: claimed.segment.count, bytes: bytes.length });
    const first = await continueStream(admission, claimed);
    if (first.kind === "admitted") return first.admitted;
    // What stands in front may be what it continues.
    await before();
    return finishSegment(admission, desk, claimed, await continueStream(admission, claimed));
  };
  return ([line]) => {
    if (line === undefined) return;
    admitOn(line)
      .then((admitted) => line.answer({ ...placeAnswer(admitted), ...runPromises(promises, isAsked, admitted) }))
      .catch(line.refuse);
  };
}
