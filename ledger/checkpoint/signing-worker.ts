/** The worker thread of signing.ts: holds the ML-DSA-44 key of the log and signs one text after the other. */

import { parentPort, workerData } from "node:worker_threads";
import { makeLogMlDsaSigner } from "../../kernel/checkpoint/note-signer.ts";
import { invariant } from "../../kernel/errors.ts";
import type { SigningReply, SigningRequest } from "./signing.ts";

const port = parentPort;
invariant(port !== null, "the signing worker must run in a worker thread");
const { origin, seed }: { readonly origin: string; readonly seed: Uint8Array } = workerData;
const signer = makeLogMlDsaSigner(origin, seed);

port.on("message", ({ id, text, timestampSeconds }: SigningRequest) => {
  try {
    port.postMessage({ id, line: signer.cosign(text, timestampSeconds) } satisfies SigningReply);
  } catch (error) {
    port.postMessage({ id, fault: String(error) } satisfies SigningReply);
  }
});
