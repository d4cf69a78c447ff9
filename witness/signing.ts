/**
 * The keys of a witness at work. Ed25519 signs where it is asked; ML-DSA-44, which takes milliseconds, signs in a worker
 * thread of its own, so that other logs are served meanwhile. In-line signing is for tests, which run the sources.
 */

import { Worker } from "node:worker_threads";
import { type Cosigner, makeCosigner } from "../kernel/checkpoint/note-signer.ts";
import { FormatError } from "../kernel/errors.ts";
import type { SignerKey } from "../kernel/note/signer-key.ts";
import { makeThreadCosigner, type ThreadCosigner } from "../kernel/service/thread-cosigner.ts";

/** A cosigner, on this thread or on another. */
export type AnyCosigner = Cosigner | ThreadCosigner;

/** Keys that sign, until they are closed. */
export interface SigningKeys {
  readonly cosigners: readonly AnyCosigner[];
  /** Signatures that threads have been asked for and have not given. */
  readonly waiting: () => number;
  readonly close: () => Promise<void>;
}

/** The cosigners of private note keys. @throws {FormatError} ERR_CONFIG if one is a log's */
export function makeCosigners(keys: readonly SignerKey[]): readonly Cosigner[] {
  return keys.map(({ name, type, seed }) => {
    if (type === 0x01) throw new FormatError("ERR_CONFIG", `key_files: ${name} is a log's key, want type 4 or 6`);
    return makeCosigner(name, type, seed);
  });
}

/** The same, with a thread for each ML-DSA-44 key; needs the compiled program. @throws {FormatError} ERR_CONFIG */
export function startSigning(keys: readonly SignerKey[], place: "worker" | "inline"): SigningKeys {
  const threads: ThreadCosigner[] = [];
  const cosigners = makeCosigners(keys).map((cosigner, i): AnyCosigner => {
    const seed = keys[i]?.seed;
    if (place === "inline" || cosigner.key.type !== 0x06 || seed === undefined) return cosigner;
    const workerData = { name: cosigner.key.name, seed };
    const thread = new Worker(new URL("./signing-worker.js", import.meta.url), { workerData });
    threads.push(makeThreadCosigner(cosigner.key, thread));
    return threads.at(-1) ?? cosigner;
  });
  return {
    cosigners,
    waiting: () => threads.reduce((sum, thread) => sum + thread.waiting(), 0),
    close: async () => {
      for (const thread of threads) await thread.close();
    },
  };
}
