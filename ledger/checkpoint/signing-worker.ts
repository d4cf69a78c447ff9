/** The worker thread of signing.ts: holds the ML-DSA-44 key of a log or a mirror and signs one text after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { makeLogMlDsaSigner } from "../../kernel/checkpoint/note-signer.ts";
import { invariant } from "../../kernel/errors.ts";
import { answerSigning, type SigningRequest } from "../../kernel/service/thread-cosigner.ts";

const port = parentPort;
invariant(port !== null, "the signing worker must run in a worker thread");
const given: unknown = workerData;
invariant(isSecret(given), "the signing worker must be given the origin and the seed");
const signer = makeLogMlDsaSigner(given.origin, given.seed);

port.on("message", (request: SigningRequest) => port.postMessage(answerSigning(signer, request)));

/** What the thread that starts this one hands over. */
function isSecret(value: unknown): value is { readonly origin: string; readonly seed: Uint8Array } {
  if (typeof value !== "object" || value === null || !("origin" in value) || !("seed" in value)) return false;
  return typeof value.origin === "string" && value.seed instanceof Uint8Array;
}
