/**
 * The keys of a mirror at work. Ed25519 signs where it is asked; ML-DSA-44, which takes milliseconds, signs in a worker thread, as
 * it does for a ledger, so that uploads and reads go on meanwhile.
 */

import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { SignerKey } from "../../kernel/note/signer-key.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { makeThreadCosigner, type SigningThread, type ThreadCosigner } from "../../kernel/service/thread-cosigner.ts";
import { startSigningThread } from "../checkpoint/signing.ts";

/** A cosigner, on this thread or on another. */
export interface MirrorCosigner {
  readonly key: VerifierKey;
  /** As `Cosigner.cosign`. @throws {StoreError} ERR_SIGNING, fatal: the thread is gone, or could not sign */
  readonly cosign: (text: string, timestampSeconds: bigint) => Promise<string>;
}

/** Keys that sign, until they are closed. */
export interface MirrorSigning {
  readonly cosigners: readonly MirrorCosigner[];
  /** Signatures that threads have been asked for and have not given. */
  readonly waiting: () => number;
  /** Why no checkpoint is cosigned any more; undefined while threads run. */
  readonly fault: () => ErrorCode | undefined;
  readonly close: () => Promise<void>;
}

/** Makes the thread that signs with an ML-DSA-44 key. */
export type StartSigningThread = (name: string, seed: Uint8Array) => SigningThread;

/**
 * @param start  makes the threads, one a key of type 0x06; default: needs the compiled program
 * @throws {FormatError} ERR_CONFIG for keys of another type than 0x04 and 0x06
 */
export function startMirrorSigning(
  keys: readonly SignerKey[],
  start: StartSigningThread = startSigningThread,
): MirrorSigning {
  if (keys.some(({ type }) => type === 0x01)) {
    throw new FormatError("ERR_CONFIG", "key_files: want keys of type 4 or 6, got a log's");
  }
  const threads: ThreadCosigner[] = [];
  let isGone = false;
  const cosigners = keys.map(({ name, type, seed }): MirrorCosigner => {
    const { key, cosign } = makeCosigner(name, type === 0x06 ? 0x06 : 0x04, seed);
    if (type !== 0x06) return { key, cosign: (...asked) => Promise.resolve(cosign(...asked)) };
    const thread = start(name, seed);
    thread.on("exit", () => {
      isGone = true;
    });
    const remote = makeThreadCosigner(key, thread);
    threads.push(remote);
    return remote;
  });
  return {
    cosigners,
    waiting: () => threads.reduce((sum, thread) => sum + thread.waiting(), 0),
    fault: () => (isGone ? "ERR_SIGNING" : undefined),
    close: async () => {
      for (const thread of threads) await thread.close();
    },
  };
}
