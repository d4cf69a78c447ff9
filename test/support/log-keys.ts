/** A log, three witnesses and what they sign, made from fixed seeds. */

import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import {
  type Cosigner,
  makeCosigner,
  makeLogMlDsaSigner,
  makeLogSigner,
  type NoteSigner,
} from "../../kernel/checkpoint/note-signer.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";

/** 32 bytes of one value. */
export const seedOf = (value: number): Uint8Array => new Uint8Array(32).fill(value);

/** Origin of the log. */
export const ORIGIN = "log.example/test";

/** POSIX seconds of every cosignature. */
export const TIME = 1_700_000_000n;

/** The log's Ed25519 signer (0x01). */
export const logSigner: NoteSigner = makeLogSigner(ORIGIN, seedOf(1));

/** The log's ML-DSA-44 signer (0x06). */
export const logMlDsaSigner: Cosigner = makeLogMlDsaSigner(ORIGIN, seedOf(2));

/** Three Ed25519 witnesses (0x04): witness.example/1 to 3. */
export const witnesses: readonly Cosigner[] = [1, 2, 3].map((n) =>
  makeCosigner(`witness.example/${n}`, 0x04, seedOf(10 + n)),
);

/** An ML-DSA-44 witness (0x06). */
export const mlDsaWitness: Cosigner = makeCosigner("witness.example/pq", 0x06, seedOf(20));

/** The checkpoint text of a tree head of the log. */
export const checkpointText = (size: bigint, root: RootHash): string =>
  formatCheckpoint({ origin: ORIGIN, size, root, extensions: [] });

/** The checkpoint signed by the log and cosigned by the given cosigners. */
export const witnessedNote = (text: string, by: readonly Cosigner[]): string =>
  formatNote(text, [logSigner.signLine(text), ...by.map(({ cosign }) => cosign(text, TIME))]);

/** A policy of the log and the three witnesses w1, w2, w3, of which `threshold` must have cosigned. */
export const policyText = (threshold: number): string =>
  [
    `log ${formatVerifierKey(logSigner.key)}`,
    ...witnesses.map(({ key }, i) => `witness w${i + 1} ${formatVerifierKey(key)}`),
    `group g ${threshold} w1 w2 w3`,
    "quorum g",
    "",
  ].join("\n");
