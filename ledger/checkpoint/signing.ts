/**
 * Signs the log's checkpoints, each with two lines under the log's name: Ed25519 over the note (0x01), and ML-DSA-44
 * as the log's own cosigner (0x06). ML-DSA takes some 4 ms, so it runs in a worker thread, never in a turn of the
 * sequencer; in-line signing is for tests and for runtimes with a native ML-DSA.
 */

import { Worker } from "node:worker_threads";
import { makeLogMlDsaSigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { makeThreadCosigner, type SigningThread } from "../../kernel/service/thread-cosigner.ts";

/** Makes the signature lines of a checkpoint. */
export interface CheckpointSigner {
  /** 0x01 first, then 0x06. */
  readonly keys: readonly VerifierKey[];
  /** Lines with their LF, in the order of `keys`. */
  readonly sign: (text: string, timestampSeconds: bigint) => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** Secrets of a log: two seeds of 32 bytes, under one name. */
export interface LogSeeds {
  readonly origin: string;
  readonly ed25519: Uint8Array;
  readonly mlDsa44: Uint8Array;
}

/** Signs both lines on the calling thread. */
export function makeInlineSigner(seeds: LogSeeds): CheckpointSigner {
  const note = makeLogSigner(seeds.origin, seeds.ed25519);
  const cosigner = makeLogMlDsaSigner(seeds.origin, seeds.mlDsa44);
  return {
    keys: [note.key, cosigner.key],
    sign: (text, timestampSeconds) => Promise.resolve([note.signLine(text), cosigner.cosign(text, timestampSeconds)]),
    close: () => Promise.resolve(),
  };
}

/**
 * Signs the ML-DSA-44 line in a worker thread; needs the compiled program. Once the thread is gone every signature fails.
 *
 * @param start  makes the thread
 */
export function makeWorkerSigner(
  seeds: LogSeeds,
  start: (seeds: LogSeeds) => SigningThread = ({ origin, mlDsa44 }) => startSigningThread(origin, mlDsa44),
): CheckpointSigner {
  const note = makeLogSigner(seeds.origin, seeds.ed25519);
  const { key } = makeLogMlDsaSigner(seeds.origin, seeds.mlDsa44);
  const cosigner = makeThreadCosigner(key, start(seeds));
  return {
    keys: [note.key, key],
    sign: async (text, timestampSeconds) => [note.signLine(text), await cosigner.cosign(text, timestampSeconds)],
    close: cosigner.close,
  };
}

/** A thread that signs with an ML-DSA-44 key, under its name; needs the compiled program. @param seed  32 bytes */
export function startSigningThread(origin: string, seed: Uint8Array): SigningThread {
  return new Worker(new URL("./signing-worker.js", import.meta.url), { workerData: { origin, seed } });
}
