/** The worker thread of signing.ts: holds an ML-DSA-44 key of the witness and signs one statement after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { makeCosigner } from "../kernel/checkpoint/note-signer.ts";
import { invariant } from "../kernel/errors.ts";
import { answerSigning, type SigningRequest } from "../kernel/service/thread-cosigner.ts";

const port = parentPort;
invariant(port !== null, "the signing worker must run in a worker thread");
const given: unknown = workerData;
invariant(isSecret(given), "the signing worker must be given the name and the seed");
const cosigner = makeCosigner(given.name, 0x06, given.seed);

port.on("message", (request: SigningRequest) => port.postMessage(answerSigning(cosigner, request)));

/** What the thread that starts this one hands over. */
function isSecret(value: unknown): value is { readonly name: string; readonly seed: Uint8Array } {
  if (typeof value !== "object" || value === null || !("name" in value) || !("seed" in value)) return false;
  return typeof value.name === "string" && value.seed instanceof Uint8Array;
}
